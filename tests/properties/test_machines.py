"""Knowledge, decisions and receipts have the same bits on every machine.

The digests are constants, so that machines need not meet to be compared: `.ci/machine` runs this
file under emulation.  They change only where the format of knowledge does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from edge.core.events import Decision, FitGeometry, ForgetRequest
from edge.core.facts import Fact, Selector
from edge.core.receipt import Receipt
from tests.worlds import World

WIDTH = 24
DOMAINS, LABELS, ROWS = ("hall", "yard"), ("fine", "worn", "loose"), 20

LEARNED = "abba22f4682a4589"
FITTED = "e5d179b1f22e93a7"
DECIDED = "725df540667947ff"
FORGOTTEN = "9e7a9e111a62c9a9"


def samples(seed: int) -> np.ndarray:
    """Vectors around one centre for each domain and label, uint8 [concepts, rows, width].  The sums
    of four dice are integers on every machine.  One column is constant, and two are equal."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(7).integers(50, 190, (len(DOMAINS) * len(LABELS), 1, WIDTH))
    dice = random.integers(-6, 7, (4, len(centres), ROWS, WIDTH)).sum(axis=0)
    made = np.asarray(centres + dice, np.uint8)
    made[..., 5] = 128
    made[..., 9] = made[..., 8]
    return made


def facts() -> tuple[Fact, ...]:
    """One fact for each sample, with a subject."""
    return tuple(
        Fact(
            id=f"{concept}-{row}",
            stream="s",
            domain=DOMAINS[concept // len(LABELS)],
            label=LABELS[concept % len(LABELS)],
            captured_at_ns=row,
            features=features.tobytes(),
            subject=f"person-{row % 4}",
        )
        for concept, rows in enumerate(samples(1))
        for row, features in enumerate(rows)
    )


def learned(given: Iterable[Fact]) -> World:
    """A world that has learned facts under a fitted geometry."""
    world = World(given, width=WIDTH)
    world.feed(FitGeometry())
    return world


def test_learned_knowledge_is_the_same_on_every_machine() -> None:
    """Before a geometry is fitted, the digest is a constant."""
    assert World(facts(), width=WIDTH).runtime.digest()[:16] == LEARNED


def test_fitted_knowledge_is_the_same_on_every_machine() -> None:
    """Geometry, sums and thresholds follow from the facts alone, in any order."""
    assert learned(facts()).runtime.digest()[:16] == FITTED
    assert learned(facts()[::-1]).runtime.digest()[:16] == FITTED


def test_decisions_are_the_same_on_every_machine() -> None:
    """Labels, scores and every p-value, of known samples and of strange ones."""
    world = learned(facts())
    shown = [*samples(2)[:, :6].reshape(-1, WIDTH), *(255 - samples(3)[0, :4])]
    found = []
    for number, payload in enumerate(shown):
        (one,) = [got for got in world.observe(payload, number) if isinstance(got, Decision)]
        found.append((one.known, one.domain, one.label, one.score, one.p_value, one.window_p))
    # repr gives floats to the last bit.
    assert hashlib.sha256(repr(found).encode()).hexdigest()[:16] == DECIDED


def test_a_forget_leaves_the_same_knowledge_on_every_machine() -> None:
    """The receipt has the digest of a machine that never had the facts."""
    chosen = ForgetRequest(request_id="request", selector=Selector(subject="person-3"))
    receipt = learned(facts()).ask(chosen, Receipt)
    assert receipt.digest_after[:16] == FORGOTTEN
    twin = learned(one for one in facts() if one.subject != "person-3")
    assert twin.runtime.digest() == receipt.digest_after
