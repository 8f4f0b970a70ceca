"""The blocks in addition to the hypervector."""

from math import isqrt

import numpy as np
import pytest

import hdc
from hdc.integers import log2
from tests.hdc.samples import TAPS, draw, enrolment


def test_the_plane_does_not_see_the_norm() -> None:
    """Scaling a row leaves its place in the plane; the norms block sees it."""
    rows, labels = enrolment()
    geometry = hdc.fit_geometry(rows // 2, labels, TAPS, 1, bits=64)
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
    geometry = hdc.fit_geometry(rows, labels, ((0, 60),), 1, bits=64)
    assert geometry.norms is None
    assert geometry.votes.tolist() == [1, 1, 4]


def test_columns_leave_the_first_tap_to_the_bits() -> None:
    """With several taps the columns are those of all but the first."""
    rows, labels = enrolment()
    geometry = hdc.fit_geometry(rows, labels, TAPS, 1, bits=64)
    assert geometry.columns is not None
    assert geometry.columns.span.tolist() == [40, 60]
    rows[:, :40] = 0
    assert np.array_equal(geometry.columns.code(rows), geometry.columns.code(enrolment()[0]))


def test_a_deviation_outside_the_axes_counts() -> None:
    """In a wide tap a deviation that no axis sees still adds to the distance."""
    rows = draw(1, 60, width=400)
    geometry = hdc.fit_geometry(rows, np.zeros(60, dtype=int), ((0, 400),), 1, bits=64)
    assert geometry.plane is not None
    assert geometry.plane.rest[0] > 0
    fresh = draw(2, 50, width=400)
    noisy = np.clip(fresh + np.random.default_rng(0).normal(0, 30, fresh.shape), 0, 255)
    codes = [geometry.plane.code(part.astype(np.uint8))[:, -1] for part in (fresh, noisy)]
    assert codes[1].min() > codes[0].max()


@pytest.fixture(scope="module")
def geometry() -> hdc.Geometry:
    """A wide geometry in which every part of every block counts."""
    rows = np.concatenate([draw(1, 60, width=400), draw(2, 60, 1, width=400)])
    zeros, weights = np.arange(400) % 7, 1.0 + np.arange(400) % 5
    taps = ((0, 60), (60, 400))
    return hdc.fit_geometry(rows, np.repeat([0, 1], 60), taps, 1, 64, zeros, weights)


def test_coordinates_are_those_of_the_definition(geometry) -> None:
    """Columns, plane and norms, number by number in Python's integers, a row of zeros included."""
    rows = np.concatenate([draw(5, 3, width=400), np.zeros((1, 400), np.uint8)])
    columns, plane, norms = geometry.blocks
    assert plane.rest[0] > 0
    found = geometry.project(rows).values.tolist()
    for row, made in zip(rows.tolist(), found, strict=True):
        tap = row[slice(*plane.span.tolist())]
        pairs = zip(tap, plane.zeros.tolist(), plane.scale.tolist(), strict=True)
        norm = max(isqrt(sum(int((x - z) * s) ** 2 for x, z, s in pairs)), 1) << 10
        axes = plane.axes.astype(np.int64).T.tolist()
        along = [sum(map(int.__mul__, tap, axis)) for axis in axes]
        along = [one - off for one, off in zip(along, plane.offset.tolist(), strict=True)]
        each = zip(along, plane.gains.tolist(), plane.centre.tolist(), strict=True)
        inside = [one * gain // norm - centre for one, gain, centre in each]
        units = [
            one * size // norm for one, size in zip(along, plane.lengths.tolist(), strict=True)
        ]
        left = max((1 << 40) - sum(one * one for one in units), 0)
        outside = isqrt(left) * int(plane.rest[0]) >> 32
        read = row[slice(*columns.span.tolist())]
        gained = [x * int(gain) for x, gain in zip(read, columns.gains.tolist(), strict=True)]
        squares = [
            sum(int((row[k] - norms.zeros[k]) * norms.scale[k]) ** 2 for k in range(*span))
            for span in norms.spans.tolist()
        ]
        logs = log2(np.asarray(squares)).tolist()
        turned = [sum(map(int.__mul__, logs, axis)) >> 16 for axis in norms.axes.T.tolist()]
        assert made == [*gained, *inside, outside, *turned]


def test_distances_are_those_of_the_definition(geometry) -> None:
    """City-block, straight with the outside counted from zero, and straight."""
    row, mean = geometry.project(draw(5, 2, width=400)).values
    expected: list[tuple[int, int]] = []
    for block, span in zip(geometry.blocks, geometry.spans, strict=True):
        one, other = row[slice(*span)].tolist(), mean[slice(*span)].tolist()
        found = block.distance(
            np.asarray([one], dtype=block.number), np.asarray([other], dtype=block.number)
        )
        apart = [a - b for a, b in zip(one, other, strict=True)]
        if block is geometry.plane:
            apart[-1] = one[-1]
        straight = isqrt(sum(a * a for a in apart))
        expected.append((int(found[0]), sum(map(abs, apart)) if not expected else straight))
    assert all(found == wanted for found, wanted in expected)
