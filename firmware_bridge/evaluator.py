"""The reference evaluator: the decisions of an extract in numpy integers, bit for bit as in C.

Written from the description in docs/howto/firmware.md, independently of the C source and of `hdc`,
so that tests compare separate implementations.  All numbers are int64.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .export import (
    COORDINATE_MAX,
    ColumnsPart,
    Extract,
    HeadPart,
    Ints,
    PlanePart,
    RandomPart,
    Words,
    power_of_two,
)

# As in `hdc.integers`: a deviation, the part below the mean that counts, and the cap of a block.
ONE: Final = 1024
BELOW: Final = 2 * ONE  # see above
LIMIT: Final = 1 << 16  # see above
# `auricle_known` in auricle_detector.h.
NEW, KNOWN, UNDECIDED = 0, 1, 2

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)  # the increment of SplitMix64
_CHUNK: Final = 512  # rows at once: bounds the memory of intermediate results
_LENGTH_BITS: Final = 20  # lengths are in units of 2^-20 of the divisor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExtractDecisions:
    """The decisions on n samples.

    bits: uint32 [n, words].  Each of score, concept, domain, label, answer, known: int64 [n];
    known is 0 for novel, 1 for known, 2 for undecided.
    """

    bits: Words
    score: Ints
    concept: Ints
    domain: Ints
    label: Ints
    answer: Ints
    known: Ints


def decide(extract: Extract, features: NDArray[np.uint8]) -> ExtractDecisions:
    """Decide on features uint8 [n, width].  Cost: bits * log2(tap width) additions a sample."""
    rows = np.atleast_2d(features)
    bits = project(extract, rows)
    measured = distances(extract, rows, bits)
    common = combine(measured, extract.common, extract.votes)
    own = combine(measured, extract.scales, extract.votes)
    domains = np.array([domain for domain, _ in extract.concepts])
    labels = np.array([label for _, label in extract.concepts])
    routed = domains[common.argmin(axis=1)]
    mine = np.where(domains[None] == routed[:, None], own, np.iinfo(np.int64).max)
    concept = mine.argmin(axis=1)
    score = mine[np.arange(len(rows)), concept]
    limit = extract.limits[routed]
    known = np.where(limit < 0, UNDECIDED, np.where(score <= limit, KNOWN, NEW))
    answer = np.array(labels[concept])
    for domain, head in enumerate(extract.heads):
        part = routed == domain
        if head is not None and part.any():
            answer[part] = np.array(head.names)[
                head_scores(extract, head, rows[part]).argmax(axis=1)
            ]
    return ExtractDecisions(
        bits=bits,
        score=score,
        concept=concept,
        domain=routed,
        label=labels[concept],
        answer=answer,
        known=known,
    )


def head_scores(extract: Extract, head: HeadPart, rows: NDArray[np.uint8]) -> Ints:
    """Return the scores of each label, int64 [n, labels]."""
    shifted = extract.levels[rows] << head.shifts
    scores = np.asarray(shifted @ head.weights.astype(np.int64).T + head.bias)
    if extract.random is not None:
        weights = extract.random.weights.astype(np.float64) * (1 << extract.random.shifts)
        # Sums stay far below 2^53, so floats are exact, and faster.
        added = random_features(extract.random, rows).astype(np.float64) @ weights.T
        scores += added.astype(np.int64) << extract.random.unit
    return scores


def random_flips(random: RandomPart, padded: int) -> Words:
    """Return the sign flips, two runs of `padded` a round, as uint32; lowest bit first."""
    count = 2 * random.rounds * padded
    words = random_words(random.seed, -(-count // 64)).astype("<u8")
    return np.asarray(words.view("<u4")[: -(-count // 32)].astype(np.uint32))


def random_features(random: RandomPart, rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return random features uint8 [n, rounds * padded] of features uint8 [n, width]."""
    width = rows.shape[1]
    padded = power_of_two(width)
    octets = random_flips(random, padded).astype("<u4").view(np.uint8)
    flips = np.unpackbits(octets, bitorder="little")[: 2 * random.rounds * padded]
    signs = 1 - 2 * flips.reshape(random.rounds, 2, padded).astype(np.int32)
    made = np.empty((len(rows), random.rounds * padded), dtype=np.uint8)
    step = max(1, _CHUNK * _CHUNK // (random.rounds * padded))
    for at in range(0, len(rows), step):
        centred = rows[at : at + step].astype(np.int32) - random.means.astype(np.int32)
        values = np.zeros((len(centred), random.rounds, padded), dtype=np.int32)
        values[..., :width] = centred[:, None] * signs[:, 0, :width]
        mixed = _hadamard(_hadamard(values) * signs[:, 1]) >> random.shift
        made[at : at + step] = np.clip(mixed, 0, 255).reshape(len(centred), -1)
    return made


def random_words(seed: int, count: int) -> NDArray[np.uint64]:
    """Return `count` words of the SplitMix64 sequence of a seed (Steele et al. 2014)."""
    start = np.uint64(seed & 0xFFFFFFFFFFFFFFFF)
    state = start + _GOLDEN * np.arange(1, count + 1, dtype=np.uint64)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def flips_of(extract: Extract) -> Words:
    """Return the sign flips of whole rounds as uint32; lowest bit first."""
    total = -(-extract.bits // extract.padded) * extract.padded
    words = random_words(extract.seed, -(-total // 64)).astype("<u8")
    return np.asarray(words.view("<u4")[: -(-total // 32)].astype(np.uint32))


def project(extract: Extract, rows: NDArray[np.uint8]) -> Words:
    """Return hypervectors uint32 [n, bits / 32]: signs of seeded Hadamard transforms."""
    start, stop = extract.tap
    padded, made = extract.padded, []
    total = -(-extract.bits // padded) * padded
    flips = np.unpackbits(flips_of(extract).astype("<u4").view(np.uint8), bitorder="little")
    signs = 1 - 2 * flips[:total].reshape(-1, padded).astype(np.int32)
    for at in range(0, len(rows), _CHUNK):
        part = rows[at : at + _CHUNK, start:stop]
        values = np.zeros((len(part), len(signs), padded), dtype=np.int32)
        values[..., : stop - start] = part[:, None] * signs[:, : stop - start]
        negative = (_hadamard(values) < 0).reshape(len(part), -1)[:, : extract.bits]
        made.append(np.packbits(negative, axis=1, bitorder="little"))
    octets = np.concatenate(made) if made else np.empty((0, extract.bits // 8), dtype=np.uint8)
    return np.asarray(np.ascontiguousarray(octets).view("<u4"), np.uint32)


def _hadamard(values: NDArray[np.int32]) -> NDArray[np.int32]:
    """Compute the Hadamard transform of the last axis in place, stage by stage."""
    shape, size = values.shape, values.shape[-1]
    step = 1
    while step < size:
        pairs = values.reshape(*shape[:-1], size // (2 * step), 2, step)
        first, second = pairs[..., 0, :] + pairs[..., 1, :], pairs[..., 0, :] - pairs[..., 1, :]
        pairs[..., 0, :], pairs[..., 1, :] = first, second
        step *= 2
    return values


def distances(extract: Extract, rows: NDArray[np.uint8], bits: Words) -> Ints:
    """Return distances int64 [n, concepts, blocks] of samples with their hypervectors."""
    made = np.empty((len(rows), len(extract.concepts), extract.blocks), dtype=np.int64)
    for concept, majority in enumerate(extract.majorities):
        made[:, concept, 0] = np.bitwise_count(bits ^ majority).sum(axis=1, dtype=np.int64)
    if extract.columns is not None:
        made[..., 1] = _by_columns(extract.columns, rows)
    if extract.plane is not None:
        made[..., -1] = _by_plane(extract.plane, plane_code(extract.plane, rows))
    return made


def _by_columns(columns: ColumnsPart, rows: NDArray[np.uint8]) -> Ints:
    part = rows[:, columns.start : columns.start + len(columns.gains)]
    values = part.astype(np.int64) * columns.gains
    return np.stack([np.abs(values - mean).sum(axis=1) for mean in columns.means], axis=1)


def plane_code(plane: PlanePart, rows: NDArray[np.uint8]) -> Ints:
    """Return coordinates int64 [n, r + 1] in the plane; the last is the length outside."""
    part = rows[:, plane.start : plane.start + len(plane.scale)].astype(np.int64)
    norms = root(np.square((part - plane.zeros) * plane.scale).sum(axis=1))
    norms = np.maximum(norms, 1)
    by = np.full(len(rows), plane.fixed) if plane.fixed else norms
    whole = np.square(np.minimum((norms << _LENGTH_BITS) // by, COORDINATE_MAX))
    divisor = (by << 10)[:, None]
    along = part @ plane.axes - plane.offset
    inside = (
        np.clip(along * plane.gains // divisor, -COORDINATE_MAX - 1, COORDINATE_MAX) - plane.centre
    )
    outside = np.zeros(len(rows), dtype=np.int64)
    if plane.rest:
        units = np.clip(along * plane.lengths // divisor, -COORDINATE_MAX - 1, COORDINATE_MAX)
        left = np.maximum(whole - np.square(units).sum(axis=1), 0)
        outside = root(left) * plane.rest >> 32
    made = np.concatenate([inside, outside[:, None]], axis=1)
    return np.asarray(np.clip(made, -COORDINATE_MAX, COORDINATE_MAX))


def _by_plane(plane: PlanePart, code: Ints) -> Ints:
    outside = np.square(code[:, -1])
    apart = [np.square(code[:, :-1] - mean).sum(axis=1) for mean in plane.means]
    return np.stack([root(squares + outside) for squares in apart], axis=1)


def combine(measured: Ints, scales: Ints, votes: tuple[int, ...]) -> Ints:
    """Return scores int64 [n, concepts] of distances [n, concepts, blocks]: the root of the
    weighted squares of the excess over two deviations below the mean, 1,024 a unit."""
    above = (measured - scales[..., 0]) * ONE // scales[..., 1] + BELOW
    return root(np.square(np.clip(above, 0, LIMIT)) @ np.asarray(votes, dtype=np.int64))


def root(squares: Ints) -> Ints:
    """Return square roots, rounded down, of whole numbers below 2^62: float roots, corrected."""
    made = np.sqrt(squares.astype(np.float64)).astype(np.int64)
    made -= made * made > squares
    return np.asarray(made + ((made + 1) * (made + 1) <= squares))
