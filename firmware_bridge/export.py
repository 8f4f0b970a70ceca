"""Extracts: what a microcontroller needs of the knowledge, in integers.

An extract holds plain arrays that somebody gathered; `check` says whether they fit together and
stay within what the C code can count.  `export_image` turns it into words, `evaluator` computes
what those words mean.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .errors import BridgeError

Ints = NDArray[np.int64]
Words = NDArray[np.uint32]

BITS_STEP: Final = 256
TAP_MIN: Final = 2
BITS_MAX: Final = 1 << 16
WIDTH_MAX: Final = 1 << 16
CONCEPTS_MAX: Final = 4_096
SPREAD_MAX: Final = (1 << 22) - 1
GAIN_MAX: Final = (1 << 16) - 1
RANK_MAX: Final = 512
SHIFT_MAX: Final = 15
HEAD_BITS: Final = (8, 4)
RANDOM_PADDED_MAX: Final = 8_192
RANDOM_MAX: Final = 16_384
RANDOM_SHIFT_MAX: Final = 31
RANDOM_WEIGHT_MAX: Final = 7
LEVEL_MAX: Final = (1 << 16) - 1
REACH: Final = 1 << 25
"""Largest coordinate in the plane: what lies farther is cut; no real sample comes near."""
REST_MAX: Final = 1 << 40
SUM_MAX: Final = (1 << 31) - 1
UNDECIDED: Final = -1
"""The limit of a domain whose samples are too few for the rate that was ordered."""


class ExportError(BridgeError):
    """Knowledge that does not make an extract, or does not fit."""


@dataclass(frozen=True, slots=True, eq=False)
class ColumnsPart:
    """Features [start, start + k) times gains; the distance to a concept is city-block.

    gains: int64 [k], 1 to 65,535.  means: int64 [concepts, k], 0 or more.
    """

    start: int
    gains: Ints
    means: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlanePart:
    """Whitened directions of the features [start, start + w) after division by their norm.

    scale, zeros: int64 [w].  axes: int64 [w, r].  offset, gains, centre, lengths: int64 [r].
    rest: the gain of the length outside the axes, 0 where they leave nothing out.
    means: int64 [concepts, r].  The arithmetic is that of the detector's plane block.
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


@dataclass(frozen=True, slots=True, eq=False)
class HeadPart:
    """The answer of one domain: scores = weights @ (levels[features] << shifts) + bias, the highest
    wins.

    names: the number of each label.  weights: int8 [labels, width].  bias: int64 [labels].
    shifts: int64 [width], 0 to 15: the coarser scale of columns whose weights are large.
    bits: 8, or 4 where no weight exceeds 7 and two share a byte.
    """

    names: tuple[int, ...]
    weights: NDArray[np.int8]
    bias: Ints
    shifts: Ints
    bits: int = 8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RandomPart:
    """Random features, and what they add to the scores of a head that all domains share.

    A round makes P = 2^k >= width of them: features minus means, signs flipped, Hadamard transform,
    twice (flips: the next 2 P bits of `seed`), then clip(value >> shift, 0, 255).  Scores gain
    (weights @ (features << shifts)) << unit.  means: int64 [width].  weights: int8 [labels, F],
    -7 to 7, F = rounds P.  shifts: int64 [F], 0 to 15.
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
    """Everything a decision depends on.

    width: features uint8 [width].  tap: (start, stop), the features that hypervectors are made of.
    seed, bits: of the projection.  domains, labels: names by number.  concepts: (domain, label)
    numbers in order, those of a domain side by side.  majorities: uint32 [concepts, bits / 32].
    votes: of the blocks bits, columns, plane, as far as they are there.  scales: int64 [concepts,
    blocks, 2], usual distance and spread; common: int64 [blocks, 2], one scale for all.
    limits: int64 [domains], the highest score that is known; -1: undecided.
    heads: one per domain, None where the concept's label is the answer.  levels: int64 [256], what
    heads take for a feature of each level.  random: what one head for all domains adds to itself.
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
        """How many blocks take part in a score."""
        return 1 + (self.columns is not None) + (self.plane is not None)

    @property
    def padded(self) -> int:
        """The length of a Hadamard transform: the tap's width, rounded up to a power of two."""
        return power_of_two(self.tap[1] - self.tap[0])


def power_of_two(width: int) -> int:
    """The least power of two that is not below a width."""
    return 1 << max(0, width - 1).bit_length()


def check(extract: Extract) -> None:
    """Raise ExportError where parts do not fit together or outgrow what the C code counts in."""
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
    expect(order == sorted(order), "concepts", "those of a domain side by side", order)
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
    _within("head", _reach(extract, head), 0, SUM_MAX)


def _reach(extract: Extract, head: HeadPart) -> Ints:
    """The farthest that the score of each label can be from 0."""
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
    _within("means of the plane", plane.means, -REACH, REACH)
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
            "let all domains share a head",
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
    _within("random scores", added + _reach(extract, head), 0, SUM_MAX)


def expect(met: object, what: str, expected: str, found: object) -> None:
    """Raise ExportError unless `met`."""
    if not met:
        raise ExportError(
            f"exporting {what}: expected {expected}, found {found}",
            "gather the extract from one geometry, its memory and its heads",
        )


def _fits(name: str, array: NDArray[np.generic], shape: tuple[int, ...]) -> None:
    expect(array.shape == shape, name, f"shape {shape}", array.shape)


def _within(name: str, array: Ints, least: int, most: int) -> None:
    fine = not array.size or bool((array >= least).all() and (array <= most).all())
    expect(fine, name, f"numbers from {least} to {most}", f"up to {np.abs(array).max(initial=0)}")
