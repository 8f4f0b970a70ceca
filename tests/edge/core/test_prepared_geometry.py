"""A geometry that is fitted beside serving and then serves by an event."""

from __future__ import annotations

from edge.core.events import Acknowledgement, Enrol, FitGeometry, ForgetRequest
from edge.core.facts import Fact, Selector
from edge.core.knowledge.geometry_refit import GeometryRefit
from edge.core.receipt import Receipt
from tests.worlds import World, fact


def facts(first: int, last: int) -> tuple[Fact, ...]:
    """Facts of two labels."""
    return tuple(fact(f"f{row}", "ab"[row % 2], at=row + 1, seed=row) for row in range(first, last))


def fit(world: World, *, fails: bool = False) -> GeometryRefit:
    """Fit in the background what is to be fitted first."""
    refit = world.runtime.next_refit()
    assert isinstance(refit, GeometryRefit)
    refit.gather(world.ledger)
    world.runtime.accept(refit, solved=not fails)
    return refit


def refits_geometry(world: World) -> bool:
    """Whether a geometry is to be fitted in the background."""
    return isinstance(world.runtime.next_refit(), GeometryRefit)


def ready(world: World) -> bool:
    """Whether a fitted geometry can serve."""
    return world.runtime.geometry_prepared


def prepared(count: int) -> World:
    """A world of facts whose geometry was fitted beside serving, and does not serve yet."""
    world = World(facts(0, count))
    world.runtime.prepare_geometry()
    fit(world)
    return world


def test_it_gives_what_a_fit_on_the_spot_gives() -> None:
    """Digest and stored arrays are those of `FitGeometry` without preparation."""
    world, twin = prepared(40), World(facts(0, 40))
    assert ready(world)
    before = world.runtime.digest()
    (ack,) = (one for one in world.feed(FitGeometry()) if isinstance(one, Acknowledgement))
    twin.feed(FitGeometry())
    assert ack.count == 40
    assert before != world.runtime.digest() == twin.runtime.digest()
    stored, wanted = world.ledger.geometry(), twin.ledger.geometry()
    assert stored is not None
    assert wanted is not None
    assert {name: array.tobytes() for name, array in stored.items()} == {
        name: array.tobytes() for name, array in wanted.items()
    }
    assert not refits_geometry(world)


def test_facts_learned_meanwhile_are_added_before_it_serves() -> None:
    """It is ready again once the new facts are in its sums; a new runtime derives the same."""
    world = prepared(40)
    world.feed(Enrol(facts(40, 50)))
    assert not ready(world)
    fit(world)
    assert ready(world)
    world.feed(FitGeometry())
    held = world.runtime.digest()
    world.crash()
    assert world.runtime.digest() == held


def test_a_forget_request_drops_it_and_what_is_under_way() -> None:
    """A geometry that holds a forgotten fact never serves, nor one whose fit began before."""
    world = prepared(40)
    world.runtime.prepare_geometry()
    world.ask(ForgetRequest(request_id="r", selector=Selector(ids=frozenset({"f1"}))), Receipt)
    assert not ready(world)
    world.runtime.prepare_geometry()
    late = world.runtime.next_refit()
    assert isinstance(late, GeometryRefit)
    late.gather(world.ledger)
    world.ask(ForgetRequest(request_id="s", selector=Selector(ids=frozenset({"f2"}))), Receipt)
    world.runtime.accept(late, solved=True)
    assert not ready(world)
    world.feed(FitGeometry())
    rest = tuple(one for one in facts(0, 40) if one.id not in {"f1", "f2"})
    twin = World(rest)
    twin.feed(FitGeometry())
    assert world.runtime.digest() == twin.runtime.digest()


def test_a_fit_that_failed_is_not_repeated_for_the_same_facts() -> None:
    """It waits for other facts; `FitGeometry` then fits on the spot."""
    world = World(facts(0, 40))
    world.runtime.prepare_geometry()
    fit(world, fails=True)
    assert not refits_geometry(world)
    world.feed(Enrol(facts(40, 41)))
    fit(world)
    assert ready(world)
