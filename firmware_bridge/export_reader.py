"""Words back to an extract, as far as words hold one: domains and labels are numbers there."""

import numpy as np
from numpy.typing import NDArray

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
from .export_image import HEADER_WORDS, MAGIC, MAGIC_RANDOM, ImageAddress

COLUMNS_WORDS = 5
PLANE_WORDS = 14
HEAD_WORDS = 6
RANDOM_WORDS = 10


def unpack(image: bytes) -> Extract:
    """The extract that `pack` wrote; raises ExportError where the bytes are none, or damaged."""
    words = np.frombuffer(image[: len(image) // 4 * 4], "<u4").astype(np.uint32)
    whole = len(words) >= HEADER_WORDS and words[ImageAddress.MAGIC] in (MAGIC, MAGIC_RANDOM)
    if (
        not whole
        or words[ImageAddress.WORDS] != len(words)
        or int(words.sum(dtype=np.uint64)) % 2**32
    ):
        raise ExportError(
            f"reading an extract of {len(image)} bytes: its first word, length or sum is wrong",
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
        table = self._take(head[ImageAddress.TABLE], count, "<u4")
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
            majorities=self._take(
                head[ImageAddress.MAJORITIES], count * head[ImageAddress.BITS] // 32, "<u4"
            )
            .reshape(count, -1)
            .astype(np.uint32),
            votes=votes,
            scales=self._take(head[ImageAddress.SCALES], count * blocks * 2, "<i4").reshape(
                count, blocks, 2
            ),
            common=self._take(head[ImageAddress.COMMON], blocks * 2, "<i4").reshape(blocks, 2),
            limits=self._take(head[ImageAddress.LIMITS], domains, "<i4"),
            heads=self._heads(head[ImageAddress.HEADS], domains, head[ImageAddress.WIDTH]),
            levels=self._take(head[ImageAddress.LEVELS], 256, "<u2"),
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

    def _take(self, at: int, count: int, dtype: str) -> Ints:
        """Numbers from a word on; raises ValueError where there are too few."""
        return np.frombuffer(self._bytes, dtype, count, 4 * at).astype(np.int64)

    def _heads(self, at: int, domains: int, width: int) -> tuple[HeadPart | None, ...]:
        rows = self._take(at, domains * HEAD_WORDS, "<u4").reshape(domains, HEAD_WORDS)
        keys = [tuple(int(word) for word in row) for row in rows]
        # A head that several domains share is one.
        made = {key: self._head(key, width) for key in keys}
        return tuple(made[key] for key in keys)

    def _head(self, row: tuple[int, ...], width: int) -> HeadPart | None:
        labels, narrow, weights, bias, names, shifts = row
        if not labels:
            return None
        stored = (labels + narrow) // (1 + narrow)
        raw = self._take(weights, stored * width, "<u1").astype(np.uint8).reshape(stored, width)
        return HeadPart(
            tuple(int(name) for name in self._take(names, labels, "<u4")),
            _unpaired(raw, labels) if narrow else raw.view(np.int8),
            self._take(bias, labels, "<i4"),
            self._take(shifts, width, "<u1"),
            4 if narrow else 8,
        )

    def _columns(self, at: int, concepts: int) -> ColumnsPart:
        start, count, wide, gains, means = (int(w) for w in self._take(at, COLUMNS_WORDS, "<u4"))
        held = self._take(means, concepts * count, "<u4" if wide else "<u2")
        return ColumnsPart(start, self._take(gains, count, "<u2"), held.reshape(concepts, count))

    def _plane(self, at: int, concepts: int) -> PlanePart:
        table = [int(word) for word in self._take(at, PLANE_WORDS, "<u4")]
        start, size, rank, wide, low, high, scale, zeros, axes, *numbers, means = table
        offset, gains, centre, lengths = (self._take(place, rank, "<i4") for place in numbers)
        held = self._take(axes, size * rank, "<i2" if wide == 1 else "<i4")
        return PlanePart(
            start=start,
            scale=self._take(scale, size, "<u2"),
            zeros=self._take(zeros, size, "<i2"),
            axes=held.reshape(rank, size).T,
            offset=offset,
            gains=gains,
            centre=centre,
            lengths=lengths,
            rest=low | high << 32,
            means=self._take(means, concepts * rank, "<i4").reshape(concepts, rank),
        )

    def _random(self, at: int, width: int) -> RandomPart:
        table = [int(word) for word in self._take(at, RANDOM_WORDS, "<u4")]
        rounds, shift, unit, labels, _, means, weights, shifts, low, high = table
        padded, pairs = power_of_two(width), (labels + 1) // 2
        raw = self._take(weights, rounds * pairs * padded, "<u1").astype(np.uint8)
        halves = raw.reshape(rounds, pairs, padded).transpose(1, 0, 2).reshape(pairs, -1)
        return RandomPart(
            seed=low | high << 32,
            rounds=rounds,
            shift=shift,
            unit=unit,
            means=self._take(means, width, "<u1"),
            weights=_unpaired(halves, labels),
            shifts=self._take(shifts, rounds * padded, "<u1"),
        )


def _unpaired(raw: NDArray[np.uint8], labels: int) -> NDArray[np.int8]:
    """Rows of 4-bit numbers of which two share a byte."""
    low, high = raw << np.uint8(4), raw & np.uint8(0xF0)
    rows = np.stack([low, high], axis=1).reshape(-1, raw.shape[1]).view(np.int8)
    return np.asarray(rows[:labels] >> np.int8(4), np.int8)
