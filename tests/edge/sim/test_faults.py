from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge.sim.faults import REORDERED_BY_MAX, disturb_events, seeded_faults
from edge.sim.scenarios import FaultSpec
from edge.sim.world import START_NS, DelayedLabel, InjectedFault, ObserveSample, WorldSample

SHARES = st.floats(0, 0.6)


def shows(count: int) -> list[ObserveSample]:
    """Observations, one a nanosecond."""
    sample = WorldSample("a", "x", lambda: None)
    return [ObserveSample(sample, "s", i, START_NS + i, f"s-{i:04}") for i in range(count)]


@given(SHARES, SHARES, SHARES, st.integers(0, 2**32 - 1))
def test_observations_are_lost_doubled_and_late_but_never_made_up(
    lost: float, doubled: float, reordered: float, seed: int
) -> None:
    """Each loss and doubling is noted, nothing is invented, and nothing is later than allowed."""
    faults = FaultSpec(lost=lost, doubled=doubled, reordered=reordered)
    actions = list(disturb_events(shows(60), faults, seed))
    seen = [action.sequence for action in actions if isinstance(action, ObserveSample)]
    notes = [action.kind for action in actions if isinstance(action, InjectedFault)]
    assert set(seen) <= set(range(60))
    assert len(set(seen)) == 60 - notes.count("lost")
    assert len(seen) == 60 - notes.count("lost") + notes.count("doubled")
    if not reordered:
        assert seen == sorted(seen)
    later = [sum(other > number for other in seen[:at]) for at, number in enumerate(seen)]
    assert max(later, default=0) <= 2 * (REORDERED_BY_MAX + notes.count("reordered"))


@given(SHARES, st.integers(0, 2**32 - 1))
def test_the_same_seed_disturbs_alike(share: float, seed: int) -> None:
    """The faults depend on the seed alone."""
    faults = FaultSpec(lost=share, doubled=share, reordered=share, clock_jump=share)
    assert list(disturb_events(shows(30), faults, seed)) == list(
        disturb_events(shows(30), faults, seed)
    )


def test_no_observation_comes_after_a_label_that_followed_it() -> None:
    """A late observation is still before the next label."""
    label = DelayedLabel("s-0003", "x")
    for seed in range(20):
        actions = list(disturb_events([*shows(4), label], FaultSpec(reordered=0.8), seed))
        assert actions[-1] == label
        assert sum(isinstance(action, ObserveSample) for action in actions) == 4


def test_clocks_jump_but_never_before_1970() -> None:
    """Times move by the jump that is noted, and stay times a fact may have."""
    actions = list(disturb_events(shows(200), FaultSpec(clock_jump=0.1), 1))
    times = [action.captured_at_ns for action in actions if isinstance(action, ObserveSample)]
    kinds = {action.text for action in actions if isinstance(action, InjectedFault)}
    assert len(kinds) == 3
    assert min(times) >= 0
    assert min(times) < 1000
    assert max(times) > START_NS + 3_000_000_000_000


def test_chaos_keeps_to_its_probabilities() -> None:
    """No fault strikes at probability 0, and each does at 1."""
    calm, wild = seeded_faults(FaultSpec(), 1), seeded_faults(FaultSpec(crash=1, disk_full=1), 1)
    assert not any(calm.crash() or calm.disk_full() for _ in range(100))
    assert all(wild.crash() and wild.disk_full() for _ in range(100))


def test_chaos_of_the_worker_is_drawn_apart() -> None:
    """Faults of the worker strike by their own probabilities and move no other fault."""
    faults = FaultSpec(crash=0.3, disk_full=0.3)
    plain, more = (
        seeded_faults(faults, 1),
        seeded_faults(FaultSpec(crash=0.3, disk_full=0.3, worker_killed=1, worker_late=1), 1),
    )
    for _ in range(50):
        assert not plain.killed()
        assert not plain.late()
        assert more.killed()
        assert more.late()
        assert (plain.crash(), plain.disk_full()) == (more.crash(), more.disk_full())
