"""The blocks beside the hypervector."""

import numpy as np

import hdc
from tests.hdc.samples import TAPS, draw, enrolment


def test_the_plane_does_not_see_the_norm() -> None:
    """Scaling a row leaves its place in the plane; the norms block sees it."""
    rows, labels = enrolment()
    geometry = hdc.survey(rows // 2, labels, TAPS, 1, bits=64)
    assert geometry.plane is not None
    assert geometry.norms is not None
    row = (draw(3, 1) // 4) * 2
    half, full = row // 2, row
    moved = geometry.plane.code(full) - geometry.plane.code(half)
    assert np.abs(moved[:, :-1]).max() <= 8
    assert np.abs(geometry.norms.code(full) - geometry.norms.code(half)).max() > 64


def test_one_tap_has_no_norms() -> None:
    """A single tap gives bits, columns and plane; the plane then has two votes."""
    rows, labels = enrolment()
    geometry = hdc.survey(rows, labels, ((0, 60),), 1, bits=64)
    assert geometry.norms is None
    assert geometry.votes.tolist() == [1, 1, 4]


def test_columns_leave_the_first_tap_to_the_bits() -> None:
    """With several taps the columns are those of all but the first."""
    rows, labels = enrolment()
    geometry = hdc.survey(rows, labels, TAPS, 1, bits=64)
    assert geometry.columns is not None
    assert geometry.columns.span.tolist() == [40, 60]
    rows[:, :40] = 0
    assert np.array_equal(geometry.columns.code(rows), geometry.columns.code(enrolment()[0]))


def test_what_lies_outside_the_axes_counts() -> None:
    """In a wide tap a deviation that no axis sees still adds to the distance."""
    rows = draw(1, 60, width=400)
    geometry = hdc.survey(rows, np.zeros(60, dtype=int), ((0, 400),), 1, bits=64)
    assert geometry.plane is not None
    assert geometry.plane.rest[0] > 0
    fresh = draw(2, 50, width=400)
    noisy = np.clip(fresh + np.random.default_rng(0).normal(0, 30, fresh.shape), 0, 255)
    codes = [geometry.plane.code(part.astype(np.uint8))[:, -1] for part in (fresh, noisy)]
    assert codes[1].min() > codes[0].max()
