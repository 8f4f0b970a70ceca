"""Extracts: the part of the knowledge that a microcontroller needs, in integers.

An extract holds plain arrays.  `check` verifies that they fit together and that the C code cannot
overflow.  `export_image` packs it into words, `evaluator` computes its decisions.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .errors import BridgeError

Ints = NDArray[np.int64]
Words = NDArray[np.uint32]

BITS_STEP: Final = 256  # the carry-save adders of auricle_detector.c count 8 words at a time
TAP_MIN: Final = 2  # the first stage of the C transform takes two halves
BITS_MAX: Final = 1 << 16  # 8 KiB a concept: more fits no microcontroller
WIDTH_MAX: Final = 1 << 16  # sums of 2^16 features of 8 bits stay below 2^24
CONCEPTS_MAX: Final = 4_096  # bounds the table of concepts; a larger one fits no microcontroller
SPREAD_MAX: Final = (1 << 22) - 1  # 1,024 deviations stay below 2^32 in the score's division
GAIN_MAX: Final = (1 << 16) - 1  # stored as uint16
RANK_MAX: Final = 512  # bounds the working memory: 4 bytes a direction
SHIFT_MAX: Final = 15  # features of 16 bits and shifts of 15 stay within 31 bits
HEAD_BITS: Final = (8, 4)  # a weight per byte, or two

# Random features: a transform of 8,192 words takes 32 KiB of RAM, and 16,384 features with weights
# of 4 bits take 8 KiB of flash a label: more fits no microcontroller.
RANDOM_PADDED_MAX: Final = 8_192
RANDOM_MAX: Final = 16_384  # see above

RANDOM_SHIFT_MAX: Final = 31  # shifts of an int32
RANDOM_WEIGHT_MAX: Final = 7  # the symmetric range of 4 bits
LEVEL_MAX: Final = (1 << 16) - 1  # stored as uint16

COORDINATE_MAX: Final = 1 << 25
"""Largest coordinate in the plane; larger ones are clipped.  Half a million deviations: no real
sample comes near, and sums of 512 squares stay below 2^63."""

REST_MAX: Final = 1 << 37  # the product with a length up to 2^25 stays below 2^63
SUM_MAX: Final = (1 << 31) - 1  # int32

UNDECIDED: Final = -1
"""The limit of a domain with too few samples for the false-alarm rate."""


class ExportError(BridgeError):
    """The parts of an extract do not fit together, or overflow the C code."""


@dataclass(frozen=True, slots=True, eq=False)
class ColumnsPart:
    """The columns block: features [start, start + k) times gains, city-block distance.

    gains: int64 [k], 1 to 65,535.  means: int64 [concepts, k], 0 or more.
    """

    start: int
    gains: Ints
    means: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlanePart:
    """The plane block: whitened directions of the features [start, start + w) over their norm, or
    over `fixed` unless that is 0.

    scale, zeros: int64 [w].  axes: int64 [w, r].  offset, gains, centre, lengths: int64 [r].
    rest: the gain of the length outside the axes, 0 if they span the tap.
    means: int64 [concepts, r].  The arithmetic is that of `hdc.blocks.Plane`.
    """

    start: int
    scale: Ints
    zeros: Ints
    axes: Ints
    offset: Ints
    gains: Ints
    centre: Ints
    lengths: Ints
    rest: int
    means: Ints
    fixed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class HeadPart:
    """The linear classifier of one domain: the highest of weights @ (levels[features] << shifts) +
    bias.

    names: the number of each label.  weights: int8 [labels, width].  bias: int64 [labels].
    shifts: int64 [width], 0 to 15: a coarser scale for columns with large weights.
    bits: 8, or 4 if no weight exceeds 7 and two share a byte.
    """

    names: tuple[int, ...]
    weights: NDArray[np.int8]
    bias: Ints
    shifts: Ints
    bits: int = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RandomPart:
    """Random features, and their weights in a head that all domains share.

    A round makes P = 2^k >= width of them: subtract the means, then twice flip signs and apply a
    Hadamard transform (flips: the next 2 P bits of `seed`), then clip(value >> shift, 0, 255).
    They add (weights @ (features << shifts)) << unit to the scores.  means: int64 [width].
    weights: int8 [labels, F], -7 to 7, F = rounds P.  shifts: int64 [F], 0 to 15.
    """

    seed: int
    rounds: int
    shift: int
    unit: int
    means: Ints
    weights: NDArray[np.int8]
    shifts: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Extract:
    """Everything that decides the output of a microcontroller.

    width: features uint8 [width].  tap: (start, stop), the features of the hypervectors.
    seed, bits: of the projection.  domains, labels: names by number.  concepts: (domain, label)
    numbers, grouped by domain.  majorities: uint32 [concepts, bits / 32].  votes: weights of the
    blocks present, of bits, columns and plane.  scales: int64 [concepts, blocks, 2], mean and
    deviation of the distance; common: int64 [blocks, 2], one scale for all concepts.  limits: int64
    [domains], the highest score of a known sample; -1: undecided.  heads: one per domain, None if
    the concept's label is the answer.  levels: int64 [256], the input of heads for each feature
    level.  random: the random features of one head for all domains.
    """

    width: int
    tap: tuple[int, int]
    seed: int
    bits: int
    domains: tuple[str, ...]
    labels: tuple[str, ...]
    concepts: tuple[tuple[int, int], ...]
    majorities: Words
    votes: tuple[int, ...]
    scales: Ints
    common: Ints
    limits: Ints
    heads: tuple[HeadPart | None, ...]
    levels: Ints
    columns: ColumnsPart | None = None
    plane: PlanePart | None = None
    random: RandomPart | None = None

    @property
    def blocks(self) -> int:
        """The number of blocks in a score."""
        return 1 + (self.columns is not None) + (self.plane is not None)

    @property
    def padded(self) -> int:
        """The length of a Hadamard transform: the tap's width, rounded up to a power of two."""
        return power_of_two(self.tap[1] - self.tap[0])


def power_of_two(width: int) -> int:
    """Return the smallest power of two that is at least `width`."""
    return 1 << max(0, width - 1).bit_length()


def check(extract: Extract) -> None:
    """Raise ExportError if parts do not fit together or overflow the integers of the C code."""
    count, domains = len(extract.concepts), len(extract.domains)
    start, stop = extract.tap
    blocks = extract.blocks
    expect(1 <= extract.width <= WIDTH_MAX, "width", f"1 to {WIDTH_MAX}", extract.width)
    inside = 0 <= start <= stop - TAP_MIN and stop <= extract.width
    expect(inside, "tap", f"{TAP_MIN} or more of the features", extract.tap)
    whole = BITS_STEP <= extract.bits <= BITS_MAX and extract.bits % BITS_STEP == 0
    expect(whole, "bits", f"a multiple of {BITS_STEP} up to {BITS_MAX}", extract.bits)
    expect(1 <= count <= CONCEPTS_MAX, "concepts", f"1 to {CONCEPTS_MAX}", count)
    order = [domain for domain, _ in extract.concepts]
    expect(order == sorted(order), "concepts", "concepts grouped by domain", order)
    known = {(d, n) for d in range(domains) for n in range(len(extract.labels))}
    expect(set(extract.concepts) <= known, "concepts", "numbers of domains and labels", "others")
    _fits("majorities", extract.majorities, (count, extract.bits // 32))
    _fits("scales", extract.scales, (count, blocks, 2))
    _fits("common", extract.common, (blocks, 2))
    _fits("limits", extract.limits, (domains,))
    expect(len(extract.votes) == blocks, "votes", f"{blocks} of them", extract.votes)
    expect(all(1 <= v <= 8 for v in extract.votes), "votes", "1 to 8 each", extract.votes)
    for name, scales in (("scales", extract.scales), ("common", extract.common)):
        _within(name, scales[..., 0], 0, SUM_MAX)
        _within(name, scales[..., 1], 1, SPREAD_MAX)
    _within("limits", extract.limits, UNDECIDED, SUM_MAX)
    _fits("levels", extract.levels, (256,))
    _within("levels", extract.levels, 0, LEVEL_MAX)
    expect(len(extract.heads) == domains, "heads", f"{domains} of them", len(extract.heads))
    for head in extract.heads:
        if head is not None:
            _check_head(extract, head)
    if extract.columns is not None:
        _check_columns(extract, extract.columns)
    if extract.plane is not None:
        _check_plane(extract, extract.plane)
    if extract.random is not None:
        _check_random(extract, extract.random)


def _check_head(extract: Extract, head: HeadPart) -> None:
    labels = len(head.names)
    _fits("weights", head.weights, (labels, extract.width))
    _fits("bias", head.bias, (labels,))
    numbers = all(0 <= name < len(extract.labels) for name in head.names)
    expect(labels > 0 and numbers, "head", "numbers of labels", head.names)
    _fits("shifts", head.shifts, (extract.width,))
    _within("shifts", head.shifts, 0, SHIFT_MAX)
    expect(head.weights.dtype == np.int8, "weights", "int8", head.weights.dtype)
    expect(head.bits in HEAD_BITS, "head", f"weights of {HEAD_BITS} bits", head.bits)
    most = (1 << head.bits - 1) - 1
    _within("weights", head.weights.astype(np.int64), -most, most)
    _within("head", _score_bound(extract, head), 0, SUM_MAX)


def _score_bound(extract: Extract, head: HeadPart) -> Ints:
    """Return the largest absolute score of each label."""
    lengths = (np.abs(head.weights.astype(np.int64)) << head.shifts).sum(axis=1)
    return np.asarray(lengths * int(extract.levels.max()) + np.abs(head.bias))


def _check_columns(extract: Extract, columns: ColumnsPart) -> None:
    size = len(columns.gains)
    expect(
        columns.start >= 0 and 0 < size <= extract.width - columns.start,
        "columns",
        "a part of the features",
        (columns.start, columns.start + size),
    )
    _fits("means of columns", columns.means, (len(extract.concepts), size))
    _within("gains of columns", columns.gains, 1, GAIN_MAX)
    _within("means of columns", columns.means, 0, SUM_MAX)
    farthest = np.maximum(columns.means, columns.gains * 255 - columns.means).sum(axis=1)
    _within("distances by columns", farthest, 0, SUM_MAX)


def _check_plane(extract: Extract, plane: PlanePart) -> None:
    size, rank = len(plane.scale), len(plane.gains)
    place = (plane.start, plane.start + size)
    inside = plane.start >= 0 and 0 < size <= extract.width - plane.start
    expect(inside, "plane", "a part of the features", place)
    expect(1 <= rank <= RANK_MAX, "plane", f"1 to {RANK_MAX} directions", rank)
    expect(0 <= plane.fixed <= SUM_MAX, "plane", f"a divisor up to {SUM_MAX}", plane.fixed)
    expect(0 <= plane.rest <= REST_MAX, "plane", f"a rest up to {REST_MAX}", plane.rest)
    _fits("zeros", plane.zeros, (size,))
    _fits("axes", plane.axes, (size, rank))
    _fits("means of the plane", plane.means, (len(extract.concepts), rank))
    for name in ("offset", "centre", "lengths"):
        _fits(name, getattr(plane, name), (rank,))
        _within(name, getattr(plane, name), -SUM_MAX, SUM_MAX)
    _within("gains of the plane", plane.gains, 0, SUM_MAX)
    _within("scale", plane.scale, 1, 255)
    _within("zeros", plane.zeros, -4096, 4096)
    _within("means of the plane", plane.means, -COORDINATE_MAX, COORDINATE_MAX)
    _within("axes", np.abs(plane.axes).sum(axis=0) * 255 + np.abs(plane.offset), 0, SUM_MAX)


def _check_random(extract: Extract, random: RandomPart) -> None:
    padded = power_of_two(extract.width)
    wide = extract.width >= TAP_MIN and padded <= RANDOM_PADDED_MAX
    expect(wide, "random features", f"{TAP_MIN} to {RANDOM_PADDED_MAX} features", extract.width)
    many = random.rounds >= 1 and random.rounds * padded <= RANDOM_MAX
    expect(many, "random features", f"1 to {RANDOM_MAX}", random.rounds * padded)
    head = extract.heads[0]
    if head is None or any(one is not head for one in extract.heads):
        raise ExportError(
            "exporting random features: expected one head for all domains, found several or none",
            "share one head among all domains",
        )
    _fits("random weights", random.weights, (len(head.names), random.rounds * padded))
    expect(random.weights.dtype == np.int8, "random weights", "int8", random.weights.dtype)
    weights = random.weights.astype(np.int64)
    _within("random weights", weights, -RANDOM_WEIGHT_MAX, RANDOM_WEIGHT_MAX)
    _fits("means of random features", random.means, (extract.width,))
    _within("means of random features", random.means, 0, 255)
    _fits("shifts of random weights", random.shifts, weights.shape[1:])
    _within("shifts of random weights", random.shifts, 0, SHIFT_MAX)
    powers = np.array([random.shift, random.unit])
    _within("shifts of random features", powers, 0, RANDOM_SHIFT_MAX)
    added = (np.abs(weights) << random.shifts).sum(axis=1) * 255 << random.unit
    _within("random scores", added + _score_bound(extract, head), 0, SUM_MAX)


def expect(met: object, what: str, expected: str, found: object) -> None:
    """Raise ExportError unless `met`."""
    if not met:
        raise ExportError(
            f"exporting {what}: expected {expected}, found {found}",
            "make the extract from one geometry, its memory and its heads",
        )


def _fits(name: str, array: NDArray[np.generic], shape: tuple[int, ...]) -> None:
    expect(array.shape == shape, name, f"shape {shape}", array.shape)


def _within(name: str, array: Ints, least: int, most: int) -> None:
    fine = not array.size or bool((array >= least).all() and (array <= most).all())
    expect(fine, name, f"numbers from {least} to {most}", f"up to {np.abs(array).max(initial=0)}")
