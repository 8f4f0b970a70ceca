"""Extracts as words: the one layout that flash, update slots and the wire carry.

Little-endian words of 32 bits, section after section; the header names the place of each, counted
in words from the start.  All words add up to 0 modulo 2^32.
docs/howto/firmware.md holds the table.
"""

from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .evaluator import flips_of, random_flips
from .export import (
    ColumnsPart,
    Extract,
    HeadPart,
    PlanePart,
    RandomPart,
    Words,
    check,
    power_of_two,
)

MAGIC: Final = 0x31525541
MAGIC_RANDOM: Final = 0x32525541
"""Of an extract with random features: code that does not know them refuses it."""

HEADER_WORDS: Final = 32
BLOCK: Final = 128
WIDE_MIN: Final = 1 << 16


class ImageAddress(IntEnum):
    """Which word of the header holds what; of a section, where it starts, counted in words."""

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
    """The words of an extract; raises ExportError where its parts do not fit together."""
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
    """Bytes of RAM that a decision works in, beside the features and the hypervector."""
    padded = extract.padded
    project = 4 * (padded // 2 + (padded // BLOCK if padded > BLOCK else 2))
    plane = 4 * (len(extract.plane.gains) + 1) if extract.plane else 0
    random = 0
    if extract.random is not None:
        labels = len(extract.random.weights)
        random = 4 * (labels + labels % 2 + power_of_two(extract.width))
    return max(project, plane, random)


class _Image:
    """Sections put one after the other, each from a whole word on."""

    def __init__(self, header: int) -> None:
        self._parts: list[bytes] = [bytes(4 * header)]
        self._size = header

    def add(self, array: NDArray[np.generic]) -> int:
        """Append an array as little-endian bytes; returns where it starts, in words."""
        flat = np.ascontiguousarray(array)
        raw = flat.astype(flat.dtype.newbyteorder("<"), copy=False).tobytes()
        at = self._size
        self._parts.append(raw + bytes(-len(raw) % 4))
        self._size += len(self._parts[-1]) // 4
        return at

    def words(self) -> Words:
        """Everything so far."""
        return np.frombuffer(b"".join(self._parts), dtype="<u4").astype(np.uint32)


def _add_heads(image: _Image, heads: tuple[HeadPart | None, ...]) -> int:
    """A row a domain; a head that several domains share is stored once."""
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
    """Two rows in one: the earlier in the low half of each byte, the last beside zeros."""
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
    # Numbers of 1 << wide bytes.
    wide = 1 + int(np.abs(plane.axes).max(initial=0) >= WIDE_MIN // 2)
    table = (
        plane.start,
        len(plane.scale),
        len(plane.gains),
        wide,
        plane.rest & 0xFFFFFFFF,
        plane.rest >> 32,
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
    # Round after round, so that a board makes the features of one round at a time.
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
