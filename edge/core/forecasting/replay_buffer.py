"""The newest samples of a series with checkpoints of its state: a forget request replays them.

A forecaster cannot subtract a sample: everything that came later depends on it.  So the series
keeps its newest samples as they came, in parts, and the state before each part.  To forget
samples, the state before the first of them is restored and the samples since are processed again
without the forgotten ones.  What follows is bit-equal to a twin that received the same samples in
the same order but for those, which is a gap at their times.  Where the state before the first of
them is not kept, the series starts without history and learns the kept samples again.
"""

import json
from array import array
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import accumulate, pairwise
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from .. import limits
from ..columns import NamedValues
from ..events import Observation
from ..facts import Selector
from .forecaster import Floats, State

_NAMES_MAX: Final = 256
"""Subjects, recordings, or layouts of a part, which ends with the last of them: a recording a
day for most of a year.  Chosen by hand; effect not measured."""

_SEARCHED_MAX: Final = 16
"""Ids up to which a search in all ids comes first, in C: a forget request mostly names facts, and
none of them is a sample.  Chosen by hand; effect not measured."""

_LIST, _NAMED, _FIELDS = "list", "named", "fields"
"""Kinds of layouts: numbers in order, numbers by channel, and the fields of a message, of which a
series takes those that it knows."""

_COLUMNS: Final = (
    *(("at_ns", "q"), ("key_sizes", "H"), ("layouts", "H")),
    *(("subjects", "H"), ("recordings", "H"), ("values", "d")),
)


class PayloadLayout(NamedTuple):
    """How a sample gives its numbers.  names: empty for a list."""

    kind: str
    names: tuple[str, ...]
    size: int


class SeriesSample(NamedTuple):
    """A sample as it came."""

    at_ns: int
    key: str
    subject: str
    recording: str
    layout: PayloadLayout
    values: Floats

    def observation(self, stream: str) -> Observation:
        """Return the observation that it came as."""
        payload: Any = self.values
        if self.layout.kind == _NAMED:
            payload = dict(zip(self.layout.names, self.values.tolist(), strict=True))
        elif self.layout.kind == _FIELDS:
            payload = NamedValues(self.layout.names, self.values)
        return Observation(
            stream=stream,
            sequence=0,
            captured_at_ns=self.at_ns,
            payload=payload,
            id=self.key,
            subject=self.subject,
            recording=self.recording,
            kind="series",
        )


def sample_of(event: Observation, floats: Any) -> SeriesSample:
    """Return a valid observation as a sample.  floats: converts numbers to float64."""
    payload = event.payload
    if isinstance(payload, NamedValues):
        kind = _NAMED if payload.ordered else _FIELDS
        layout, values = PayloadLayout(kind, payload.names, len(payload.names)), payload.values
    elif isinstance(payload, Mapping):
        names = tuple(map(str, payload))
        layout, values = PayloadLayout(_NAMED, names, len(names)), floats(list(payload.values()))
    else:
        values = floats(payload)
        layout = PayloadLayout(_LIST, (), len(values))
    at_ns, key = event.captured_at_ns, event.key
    return SeriesSample(at_ns, key, event.subject, event.recording, layout, values)


class SampleBlock:
    """Samples in the order of their arrival, as columns: about 50 bytes and 8 a number each."""

    def __init__(self) -> None:
        self._columns = {name: array(kind) for name, kind in _COLUMNS}
        self._keys = bytearray()
        # Layouts, subjects and recordings by their numbers in the columns.
        self._tables: tuple[dict[Any, int], dict[Any, int], dict[Any, int]] = ({}, {}, {})

    def __len__(self) -> int:
        return len(self._columns["at_ns"])

    @property
    def nbytes(self) -> int:
        """Bytes of its columns."""
        return len(self._keys) + sum(len(one) * one.itemsize for one in self._columns.values())

    @property
    def full(self) -> bool:
        """True if the next samples belong into another part."""
        return (
            len(self) >= limits.SERIES_PART_SAMPLES
            or len(self._columns["values"]) >= limits.SERIES_PART_NUMBERS
            or max(map(len, self._tables)) >= _NAMES_MAX
        )

    def add(self, one: SeriesSample) -> None:
        """Add a sample."""
        columns, (layouts, subjects, recordings) = self._columns, self._tables
        key = one.key.encode()
        self._keys += key
        columns["at_ns"].append(one.at_ns)
        columns["key_sizes"].append(len(key))
        columns["layouts"].append(layouts.setdefault(one.layout, len(layouts)))
        columns["subjects"].append(subjects.setdefault(one.subject, len(subjects)))
        columns["recordings"].append(recordings.setdefault(one.recording, len(recordings)))
        columns["values"].frombytes(np.ascontiguousarray(one.values, np.float64).tobytes())

    def __iter__(self) -> Iterator[SeriesSample]:
        layouts, subjects, recordings = map(tuple, self._tables)
        columns, values = self._columns, np.array(self._columns["values"])
        at = 0
        for row, key in enumerate(self.ids()):
            layout = layouts[columns["layouts"][row]]
            yield SeriesSample(
                columns["at_ns"][row],
                key,
                subjects[columns["subjects"][row]],
                recordings[columns["recordings"][row]],
                layout,
                values[at : at + layout.size],
            )
            at += layout.size

    def ids(self) -> list[str]:
        """Return the ids of the samples."""
        ends = list(accumulate(self._columns["key_sizes"], initial=0))
        text = bytes(self._keys)
        return [text[at:end].decode() for at, end in pairwise(ends)]

    def selected(self, selector: Selector) -> NDArray[np.bool_]:
        """Return which samples match the ids, subject, recording and times of a selector."""
        found = np.ones(len(self), bool)
        at_ns = np.array(self._columns["at_ns"], np.int64)
        if selector.from_ns is not None:
            found &= at_ns >= selector.from_ns
        if selector.until_ns is not None:
            found &= at_ns < selector.until_ns
        wanted = (None, selector.subject, selector.recording)
        for name, table, text in zip(
            ("layouts", "subjects", "recordings"), self._tables, wanted, strict=True
        ):
            if text is not None:
                found &= np.array(self._columns[name]) == table.get(text, -1)
        if selector.ids is not None and found.any():
            found &= self._named(selector.ids)
        return found

    def _named(self, ids: AbstractSet[str]) -> NDArray[np.bool_]:
        """Return which samples have one of these ids."""
        if len(ids) <= _SEARCHED_MAX and not any(one.encode() in self._keys for one in ids):
            return np.zeros(len(self), bool)
        return np.array([key in ids for key in self.ids()], bool)

    def summary(self) -> "LostSamples":
        """Return what remains known of the samples once they are not kept."""
        if not len(self):
            return LostSamples()
        _, subjects, recordings = self._tables
        times = self._columns["at_ns"]
        return LostSamples(len(self), min(times), max(times), set(subjects), set(recordings))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return everything as arrays, for `SampleBlock.of`."""
        tables = json.dumps([list(table) for table in self._tables]).encode()
        made = {name: np.array(column) for name, column in self._columns.items()}
        return made | {
            "keys": np.frombuffer(bytes(self._keys), np.uint8),
            "tables": np.frombuffer(tables, np.uint8),
        }

    @classmethod
    def of(cls, arrays: State) -> Self:
        """Return the block of such arrays.  Raises ValueError, KeyError or TypeError for others."""
        made = cls()
        for name, column in made._columns.items():
            column.frombytes(arrays[name].astype(column.typecode, casting="safe").tobytes())
        made._keys = bytearray(arrays["keys"].astype(np.uint8, casting="safe").tobytes())
        layouts, *texts = json.loads(arrays["tables"].tobytes())
        known = [PayloadLayout(str(kind), tuple(names), int(size)) for kind, names, size in layouts]
        made._tables = (
            {one: at for at, one in enumerate(known)},
            *({str(one): at for at, one in enumerate(table)} for table in texts),
        )
        made._check()
        return made

    def _check(self) -> None:
        """Raise ValueError if the columns do not belong together."""
        columns = self._columns
        layouts = list(self._tables[0])
        rows = {len(column) for name, column in columns.items() if name != "values"}
        names = ("layouts", "subjects", "recordings")
        fits = len(rows) == 1 and all(
            not len(columns[name]) or max(columns[name]) < len(table)
            for name, table in zip(names, self._tables, strict=True)
        )
        sizes = sum(layouts[at].size for at in columns["layouts"]) if fits else 0
        if (
            not fits
            or sizes != len(columns["values"])
            or sum(columns["key_sizes"]) != len(self._keys)
        ):
            raise ValueError("reading samples of a series: the columns differ in length")


@dataclass(slots=True)
class LostSamples:
    """Samples that a series has learned from and that are not kept any more.

    from_ns, until_ns: the earliest and the latest time.  subjects, recordings: theirs; from
    `SERIES_SUBJECTS_MAX` on no more are recorded, and any subject or recording counts as theirs.
    """

    count: int = 0
    from_ns: int = limits.COUNT_MAX
    until_ns: int = 0
    subjects: set[str] = field(default_factory=set)
    recordings: set[str] = field(default_factory=set)

    def add(self, other: "LostSamples") -> None:
        """Add the samples of another summary."""
        self.count += other.count
        self.from_ns = min(self.from_ns, other.from_ns)
        self.until_ns = max(self.until_ns, other.until_ns)
        for names, more in (
            (self.subjects, other.subjects),
            (self.recordings, other.recordings),
        ):
            room = max(0, limits.SERIES_SUBJECTS_MAX - len(names))
            names.update(sorted(more - names)[:room])

    def may_match(self, selector: Selector, stream: str) -> bool:
        """Return whether a selector may match some of them.  Their ids are unknown: an id that
        begins with the stream's name and a colon, as the daemon makes them, may be one."""
        return (
            self.count > 0
            and _may_include(self.subjects, selector.subject)
            and _may_include(self.recordings, selector.recording)
            and (selector.from_ns is None or self.until_ns >= selector.from_ns)
            and (selector.until_ns is None or self.from_ns < selector.until_ns)
            and (selector.ids is None or any(one.startswith(f"{stream}:") for one in selector.ids))
        )


@dataclass(slots=True, eq=False)
class BufferPart:
    """Consecutive samples.  start: the state of the series before the first one; None where it has
    none, or where it is not kept.  start_file, samples_file: where the storage keeps them."""

    start: State | None = field(default=None, repr=False)
    samples: SampleBlock = field(default_factory=SampleBlock, repr=False)
    start_file: str = ""
    samples_file: str = ""

    @property
    def start_bytes(self) -> int:
        """Bytes of its start."""
        return sum(one.nbytes for one in (self.start or {}).values())


@dataclass(frozen=True, slots=True)
class Reach:
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


@dataclass(frozen=True, slots=True)
class Excluded:
    """What remains of a series without forgotten samples.

    start: the state to continue from; None to start without history.  waiting: samples to process
    after it.  unchanged: how many of them came before the first forgotten one.  keys: the ids of
    all kept samples from there on, forgotten or shaped by forgotten ones.  from_ns: the earliest
    time of these.
    """

    start: State | None = field(repr=False)
    waiting: tuple[SampleBlock, ...] = field(repr=False)
    unchanged: int
    keys: tuple[str, ...] = field(repr=False)
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

    @property
    def nbytes(self) -> int:
        """Bytes of the samples."""
        return sum(one.nbytes for one in self._blocks)

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
            for row, sample in enumerate(block):
                if number or row >= self._taken:
                    made.add(sample)
        return made

    def without(self, selector: Selector) -> "Removed":
        """Return the samples that a selector does not match, and what it removed."""
        block = self.block()
        gone = block.selected(selector)
        if not gone.any():
            return Removed(self)
        first, first_fresh = int(gone.argmax()), len(block) - self.fresh
        made, keys, from_ns = SampleBlock(), list[str](), limits.COUNT_MAX
        for row, (sample, out) in enumerate(zip(block, gone.tolist(), strict=True)):
            if row >= first:
                keys.append(sample.key)
                from_ns = min(from_ns, sample.at_ns)
            if not out:
                made.add(sample)
        fresh = self.fresh - int(np.count_nonzero(gone[first_fresh:]))
        left = WaitingSamples((made,), min(self.unchanged, first), fresh)
        return Removed(left, int(np.count_nonzero(gone)), tuple(keys), from_ns)


@dataclass(frozen=True, slots=True)
class Removed:
    """What is left of waiting samples without forgotten ones.  samples: how many were removed.
    keys, from_ns: as in `Excluded`."""

    left: WaitingSamples
    samples: int = 0
    keys: tuple[str, ...] = field(default=(), repr=False)
    from_ns: int = limits.COUNT_MAX


def _without(
    parts: Sequence[BufferPart], rows: Sequence[NDArray[np.bool_]]
) -> tuple[tuple[SampleBlock, ...], int, tuple[str, ...], int]:
    """Return the samples of parts but for some rows, how many came before the first of these,
    the ids of all from there on, and the earliest time of these."""
    blocks, keys = [], list[str]()
    unchanged, from_ns = 0, limits.COUNT_MAX
    for part, gone in zip(parts, rows, strict=True):
        block = SampleBlock()
        for sample, out in zip(part.samples, gone.tolist(), strict=True):
            if out or keys:
                keys.append(sample.key)
                from_ns = min(from_ns, sample.at_ns)
            else:
                unchanged += 1
            if not out:
                block.add(sample)
        blocks.append(block)
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


def _may_include(names: AbstractSet[str], wanted: str | None) -> bool:
    """Return whether samples of these subjects or recordings may be of a wanted one."""
    return wanted in (None, *names) or len(names) >= limits.SERIES_SUBJECTS_MAX
