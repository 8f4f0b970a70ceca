"""Exemplars: chosen by the set of samples alone, and never their own neighbours."""

import numpy as np
import pytest

import hdc
from hdc.geometry import keys_of
from hdc.neighbours import EXEMPLARS_MAX, choose, coordinates, has_neighbours, nearest
from tests.hdc.samples import TAPS, draw, enrolment, many_groups

ONE_TAP = ((0, 60),)


@pytest.fixture(scope="module")
def geometry():
    """Return a fitted geometry of one tap."""
    rows, labels = enrolment(count=60)
    return hdc.fit_geometry(rows, labels, ONE_TAP, 5, bits=1024)


def test_exemplars_are_kept_where_they_are_of_use(geometry):
    """One tap or classes of clusters keep exemplars; several taps of one cloud, or no fit, none."""
    rows, labels = enrolment()
    assert has_neighbours(geometry)
    assert not has_neighbours(hdc.fit_geometry(rows, labels, TAPS, 5, bits=1024))
    clusters = hdc.fit_geometry(many_groups(5, 200), labels[:1].repeat(200), TAPS, 5, bits=1024)
    assert has_neighbours(clusters)
    assert not has_neighbours(hdc.identity_geometry(60, ONE_TAP, 5, bits=1024))


def test_order_does_not_choose(geometry):
    """The same samples in another order give the same exemplars, also where not all are kept."""
    codes = geometry.project(draw(3, EXEMPLARS_MAX + 50))
    order = np.random.default_rng(0).permutation(len(codes))
    one, other = choose(geometry, codes), choose(geometry, codes[order])
    assert len(one) == EXEMPLARS_MAX
    assert np.array_equal(one.keys, other.keys)
    assert np.array_equal(one.columns, other.columns)
    assert np.array_equal(one.plane, other.plane)


def test_order_does_not_choose_among_samples_of_one_hypervector(geometry):
    """A row and its double have the same bits; which comes first is settled by their levels."""
    rows = draw(3, 20) // 4
    codes = geometry.project(np.concatenate([rows, rows * 2]))
    assert np.array_equal(keys_of(codes[:20]), keys_of(codes[20:]))
    order = np.r_[20:40, 0:20]
    one, other = choose(geometry, codes), choose(geometry, codes[order])
    assert np.array_equal(one.columns, other.columns)
    assert np.array_equal(one.plane, other.plane)


def nearest_other(columns, row):
    """The least city-block distance of a row from all other rows, by brute force."""
    rest = np.delete(np.arange(len(columns)), row)
    return np.abs(columns[rest] - columns[row]).sum(axis=1).min()


def test_a_sample_is_not_its_own_neighbour(geometry):
    """Held out, each sample finds the nearest other one, by brute force."""
    codes = geometry.project(draw(4, 40))
    held = choose(geometry, codes)
    columns, plane = coordinates(geometry, codes)
    found = nearest(held, columns, plane, keys_of(codes))
    for row in range(len(codes)):
        rest = np.delete(np.arange(len(codes)), row)
        by_plane = np.floor(np.sqrt(np.square((plane[rest] - plane[row]).astype(float)).sum(1)))
        assert found[row].tolist() == [nearest_other(columns, row), by_plane.min()]
    assert (nearest(held, columns, plane) == 0).all()


def test_a_twin_is_a_neighbour(geometry):
    """Of two equal samples each finds the other, at distance nothing."""
    row = draw(5, 1)
    codes = geometry.project(np.concatenate([row, row, draw(6, 3)]))
    held = choose(geometry, codes)
    found = nearest(held, *coordinates(geometry, codes), keys_of(codes))
    assert (found[:2] == 0).all()
    assert (found[2:] > 0).all()


def test_samples_of_one_hypervector_are_told_apart_by_their_coordinates(geometry):
    """With few columns many samples have the same bits: held out, each leaves out itself, not
    another one with the same key."""
    rows = draw(3, 20) // 4
    codes = geometry.project(np.concatenate([rows, rows * 2]))
    held = choose(geometry, codes)
    columns, plane = coordinates(geometry, codes)
    found = nearest(held, columns, plane, keys_of(codes))
    for row in range(len(codes)):
        assert found[row, 0] == nearest_other(columns, row) > 0


def test_only_the_samples_named_are_taken_out(geometry):
    """Exemplars without some samples keep others of the same hypervector, and as many doubles of a
    sample as were not named."""
    rows = draw(3, 20) // 4
    codes = geometry.project(np.concatenate([rows, rows * 2, rows]))
    columns, plane = coordinates(geometry, codes)
    rest = choose(geometry, codes).without(keys_of(codes)[:20], columns[:20], plane[:20])
    expected = choose(geometry, codes[20:])
    assert np.array_equal(rest.keys, expected.keys)
    assert np.array_equal(rest.columns, expected.columns)
    assert np.array_equal(rest.plane, expected.plane)


def test_held_out_samples_of_few_columns_look_like_fresh_ones():
    """Where most samples share a hypervector with others, fresh samples are as typical as the
    calibration says, and their windows keep the rate."""
    random = np.random.default_rng(3)
    rows = np.clip(random.normal(128, 30, (900, 5)), 0, 255).astype(np.uint8)
    labels = random.integers(0, 2, len(rows))
    enrolled = slice(0, 400)
    geometry = hdc.fit_geometry(rows[enrolled], labels[enrolled], ((0, 5),), 1)
    memory, codes = hdc.Memory(geometry), geometry.project(rows[enrolled])
    assert len(np.unique(keys_of(codes))) < len(codes) / 2
    facts = [("home", str(one), codes[labels[enrolled] == one]) for one in (0, 1)]
    for fact in facts:
        memory.add(*fact)
    calibration = hdc.calibrate(memory, facts)
    fresh = geometry.project(rows[400:])
    verdicts = [one for _, one in hdc.detect_each(fresh, memory, calibration, 0.01)]
    assert 0.4 < np.median([one.p_value for one in verdicts]) < 0.6
    windows = [verdicts[at : at + 16] for at in range(0, len(verdicts) - 16, 4)]
    found = [hdc.detect_window(one, calibration, 0.01).known for one in windows]
    assert np.mean([known is False for known in found]) <= 0.03


def test_a_lone_sample_has_no_neighbour(geometry):
    """Without any other exemplar the answer is -1, not a distance."""
    codes = geometry.project(draw(7, 1))
    held = choose(geometry, codes)
    assert nearest(held, *coordinates(geometry, codes), keys_of(codes)).tolist() == [[-1, -1]]
