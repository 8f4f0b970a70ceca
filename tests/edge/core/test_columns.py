"""Columns by name: samples, series and other devices' sums in the core."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from edge.core.columns import NamedValues, find_invalid_columns
from edge.core.config import Config
from edge.core.events import (
    Acknowledgement,
    Decision,
    Enrol,
    Observation,
    Publish,
    Rejected,
    SeriesForecast,
)
from edge.core.knowledge.contributions import Contribution
from edge.core.knowledge.memory_ledger import MemoryLedger
from edge.core.runtime import Runtime
from tests.worlds import WIDTH, World, clouds, fact, vector

NAMES = tuple(f"x{number}" for number in range(WIDTH))


class NamedWorld(World):
    """A world whose ledger names its columns."""

    def __init__(self, columns: tuple[str, ...] = NAMES) -> None:
        super().__init__()
        rows = clouds((1, 2), 20)
        facts = [
            replace(fact(f"f{n}", "ab"[n // 20], at=n), features=r.tobytes())
            for n, r in enumerate(rows)
        ]
        self.ledger = MemoryLedger((), columns)
        self.runtime = Runtime(self.config, self.model, self.ledger)
        self.feed(Enrol(tuple(facts)))


def decided(world: World, payload: Any, number: int = 0) -> Decision | Rejected:
    """The decision on a payload."""
    heard = world.feed(
        Observation(stream="s", sequence=number, captured_at_ns=number, payload=payload)
    )
    (found,) = [one for one in heard if isinstance(one, Decision | Rejected)]
    return found


def test_names_decide_where_a_value_goes() -> None:
    """Values in another order, with an unknown one, give the decision of the plain vector."""
    world, values = NamedWorld(), vector(2).tolist()
    plain = decided(world, np.array(values, np.float32), 1)
    shuffled = {"more": 9.0, **dict(zip(reversed(NAMES), reversed(values), strict=True))}
    found = decided(world, shuffled, 1)
    assert isinstance(found, Decision)
    assert found == plain
    assert found.guess == "b"


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (dict.fromkeys(NAMES[1:], 1.0), "the column x0 is missing"),
        (dict.fromkeys(NAMES, 1.0) | {"x3": None}, "found no number for x3"),
        (dict.fromkeys(NAMES, 1.0) | {"x3": "hot"}, "expected a number for x3, found 'hot'"),
        (dict.fromkeys(NAMES, 1.0) | {"x3": 10**400}, "too large"),
    ],
)
def test_a_missing_column_is_named(payload: dict[str, Any], words: str) -> None:
    """A column without a number refuses the sample by its name; the next sample is decided."""
    world = NamedWorld()
    found = decided(world, payload)
    assert isinstance(found, Rejected)
    assert words in found.reason
    assert found.hint
    assert isinstance(decided(world, dict.fromkeys(NAMES, 1.0), 1), Decision)


def test_a_ledger_without_names_takes_an_order_that_a_person_fixed() -> None:
    """A header's row counts by position; an object's fields have no order and are refused."""
    world, values = NamedWorld(()), vector(2).astype(np.float64)
    row = NamedValues(("p", "q", "r", "s", "t", "u", "v", "w"), values, ordered=True)
    assert isinstance(decided(world, row), Decision)
    loose = decided(world, dict(zip(NAMES, values.tolist(), strict=True)), 1)
    assert isinstance(loose, Rejected)
    assert "encoder columns" in loose.hint


def test_several_named_samples_are_decided_together() -> None:
    """Prefetched results of named samples equal those one by one."""
    ahead, alone = NamedWorld(), NamedWorld()
    events = [
        Observation(
            stream="s",
            sequence=n,
            captured_at_ns=n,
            payload=dict(zip(NAMES, vector(n).tolist(), strict=True)),
        )
        for n in range(8)
    ]
    ahead.runtime.prefetch(events)
    assert [ahead.feed(one) for one in events] == [alone.feed(one) for one in events]


def test_sums_of_other_columns_are_refused() -> None:
    """Sums of the same names are added; of another order or other names they are refused with both
    lists; without names they are added with a warning."""
    donor = NamedWorld()
    given = donor.runtime.contribute("b", 5).contribution
    assert given.columns == NAMES
    assert donor.runtime.handle(given)
    for columns, words in (
        (NAMES[::-1], "another order"),
        (("y", *NAMES[1:]), "its columns are y"),
    ):
        world = NamedWorld()
        (refused,) = world.feed(replace(given, columns=columns))
        assert isinstance(refused, Rejected)
        assert words in refused.reason
        assert world.runtime.knowledge.contributing == ()
    for columns, words in ((NAMES, "revision 5"), ((), "no column names")):
        world = NamedWorld()
        (taken,) = world.feed(replace(given, columns=columns))
        assert isinstance(taken, Acknowledgement)
        assert words in taken.detail
        assert world.runtime.knowledge.contributing == ("b",)


def test_names_do_not_change_the_knowledge() -> None:
    """Digest and sums are the same with names and without."""
    named, bare = NamedWorld(), NamedWorld(())
    assert named.runtime.digest() == bare.runtime.digest()
    pair = [world.runtime.contribute("b", 5).contribution for world in (named, bare)]
    assert pair[0].content == pair[1].content


def test_sums_that_were_held_stay_out_under_other_names() -> None:
    """A ledger that gets names later ignores columns that it had taken by position."""
    world = NamedWorld(())
    world.feed(replace(NamedWorld().runtime.contribute("b", 5).contribution, columns=NAMES[::-1]))
    assert list(world.runtime.knowledge.contributing) == ["b"]
    world.ledger._columns = NAMES  # noqa: SLF001 - as `auricle encoder columns` does on the disk
    world.crash()
    assert list(world.runtime.knowledge.contributing) == []


@pytest.mark.parametrize("columns", [("a", "a"), ("",), (5,), ["a"], ("a\n",)])
def test_names_that_cannot_be_are_refused(columns: Any) -> None:
    """A contribution whose names are no columns changes nothing."""
    world = NamedWorld()
    given = Contribution(device="b", card="c", geometry="g", seed=1, revision=5, columns=columns)
    (refused,) = world.feed(given)
    assert isinstance(refused, Rejected)
    assert "columns" in refused.reason
    assert find_invalid_columns(("a", "b"), 3) == "expected 3 names, one for each column, found 2"


def follow(runtime: Runtime, number: int, payload: Any) -> list[Any]:
    """Messages for a sample of a series."""
    event = Observation(
        stream="links",
        sequence=number,
        captured_at_ns=number * 10**9,
        payload=payload,
        id="",
        subject="",
        kind="series",
    )
    return [one.message for one in runtime.handle(event) if isinstance(one, Publish)]


def test_the_first_message_fixes_the_fields_of_a_series() -> None:
    """An occasional field neither restarts the series nor becomes a channel; a message without
    any known field is refused."""
    runtime = Runtime(Config(), World().model, MemoryLedger())
    for number in range(3):
        follow(runtime, number, NamedValues(("t", "v"), np.array([20.0, 3.0])))
    (forecast,) = follow(runtime, 3, NamedValues(("progress", "t"), np.array([50.0, 20.0])))
    assert isinstance(forecast, SeriesForecast)
    assert forecast.channels == ("t", "v")
    (refused,) = follow(runtime, 4, NamedValues(("progress",), np.array([50.0])))
    assert isinstance(refused, Rejected)
    assert "expected some of the channels t, v, found progress" in refused.reason
