"""The frozen map from features to codes."""

import numpy as np
import pytest

import hdc
from hdc import DimensionError, FormatError
from hdc.geometry import FittedGeometry, keys_of
from tests.hdc.samples import TAPS, draw, enrolment, learned


def test_packing_survives() -> None:
    """Unpacked arrays are the same geometry and give the same codes."""
    for geometry in (learned()[0].geometry, hdc.identity_geometry(60, TAPS, 9, bits=128)):
        again = hdc.Geometry.unpack(geometry.pack())
        assert again.fingerprint == geometry.fingerprint
        assert again.surveyed.excess.tolist() == geometry.surveyed.excess.tolist()
        assert again.surveyed.excess.any() == bool(geometry.blocks)
        one, other = geometry.project(draw(1, 9)), again.project(draw(1, 9))
        assert np.array_equal(one.bits, other.bits)
        assert np.array_equal(one.values, other.values)


def test_the_fingerprint_covers_seed_and_survey() -> None:
    """Another seed or another survey is another geometry."""
    rows, labels = enrolment()
    prints = {
        hdc.identity_geometry(60, TAPS, 1).fingerprint,
        hdc.identity_geometry(60, TAPS, 2).fingerprint,
        hdc.fit_geometry(rows, labels, TAPS, 1).fingerprint,
        hdc.fit_geometry(rows[:-1], labels[:-1], TAPS, 1).fingerprint,
    }
    assert len(prints) == 4


def test_rows_do_not_depend_on_their_batch() -> None:
    """One row gives the same code alone and among others; one-dimensional input is one row."""
    geometry = learned()[0].geometry
    rows = draw(2, 30)
    together = geometry.project(rows)
    for place in (0, 7, 29):
        alone = geometry.project(rows[place])
        assert np.array_equal(alone.bits[0], together.bits[place])
        assert np.array_equal(alone.values[0], together.values[place])


def test_only_surveyed_samples_are_corrected() -> None:
    """A sample the geometry was fitted to gets its excess, any other none, whatever its key."""
    codes = hdc.identity_geometry(60, TAPS, 1, bits=128).project(draw(1, 9))
    keys = keys_of(codes)
    order = np.argsort(keys)
    middle = order[3:6]
    surveyed = FittedGeometry(keys[middle], np.asarray([10, 20, 30], np.int64))
    expected = np.zeros(9, dtype=np.int64)
    expected[middle] = [10, 20, 30]
    assert surveyed.excess_of(codes).tolist() == expected.tolist()
    assert FittedGeometry().excess_of(codes).tolist() == [0] * 9


def test_no_rows_are_a_batch_of_none() -> None:
    """An empty batch is coded as one, with and without a survey."""
    for geometry in (learned()[0].geometry, hdc.identity_geometry(60, TAPS, 1, bits=128)):
        codes = geometry.project(np.zeros((0, 60), dtype=np.uint8))
        assert codes.bits.shape == (0, geometry.bits // 64)
        assert codes.values.shape == (0, geometry.values)


def test_wrong_features_are_refused() -> None:
    """Another width or dtype is an error that says what was expected."""
    geometry = hdc.identity_geometry(60, TAPS, 1)
    with pytest.raises(DimensionError, match=r"uint8 features \[n, 60\]"):
        geometry.project(np.zeros((2, 59), dtype=np.uint8))
    with pytest.raises(DimensionError, match="float64"):
        geometry.project(np.zeros((2, 60)))  # type: ignore[arg-type]


@pytest.mark.parametrize("slices", [(), ((0, 50),), ((0, 60), (50, 60)), ((0, 0), (0, 60))])
def test_taps_that_do_not_cover_are_refused(slices: tuple[tuple[int, int], ...]) -> None:
    """Taps have to cover the width in order."""
    with pytest.raises(DimensionError, match="cover 0 to 60"):
        hdc.identity_geometry(60, slices, 1)


def test_damaged_arrays_are_refused() -> None:
    """Missing arrays and scales of another number are not a geometry."""
    packed = learned()[0].geometry.pack()
    with pytest.raises(FormatError, match="geometry"):
        hdc.Geometry.unpack({k: v for k, v in packed.items() if k != "numbers"})
    with pytest.raises(FormatError, match="scales"):
        hdc.Geometry.unpack({k: v for k, v in packed.items() if not k.startswith("plane")})


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("slices", np.asarray([[0, 50], [51, 60]])),
        ("numbers", np.asarray([60, 5, 100])),
        ("numbers", np.asarray([60.0, 5.0, np.inf])),
        ("numbers", np.asarray([60, 5])),
        ("numbers", np.asarray([60, 5, 1 << 40])),
        ("scales", np.asarray(7)),
        ("plane.axes", np.zeros((60, 3), dtype=np.float32)),
        ("plane.gains", np.zeros(1, dtype=np.int64)),
        ("norms.axes", np.zeros((2, 2), dtype=np.int64)),
        ("columns.gains", np.ones(7, dtype=np.float32)),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(name: str, array: np.ndarray) -> None:
    """Whatever is wrong with packed arrays is a FormatError, before anything is coded."""
    with pytest.raises(FormatError, match="geometry"):
        hdc.Geometry.unpack(learned()[0].geometry.pack() | {name: array})
