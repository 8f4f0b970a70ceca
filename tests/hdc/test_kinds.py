"""Every detector kind keeps the promises of the room."""

import numpy as np
import pytest

import hdc
from tests.hdc.samples import TAPS, draw, enrolment


@pytest.mark.parametrize("name", sorted(hdc.KINDS))
def test_a_kind_learns_forgets_and_repeats(name: str) -> None:
    """Seeded twice gives the same; learn then forget equals never learned."""
    rows, labels = enrolment()
    one = hdc.KINDS[name](rows, labels, TAPS, 3, bits=256)
    other = hdc.KINDS[name](rows, labels, TAPS, 3, bits=256)
    assert one.fingerprint == other.fingerprint
    memory = hdc.Memory(one)
    before = memory.digest()
    memory.add("home", "cat", one.project(rows[:9]))
    memory.remove("home", "cat", one.project(rows[:9]))
    assert memory.digest() == before


@pytest.mark.parametrize("name", sorted(hdc.KINDS))
def test_a_kind_tells_new_from_known(name: str) -> None:
    """Samples of a class never seen score higher than fresh ones of a known class."""
    rows, labels = enrolment()
    geometry = hdc.KINDS[name](rows, labels, TAPS, 3)
    memory = hdc.Memory(geometry)
    for label in range(2):
        memory.add("home", str(label), geometry.project(rows[labels == label]))
    known = memory.score(geometry.project(draw(90, 30, 0))).min(axis=1)
    new = memory.score(geometry.project(draw(91, 30, 7))).min(axis=1)
    assert np.median(known) < new.min()
