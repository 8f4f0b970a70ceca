"""The binary image of an extract, as stored in flash and update slots and sent over the wire.

Little-endian words of 32 bits, section after section; the header has the offset of each in words.
All words add up to 0 modulo 2^32.  docs/howto/firmware.md has the table.
"""

from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .evaluator import flips_of, random_flips
from .export import (
    ColumnsPart,
    ExportError,
    Extract,
    HeadPart,
    Ints,
    PlanePart,
    RandomPart,
    Words,
    check,
    power_of_two,
)

MAGIC: Final = 0x31525541  # "AUR1" in ASCII, little-endian
MAGIC_RANDOM: Final = 0x32525541
"""An extract with random features, "AUR2": code without support for them refuses it."""

HEADER_WORDS: Final = 32  # 25 in use, the rest for later versions
BLOCK: Final = 128  # PACKED in auricle_projection.c: 128 x 255 < 2^15, two sums fit a word
WIDE_MIN: Final = 1 << 16  # means from here on need 32 bits

# The words of a section's table, as `_add_columns`, `_add_plane`, `_add_head` and `_add_random`
# write.
COLUMNS_WORDS: Final = 5
PLANE_WORDS: Final = 15  # see above
HEAD_WORDS: Final = 6  # see above
RANDOM_WORDS: Final = 10  # see above


class ImageAddress(IntEnum):
    """The words of the header; for a section, the word with its offset."""

    MAGIC = 0
    WORDS = 1
    SUM = 2
    WIDTH = 3
    TAP_START = 4
    TAP_WIDTH = 5
    BITS = 6
    CONCEPTS = 7
    DOMAINS = 8
    LABELS = 9
    VOTES = 10
    WORK = 11
    FLIPS = 12
    MAJORITIES = 13
    TABLE = 14
    SCALES = 15
    COMMON = 16
    LIMITS = 17
    HEADS = 18
    LEVELS = 19
    COLUMNS = 20
    PLANE = 21
    SEED = 22
    RANDOM = 24


def pack(extract: Extract) -> bytes:
    """Pack an extract; raises ExportError if its parts do not fit together."""
    check(extract)
    image = _Image(HEADER_WORDS)
    start, stop = extract.tap
    votes = [*extract.votes, 0, 0, 0][:4]
    head = {
        ImageAddress.MAGIC: MAGIC_RANDOM if extract.random else MAGIC,
        ImageAddress.WIDTH: extract.width,
        ImageAddress.SEED: extract.seed & 0xFFFFFFFF,
        ImageAddress.SEED + 1: extract.seed >> 32 & 0xFFFFFFFF,
        ImageAddress.TAP_START: start,
        ImageAddress.TAP_WIDTH: stop - start,
        ImageAddress.BITS: extract.bits,
        ImageAddress.CONCEPTS: len(extract.concepts),
        ImageAddress.DOMAINS: len(extract.domains),
        ImageAddress.LABELS: len(extract.labels),
        ImageAddress.VOTES: sum(vote << 8 * place for place, vote in enumerate(votes)),
        ImageAddress.WORK: work_bytes(extract),
        ImageAddress.FLIPS: image.add(flips_of(extract)),
        ImageAddress.MAJORITIES: image.add(extract.majorities),
        ImageAddress.TABLE: image.add(
            np.array([d | n << 16 for d, n in extract.concepts], np.uint32)
        ),
        ImageAddress.SCALES: image.add(extract.scales.astype(np.int32)),
        ImageAddress.COMMON: image.add(extract.common.astype(np.int32)),
        ImageAddress.LIMITS: image.add(extract.limits.astype(np.int32)),
        ImageAddress.HEADS: _add_heads(image, extract.heads),
        ImageAddress.LEVELS: image.add(extract.levels.astype(np.uint16)),
        ImageAddress.COLUMNS: _add_columns(image, extract.columns) if extract.columns else 0,
        ImageAddress.PLANE: _add_plane(image, extract.plane) if extract.plane else 0,
        ImageAddress.RANDOM: _add_random(image, extract, extract.random) if extract.random else 0,
    }
    words = image.words()
    words[list(head)] = list(head.values())
    words[ImageAddress.WORDS] = len(words)
    words[ImageAddress.SUM] = -int(words.sum(dtype=np.uint64)) & 0xFFFFFFFF
    return words.astype("<u4").tobytes()


def work_bytes(extract: Extract) -> int:
    """Return the bytes of working memory of a decision, without features and hypervector."""
    padded = extract.padded
    project = 4 * (padded // 2 + (padded // BLOCK if padded > BLOCK else 2))
    plane = 4 * (len(extract.plane.gains) + 1) if extract.plane else 0
    random = 0
    if extract.random is not None:
        labels = len(extract.random.weights)
        random = 4 * (labels + labels % 2 + power_of_two(extract.width))
    return max(project, plane, random)


class _Image:
    """Concatenates sections, each aligned to a word."""

    def __init__(self, header: int) -> None:
        self._parts: list[bytes] = [bytes(4 * header)]
        self._size = header

    def add(self, array: NDArray[np.generic]) -> int:
        """Append an array as little-endian bytes; returns its offset in words."""
        flat = np.ascontiguousarray(array)
        raw = flat.astype(flat.dtype.newbyteorder("<"), copy=False).tobytes()
        at = self._size
        self._parts.append(raw + bytes(-len(raw) % 4))
        self._size += len(self._parts[-1]) // 4
        return at

    def words(self) -> Words:
        """Return all words so far."""
        return np.frombuffer(b"".join(self._parts), dtype="<u4").astype(np.uint32)


def _add_heads(image: _Image, heads: tuple[HeadPart | None, ...]) -> int:
    """Add a row per domain; a head that several domains share is stored once."""
    rows: dict[int, tuple[int, ...]] = {}
    for head in heads:
        if id(head) not in rows:
            rows[id(head)] = _add_head(image, head)
    return image.add(np.array([rows[id(head)] for head in heads], np.uint32))


def _add_head(image: _Image, head: HeadPart | None) -> tuple[int, ...]:
    if head is None:
        return (0,) * 6
    return (
        len(head.names),
        int(head.bits == 4),
        image.add(_halves(head.weights) if head.bits == 4 else head.weights),
        image.add(head.bias.astype(np.int32)),
        image.add(np.array(head.names, np.uint32)),
        image.add(head.shifts.astype(np.uint8)),
    )


def _halves(weights: NDArray[np.int8]) -> NDArray[np.uint8]:
    """Pack two rows into one: the first in the low half of each byte; an odd last row with
    zeros."""
    paired = np.zeros((len(weights) + len(weights) % 2, weights.shape[1]), np.uint8)
    paired[: len(weights)] = weights.view(np.uint8) & 15
    return np.asarray(paired[::2] | paired[1::2] << np.uint8(4), np.uint8)


def _add_columns(image: _Image, columns: ColumnsPart) -> int:
    wide = int(columns.means.max(initial=0) >= WIDE_MIN)
    gains = image.add(columns.gains.astype(np.uint16))
    means = image.add(columns.means.astype(np.uint32 if wide else np.uint16))
    table = (columns.start, len(columns.gains), wide, gains, means)
    return image.add(np.array(table, np.uint32))


def _add_plane(image: _Image, plane: PlanePart) -> int:
    # Axes have 1 << wide bytes a number.
    wide = 1 + int(np.abs(plane.axes).max(initial=0) >= WIDE_MIN // 2)
    table = (
        plane.start,
        len(plane.scale),
        len(plane.gains),
        wide,
        plane.rest & 0xFFFFFFFF,
        plane.rest >> 32,
        plane.fixed,
        image.add(plane.scale.astype(np.uint16)),
        image.add(plane.zeros.astype(np.int16)),
        image.add(plane.axes.T.astype(np.int16 if wide == 1 else np.int32)),
        *(
            image.add(part.astype(np.int32))
            for part in (plane.offset, plane.gains, plane.centre, plane.lengths, plane.means)
        ),
    )
    return image.add(np.array(table, np.uint32))


def _add_random(image: _Image, extract: Extract, random: RandomPart) -> int:
    labels, padded = len(random.weights), power_of_two(extract.width)
    # Grouped by round, so that a board computes the features of one round at a time.
    halves = _halves(random.weights)
    weights = halves.reshape(len(halves), random.rounds, padded).transpose(1, 0, 2)
    table = (
        random.rounds,
        random.shift,
        random.unit,
        labels,
        image.add(random_flips(random, padded)),
        image.add(random.means.astype(np.uint8)),
        image.add(weights),
        image.add(random.shifts.astype(np.uint8)),
        random.seed & 0xFFFFFFFF,
        random.seed >> 32 & 0xFFFFFFFF,
    )
    return image.add(np.array(table, np.uint32))


def unpack(image: bytes) -> Extract:
    """Unpack an extract that `pack` wrote; domains and labels get numbers as names.  Raises
    ExportError if the bytes are damaged or of another kind."""
    words = np.frombuffer(image[: len(image) // 4 * 4], "<u4").astype(np.uint32)
    whole = len(words) >= HEADER_WORDS and words[ImageAddress.MAGIC] in (MAGIC, MAGIC_RANDOM)
    if (
        not whole
        or words[ImageAddress.WORDS] != len(words)
        or int(words.sum(dtype=np.uint64)) % 2**32
    ):
        raise ExportError(
            f"reading an extract of {len(image)} bytes: wrong magic number, length or checksum",
            "export it again with `auricle export-c`",
        )
    try:
        made = _Reader(words).extract()
    except (IndexError, ValueError) as error:
        raise ExportError(
            f"reading an extract: a section does not fit: {error}",
            "export it again with `auricle export-c`",
        ) from error
    check(made)
    return made


class _Reader:
    def __init__(self, words: Words) -> None:
        self._words = words
        self._bytes = words.astype("<u4").tobytes()

    def extract(self) -> Extract:
        head = [int(word) for word in self._words[:HEADER_WORDS]]
        count, domains = head[ImageAddress.CONCEPTS], head[ImageAddress.DOMAINS]
        blocks = 1 + bool(head[ImageAddress.COLUMNS]) + bool(head[ImageAddress.PLANE])
        table = self._read(head[ImageAddress.TABLE], count, "<u4")
        start = head[ImageAddress.TAP_START]
        votes = tuple(head[ImageAddress.VOTES] >> 8 * place & 255 for place in range(blocks))
        return Extract(
            width=head[ImageAddress.WIDTH],
            tap=(start, start + head[ImageAddress.TAP_WIDTH]),
            seed=head[ImageAddress.SEED] | head[ImageAddress.SEED + 1] << 32,
            bits=head[ImageAddress.BITS],
            domains=tuple(f"domain {number}" for number in range(domains)),
            labels=tuple(f"label {number}" for number in range(head[ImageAddress.LABELS])),
            concepts=tuple((int(word) & 0xFFFF, int(word) >> 16) for word in table),
            majorities=self._read(
                head[ImageAddress.MAJORITIES], count * head[ImageAddress.BITS] // 32, "<u4"
            )
            .reshape(count, -1)
            .astype(np.uint32),
            votes=votes,
            scales=self._read(head[ImageAddress.SCALES], count * blocks * 2, "<i4").reshape(
                count, blocks, 2
            ),
            common=self._read(head[ImageAddress.COMMON], blocks * 2, "<i4").reshape(blocks, 2),
            limits=self._read(head[ImageAddress.LIMITS], domains, "<i4"),
            heads=self._heads(head[ImageAddress.HEADS], domains, head[ImageAddress.WIDTH]),
            levels=self._read(head[ImageAddress.LEVELS], 256, "<u2"),
            columns=self._columns(head[ImageAddress.COLUMNS], count)
            if head[ImageAddress.COLUMNS]
            else None,
            plane=self._plane(head[ImageAddress.PLANE], count)
            if head[ImageAddress.PLANE]
            else None,
            random=self._random(head[ImageAddress.RANDOM], head[ImageAddress.WIDTH])
            if head[ImageAddress.MAGIC] == MAGIC_RANDOM
            else None,
        )

    def _read(self, at: int, count: int, dtype: str) -> Ints:
        """Read numbers at an offset in words; raises ValueError if the image is too short."""
        return np.frombuffer(self._bytes, dtype, count, 4 * at).astype(np.int64)

    def _heads(self, at: int, domains: int, width: int) -> tuple[HeadPart | None, ...]:
        rows = self._read(at, domains * HEAD_WORDS, "<u4").reshape(domains, HEAD_WORDS)
        keys = [tuple(int(word) for word in row) for row in rows]
        # Domains that share a head get the same object.
        made = {key: self._head(key, width) for key in keys}
        return tuple(made[key] for key in keys)

    def _head(self, row: tuple[int, ...], width: int) -> HeadPart | None:
        labels, narrow, weights, bias, names, shifts = row
        if not labels:
            return None
        stored = (labels + narrow) // (1 + narrow)
        raw = self._read(weights, stored * width, "<u1").astype(np.uint8).reshape(stored, width)
        return HeadPart(
            tuple(int(name) for name in self._read(names, labels, "<u4")),
            _unpaired(raw, labels) if narrow else raw.view(np.int8),
            self._read(bias, labels, "<i4"),
            self._read(shifts, width, "<u1"),
            4 if narrow else 8,
        )

    def _columns(self, at: int, concepts: int) -> ColumnsPart:
        start, count, wide, gains, means = (int(w) for w in self._read(at, COLUMNS_WORDS, "<u4"))
        held = self._read(means, concepts * count, "<u4" if wide else "<u2")
        return ColumnsPart(start, self._read(gains, count, "<u2"), held.reshape(concepts, count))

    def _plane(self, at: int, concepts: int) -> PlanePart:
        table = [int(word) for word in self._read(at, PLANE_WORDS, "<u4")]
        start, size, rank, wide, low, high, fixed, *places = table
        scale, zeros, axes, *numbers, means = places
        offset, gains, centre, lengths = (self._read(place, rank, "<i4") for place in numbers)
        held = self._read(axes, size * rank, "<i2" if wide == 1 else "<i4")
        return PlanePart(
            start=start,
            scale=self._read(scale, size, "<u2"),
            zeros=self._read(zeros, size, "<i2"),
            axes=held.reshape(rank, size).T,
            offset=offset,
            gains=gains,
            centre=centre,
            lengths=lengths,
            rest=low | high << 32,
            fixed=fixed,
            means=self._read(means, concepts * rank, "<i4").reshape(concepts, rank),
        )

    def _random(self, at: int, width: int) -> RandomPart:
        table = [int(word) for word in self._read(at, RANDOM_WORDS, "<u4")]
        rounds, shift, unit, labels, _, means, weights, shifts, low, high = table
        padded, pairs = power_of_two(width), (labels + 1) // 2
        raw = self._read(weights, rounds * pairs * padded, "<u1").astype(np.uint8)
        halves = raw.reshape(rounds, pairs, padded).transpose(1, 0, 2).reshape(pairs, -1)
        return RandomPart(
            seed=low | high << 32,
            rounds=rounds,
            shift=shift,
            unit=unit,
            means=self._read(means, width, "<u1"),
            weights=_unpaired(halves, labels),
            shifts=self._read(shifts, rounds * padded, "<u1"),
        )


def _unpaired(raw: NDArray[np.uint8], labels: int) -> NDArray[np.int8]:
    """Unpack rows of 4-bit numbers, two to a byte."""
    low, high = raw << np.uint8(4), raw & np.uint8(0xF0)
    rows = np.stack([low, high], axis=1).reshape(-1, raw.shape[1]).view(np.int8)
    return np.asarray(rows[:labels] >> np.int8(4), np.int8)
