from __future__ import annotations

import numpy as np
import pytest

from edge.sim.adaptation import PROTOCOLS
from edge.sim.adaptation.protocols import FOREIGN, ORDERS, RUN_LENGTH
from tests.edge.sim.adaptation.adaptation_worlds import CLASSES, EACH, blob_world

WORLD = blob_world()


def streams_of(protocol: str, home: str = "home", seed: int = 1):
    """All streams of a protocol."""
    return list(PROTOCOLS[protocol](WORLD, home, seed))


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_a_protocol_is_seeded(protocol: str) -> None:
    """The same seed gives the same streams, and another seed other ones."""
    one, same, other = (streams_of(protocol, seed=seed) for seed in (1, 1, 2))
    for first, second in zip(one, same, strict=True):
        assert np.array_equal(first.rows.features, second.rows.features)
        assert np.array_equal(first.rows.targets, second.rows.targets)
    if protocol.startswith("changes"):
        assert one == []
        return
    assert one
    assert any(
        not np.array_equal(first.rows.features, second.rows.features)
        for first, second in zip(one, other, strict=True)
    )


@pytest.mark.parametrize("protocol", sorted(PROTOCOLS))
def test_a_stream_shows_no_row_that_its_source_has_learned(protocol: str) -> None:
    """Rows of the home are held-out ones, in every protocol."""
    for stream in streams_of(protocol):
        for home in stream.homes:
            learned, held = WORLD.halves(home, stream.seed)
            assert set(learned.tolist()).isdisjoint(held.tolist())
            known = {row.tobytes() for row in WORLD.domains[home].features[learned]}
            shown = {row.tobytes() for row in stream.rows.features}
            assert known.isdisjoint(shown)


@pytest.mark.parametrize("order", sorted(ORDERS))
def test_an_order_shows_no_row_twice(order: str) -> None:
    """Every order draws without replacement."""
    targets = WORLD.domains["near"].targets
    at = ORDERS[order](targets, np.random.default_rng(0))
    assert len(set(at.tolist())) == len(at) > 0


def test_runs_are_long_and_iid_labels_are_not() -> None:
    """Labels repeat from one sample to the next as often as the length of runs says."""
    targets = np.repeat(np.arange(CLASSES), 600)

    def repeats(order: str) -> float:
        shown = targets[ORDERS[order](targets, np.random.default_rng(0))]
        return float((shown[1:] == shown[:-1]).mean())

    assert repeats("runs") == pytest.approx(1 - 1 / RUN_LENGTH, abs=0.02)
    assert repeats("iid") == pytest.approx(1 / CLASSES, abs=0.05)
    assert repeats("iid") + 0.1 < repeats("correlated")


def test_shifted_labels_have_a_twentieth_of_the_commonest_at_least() -> None:
    """The rarest class is about twenty times as rare as the commonest."""
    targets = np.repeat(np.arange(CLASSES), 1_000)
    shown = targets[ORDERS["shifted"](targets, np.random.default_rng(0))]
    counts = np.sort(np.bincount(shown))
    assert counts[-1] / counts[0] == pytest.approx(20, rel=0.1)


def test_an_open_set_has_a_fifth_of_foreign_samples() -> None:
    """A fifth of the samples carry no target, and the foreign class has none among the others."""
    for stream in streams_of("open set"):
        targets = stream.rows.targets
        assert (targets == FOREIGN).mean() == pytest.approx(0.2, abs=0.03)
        assert stream.foreign not in targets


def test_a_stream_of_one_class_shows_that_class_alone() -> None:
    """Each class of each other domain has a stream, ten of a domain at most."""
    streams = streams_of("one class")
    shown = [(stream.name, set(stream.rows.targets.tolist())) for stream in streams]
    assert shown == [
        (f"home > {place}, class {target}", {target})
        for place in ("near", "far")
        for target in range(CLASSES)
    ]
    assert [stream.development for stream in streams] == [True] * CLASSES + [False] * CLASSES


def visits(stream, places: dict[str, np.ndarray]) -> list[str]:
    """The places of a stream's rows in order, each visit once."""
    owners = {row.tobytes(): name for name, rows in places.items() for row in rows}
    found = [owners[row.tobytes()] for row in stream.rows.features]
    return [name for name, before in zip(found, [None, *found], strict=False) if name != before]


def test_a_recurring_stream_visits_every_domain_twice() -> None:
    """Other domains first, the home last, and all again."""
    (stream,) = streams_of("recurring")
    found = visits(stream, {name: rows.features for name, rows in WORLD.domains.items()})
    assert set(found[:2]) == {"near", "far"}
    assert found[2] == "home"
    assert found[3:] == found[:3]


def test_turning_corruptions_take_those_of_the_worst_severity() -> None:
    """The changes of severity 5 alone: here one, in both turns."""
    (stream,) = streams_of("turning")
    changed = {str(change.severity): rows for change, rows in WORLD.changed["home"].items()}
    assert visits(stream, changed) == ["5"]


def test_a_domain_that_is_left_out_is_no_home() -> None:
    """The source knows all other domains, and the stream shows the whole new one."""
    (stream,) = streams_of("left out iid", "far")
    assert stream.homes == ("home", "near")
    assert len(stream.rows) == CLASSES * EACH


def test_streams_of_development_are_marked() -> None:
    """Only the pairs that the world names are for choices."""
    found = {stream.name: stream.development for stream in streams_of("iid")}
    assert found == {"home > near": True, "home > far": False}
