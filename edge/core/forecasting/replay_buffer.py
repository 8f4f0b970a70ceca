"""The newest samples of a series with checkpoints of its state: a forget request replays them.

A forecaster cannot subtract a sample: everything that came later depends on it.  So the series
keeps its newest samples as they came, in parts, and the state before each part.  To forget
samples, the state before the first of them is restored and the samples since are processed again
without the forgotten ones.  What follows is bit-equal to a twin that received the same samples in
the same order but for those, which is a gap at their times.  Where the state before the first of
them is not kept, the series starts without history and learns the kept samples again.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from .. import limits
from ..facts import Selector
from ..receipt import SeriesRange
from ..structs import FrozenStruct
from .forecaster import State
from .sample_block import LostSamples, SampleBlock, SeriesSample


class BufferPart(msgspec.Struct, eq=False):
    """Consecutive samples.  start: the state of the series before the first one; None where it has
    none, or where it is not kept.  start_file, samples_file: where the storage keeps them."""

    start: State | None = None
    samples: SampleBlock = msgspec.field(default_factory=SampleBlock)
    start_file: str = ""
    samples_file: str = ""

    @property
    def start_bytes(self) -> int:
        """Bytes of its start."""
        return sum(one.nbytes for one in (self.start or {}).values())


class Reach(msgspec.Struct, frozen=True):
    """What a selector matches: rows of parts, and perhaps samples that are not kept.

    rows: per part, which of its samples.  first: number of the first part with one; that of
    all parts if none has.
    """

    rows: tuple[NDArray[np.bool_], ...]
    first: int
    in_lost: bool

    @property
    def samples(self) -> int:
        """The number of matching samples that are kept."""
        return sum(int(np.count_nonzero(one)) for one in self.rows)


class Excluded(FrozenStruct, frozen=True):
    """What remains of a series without forgotten samples.

    start: the state to continue from; None to start without history.  waiting: samples to process
    after it.  unchanged: how many of them came before the first forgotten one.  keys: the ids of
    all kept samples from there on, forgotten or shaped by forgotten ones.  from_ns: the earliest
    time of these.
    """

    start: State | None
    waiting: tuple[SampleBlock, ...]
    unchanged: int
    keys: tuple[str, ...]
    from_ns: int


class ReplayBuffer:
    """The newest samples of one series, at most `SERIES_PARTS_MAX` parts."""

    def __init__(self, start: State | None = None, lost: LostSamples | None = None) -> None:
        self.lost = LostSamples() if lost is None else lost
        self.parts: list[BufferPart] = [BufferPart(start)]

    @property
    def full(self) -> bool:
        """True if the next sample belongs into a part of its own: call `begin` before it."""
        return self.parts[-1].samples.full

    @property
    def samples(self) -> int:
        """The number of kept samples."""
        return sum(len(one.samples) for one in self.parts)

    @property
    def nbytes(self) -> int:
        """Bytes of samples and states."""
        return sum(one.samples.nbytes + one.start_bytes for one in self.parts)

    def begin(self, start: State | None) -> None:
        """Begin a part with the state before it, and drop the oldest one of too many."""
        self.parts.append(BufferPart(start))
        while len(self.parts) > limits.SERIES_PARTS_MAX:
            self.drop_oldest()

    def drop_oldest(self) -> None:
        """Drop the oldest part: its samples are lost from now on."""
        gone = self.parts.pop(0)
        self.lost.add(gone.samples.summary())
        if not self.parts:
            self.parts.append(BufferPart())

    def add(self, sample: SeriesSample) -> None:
        """Add the newest sample."""
        self.parts[-1].samples.add(sample)

    def reach(
        self, selector: Selector, stream: str, waiting: AbstractSet[str] = frozenset()
    ) -> Reach | None:
        """Return what a selector matches; None for nothing.  waiting: ids of other samples of the
        series, which are not lost either."""
        if not may_select(selector, stream):
            return None
        rows = tuple(one.samples.selected(selector) for one in self.parts)
        first = next((at for at, one in enumerate(rows) if one.any()), len(rows))
        rest = selector
        if selector.ids is not None and self.lost.count:
            known = {key for one in self.parts for key in one.samples.ids()}
            rest = replace(selector, ids=selector.ids - known - waiting)
        in_lost = self.lost.may_match(rest, stream)
        return Reach(rows, first, in_lost) if first < len(rows) or in_lost else None

    def replays(self, reach: Reach) -> bool:
        """Return whether samples can be forgotten exactly: the state before them is kept, or they
        are among all samples of the series."""
        return not reach.in_lost and self._origin(reach) is not None

    def exclude(self, reach: Reach) -> Excluded:
        """Remove samples and all that came after the state to continue from, and return the rest,
        which is to be processed again."""
        parts = self.parts
        origin = self._origin(reach) if self.replays(reach) else None
        again = parts if origin is None else parts[origin:]
        rows = reach.rows if origin is None else reach.rows[origin:]
        start = None if origin is None else parts[origin].start
        waiting, unchanged, keys, from_ns = _without(again, rows)
        if origin is None:
            # The series starts without history, so nothing depends on lost samples any more.
            self.lost, unchanged = LostSamples(), 0
            keys = tuple(key for one in again for key in one.samples.ids())
            from_ns = 0
        kept = BufferPart(start, start_file="" if origin is None else parts[origin].start_file)
        self.parts = [*(() if origin is None else parts[:origin]), kept]
        return Excluded(start, waiting, unchanged, keys, from_ns)

    def _origin(self, reach: Reach) -> int | None:
        """Return the last part up to the first forgotten sample that a replay can start from."""
        for at in range(min(reach.first, len(self.parts) - 1), -1, -1):
            if self.parts[at].start is not None or (at == 0 and not self.lost.count):
                return at
        return None


class WaitingSamples:
    """Samples of one series that are processed again, the oldest first.

    unchanged: how many of the next ones came before the first forgotten sample.  fresh: how many of
    the last ones arrived after the forget request.
    """

    def __init__(self, blocks: Iterable[SampleBlock], unchanged: int = 0, fresh: int = 0) -> None:
        self._blocks = [one for one in blocks if len(one)]
        self._next: Iterator[SeriesSample] | None = None
        self._taken = 0
        self.unchanged, self.fresh = unchanged, fresh

    def __len__(self) -> int:
        return sum(map(len, self._blocks)) - self._taken

    def add(self, sample: SeriesSample) -> None:
        """Add a sample that has just arrived."""
        # Never into a block that is being iterated.
        if len(self._blocks) < 2 or self._blocks[-1].full:
            self._blocks.append(SampleBlock())
        self._blocks[-1].add(sample)
        self.fresh += 1

    def take(self) -> SeriesSample:
        """Remove and return the next sample."""
        if self._next is None:
            self._next = iter(self._blocks[0])
        sample = next(self._next)
        self._taken += 1
        self.unchanged = max(0, self.unchanged - 1)
        if self._taken == len(self._blocks[0]):
            self._blocks.pop(0)
            self._next, self._taken = None, 0
        self.fresh = min(self.fresh, len(self))
        return sample

    def block(self) -> SampleBlock:
        """Return the samples that still wait, in one block."""
        made = SampleBlock()
        for number, block in enumerate(self._blocks):
            left = block if number else block.where(np.arange(len(block)) >= self._taken)
            made.extend(left)
        return made

    def without(self, selector: Selector) -> "Removed":
        """Return the samples that a selector does not match, and what it removed."""
        block = self.block()
        gone = block.selected(selector)
        if not gone.any():
            return Removed(self)
        first, first_fresh = int(gone.argmax()), len(block) - self.fresh
        fresh = self.fresh - int(np.count_nonzero(gone[first_fresh:]))
        left = WaitingSamples((block.where(~gone),), min(self.unchanged, first), fresh)
        keys, from_ns = tuple(block.ids()[first:]), int(block.times()[first:].min())
        return Removed(left, int(np.count_nonzero(gone)), keys, from_ns)


class Removed(FrozenStruct, frozen=True):
    """What is left of waiting samples without forgotten ones.  samples: how many were removed.
    keys, from_ns: as in `Excluded`."""

    left: WaitingSamples
    samples: int = 0
    keys: tuple[str, ...] = ()
    from_ns: int = limits.COUNT_MAX


def _without(
    parts: Sequence[BufferPart], rows: Sequence[NDArray[np.bool_]]
) -> tuple[tuple[SampleBlock, ...], int, tuple[str, ...], int]:
    """Return the samples of parts but for some rows, how many came before the first of these,
    the ids of all from there on, and the earliest time of these."""
    blocks, keys = [], list[str]()
    unchanged, from_ns = 0, limits.COUNT_MAX
    for part, gone in zip(parts, rows, strict=True):
        samples = part.samples
        blocks.append(samples.where(~gone))
        first = 0 if keys else int(gone.argmax()) if gone.any() else len(gone)
        unchanged += first
        if first < len(gone):
            keys += samples.ids()[first:]
            from_ns = min(from_ns, int(samples.times()[first:].min()))
    return tuple(blocks), unchanged, tuple(keys), from_ns


def shrink(buffers: Collection[ReplayBuffer]) -> None:
    """Keep the buffers of all series within `SERIES_BUFFER_BYTES_MAX`.  buffers: the one silent
    for longest first.  States before parts go first, then the oldest samples."""
    over = sum(one.nbytes for one in buffers) - limits.SERIES_BUFFER_BYTES_MAX
    for buffer in buffers:
        for part in buffer.parts:
            if over > 0 and part.start is not None:
                over -= part.start_bytes
                part.start, part.start_file = None, ""
    for buffer in buffers:
        while over > 0 and buffer.samples:
            over -= buffer.parts[0].samples.nbytes
            buffer.drop_oldest()


def may_select(selector: Selector, stream: str) -> bool:
    """Return whether a selector may match samples of a series: they have no domain or label."""
    other = selector.domain is not None or selector.label is not None
    return not (selector.empty or other) and selector.stream in (None, stream)


def selected_ranges(
    stream: str, times: NDArray[np.int64], gone: NDArray[np.bool_], selector: Selector
) -> tuple[SeriesRange, ...]:
    """Return the times of selected samples.  A selector of times alone means all of its times up to
    the last sample, also of samples that are not kept; any other means runs of selected samples
    without another one in between.  times: int64 [n].  gone: bool [n], the selected ones."""
    last = int(times[gone].max()) + 1 if gone.any() else (selector.until_ns or 0)
    if selector.ids is None and selector.subject is None and selector.recording is None:
        first = selector.from_ns or 0
        return (SeriesRange(stream, first, last),) if first < last else ()
    order = np.argsort(times, kind="stable")
    at, chosen = times[order], np.concatenate([[False], gone[order], [False]])
    steps = np.flatnonzero(np.diff(chosen.astype(np.int8)))
    runs = steps.reshape(-1, 2)[-limits.SERIES_RANGES_MAX :].tolist()
    return tuple(SeriesRange(stream, int(at[one]), int(at[end - 1]) + 1) for one, end in runs)
