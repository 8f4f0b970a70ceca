"""Fitting freezes a geometry, whatever the samples."""

import numpy as np
import pytest
from numpy.typing import NDArray

import hdc
from hdc import DimensionError
from tests.hdc.samples import TAPS, draw, enrolment, many_groups


def test_a_fit_is_the_same_in_any_order() -> None:
    """Shuffled samples give the same geometry, to the bit."""
    rows, labels = enrolment()
    order = np.random.default_rng(0).permutation(len(rows))
    one = hdc.fit_geometry(rows, labels, TAPS, 5, bits=1024)
    other = hdc.fit_geometry(rows[order], labels[order], TAPS, 5, bits=1024)
    assert one.fingerprint == other.fingerprint


def test_equal_rows_at_different_times_are_fitted_the_same_in_any_order() -> None:
    """Rows with the same levels are held out with different blocks of time; which is which does not
    follow from their order."""
    random = np.random.default_rng(1)
    rows = random.integers(0, 256, (25, 6), dtype=np.uint8)[random.integers(0, 25, 100)]
    made = set()
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(rows))
        ids = [f"{place:03}" for place in order.tolist()]
        times = hdc.order_in_time(["a"] * 100, order, [""] * 100, ids)["a"]
        taps, labels = ((0, 6),), np.zeros(100)
        made.add(hdc.fit_geometry(rows[order], labels, taps, 5, 1024, orders=[times]).fingerprint)
    assert len(made) == 1


def test_rows_of_one_hypervector_are_ordered_by_their_levels() -> None:
    """Rows and their doubles have the same bits: shuffled, they still give the same geometry."""
    rows, labels = enrolment(count=30)
    rows = np.concatenate([rows // 4, rows // 4 * 2])
    labels = np.concatenate([labels, labels])
    one = hdc.fit_geometry(rows, labels, TAPS, 5, bits=256)
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(rows))
        other = hdc.fit_geometry(rows[order], labels[order], TAPS, 5, bits=256)
        assert other.fingerprint == one.fingerprint


def test_input_is_not_changed() -> None:
    """Surveying leaves its arguments alone."""
    rows, labels = enrolment()
    before = rows.copy(), labels.copy()
    hdc.fit_geometry(rows, labels, TAPS, 5, bits=64)
    assert np.array_equal(rows, before[0])
    assert np.array_equal(labels, before[1])


@pytest.mark.parametrize("width", [1, 3, 60, 300])
@pytest.mark.parametrize("count", [1, 2, 3, 5, 40])
def test_tiny_and_narrow_fits_work(width: int, count: int) -> None:
    """One sample, one column, fewer samples than columns: always a geometry that codes."""
    rows = draw(1, count, width=width)
    geometry = hdc.fit_geometry(rows, np.zeros(count, dtype=int), ((0, width),), 1, bits=128)
    codes = geometry.project(rows)
    memory = hdc.Memory(geometry)
    memory.add("home", "cat", codes)
    assert memory.score(codes).shape == (count, 1)
    assert bool(geometry.blocks) == (count >= 3)


def test_constant_columns_and_rows_work() -> None:
    """Columns that never move, zeros everywhere and equal samples do no harm."""
    rows, labels = enrolment()
    rows[:, ::2] = 7
    assert hdc.fit_geometry(rows, labels, TAPS, 1, bits=64).project(rows).values.any()
    still = np.zeros((10, 60), dtype=np.uint8)
    codes = hdc.fit_geometry(still, np.zeros(10, dtype=int), TAPS, 1, bits=64).project(still)
    assert np.array_equal(codes.values, np.broadcast_to(codes.values[:1], codes.values.shape))


def test_sums_of_the_plane_stay_exact() -> None:
    """No product of full levels leaves what float32 holds exactly."""
    rows, labels = enrolment()
    zeros, weights = np.full(60, 128), np.arange(60) + 1.0
    for geometry in (
        hdc.fit_geometry(rows, labels, TAPS, 1, bits=64),
        hdc.fit_geometry(rows, labels, TAPS, 1, bits=64, zeros=zeros, weights=weights),
    ):
        assert geometry.plane is not None
        assert geometry.columns is not None
        assert np.abs(geometry.plane.axes).sum(axis=0).max() * 255 < 2**24
        assert geometry.columns.gains.sum() * 255 < 2**24
        assert np.array_equal(geometry.plane.axes, np.rint(geometry.plane.axes))


def test_fitted_samples_are_scored_like_fresh_ones() -> None:
    """Held-out distances of fitted samples are like those of fresh ones, not smaller."""
    rows, labels = draw(3, 90, width=200), np.zeros(90, dtype=int)
    geometry = hdc.fit_geometry(rows, labels, ((0, 200),), 1, bits=256)
    memory = hdc.Memory(geometry)
    memory.add("home", "cat", geometry.project(rows))
    seen = memory.distances_held_out("home", "cat", geometry.project(rows))[:, 0, 2]
    fresh = memory.distances(geometry.project(draw(4, 300, width=200)))[:, 0, 2]
    assert abs(float(np.median(seen)) - float(np.median(fresh))) < float(fresh.std())


def test_wrong_shapes_are_refused() -> None:
    """Labels, zeros and weights of another length are errors that state the expected one."""
    rows, labels = enrolment()
    with pytest.raises(DimensionError, match="120 labels"):
        hdc.fit_geometry(rows, labels[:-1], TAPS, 1)
    with pytest.raises(DimensionError, match="60 zeros"):
        hdc.fit_geometry(rows, labels, TAPS, 1, zeros=[1, 2])
    with pytest.raises(DimensionError, match="positive weights"):
        hdc.fit_geometry(rows, labels, TAPS, 1, weights=np.zeros(60))


def test_classes_of_clusters_are_whitened_as_they_are():
    """Where neighbours are near, the plane spans all taps and divides by one number; where a class
    is one cloud, it spans the last tap and divides by each sample's norm."""
    rows = np.concatenate([many_groups(1, 120), many_groups(2, 120, 5)])
    labels = np.repeat([0, 1], 120)
    clusters = hdc.fit_geometry(rows, labels, TAPS, 5, bits=1024)
    cloud = hdc.fit_geometry(*enrolment(), TAPS, 5, bits=1024)
    assert clusters.plane is not None
    assert cloud.plane is not None
    assert clusters.plane.span.tolist() == [0, 60]
    assert clusters.plane.fixed[0] >= np.linalg.norm(np.full(60, 255))
    assert clusters.norms is None
    assert (cloud.plane.span.tolist(), cloud.plane.fixed.tolist()) == ([48, 60], [0])


def of_few_dimensions(count: int, dimensions: int) -> NDArray[np.uint8]:
    """Return rows uint8 [count, 60] that fill so many dimensions."""
    random = np.random.default_rng(7)
    values = random.uniform(-1, 1, (count, dimensions)) @ random.normal(size=(dimensions, 60))
    return np.clip(values * 20 + 128, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("count", [40, 64, 300])
def test_small_classes_are_clusters_where_large_ones_of_the_same_data_are(count: int):
    """The nearest of few samples is farther away: what counts is how near it is among 256."""
    few = hdc.fit_geometry(of_few_dimensions(count, 8), np.zeros(count), ((0, 60),), 5, bits=1024)
    many = hdc.fit_geometry(of_few_dimensions(count, 60), np.zeros(count), ((0, 60),), 5, bits=1024)
    assert few.plane is not None
    assert many.plane is not None
    assert few.plane.fixed[0] > 0
    assert many.plane.fixed[0] == 0


@pytest.mark.parametrize(("small", "size"), [(10, 1), (10, 5), (60, 2)])
def test_a_few_samples_of_further_classes_do_not_decide_the_kind_of_data(small: int, size: int):
    """How far neighbours would come nearer follows from the classes in which they were measured:
    one cloud stays one when a person has labelled the first samples of other classes."""
    large = of_few_dimensions(250, 16)
    random = np.random.default_rng(8)
    others = random.normal(size=(small * size, 16)) @ random.normal(size=(16, 60)) * 11.5 + 128
    rows = np.concatenate([large, np.clip(others, 0, 255).astype(np.uint8)])
    labels = np.concatenate([np.zeros(250), 1 + np.arange(small).repeat(size)])
    for given in (rows[:250], labels[:250]), (rows, labels):
        geometry = hdc.fit_geometry(*given, ((0, 60),), 5, bits=1024)
        assert geometry.plane is not None
        assert geometry.plane.fixed[0] == 0


def test_the_length_outside_the_axes_is_measured_from_the_mean():
    """A plane with a fixed divisor keeps the length that its axes do not span."""
    rows = np.random.default_rng(0).integers(0, 256, (12, 400))
    rows = np.clip(rows.repeat(12, axis=0) + np.arange(144)[:, None] % 7, 0, 255).astype(np.uint8)
    geometry = hdc.fit_geometry(rows, np.zeros(144), ((0, 400),), 5, bits=1024)
    plane = geometry.plane
    assert plane is not None
    assert plane.fixed[0]
    assert plane.rest[0]
    assert plane.code(rows)[:, -1].max() * 4 < plane.code(255 - rows)[:, -1].min()


def test_each_class_is_measured_against_its_own_concept_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Scales need no other column: a fit of many classes compares no class with all others."""
    compared = []
    original = hdc.Memory.distances

    def distances(memory, codes, only=None):
        compared.append(len(memory.keys) if only is None else len(only))
        return original(memory, codes, only)

    monkeypatch.setattr(hdc.Memory, "distances", distances)
    rows = draw(3, 120)
    hdc.fit_geometry(rows, np.arange(120) % 40, TAPS, 1, bits=128)
    assert set(compared) == {1}
