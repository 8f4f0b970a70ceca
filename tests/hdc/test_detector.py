"""Verdicts keep the false-alarm rate that was ordered."""

from itertools import pairwise
from math import erfc, sqrt

import numpy as np
import pytest
from msgspec import structs

import hdc
from hdc import ConceptError, native
from hdc.detector import MANY, _tail, verdict_at
from tests.hdc.samples import TAPS, draw, enrolment, learned


def verdicts(
    memory: hdc.Memory, calibration: hdc.Calibration, rows: np.ndarray
) -> list[hdc.Verdict]:
    """A verdict a row at 5 %."""
    codes = memory.geometry.project(rows)
    return [hdc.detect(codes[n], memory, calibration, 0.05) for n in range(len(codes))]


def made_up(skew: int = 0) -> hdc.Calibration:
    """A calibration of a few numbers, of two concepts in one domain."""
    return hdc.Calibration(
        keys=(("home", "cat"), ("home", "dog")),
        scales=np.ones((2, 1, 2), dtype=np.int64),
        references=np.asarray([[4, 100, 10], [9, 100, 10]], np.int64),
        scores={"home": np.asarray([10, 20, 20, 30], np.int64)},
        skews={"home": skew},
    )


@pytest.mark.parametrize(
    ("score", "p_value"),
    [(5, 1.0), (10, 1.0), (11, 0.8), (20, 0.8), (21, 0.4), (30, 0.4), (31, 0.2)],
)
def test_a_p_value_is_the_share_of_held_out_samples_as_new(score: int, p_value: float) -> None:
    """The sample itself counts as one of them, and so do those of the same score."""
    found = verdict_at(("home", "cat"), score, made_up(), 0.2)
    assert found.p_value == p_value
    assert found.known is (p_value > 0.2)
    assert found.deviation == (score - 100) / 10


def test_a_window_is_judged_by_the_mean_of_its_deviations() -> None:
    """Its variance is that of the mean plus that of the reference of each concept in it."""
    given = [verdict_at(("home", "cat"), 110, made_up(2048), 0.2)] * 3
    given += [verdict_at(("home", "dog"), 130, made_up(2048), 0.2)]
    found = hdc.detect_window(given, made_up(2048), 0.2)
    variance = 1 / 4 + (3 / 4) ** 2 / 4 + (1 / 4) ** 2 / 9
    score = (3 * 1 + 3) / 4 / sqrt(variance)
    skew = 2 / sqrt(4)
    assert found.score == pytest.approx(score, rel=1e-12)
    # Beyond 3 / skew the correction stops.
    reached = min(score, 3 / skew)
    corrected = reached - skew * (reached**2 - 1) / 6
    assert found.p_value == pytest.approx(erfc(corrected / sqrt(2)) / 2, rel=1e-12)
    assert found.known is (found.p_value > 0.2)


def test_a_window_of_two_domains_is_in_the_first_by_name() -> None:
    """Where as many samples are of either, names decide, not the order they came in."""
    given = [
        structs.replace(verdict_at(("home", "cat"), 100, made_up(), 0.2), domain=d) for d in "zaza"
    ]
    assert hdc.detect_window(given, made_up(), 0.2).domain == "a"
    assert hdc.detect_window(given[::-1], made_up(), 0.2).domain == "a"


def test_false_alarms_come_at_the_ordered_rate() -> None:
    """Fresh samples of known classes alarm at the nominal rate, per sample and per window."""
    samples, windows = [], []
    for seed in range(0, 40, 2):
        memory, facts = learned(100 * seed, count=100)
        calibration = hdc.calibrate(memory, facts)
        found = verdicts(memory, calibration, draw(seed + 7, 200, seed // 4 % 2))
        samples += [verdict.known is False for verdict in found]
        for at in range(0, 200, 10):
            window = hdc.detect_window(found[at : at + 10], calibration, 0.05)
            windows.append(window.known is False)
    assert 0.03 < np.mean(samples) < 0.075
    assert np.mean(windows) < 0.1


def test_new_samples_alarm() -> None:
    """Samples moved away are new; a window of slightly moved ones is, too."""
    memory, facts = learned(count=100)
    calibration = hdc.calibrate(memory, facts)
    assert all(v.known is False for v in verdicts(memory, calibration, draw(3, 20, 0, 60)))
    slightly = verdicts(memory, calibration, draw(4, 30, 0, 8))
    assert hdc.detect_window(slightly, calibration, 0.05).known is False


def test_a_verdict_names_the_nearest_concept() -> None:
    """Fresh samples are taken for their own class."""
    memory, facts = learned()
    calibration = hdc.calibrate(memory, facts)
    labels = [v.label for v in verdicts(memory, calibration, draw(9, 20, 1))]
    assert labels == ["dog"] * 20


def test_too_few_samples_give_no_verdict() -> None:
    """A rate that the calibration can't support gives no verdict, and the reason states the
    needed count."""
    memory, facts = learned(count=30)
    calibration = hdc.calibrate(memory, facts)
    code = memory.geometry.project(draw(1, 1))
    found = hdc.detect(code, memory, calibration, 0.01)
    assert found.known is None
    assert found.shortfall == hdc.NotAttainable(
        "a rate of 0.01 needs 99 samples of 'home', found 60: record 39 more", 99, 60
    )
    assert hdc.detect_window([found], calibration, 0.01).known is None
    assert hdc.detect(code, memory, calibration, 0.05).known is True


def test_many_concepts_are_shortlisted_by_bits() -> None:
    """With hundreds of concepts the verdict is still that of looking at all of them."""
    rows, labels = enrolment()
    geometry = hdc.fit_geometry(rows, labels, TAPS, 5, bits=8192)
    memory = hdc.Memory(geometry)
    facts = [("home", f"{n:03}", geometry.project(draw(n, 10, n))) for n in range(3 * MANY)]
    for fact in facts:
        memory.add(*fact)
    calibration = hdc.calibrate(memory, facts)
    for label in (0, 40, 90):
        code = geometry.project(draw(1000 + label, 1, label))
        found = hdc.detect(code, memory, calibration)
        scores = memory.score(code, calibration.scales_for(memory))[0]
        assert (found.label, found.score) == (f"{label:03}", scores.min())


@pytest.mark.parametrize("skew", [-3.0, -0.5, -0.01, 0.0, 0.01, 0.5, 3.0])
def test_a_higher_score_is_never_more_usual(skew: float) -> None:
    """The tail falls with the score, from 1 to 0, whatever the skewness it is corrected for."""
    tails = [_tail(score, skew) for score in np.linspace(-60, 60, 1201).tolist()]
    assert all(one >= other for one, other in pairwise(tails))
    assert tails[0] > 0.5 > tails[-1]


def test_a_window_at_the_centre_of_its_concept_is_known() -> None:
    """A window of one repeated sample at the centre of its concept raises no alarm."""
    memory, facts = learned(count=100)
    made = hdc.calibrate(memory, facts)
    skewed = structs.replace(made, skews={"home": -2048})
    found = hdc.detect(memory.geometry.project(draw(3, 1)), memory, made, 0.05)
    middle = [structs.replace(found, deviation=-8.0)] * 16
    assert hdc.detect_window(middle, skewed, 0.05).known is True


def test_nothing_to_judge_is_an_error() -> None:
    """No concepts, no sample and no window are refused with a hint."""
    memory, facts = learned()
    calibration = hdc.calibrate(memory, facts)
    code = memory.geometry.project(draw(1, 2))
    with pytest.raises(ConceptError, match="concepts"):
        hdc.detect(code[0], hdc.Memory(memory.geometry), calibration)
    with pytest.raises(ConceptError, match="one sample"):
        hdc.detect(code, memory, calibration)
    with pytest.raises(ConceptError, match="window"):
        hdc.detect_window([], calibration)


@pytest.mark.parametrize("in_c", [True, False])
def test_a_batch_among_many_concepts_is_compared_as_one_by_one(
    monkeypatch: pytest.MonkeyPatch, *, in_c: bool
) -> None:
    """With more concepts than are compared in full, each sample of a batch gets the comparison
    and the verdict that it gets alone."""
    if not in_c:
        monkeypatch.setattr(native, "KERNEL", None)
    rows = np.concatenate([draw(seed, 8, label=seed, shift=seed) for seed in range(40)])
    numbers = np.repeat(np.arange(40), 8)
    geometry = hdc.fit_geometry(rows, numbers, TAPS, 5, bits=1024)
    memory, codes = hdc.Memory(geometry), geometry.project(rows)
    facts = [(f"d{n % 5}", f"l{n}", codes[numbers == n]) for n in range(40)]
    for fact in facts:
        memory.add(*fact)
    calibration = hdc.calibrate(memory, facts)
    shown = geometry.project(np.concatenate([draw(99, 5, label=3), draw(98, 4, label=77)]))
    together = hdc.detect_each(shown, memory, calibration)
    for row, (compared, verdict) in enumerate(together):
        alone = hdc.compare(shown[row], memory, calibration)
        assert compared.keys == alone.keys
        assert compared.distances.tolist() == alone.distances.tolist()
        assert compared.common.tolist() == alone.common.tolist()
        assert compared.own.tolist() == alone.own.tolist()
        assert verdict == hdc.decide(alone, memory, calibration)
