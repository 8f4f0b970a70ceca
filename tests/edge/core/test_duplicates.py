"""What was forgotten and comes again: the same content, or nearly the same."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_digits

from edge.core import duplicates
from edge.core.config import Config
from edge.core.events import (
    Acknowledgement,
    Enrol,
    ForgetRequest,
    Label,
    Rejected,
    Relabel,
    Undo,
    Undoable,
)
from edge.core.facts import Fact, Selector
from edge.core.receipt import DuplicateGuard, Receipt
from edge.core.receipts import SKETCHES
from tests.worlds import World, fact, vector

PACS = Path(os.environ.get("AURICLE_DATA", "nowhere")) / "pacs_efficientnet_lite0.npz"
needs_pictures = pytest.mark.skipif(not PACS.exists(), reason="needs PACS in AURICLE_DATA")


def forget(world: World, fact_id: str, guard: DuplicateGuard = "exact") -> Receipt:
    """Forget one fact."""
    selector = Selector(ids=frozenset({fact_id}))
    return world.ask(
        ForgetRequest(request_id=f"r-{fact_id}", selector=selector, duplicates=guard), Receipt
    )


def ids(world: World) -> list[str]:
    """The ids of the facts."""
    return [one.id for one in world.ledger.facts()]


def test_the_same_content_is_not_learned_again_under_another_id() -> None:
    """Enrolled and labelled content that was forgotten is refused with a reason, whatever its id;
    other content is learned."""
    world = World([fact("x", seed=5), fact("y", "b", seed=6)])
    assert forget(world, "x").duplicates == "exact"
    done = world.ask(Enrol((fact("again", seed=5), fact("z", seed=7))), Acknowledgement)
    assert (done.count, done.detail) == (1, "1 forgotten before and not relearned")
    world.observe(vector(5), 0)
    assert "came again" in world.ask(Label("s:0", "a"), Rejected).reason
    world.observe(vector(8), 1)
    assert world.ask(Label("s:1", "a"), Acknowledgement).count == 1
    assert ids(world) == ["s:1", "y", "z"]


def test_duplicates_off_lets_the_same_content_come_back() -> None:
    """With `off` only the id is refused."""
    world = World([fact("x", seed=5), fact("y", "b", seed=6)])
    assert forget(world, "x", "off").duplicates == "off"
    world.feed(Enrol((fact("x", seed=5), fact("again", seed=5))))
    assert ids(world) == ["again", "y"]


def test_a_fact_that_stays_beside_a_tombstone_of_its_content_can_be_corrected() -> None:
    """Content under another id that was learned before stays and can be relabelled."""
    world = World([fact("x", seed=5), fact("twin", seed=5)])
    forget(world, "x")
    done = world.ask(Relabel(Selector(ids=frozenset({"twin"})), "c"), Acknowledgement)
    assert done.count == 1
    assert [one.label for one in world.ledger.facts()] == ["c"]


def test_an_undo_does_not_bring_back_forgotten_content() -> None:
    """A full concept evicts a fact for a label; the same content is then forgotten under another
    id, and undoing the label does not restore it."""
    world = World([fact("old", seed=5, at=-1)], config=Config(facts_per_concept=1))
    world.feed(Enrol((fact("twin", "b", seed=5),)))
    world.observe(vector(9), 3)
    world.feed(Undoable(Label("s:3", "a", "home"), "act"))
    assert ids(world) == ["s:3", "twin"]
    forget(world, "twin")
    world.feed(Undo("act"))
    assert ids(world) == []


def test_an_unlabelled_observation_leaves_a_tombstone_of_its_content() -> None:
    """Forgotten by its subject before it was labelled, it is refused under another id."""
    world = World([fact("y", "b", seed=6)])
    world.observe(vector(5), 0, subject="ann")
    world.feed(ForgetRequest(request_id="r", selector=Selector(subject="ann")))
    done = world.ask(Enrol((fact("again", seed=5),)), Acknowledgement)
    assert done.count == 0


@pytest.mark.parametrize(
    ("facts", "width", "reason"),
    [(30, 256, "256 are needed"), (300, 64, "give the content away")],
)
def test_near_is_refused_where_it_cannot_be_judged(facts: int, width: int, reason: str) -> None:
    """Of few facts, and of few columns, a request for near duplicates is refused and nothing is
    forgotten."""
    world = World([fact(f"f{n}", seed=n, width=width) for n in range(facts)], width=width)
    selector = Selector(ids=frozenset({"f1"}))
    answer = world.ask(
        ForgetRequest(request_id="r", selector=selector, duplicates="near"), Rejected
    )
    assert reason in answer.reason
    assert len(ids(world)) == facts


def test_different_digits_are_too_similar_for_near_duplicates() -> None:
    """Of real digits a share far above the limit would be refused wrongly beside 10,000 others."""
    rows = (load_digits().data * 15).astype(np.uint8)
    assert duplicates.false_refusals(rows) > 3 * duplicates.FALSE_REFUSALS_MAX


def test_an_unknown_guard_is_rejected() -> None:
    """A request with another word changes nothing."""
    world = World([fact("x")])
    sound = ForgetRequest(request_id="r", selector=Selector(label="a"))
    request = msgspec.structs.replace(sound, duplicates="most")
    assert "duplicates must be" in world.ask(request, Rejected).reason


def pictures(count: int) -> NDArray[np.uint8]:
    """Features of some pictures of PACS, as bytes."""
    held = np.load(PACS)["features"].astype(np.float32)
    rows = held[np.random.default_rng(0).permutation(len(held))[:count]]
    levels: NDArray[np.uint8] = np.clip(np.rint(rows / held.max() * 255), 0, 255).astype(np.uint8)
    return levels


@needs_pictures
def test_changed_copies_of_pictures_are_refused_and_other_pictures_are_not() -> None:
    """Near duplicates of cosine 0.97 are refused in 99 of 100 cases, other pictures in none of 500;
    the receipt says that a guess can be tested."""
    rows = pictures(1_200)

    def as_fact(fact_id: str, row: NDArray[np.uint8]) -> Fact:
        return Fact(
            id=fact_id,
            stream="s",
            domain="d",
            label="l",
            captured_at_ns=0,
            features=row.tobytes(),
        )

    world = World([as_fact(f"f{n}", row) for n, row in enumerate(rows[:700])], width=1280)
    selector = Selector(ids=frozenset(f"f{n}" for n in range(200)))
    receipt = world.ask(
        ForgetRequest(request_id="r", selector=selector, duplicates="near"), Receipt
    )
    assert SKETCHES in receipt.not_covered
    mean = np.sqrt(rows[200:700].astype(np.float32)).mean(axis=0)
    copies = copies_of(rows[:200], mean, 0.97)
    resembles: Callable[[bytes], bool] = world.ledger.resembles_forgotten
    assert sum(resembles(row.tobytes()) for row in copies) >= 197
    assert not any(resembles(row.tobytes()) for row in rows[700:])
    done = world.ask(Enrol((as_fact("copy", copies[3]),)), Acknowledgement)
    assert done.count == 0


def copies_of(
    rows: NDArray[np.uint8], mean: NDArray[np.float32], cosine: float
) -> NDArray[np.uint8]:
    """Copies whose roots have a cosine with those of the rows, around a mean."""
    apart = np.sqrt(rows.astype(np.float32)) - mean
    noise = np.random.default_rng(1).standard_normal(apart.shape).astype(np.float32)
    noise *= np.linalg.norm(apart, axis=1)[:, None] / np.linalg.norm(noise, axis=1)[:, None]
    roots = mean + cosine * apart + (1 - cosine**2) ** 0.5 * noise
    bounded = np.clip(np.rint(np.square(np.maximum(roots, 0))), 0, 255)
    made: NDArray[np.uint8] = bounded.astype(np.uint8)
    return made
