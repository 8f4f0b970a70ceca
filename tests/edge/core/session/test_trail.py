from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

import hdc
from edge.core import limits
from edge.core.config import Config
from edge.core.events import FitGeometry, ForgetRequest
from edge.core.facts import Selector
from edge.core.recalibration import OFFSET_MAX
from edge.core.runtime import Runtime
from edge.core.session.trail import ScoreTrail
from tests.edge.core.session.test_recalibration import (
    CENTRE,
    SECOND,
    SPREAD,
    WIDTH,
    Stream,
    rows,
    shift_for,
)
from tests.worlds import World, fact

LABELLED = 8
"""One observation in so many is labelled."""

ALIKE = 0.9
"""Correlation of neighbours."""


def slow(count: int, seed: int) -> NDArray[np.uint8]:
    """Samples whose noise is now stronger, now weaker: its logarithm is a first-order
    autoregression."""
    random = np.random.default_rng(seed)
    steps = random.normal(size=count) * np.sqrt(1 - ALIKE**2)
    state = np.zeros(count)
    for at in range(1, count):
        state[at] = ALIKE * state[at - 1] + steps[at]
    noise = random.normal(size=(count, WIDTH)) * np.exp(0.3 * state)[:, None]
    return np.asarray(np.clip(np.rint(CENTRE + SPREAD * noise), 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def few_labels() -> World:
    """A world that learned every eighth sample of a stream."""
    facts = [
        replace(
            fact(f"t{at:04}", at=SECOND * (LABELLED * at + 1), stream="past"),
            features=row.tobytes(),
        )
        for at, row in enumerate(slow(250 * LABELLED, 1)[::LABELLED])
    ]
    world = World(facts, width=WIDTH, config=Config(growth=False))
    world.feed(FitGeometry())
    return world


def test_windows_are_judged_by_those_of_the_stream(
    few_labels: World, monkeypatch: pytest.MonkeyPatch
):
    """Windows of a stream vary more than those of facts that lie far apart in time; with the trail
    less than half as many lie outside as without."""
    stream = Stream(few_labels)
    stream.watch(slow(900, 5))
    monkeypatch.setattr(ScoreTrail, "window_variance", lambda *_: 0.0)
    without = Stream(few_labels, "without")
    without.watch(slow(900, 5))
    assert stream.outside(700) < without.outside(700) / 2


def test_a_trail_survives_a_restart_and_a_forget_drops_it(few_labels: World):
    """It is stored with the level of its stream, and goes with it."""
    stream = Stream(few_labels, "kept")
    stream.watch(slow(700, 3), subject="anna")
    stored = few_labels.ledger.recalibrations()["kept"].trail
    assert len(stored) == limits.TRAIL_SCORES_MAX
    world = few_labels
    world.runtime = Runtime(world.config, world.model, world.ledger)
    assert world.runtime._levels.get("kept").trail.scores == stored  # noqa: SLF001 - not published
    world.feed(ForgetRequest(request_id="f", selector=Selector(subject="anna")))
    assert "kept" not in world.ledger.recalibrations()
    assert not world.runtime._levels.get("kept").trail.scores  # noqa: SLF001 - not published


def test_consecutive_facts_need_no_trail():
    """Facts as close in time as the observations of the stream say themselves how windows vary."""
    trail = ScoreTrail()
    for at in range(200):
        trail.add(1024 * (at // 40 % 2), (at + 1) * SECOND)
    assert trail.window_variance(SECOND) == 0.0
    assert trail.window_variance(0) == 0.0
    assert 0 < trail.window_variance(2 * SECOND) <= 1.0


def test_a_short_gap_among_consecutive_observations_says_nothing():
    """Two observations that a gateway sends at once do not make facts of the same pace sparse; a
    stream that is faster throughout does, also after one long gap."""
    times = [(at + 1) * SECOND for at in range(200)]
    trail, fast = ScoreTrail(), ScoreTrail()
    for at, when in enumerate(times):
        trail.add(1024 * (at // 40 % 2), when - (900_000_000 if at == 50 else 0))
        fast.add(1024 * (at // 40 % 2), when // 4 + (3_600 * SECOND if at > 100 else 0))
    assert trail.window_variance(SECOND) == 0.0
    assert fast.window_variance(SECOND) > 0.0


def test_a_trail_is_bounded():
    """The oldest scores go first."""
    trail = ScoreTrail()
    for at in range(2 * limits.TRAIL_SCORES_MAX):
        trail.add(at, at)
    assert len(trail.scores) == limits.TRAIL_SCORES_MAX
    assert trail.scores[-1] == 2 * limits.TRAIL_SCORES_MAX - 1


def test_a_slow_attack_on_few_labels_ends_in_a_lasting_alarm():
    """The trail can widen the limit of a window to that of a sample at most: a linear drift that
    ends just above it, and the bound of the level, raises an alarm that lasts."""
    facts = [
        replace(
            fact(f"t{at:04}", at=SECOND * (LABELLED * at + 1), stream="past"),
            features=row.tobytes(),
        )
        for at, row in enumerate(rows(400, 1))
    ]
    world = World(facts, width=WIDTH, config=Config(growth=False))
    world.feed(FitGeometry())
    statistics = world.runtime.knowledge.calibration().in_time["home"]
    uncertain = statistics.initial.variance / statistics.spread**2
    widest = OFFSET_MAX + hdc.normal_quantile(0.01) * float(np.sqrt(1 + uncertain))
    top = shift_for(world, widest + 0.4)
    stream = Stream(world)
    stream.watch(rows(64, 2))
    stream.watch(rows(1_000, 3, np.linspace(0, top, 1_000)))
    stream.watch(rows(200, 4, top))
    assert stream.questions
    assert all(one.alarm for one in stream.decisions[-100:])
    assert stream.outside(100) >= 0.8
