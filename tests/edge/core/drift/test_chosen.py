"""The detector that the data choose."""

from __future__ import annotations

import numpy as np
import pytest

from edge.core.drift.chosen import CHOICE_STEPS, ChosenDetector
from edge.core.drift.kinds import DETECTORS


def levels(channels: int = 8, steps: int = 400, seed: int = 3) -> np.ndarray:
    """Independent noise around a level for each channel, as of a plant that runs steadily."""
    return 20 + np.random.default_rng(seed).normal(size=(steps, channels))


def cycles(channels: int = 8, steps: int = 1_200, seed: int = 3) -> np.ndarray:
    """Daily cycles of 288 samples with little noise, as of traffic."""
    random = np.random.default_rng(seed)
    day = np.sin(2 * np.pi * (np.arange(steps)[:, None] / 288 + random.uniform(size=channels)))
    return 100 + 30 * day + random.normal(0, 0.5, (steps, channels))


def run(detector, rows):
    """Return what a detector reports."""
    return [change for row in rows for change in detector.step(row)]


@pytest.mark.parametrize(("rows", "kind"), [(levels(), "segments"), (cycles(), "joint")])
def test_the_kind_follows_from_the_data(rows, kind) -> None:
    """Levels with noise get segments, smooth cycles joint jumps, after 128 samples."""
    detector = ChosenDetector(8)
    run(detector, rows[: CHOICE_STEPS - 1])
    assert detector.kind == ""
    detector.step(rows[CHOICE_STEPS - 1])
    assert detector.kind == kind


def test_shifts_of_twice_the_noise_are_found_in_levels_and_no_turns_in_cycles() -> None:
    """What the other kind gets wrong: `joint` misses the shift, `segments` reports the turns."""
    shifted = levels()
    shifted[300:, :3] += 2
    found = run(ChosenDetector(8), shifted)
    assert [290 <= change.start <= 302 for change in found] == [True]
    assert not run(DETECTORS["joint"](8), shifted)
    assert not run(ChosenDetector(8), cycles())
    assert run(DETECTORS["segments"](8), cycles())


def test_a_change_before_the_choice_is_reported_after_it() -> None:
    """A shift that `joint` misses in the first samples is reported with the place where it began;
    one that it finds keeps the number of its state."""
    rows = levels()
    rows[70:, :3] += 2
    (change,) = run(ChosenDetector(8), rows)
    assert change.step >= CHOICE_STEPS - 1
    assert 60 <= change.start <= 72
    large = levels()
    large[60:, :4] += np.array([30.0, -15.0, 30.0, -15.0])
    large[300:, :4] -= np.array([30.0, -15.0, 30.0, -15.0])
    found = run(ChosenDetector(8), large)
    assert (found[0].start, found[0].regime) == (60, 1)
    assert found[-1].regime == 0


def test_still_and_missing_channels_decide_nothing() -> None:
    """Channels that never vary and gaps leave the choice to the others; it waits for the first
    that varies."""
    rows = levels(steps=300)
    rows[:, 3:] = 5.0
    rows[::7, 0] = np.nan
    detector = ChosenDetector(8)
    run(detector, rows)
    assert detector.kind == "segments"
    waiting = ChosenDetector(8)
    run(waiting, np.full((200, 8), 7.0))
    assert waiting.kind == ""
    run(waiting, 7.0 + levels(steps=40))
    assert waiting.kind


def test_the_state_of_the_kind_that_was_not_chosen_is_dropped() -> None:
    """After the choice the state has the arrays of one kind, and restores into a new detector."""
    detector = ChosenDetector(8)
    run(detector, levels())
    names = {name.partition("/")[0] for name in detector.state() if "/" in name}
    assert names == {"segments"}
    again = ChosenDetector(8)
    again.restore(detector.state())
    assert again.kind == "segments"
    with pytest.raises(ValueError, match="state of another detector"):
        again.restore(DETECTORS["cusum"](8).state())
    with pytest.raises(ValueError, match="state of another detector"):
        again.restore({**detector.state(), "other/x": np.zeros(1)})
    assert again.kind == "segments"


def test_a_state_of_joint_jumps_continues_and_the_choice_follows() -> None:
    """What an older version stored keeps its history: a jump just after is found, and the kind is
    chosen 128 samples later."""
    rows = levels()
    rows[205:, :4] += np.array([30.0, -15.0, 30.0, -15.0])
    before = DETECTORS["joint"](8)
    assert run(before, rows[:200]) == []
    after = ChosenDetector(8)
    after.restore(before.state())
    assert [change.channels for change in run(after, rows[200:210])] == [(0, 1, 2, 3)]
    run(after, rows[210 : 200 + CHOICE_STEPS])
    assert after.kind == "segments"


@pytest.mark.parametrize("glitch", ["dropout", "first", "peak", "half"])
def test_a_glitch_makes_no_noisy_series(glitch: str) -> None:
    """One bad sample among the first 128, or noise in half of the channels, does not choose
    `segments` for cycles."""
    rows = cycles() + 900
    if glitch == "half":
        rows[:, ::2] = 100 + np.random.default_rng(5).normal(size=rows[:, ::2].shape)
    else:
        at = 0 if glitch == "first" else 50
        rows[at] = rows[at] * (1.3 if glitch == "peak" else 0.0)
    detector = ChosenDetector(8)
    run(detector, rows[:CHOICE_STEPS])
    assert detector.kind == "joint"


def test_a_glitch_in_noise_leaves_it_noise() -> None:
    """Nor does one make levels with noise look smooth."""
    rows = levels()
    rows[50], rows[90] = 0.0, 1e6
    detector = ChosenDetector(8)
    run(detector, rows)
    assert detector.kind == "segments"


@pytest.mark.parametrize("seed", range(8))
def test_spikes_before_the_choice_are_no_changes(seed: int) -> None:
    """A spike in the first samples is filtered as `segments` alone does."""
    rows = levels(steps=200, seed=seed)
    rows[100, 2] += 30
    alone = run(DETECTORS["segments"](8), rows)
    assert [c for c in run(ChosenDetector(8), rows) if 90 <= c.start <= 110] == []
    assert [c for c in alone if 90 <= c.start <= 110] == []


@pytest.mark.parametrize("at", range(CHOICE_STEPS - 4, CHOICE_STEPS + 4))
def test_a_jump_near_the_choice_is_reported_once(at: int) -> None:
    """Whichever kind sees it, a jump has one report, with its place."""
    rows = levels(steps=240)
    rows[at:, :4] += np.array([30.0, -15.0, 30.0, -15.0])
    found = [change for change in run(ChosenDetector(8), rows) if change.start >= at - 8]
    assert [change.start for change in found] == [at]


def test_channels_that_take_turns_are_measured() -> None:
    """Messages with half of the channels each lead to a choice, too."""
    rows = levels(steps=300)
    rows[::2, :4] = np.nan
    rows[1::2, 4:] = np.nan
    detector = ChosenDetector(8)
    run(detector, rows)
    assert detector.kind == "segments"


@pytest.mark.parametrize("step", range(CHOICE_STEPS - 2, CHOICE_STEPS + 3))
def test_a_state_near_the_choice_continues_identically(step: int) -> None:
    """Restored before, at and after the choice, a detector reports the same."""
    rows = levels()
    rows[300:, :3] += 2
    whole, first, second = (ChosenDetector(8) for _ in range(3))
    expected = run(whole, rows)
    early = run(first, rows[:step])
    second.restore(first.state())
    assert [*early, *run(second, rows[step:])] == expected


@pytest.mark.parametrize("before", [0, 500, 5_000])
def test_a_restored_joint_detector_does_not_blind_segments(before: int) -> None:
    """However long it ran, a jump before the choice costs no later shift."""
    rows = levels(steps=before + 400, seed=6)
    rows[before + 118 :, :4] += 15
    rows[before + 300 :, :4] -= 5
    joint, after = DETECTORS["joint"](8), ChosenDetector(8)
    run(joint, rows[:before])
    after.restore(joint.state())
    found = run(after, rows[before:])
    assert after.kind == "segments"
    assert [change.start for change in found] == [before + 118, 300]
