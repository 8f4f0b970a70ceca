from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core import limits
from edge.core.events import Enrol, FitGeometry, ForgetRequest, Relabel
from edge.core.facts import Fact, Selector
from edge.core.knowledge.geometry_fit import MARK
from edge.core.receipt import Receipt
from tests.worlds import World, fact

SAMPLE = 12
"""Facts that the geometry is fitted to here: few, so that most facts are outside."""


@pytest.fixture(autouse=True)
def small_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fit geometries to few facts."""
    monkeypatch.setattr(limits, "GEOMETRY_FACTS_MAX", SAMPLE)


def facts(count: int) -> list[Fact]:
    """Facts of two domains with two labels each."""
    return [
        fact(f"f{row}", "ab"[row % 2], "xy"[row // 2 % 2], row + 1, seed=row)
        for row in range(count)
    ]


def fitted(rows: list[Fact]) -> World:
    """A world of these facts, with a geometry that is fitted to them."""
    world = World(rows)
    world.feed(FitGeometry())
    return world


def outside(world: World) -> str:
    """The id of a fact that is not in the sample."""
    inside = world.ledger.sample(SAMPLE).ids
    return next(key for key in world.ledger.select(Selector()) if key not in inside)


def forget(world: World, *ids: str) -> Receipt:
    """Forget facts, and fit the geometry again."""
    number = len(world.ledger.receipts)
    return world.ask(
        ForgetRequest(
            request_id=f"r{number}", selector=Selector(ids=frozenset(ids)), refit_geometry=True
        ),
        Receipt,
    )


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["forget", "learn", "relabel", "fit"]), st.integers(0, 39)),
        max_size=12,
    ),
    last=st.sets(st.integers(0, 39), min_size=1, max_size=3),
)
@settings(max_examples=30, deadline=None)
def test_the_digest_is_that_of_a_twin_that_never_saw_the_facts(
    steps: list[tuple[str, int]], last: set[int]
) -> None:
    """Whatever came before, a forget that leaves the geometry as it is gives the digest of a
    ledger without the facts whose geometry was fitted to it."""
    rows = facts(40)
    world = fitted(rows[:30])
    for kind, number in steps:
        key = frozenset({f"f{number}"})
        if kind == "forget":
            world.feed(
                ForgetRequest(
                    request_id=f"{number}", selector=Selector(ids=key), refit_geometry=True
                )
            )
        elif kind == "learn":
            world.feed(Enrol((rows[number],)))
        elif kind == "relabel":
            world.feed(Relabel(Selector(ids=key), label="c"))
        else:
            world.feed(FitGeometry())
    world.feed(FitGeometry())
    world.feed(
        ForgetRequest(
            request_id="last",
            selector=Selector(ids=frozenset(f"f{n}" for n in last)),
            refit_geometry=True,
        )
    )
    kept = [world.ledger.get(key) for key in world.ledger.select(Selector())]
    twin = World([one for one in kept if one is not None])
    twin.feed(FitGeometry())
    assert world.runtime.digest() == twin.runtime.digest()


def test_a_fact_outside_the_sample_leaves_the_geometry(monkeypatch):
    """To forget it fits nothing again, and the receipt does not name the geometry."""
    world = fitted(facts(40))
    before = world.runtime.knowledge.geometry
    monkeypatch.setattr("hdc.fit_geometry", None)  # whoever fits one now fails
    receipt = forget(world, outside(world))
    assert world.runtime.knowledge.geometry is before
    assert "geometry" not in receipt.rebuilt
    assert not any("geometry" in place for place in receipt.not_covered)


def test_a_fact_of_the_sample_fits_the_geometry_again():
    """To forget it fits a new geometry."""
    world = fitted(facts(40))
    receipt = forget(world, world.ledger.sample(SAMPLE).ids[0])
    assert "geometry" in receipt.rebuilt


def test_a_geometry_of_other_facts_is_fitted_again():
    """A fact that entered the sample since, or a geometry without the mark, means a new fit even
    if the forgotten fact is outside."""
    world = fitted(facts(40))
    inside = world.ledger.sample(SAMPLE).ids[0]
    world.feed(Relabel(Selector(ids=frozenset({inside})), label="c"))
    assert "geometry" in forget(world, outside(world)).rebuilt
    assert "geometry" not in forget(world, outside(world)).rebuilt
    held = dict(world.ledger.geometry() or {})
    held.pop(MARK)
    world.ledger._geometry = held  # noqa: SLF001 - as an earlier version stored it
    assert "geometry" in forget(world, outside(world)).rebuilt


def test_the_receipt_names_a_frozen_geometry_that_may_hold_the_facts():
    """Without a new fit, the receipt names the geometry for a fact of its sample alone."""
    world = fitted(facts(40))
    key = world.ledger.sample(SAMPLE).ids[0]
    request = ForgetRequest(
        request_id="in", selector=Selector(ids=frozenset({key})), refit_geometry=False
    )
    receipt = world.ask(request, Receipt)
    assert any("geometry" in place for place in receipt.not_covered)


def test_fitting_again_for_the_same_sample_changes_nothing():
    """A second fit on the same sample stores no geometry."""
    world = fitted(facts(40))
    held = world.ledger.geometry()
    world.feed(Enrol((fact("late", "a", "x", 99, seed=99),)))
    if "late" not in world.ledger.sample(SAMPLE).ids:
        world.feed(FitGeometry())
        assert world.ledger.geometry() is held
    world.feed(FitGeometry())
    again = world.ledger.geometry()
    world.feed(FitGeometry())
    assert world.ledger.geometry() is again
    assert again is not None
    assert np.asarray(again[MARK]).shape == (32,)
