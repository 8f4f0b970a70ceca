from __future__ import annotations

import dataclasses
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from encoder import CardError, PayloadError, Quantiser, freeze_quantiser, native, quantiser

FLOATS = st.floats(-1e6, 1e6, width=32)
TABLES = arrays(np.float32, st.tuples(st.integers(1, 8), st.just(5)), elements=FLOATS)
SLICES = (slice(0, 2), slice(2, 5))
GRANULARITIES = st.sampled_from(["tap", "channel"])


def ramp(width: int = 3) -> Quantiser:
    """Steps of a half, with zero at level 10."""
    return Quantiser(np.full(width, 0.5, np.float32), np.full(width, 10))


def test_levels_follow_the_formula() -> None:
    """A value becomes round(value / scale) + zero."""
    assert ramp().quantise([0.0, 1.0, -2.0]).tolist() == [10, 12, 6]


def test_halves_round_to_even() -> None:
    """Halves go to the even neighbour, as in ONNX QuantizeLinear."""
    quantiser = Quantiser(np.ones(4, np.float32), np.zeros(4, np.int32))
    assert quantiser.quantise([0.5, 1.5, 2.5, 3.5]).tolist() == [0, 2, 2, 4]


@pytest.mark.skipif(native.QUANTISE is None, reason="the C part is not built here")
@given(seed=st.integers(0, 2**32 - 1))
def test_c_and_numpy_give_the_same_levels(seed) -> None:
    """Values on, between and far beyond levels, over scales of any size: one result, and the same
    refusal of numbers that are not finite."""
    random = np.random.default_rng(seed)
    rows, width = random.integers(1, 60, 2).tolist()
    reach = int(random.choice([3, 300, 1 << 22]))
    scale = np.exp(random.normal(0, random.choice([1, 20]), width)).clip(1e-37, 1e37)
    one = Quantiser(scale.astype(np.float32), random.integers(-reach, reach + 1, width, np.int32))
    with np.errstate(over="ignore"):
        values = (random.integers(-600, 600, (rows, width)) / 2 * one.scale).astype(np.float32)
        if seed % 2:
            values = (values * np.exp(random.normal(0, 30, values.shape))).astype(np.float32)
    values = np.nan_to_num(values, posinf=3e38, neginf=-3e38)
    made = one.quantise(values)
    with mock.patch.object(quantiser, "QUANTISE", None):
        assert np.array_equal(made, one.quantise(values))
    values[rows // 2, width // 2] = random.choice([np.nan, np.inf, -np.inf])
    with pytest.raises(PayloadError, match="expected finite numbers"):
        one.quantise(values)


def test_values_beyond_the_range_are_clipped() -> None:
    """Beyond 0..255 the nearest end is taken, also when the division overflows."""
    tiny = Quantiser(np.full(2, 1e-30, np.float32), np.zeros(2, np.int32))
    assert tiny.quantise([3e38, -3e38]).tolist() == [255, 0]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_nonfinite_values_are_refused_by_position(bad: float) -> None:
    """NaN, infinity and what overflows float32 are refused, and the place is named."""
    with pytest.raises(PayloadError, match=r"at position \[1, 2\]") as caught:
        ramp().quantise(np.array([[0, 0, 0], [0, 0, bad]]))
    assert caught.value.hint


def test_a_wrong_width_is_refused() -> None:
    """Features of another model do not fit."""
    with pytest.raises(PayloadError, match="expected 3 columns"):
        ramp().quantise([1.0, 2.0])


@given(TABLES, GRANULARITIES)
def test_calibration_data_come_back_within_half_a_step(table, granularity) -> None:
    """Every value that calibrated comes back within half a level (and float32 rounding)."""
    quantiser = freeze_quantiser(table, SLICES, granularity, headroom=0.1)
    back = quantiser.dequantise(quantiser.quantise(table))
    room = quantiser.scale * 1.01 + np.abs(table) * 1e-5
    assert (np.abs(back - table) <= room).all()
    assert quantiser.clipped(table).max() == 0


@given(TABLES, GRANULARITIES)
def test_quantising_levels_again_changes_nothing(table, granularity) -> None:
    """Dequantised levels quantise to themselves."""
    quantiser = freeze_quantiser(table, SLICES, granularity)
    levels = quantiser.quantise(table)
    assert np.array_equal(quantiser.quantise(quantiser.dequantise(levels)), levels)


@given(TABLES)
def test_order_within_a_tap_is_kept(table) -> None:
    """With granularity 'tap', a larger value in a tap never gets a smaller level."""
    quantiser = freeze_quantiser(table, SLICES, "tap")
    levels = quantiser.quantise(table).astype(int)
    for part in SLICES:
        order = np.argsort(table[:, part], axis=1)
        sorted_levels = np.take_along_axis(levels[:, part], order, axis=1)
        assert (np.diff(sorted_levels, axis=1) >= 0).all()


def test_a_tap_has_one_scale_and_a_channel_its_own() -> None:
    """Granularity decides how many scales there are."""
    table = np.arange(20, dtype=np.float32).reshape(4, 5) ** 2
    assert len(set(freeze_quantiser(table, SLICES, "tap").scale.tolist())) == 2
    assert len(set(freeze_quantiser(table, SLICES, "channel").scale.tolist())) == 5


def test_rectified_features_lose_no_level_to_headroom() -> None:
    """Where nothing is negative, zero becomes level 0 and headroom goes to the top."""
    table = np.array([[0.0, 1.0], [2.0, 4.0]], dtype=np.float32)
    quantiser = freeze_quantiser(table, (slice(0, 2),), headroom=0.25)
    assert quantiser.zero.tolist() == [0, 0]
    assert quantiser.quantise([0.0, 5.0]).tolist() == [0, 255]


@pytest.mark.parametrize("sign", [1, -1])
def test_pixels_may_become_twice_as_bright(sign: int) -> None:
    """Twice the light does not exceed a range that columns share and that starts at zero."""
    table = sign * np.array([[0, 0, 0], [3, 3, 1], [6, 6, 2]], np.float32)
    quantiser = freeze_quantiser(table, (slice(0, 3),), "channel")
    assert quantiser.zero.tolist() == [0 if sign == 1 else 255] * 3
    assert quantiser.clipped([[sign * 12.0] * 3]).tolist() == [0, 0, 0]
    assert quantiser.clipped([[sign * 12.1] * 3]).tolist() == [1, 1, 1]


def test_a_quantity_of_its_own_has_a_quarter_of_its_range() -> None:
    """Columns of different ranges keep their levels; a signed one has a quarter at each end."""
    table = np.array([[0, 0.0], [1, 3.0], [2, 6.0]], np.float32)
    table = np.append(table, [[-4], [0], [4]], axis=1).astype(np.float32)
    quantiser = freeze_quantiser(table, (slice(0, 3),), "channel")
    assert quantiser.clipped([[2.5, 7.5, 5.9]]).tolist() == [0, 0, 0]
    assert quantiser.clipped([[2.6, 7.6, 6.1]]).tolist() == [1, 1, 1]


def _scanned(columns: int, lit: int) -> np.ndarray:
    """Rows of pixels 0 to 16: `lit` columns reach 16, the others 3 at most."""
    rows = np.random.default_rng(4).integers(0, 4, (50, columns))
    rows[:3] = np.array([[0], [1], [3]])
    rows[:3, :lit] = np.array([[0], [5], [16]])
    return rows.astype(np.float32)


@pytest.mark.parametrize(("lit", "shared"), [(1, False), (2, True), (16, True)])
def test_pixels_have_one_range(lit: int, shared) -> None:
    """Where two columns in sixteen reach exactly the same ends, dim columns get the range of the
    lit ones: a later scanner may use it."""
    quantiser = freeze_quantiser(_scanned(16, lit), (slice(0, 16),), "channel")
    assert (len(set(quantiser.scale.tolist())) == 1) is shared
    clipped = quantiser.clipped(np.full((1, 16), 16.0, np.float32))
    assert bool(clipped.sum() == 0) is shared


def test_signed_values_keep_their_own_ranges() -> None:
    """A range with zero inside is not that of pixels."""
    rows = _scanned(16, 8) - 8
    signed = freeze_quantiser(rows, (slice(0, 16),), "channel")
    assert signed.scale[15] < signed.scale[0] / 2
    assert signed.clipped(np.full((1, 16), 24.0, np.float32)).sum() == 16


def test_arrays_of_other_values_keep_sixteen_levels() -> None:
    """Averaged pixels are no counts: dim ones are widened as far as their own values keep levels,
    in a table of many columns."""
    rows = np.random.default_rng(9).uniform(-0.3, 1.3, (200, 32)).clip(0, 1).astype(np.float32)
    rows[:, 8:] *= np.linspace(0.02, 0.9, 24, dtype=np.float32)
    wide = freeze_quantiser(rows, (slice(0, 32),), "channel")
    levels = wide.quantise(rows)
    assert min(len(np.unique(column)) for column in levels.T) >= 16
    bright = wide.clipped(np.full((1, 32), 2.0, np.float32))
    assert not bright[:8].any()
    assert wide.clipped(np.full((1, 32), 0.3, np.float32)).sum() == 0
    assert wide.extremes(levels[rows[:, 0].argmax()][None])[0]
    narrow = freeze_quantiser(rows[:, 4:16], (slice(0, 12),), "channel")
    assert narrow.clipped(np.full((1, 12), 0.3, np.float32)).sum() > 4


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [1e-40, 1e-30, 1e38])
def test_ranges_of_any_size_are_shared(size: float) -> None:
    """Counts of a tiny or a huge unit overflow nothing, and keep levels apart unless the unit is
    smaller than any scale."""
    rows = np.random.default_rng(2).integers(0, 4, (60, 8))
    rows[:2] = [[0], [3]]
    table = (rows * size).astype(np.float32)
    quantiser = freeze_quantiser(table, (slice(0, 8),), "channel")
    assert len(np.unique(quantiser.quantise(table))) >= (4 if size > 1e-38 else 1)


def test_flags_make_no_range_of_pixels() -> None:
    """Columns of two values reach both ends beside quarters of one, which keep their own range."""
    random = np.random.default_rng(4)
    rows = random.integers(0, 3, (50, 6)).astype(np.float32) / 4
    rows[:, :3] = random.integers(0, 2, (50, 3))
    assert freeze_quantiser(rows, (slice(0, 6),), "channel").scale[5] < 0.7 / 255
    rows[0, :3] = 0.5  # a third value makes them counts of the same unit
    assert freeze_quantiser(rows, (slice(0, 6),), "channel").scale[5] > 1.9 / 255


def test_counts_that_begin_elsewhere_make_no_range_of_pixels() -> None:
    """Two columns reach both ends; of the others, three quarters must reach zero."""
    random = np.random.default_rng(4)
    rows = random.integers(0, 101, (200, 8)).astype(np.float32)
    rows[:2] = [[0], [100]]
    shared = freeze_quantiser(rows, (slice(0, 8),), "channel")
    rows[:, 2:] = 20 + rows[:, 2:] // 5
    apart = freeze_quantiser(rows, (slice(0, 8),), "channel")
    assert len(set(shared.scale.tolist())) == 1
    assert apart.scale[7] < apart.scale[0] / 2


@pytest.mark.parametrize("shared", [True, False])
def test_extremes_are_found_and_nothing_else(shared) -> None:
    """The largest value of the calibration can be computed from a card, and is called so, whether
    columns share their range or not; a value in the middle is not."""
    rows = np.random.default_rng(6).integers(0, 17, (60, 8)).astype(np.float32)
    rows[:2] = [[0], [16]]
    rows[2] = [9, 10, 11, 12, 7, 6, 5, 4]
    if not shared:
        rows *= np.arange(1, 9, dtype=np.float32)
    quantiser = freeze_quantiser(rows, (slice(0, 8),), "channel")
    assert (len(set(quantiser.scale.tolist())) == 1) is shared
    levels = quantiser.quantise(rows)
    assert quantiser.extremes(levels[1:2]).all()
    assert not quantiser.extremes(levels[2:3]).any()


MIXED = {
    "percentages, wind, rain, a share, snow": (100, 100, 25, 18, 1, 0.3),
    "shares of processors and of losses": (100, 100, 100, 0.02),
    "probabilities and small ratios": (1,) * 10 + (0.05,) * 5,
}


@pytest.mark.parametrize("name", MIXED)
def test_quantities_from_zero_on_keep_their_resolution(name: str) -> None:
    """Several quantities that start at zero and reach the same end, beside smaller ones: each has
    levels of its own."""
    most = np.array(MIXED[name], np.float32)
    shares = np.random.default_rng(7).uniform(-0.2, 1.2, (300, len(most)))
    rows = (np.clip(shares, 0, 1) * most).astype(np.float32)
    levels = freeze_quantiser(rows, (slice(0, len(most)),), "channel").quantise(rows)
    assert min(len(np.unique(column)) for column in levels.T) > 60


def test_a_fraction_in_any_row_is_no_count() -> None:
    """A column that is zero in every seventh row, as on Sundays, keeps its resolution beside counts
    of the others."""
    random = np.random.default_rng(3)
    rows = random.integers(0, 101, (2_000, 4)).astype(np.float32)
    rows[:, 3] = random.uniform(size=2_000) * (np.arange(2_000) % 7 > 0)
    levels = freeze_quantiser(rows, (slice(0, 4),), "channel").quantise(rows)
    assert len(np.unique(levels[:, 3])) > 100


@pytest.mark.parametrize("most", [3, 16, 100, 200, 255])
def test_counts_keep_a_level_each(most: int) -> None:
    """Whatever range columns share, no two counts get the same level."""
    rows = np.random.default_rng(8).integers(0, most + 1, (400, 12))
    rows[:, 6:] //= 3
    rows[:2] = [[0], [most]]
    rows[1, 6:] = 1
    table = (rows * 0.6).astype(np.float32)
    quantiser = freeze_quantiser(table, (slice(0, 12),), "channel")
    every = np.arange(most + 1, dtype=np.float32)[:, None] * np.full(12, 0.6, np.float32)
    assert len(set(quantiser.scale.tolist())) == 1
    levels = quantiser.quantise(every)
    assert all(len(np.unique(column)) == most + 1 for column in levels.T)
    assert not quantiser.clipped(every * min(2.0, 255 / most)).any()


def test_a_small_swing_far_from_zero_keeps_its_resolution() -> None:
    """Mains voltage: 229 to 231 uses most of the levels, though zero is far away."""
    table = np.array([[229.0], [230.0], [231.0]], dtype=np.float32)
    levels = freeze_quantiser(table, (slice(0, 1),), headroom=0.25).quantise(table)
    assert levels[:, 0].tolist() == [43, 128, 213]


def test_a_dead_channel_borrows_the_range_of_its_tap() -> None:
    """A column that never moved can still tell when it moves."""
    table = np.array([[0.0, 0.0], [0.0, 8.0]], dtype=np.float32)
    quantiser = freeze_quantiser(table, (slice(0, 2),), "channel", headroom=0.0)
    assert quantiser.quantise([0.0, 0.0]).tolist() == [0, 0]
    assert quantiser.quantise([4.0, 4.0])[0] > 100


@pytest.mark.parametrize("value", [0.0, 5.0, -5.0, 1e-30, 1e30])
@pytest.mark.parametrize("granularity", ["tap", "channel"])
def test_one_constant_sample_is_enough(value, granularity) -> None:
    """A single sample without any movement gives a usable quantiser that separates change."""
    table = np.full((1, 2), value, dtype=np.float32)
    quantiser = freeze_quantiser(table, (slice(0, 2),), granularity)
    here = int(quantiser.quantise(table)[0, 0])
    there = int(quantiser.quantise(table + max(abs(value), 1.0) / 4)[0, 0])
    assert there > here


@pytest.mark.parametrize(
    ("table", "slices", "error"),
    [
        (np.zeros((0, 2)), (slice(0, 2),), PayloadError),
        (np.zeros(2), (slice(0, 2),), PayloadError),
        (np.array([[1.0, np.nan]]), (slice(0, 2),), PayloadError),
        (np.array([["a", "b"]]), (slice(0, 2),), PayloadError),
        ([[1.0], [1.0, 2.0]], (slice(0, 2),), PayloadError),
        (np.zeros((1, 2)), (slice(0, 1),), CardError),
        (np.zeros((1, 2)), (slice(1, 2), slice(0, 1)), CardError),
    ],
)
def test_impossible_calibration_is_refused(table, slices, error) -> None:
    """No rows, wrong shapes, NaN, text and slices that do not cover are refused."""
    with pytest.raises(error):
        freeze_quantiser(table, slices)


def test_unknown_granularity_and_headroom_are_refused() -> None:
    """A misspelt granularity and a negative headroom are refused."""
    for arguments in ({"granularity": "row"}, {"headroom": -1.0}, {"headroom": float("nan")}):
        with pytest.raises(CardError, match="calibrating"):
            freeze_quantiser(np.ones((2, 1)), (slice(0, 1),), **arguments)


@pytest.mark.parametrize(
    ("scale", "zero"),
    [([0.0], [0]), ([-1.0], [0]), ([np.nan], [0]), ([1.0, 1.0], [0]), ([], []), ([1.0], [0.5])],
)
def test_impossible_numbers_are_refused(scale, zero) -> None:
    """A quantiser cannot be made from zero, negative, missing or fractional numbers."""
    with pytest.raises(CardError):
        Quantiser(np.array(scale, np.float32), np.array(zero))


def test_a_quantiser_cannot_be_changed() -> None:
    """Neither its fields nor its arrays can be written to, nor through the arrays given."""
    scale = np.ones(2, np.float32)
    quantiser = Quantiser(scale, np.zeros(2, np.int32))
    scale[0] = 7
    assert quantiser.scale[0] == 1
    with pytest.raises(ValueError, match="read-only"):
        quantiser.zero[0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        quantiser.scale = scale  # type: ignore[misc]


def test_quantisers_are_equal_by_value() -> None:
    """Two with the same numbers are equal and hash alike; one other number makes them differ."""
    assert ramp() == ramp()
    assert hash(ramp()) == hash(ramp())
    assert ramp() != Quantiser(ramp().scale, ramp().zero + 1)
    assert ramp() != "a quantiser"


def test_clipped_counts_rows_outside_the_range() -> None:
    """The share of clipped rows is counted per column."""
    quantiser = Quantiser(np.ones(2, np.float32), np.zeros(2, np.int32))
    assert quantiser.clipped([[0, 256], [-1, 255], [3, 300], [1, 1]]).tolist() == [0.25, 0.5]


@pytest.mark.parametrize("values", [[[0.0, np.nan]], [[np.inf, 0.0]], np.zeros((0, 2)), [[1.0]]])
def test_an_invalid_input_of_clipped_is_refused(values: object) -> None:
    """A share of no rows, or of non-numbers, is refused."""
    quantiser = Quantiser(np.ones(2, np.float32), np.zeros(2, np.int32))
    with pytest.raises(PayloadError):
        quantiser.clipped(values)  # type: ignore[arg-type]


@pytest.mark.parametrize("zero", [-(2**63), -(2**31) - 1, 2**31, 2**64 - 1])
def test_zero_points_beyond_32_bits_are_refused(zero: int) -> None:
    """No whole number wraps round into one that looks right."""
    with pytest.raises(CardError, match="32 bits"):
        Quantiser(np.ones(1, np.float32), np.array([zero]))
