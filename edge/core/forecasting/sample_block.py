"""Samples of a series as they came, in columns, and what is known of those that are not kept."""

import json
from array import array
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from itertools import accumulate, pairwise
from typing import Any, Final, NamedTuple, Self

import msgspec
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

_NUMBERED: Final = ("layouts", "subjects", "recordings")
"""Columns of numbers in a table of layouts, or of names."""
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
    return SeriesSample(
        at_ns=event.captured_at_ns,
        key=event.key,
        subject=event.subject,
        recording=event.recording,
        layout=layout,
        values=values,
    )


class SampleBlock:
    """Samples in the order of their arrival, as columns: about 50 bytes and 8 a number each."""

    def __init__(self) -> None:
        self.columns: dict[str, array[Any]] = {name: array(kind) for name, kind in _COLUMNS}
        self.keys = bytearray()
        # Layouts, subjects and recordings by their numbers in the columns.
        self.tables: tuple[dict[Any, int], dict[Any, int], dict[Any, int]] = ({}, {}, {})

    def __len__(self) -> int:
        return len(self.columns["at_ns"])

    @property
    def nbytes(self) -> int:
        """Bytes of its columns."""
        return len(self.keys) + sum(len(one) * one.itemsize for one in self.columns.values())

    @property
    def full(self) -> bool:
        """True if the next samples belong into another part."""
        return (
            len(self) >= limits.SERIES_PART_SAMPLES
            or len(self.columns["values"]) >= limits.SERIES_PART_NUMBERS
            or max(map(len, self.tables)) >= _NAMES_MAX
        )

    def add(self, one: SeriesSample) -> None:
        """Add a sample."""
        columns, (layouts, subjects, recordings) = self.columns, self.tables
        key = one.key.encode()
        self.keys += key
        columns["at_ns"].append(one.at_ns)
        columns["key_sizes"].append(len(key))
        columns["layouts"].append(layouts.setdefault(one.layout, len(layouts)))
        columns["subjects"].append(subjects.setdefault(one.subject, len(subjects)))
        columns["recordings"].append(recordings.setdefault(one.recording, len(recordings)))
        columns["values"].frombytes(np.ascontiguousarray(one.values, np.float64).tobytes())

    def __iter__(self) -> Iterator[SeriesSample]:
        layouts, subjects, recordings = map(tuple, self.tables)
        columns, values = self.columns, np.array(self.columns["values"])
        at = 0
        for row, key in enumerate(self.ids()):
            layout = layouts[columns["layouts"][row]]
            yield SeriesSample(
                at_ns=columns["at_ns"][row],
                key=key,
                subject=subjects[columns["subjects"][row]],
                recording=recordings[columns["recordings"][row]],
                layout=layout,
                values=values[at : at + layout.size],
            )
            at += layout.size

    def ids(self) -> list[str]:
        """Return the ids of the samples."""
        ends = list(accumulate(self.columns["key_sizes"], initial=0))
        text = bytes(self.keys)
        return [text[at:end].decode() for at, end in pairwise(ends)]

    def extend(self, other: "SampleBlock") -> None:
        """Add the samples of another block."""
        self.keys += other.keys
        for mine, theirs, name in zip(self.tables, other.tables, _NUMBERED, strict=True):
            numbers = [mine.setdefault(one, len(mine)) for one in theirs]
            moved = np.array(numbers, np.uint16)[np.array(other.columns[name])]
            self.columns[name].frombytes(moved.tobytes())
        for name, column in other.columns.items():
            if name not in _NUMBERED:
                self.columns[name].extend(column)

    def where(self, chosen: NDArray[np.bool_]) -> "SampleBlock":
        """Return the chosen samples, and of layouts, subjects and recordings only theirs."""
        made, ids = SampleBlock(), self.ids()
        rows = np.flatnonzero(chosen).tolist()
        made.keys = bytearray("".join([ids[row] for row in rows]).encode())
        sizes = np.array([one.size for one in self.tables[0]], np.int64)
        of_values = np.repeat(chosen, sizes[np.array(self.columns["layouts"])])
        for name, column in self.columns.items():
            kept = np.array(column)[of_values if name == "values" else chosen]
            if name in _NUMBERED:
                table = list(self.tables[_NUMBERED.index(name)])
                used, kept = np.unique(kept, return_inverse=True)
                names = (table[at] for at in used.tolist())
                made.tables[_NUMBERED.index(name)].update({one: at for at, one in enumerate(names)})
            made.columns[name].frombytes(kept.astype(column.typecode).tobytes())
        return made

    def times(self) -> NDArray[np.int64]:
        """Return the times of the samples."""
        return np.array(self.columns["at_ns"], np.int64)

    def selected(self, selector: Selector) -> NDArray[np.bool_]:
        """Return which samples match the ids, subject, recording and times of a selector."""
        found = np.ones(len(self), bool)
        at_ns = self.times()
        if selector.from_ns is not None:
            found &= at_ns >= selector.from_ns
        if selector.until_ns is not None:
            found &= at_ns < selector.until_ns
        wanted = (None, selector.subject, selector.recording)
        for name, table, text in zip(_NUMBERED, self.tables, wanted, strict=True):
            if text is not None:
                found &= np.array(self.columns[name]) == table.get(text, -1)
        if selector.ids is not None and found.any():
            found &= self._named(selector.ids)
        return found

    def _named(self, ids: AbstractSet[str]) -> NDArray[np.bool_]:
        """Return which samples have one of these ids."""
        if len(ids) <= _SEARCHED_MAX and not any(one.encode() in self.keys for one in ids):
            return np.zeros(len(self), bool)
        return np.array([key in ids for key in self.ids()], bool)

    def summary(self) -> "LostSamples":
        """Return what remains known of the samples once they are not kept."""
        if not len(self):
            return LostSamples()
        _, subjects, recordings = self.tables
        times = self.columns["at_ns"]
        return LostSamples(len(self), min(times), max(times), set(subjects), set(recordings))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return everything as arrays, for `SampleBlock.of`."""
        tables = json.dumps([list(table) for table in self.tables]).encode()
        made = {name: np.array(column) for name, column in self.columns.items()}
        return made | {
            "keys": np.frombuffer(bytes(self.keys), np.uint8),
            "tables": np.frombuffer(tables, np.uint8),
        }

    @classmethod
    def of(cls, arrays: State) -> Self:
        """Return the block of such arrays.  Raises ValueError, KeyError or TypeError for others."""
        made = cls()
        for name, column in made.columns.items():
            column.frombytes(arrays[name].astype(column.typecode, casting="safe").tobytes())
        made.keys = bytearray(arrays["keys"].astype(np.uint8, casting="safe").tobytes())
        layouts, subjects, recordings = json.loads(arrays["tables"].tobytes())
        known = [PayloadLayout(str(kind), tuple(names), int(size)) for kind, names, size in layouts]
        made.tables = (
            {one: at for at, one in enumerate(known)},
            {str(one): at for at, one in enumerate(subjects)},
            {str(one): at for at, one in enumerate(recordings)},
        )
        made._check()
        return made

    def _check(self) -> None:
        """Raise ValueError if the columns do not belong together."""
        columns = self.columns
        layouts = list(self.tables[0])
        rows = {len(column) for name, column in columns.items() if name != "values"}
        fits = len(rows) == 1 and all(
            not len(columns[name]) or max(columns[name]) < len(table)
            for name, table in zip(_NUMBERED, self.tables, strict=True)
        )
        sizes = sum(layouts[at].size for at in columns["layouts"]) if fits else 0
        if (
            not fits
            or sizes != len(columns["values"])
            or sum(columns["key_sizes"]) != len(self.keys)
        ):
            raise ValueError("reading samples of a series: the columns differ in length")


class LostSamples(msgspec.Struct):
    """Samples that a series has learned from and that are not kept any more.

    from_ns, until_ns: the earliest and the latest time.  subjects, recordings: theirs; from
    `SERIES_SUBJECTS_MAX` on no more are recorded, and any subject or recording counts as theirs.
    """

    count: int = 0
    from_ns: int = limits.COUNT_MAX
    until_ns: int = 0
    subjects: set[str] = msgspec.field(default_factory=set)
    recordings: set[str] = msgspec.field(default_factory=set)

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


def _may_include(names: AbstractSet[str], wanted: str | None) -> bool:
    """Return whether samples of these subjects or recordings may be of a wanted one."""
    return wanted in (None, *names) or len(names) >= limits.SERIES_SUBJECTS_MAX
