from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from firmware_bridge import ExportError, pack_extract
from firmware_bridge.export import COORDINATE_MAX, check
from tests.extracts import PLAIN, extract_of

WHOLE = extract_of(PLAIN)
MIXED = extract_of(replace(PLAIN, random=True))
HEAD = next(head for head in WHOLE.heads if head is not None)
assert WHOLE.columns is not None
assert WHOLE.plane is not None
assert MIXED.random is not None


def with_head(**changed):
    """The extract with another first head."""
    return replace(WHOLE, heads=(replace(HEAD, **changed), *WHOLE.heads[1:]))


def with_random(**changed):
    """An extract with other random features."""
    assert MIXED.random is not None
    return replace(MIXED, random=replace(MIXED.random, **changed))


BAD = {
    "random features": replace(MIXED, heads=(MIXED.heads[0], None)),
    "random weights": with_random(weights=MIXED.random.weights[:, 1:]),
    "shifts of random weights": with_random(shifts=MIXED.random.shifts + 16),
    "shifts of random features": with_random(shift=32),
    "random scores": with_random(unit=24),
    "means of random features": with_random(means=MIXED.random.means + 256),
    "bits": replace(WHOLE, bits=100),
    "tap": replace(WHOLE, tap=(3, 3)),
    "concepts": replace(WHOLE, concepts=WHOLE.concepts[::-1]),
    "majorities": replace(WHOLE, majorities=WHOLE.majorities[1:]),
    "votes": replace(WHOLE, votes=(1, 1)),
    "scales": replace(WHOLE, scales=WHOLE.scales * 0),
    "limits": replace(WHOLE, limits=np.array([-2, 0])),
    "levels": replace(WHOLE, levels=WHOLE.levels[:255]),
    "heads": replace(WHOLE, heads=WHOLE.heads[:1]),
    "weights": with_head(weights=HEAD.weights[:, 1:]),
    "shifts": with_head(shifts=HEAD.shifts + 16),
    "head": with_head(bias=HEAD.bias + 2**31),
    "gains of columns": replace(
        WHOLE, columns=replace(WHOLE.columns, gains=WHOLE.columns.gains * 0)
    ),
    "means of the plane": replace(
        WHOLE, plane=replace(WHOLE.plane, means=WHOLE.plane.means + 2 * COORDINATE_MAX)
    ),
    "axes": replace(WHOLE, plane=replace(WHOLE.plane, axes=WHOLE.plane.axes * 2000)),
}


@pytest.mark.parametrize("what", sorted(BAD))
def test_parts_that_do_not_fit_are_refused(what):
    """An extract that the C code could not count is refused, and the error names the part."""
    with pytest.raises(ExportError, match=f"exporting {what}") as raised:
        pack_extract(BAD[what])
    assert raised.value.hint


def test_a_whole_extract_passes():
    """The extract that the cases above spoil is itself in order."""
    check(WHOLE)
