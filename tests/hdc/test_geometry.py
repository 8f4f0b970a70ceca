"""Hypervectors, the projection, codes and geometries are as documented, to the bit."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import hdc
from hdc import (
    Codes,
    DimensionError,
    FormatError,
    bundle,
    random_vectors,
)
from hdc.geometry import FittedGeometry, hadamard_sums, keys_of, pack, project, random_words, unpack
from tests.hdc.samples import TAPS, draw, enrolment, learned, many_groups

VECTOR_BITS = 256
seeds = st.integers(0, 2**64 - 1)


def test_random_words_are_splitmix64() -> None:
    """The first words of seed 0 are the published ones of SplitMix64."""
    assert [hex(word) for word in random_words(0, 3).tolist()] == [
        "0xe220a8397b1dcdaf",
        "0x6e789e6aa1b965f4",
        "0x6c45d188009454f",
    ]


@given(seed=seeds)
@settings(max_examples=30, deadline=None)
def test_pack_and_unpack_are_inverse(seed: int) -> None:
    """Bits survive packing."""
    words = random_vectors(seed, 3, VECTOR_BITS)
    assert np.array_equal(pack(unpack(words)), words)


def test_bundle_of_halves_follows_the_first() -> None:
    """Where as many are set as clear, the first vector decides."""
    one, other = random_vectors(1, 2, VECTOR_BITS)
    assert np.array_equal(bundle([one, other]), one)


def test_odd_sizes_are_refused() -> None:
    """A number of bits that fills no whole words is an error that says so."""
    with pytest.raises(DimensionError, match="multiple of 64"):
        random_vectors(0, 1, 100)
    with pytest.raises(DimensionError, match="at least one"):
        bundle(np.empty((0, 4), dtype=np.uint64))


GOLDEN = {
    (1, 64): "76a5645de4d40905",
    (10, 128): "5b25b69423d0f725",
    (64, 8192): "01f2f33245583a58",
    (1280, 8192): "54622a7c4ef14437",
    (1500, 8192): "f622caa5c48a8bec",
}


def features(width: int, rows: int = 3) -> NDArray[np.uint8]:
    """Made by a rule that any language repeats: the top bytes of SplitMix64 words."""
    words = random_words(width, rows * width)
    return (words >> np.uint64(56)).astype(np.uint8).reshape(rows, width)


def by_definition(row: NDArray[np.uint8], seed: int, bits: int) -> list[int]:
    """The sums of the docstring, term by term, in Python integers."""
    padded = 1 << max(0, len(row) - 1).bit_length()
    rounds = -(-bits // padded)
    flips = unpack(random_words(seed, -(-rounds * padded // 64))).astype(int)
    made = []
    for place in range(bits):
        turn, index = divmod(place, padded)
        signs = [
            (-1) ** ((index & j).bit_count() + flips[turn * padded + j]) for j in range(len(row))
        ]
        made.append(sum(sign * int(value) for sign, value in zip(signs, row, strict=True)))
    return made


@pytest.mark.parametrize(("width", "bits"), [(1, 128), (2, 128), (16, 128), (40, 128), (300, 64)])
def test_sums_are_those_of_the_definition(width: int, bits: int) -> None:
    """The fast transform gives the sums that the docstring defines."""
    row = features(width)[0]
    assert hadamard_sums(row, 7, bits).astype(int).tolist() == by_definition(row, 7, bits)


def test_sums_of_wide_taps_are_those_of_the_definition() -> None:
    """Three rounds of products, the last blocks filled up with zeros, add the same."""
    row = features(4200)[0]
    assert hadamard_sums(row, 7, 64).astype(int).tolist() == by_definition(row, 7, 64)


def test_a_bit_is_the_sign_of_its_sum() -> None:
    """Negative sums set a bit; zero does not."""
    row = np.zeros(16, dtype=np.uint8)
    assert not unpack(project(row, 1, 64)).any()
    sums = hadamard_sums(features(16), 1, 64)
    assert np.array_equal(unpack(project(features(16), 1, 64)), sums < 0)


@pytest.mark.parametrize(("width", "bits"), list(GOLDEN))
def test_golden_vectors(width: int, bits: int) -> None:
    """The bits are those of every other machine."""
    made = project(features(width), 2026, bits)
    digest = hashlib.sha256(made.astype("<u8").tobytes()).hexdigest()[:16]
    assert digest == GOLDEN[width, bits]


def test_rows_do_not_depend_on_their_batch() -> None:
    """One row gives the same bits alone and among others, and the input is not changed."""
    rows = features(300, 50)
    before = rows.copy()
    together = project(rows, 3)
    alone = np.stack([project(row, 3) for row in rows])
    assert np.array_equal(together, alone)
    assert np.array_equal(rows, before)


@pytest.mark.parametrize("width", [1, 16, 64, 300])
def test_no_rows_are_a_batch_of_none(width: int) -> None:
    """An empty batch gives an empty batch of the same words."""
    assert project(np.zeros((0, width), dtype=np.uint8), 1, 512).shape == (0, 8)


def test_largest_sums_stay_exact() -> None:
    """The widest tap at full level still adds exactly in float32."""
    sums = hadamard_sums(np.full(1 << 16, 255, dtype=np.uint8), 5, 1 << 16)
    flips = 1 - 2 * unpack(random_words(5, 1 << 10)).astype(np.int64)
    assert int(sums[0]) == 255 * int(flips.sum())


def test_other_dtypes_are_refused() -> None:
    """Only uint8 features are projected."""
    with pytest.raises(DimensionError, match="uint8"):
        project(np.zeros(4, dtype=np.float32), 1)


def test_indexing_and_joining() -> None:
    """Any index gives a batch; joined batches are the whole again."""
    codes = hdc.identity_geometry(60, TAPS, 1, bits=64).project(draw(1, 10))
    assert [len(codes[3]), len(codes[-1]), len(codes[2:5]), len(codes[[1, 2]])] == [1, 1, 3, 2]
    assert np.array_equal(codes[-1].bits, codes.bits[-1:])
    assert np.array_equal(Codes.concat([codes[:4], codes[4:]]).bits, codes.bits)
    with pytest.raises(DimensionError, match="none"):
        Codes.concat([])


def test_a_loop_over_a_batch_ends() -> None:
    """Iterating gives each sample once; a place beyond the end is an IndexError."""
    codes = hdc.identity_geometry(60, TAPS, 1, bits=64).project(draw(1, 3))
    assert [one.bits.tolist() for one in codes] == [[row] for row in codes.bits.tolist()]
    for beyond in (3, -4, np.int64(3)):
        with pytest.raises(IndexError):
            codes[beyond]


def test_packing_survives() -> None:
    """Unpacked arrays are the same geometry and give the same codes."""
    for geometry in (learned()[0].geometry, hdc.identity_geometry(60, TAPS, 9, bits=128)):
        again = hdc.Geometry.unpack(geometry.pack())
        assert again.fingerprint == geometry.fingerprint
        assert again.fitted.excess.tolist() == geometry.fitted.excess.tolist()
        assert again.fitted.excess.any() == bool(geometry.blocks)
        one, other = geometry.project(draw(1, 9)), again.project(draw(1, 9))
        assert np.array_equal(one.bits, other.bits)
        assert np.array_equal(one.values, other.values)


def test_a_geometry_of_an_earlier_version_is_read() -> None:
    """Planes without a divisor divide by each sample's own norm, as they did then."""
    geometry = learned()[0].geometry
    assert geometry.plane is not None
    assert not geometry.plane.fixed[0]
    packed = {name: array for name, array in geometry.pack().items() if name != "plane.fixed"}
    again = hdc.Geometry.unpack(packed)
    assert np.array_equal(again.project(draw(1, 9)).values, geometry.project(draw(1, 9)).values)


def test_geometries_of_version_1_keep_their_fingerprint() -> None:
    """A geometry that was packed without a version is read as version 1, and packed as it was."""
    geometry = learned()[0].geometry
    assert geometry.version == hdc.GEOMETRY_VERSION == 3
    packed = {name: array for name, array in geometry.pack().items() if name != "version"}
    earlier = hdc.Geometry.unpack(packed)
    assert earlier.version == 1
    assert sorted(earlier.pack()) == sorted(packed)
    assert earlier.fingerprint != geometry.fingerprint


def test_geometries_of_version_2_keep_their_votes() -> None:
    """A geometry of an earlier release scores as it did; a new fit has the votes of this one."""
    rows = np.concatenate([many_groups(1, 120), many_groups(2, 120, 5)])
    geometry = hdc.fit_geometry(rows, np.repeat([0, 1], 120), TAPS, 5, bits=1024)
    assert (geometry.votes.tolist(), geometry.exemplar_votes.tolist()) == ([1, 2, 1], [8, 2])
    earlier = hdc.Geometry.unpack(geometry.pack() | {"version": np.asarray([2])})
    assert (earlier.votes.tolist(), earlier.exemplar_votes.tolist()) == ([1, 1, 2], [8, 4])
    assert hdc.Geometry.unpack(earlier.pack()).fingerprint == earlier.fingerprint


def test_a_geometry_of_a_later_version_is_refused() -> None:
    """Its numbers may mean something else; the error names both versions."""
    packed = learned()[0].geometry.pack() | {"version": np.asarray([4])}
    with pytest.raises(FormatError, match="it has version 4, this release reads up to 3"):
        hdc.Geometry.unpack(packed)


def test_what_is_fitted_to_nothing_has_no_version() -> None:
    """The fingerprint of an unfitted geometry is that of earlier releases."""
    assert "version" not in hdc.identity_geometry(60, TAPS, 9, bits=128).pack()


def test_no_negative_zero_is_packed() -> None:
    """The sign of a zero means nothing, and would be part of the fingerprint."""
    for name, array in learned()[0].geometry.pack().items():
        if array.dtype.kind == "f":
            assert not (np.signbit(array) & (array == 0)).any(), name


def test_the_fingerprint_covers_seed_and_fit() -> None:
    """Another seed or another fit gives another fingerprint."""
    rows, labels = enrolment()
    prints = {
        hdc.identity_geometry(60, TAPS, 1).fingerprint,
        hdc.identity_geometry(60, TAPS, 2).fingerprint,
        hdc.fit_geometry(rows, labels, TAPS, 1).fingerprint,
        hdc.fit_geometry(rows[:-1], labels[:-1], TAPS, 1).fingerprint,
    }
    assert len(prints) == 4


def test_codes_do_not_depend_on_their_batch() -> None:
    """One row gives the same code alone and among others; one-dimensional input is one row."""
    geometry = learned()[0].geometry
    rows = draw(2, 30)
    together = geometry.project(rows)
    for place in (0, 7, 29):
        alone = geometry.project(rows[place])
        assert np.array_equal(alone.bits[0], together.bits[place])
        assert np.array_equal(alone.values[0], together.values[place])


def test_only_fitted_samples_are_corrected() -> None:
    """A sample the geometry was fitted to gets its excess, any other none, whatever its key."""
    codes = hdc.identity_geometry(60, TAPS, 1, bits=128).project(draw(1, 9))
    keys = keys_of(codes)
    order = np.argsort(keys)
    middle = order[3:6]
    fitted = FittedGeometry(keys[middle], np.asarray([10, 20, 30], np.int64))
    expected = np.zeros(9, dtype=np.int64)
    expected[middle] = [10, 20, 30]
    assert fitted.excess_of(codes).tolist() == expected.tolist()
    assert FittedGeometry().excess_of(codes).tolist() == [0] * 9


def test_no_rows_are_coded_as_none() -> None:
    """An empty batch is coded as one, with and without a fit."""
    for geometry in (learned()[0].geometry, hdc.identity_geometry(60, TAPS, 1, bits=128)):
        codes = geometry.project(np.zeros((0, 60), dtype=np.uint8))
        assert codes.bits.shape == (0, geometry.bits // 64)
        assert codes.values.shape == (0, geometry.values)


def test_wrong_features_are_refused() -> None:
    """Another width or dtype is an error that states the expected one."""
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
