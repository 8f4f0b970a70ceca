"""Needles: the byte patterns by which a forgotten thing is recognised in any file.

A text may stand in a file as UTF-8, as JSON escapes or as numpy's UTF-32, a row of features raw or
as numbers.  Long rows are recognised by windows, since a database splits a row between pages.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

import hdc

from ..core import Fact

NeedleKind = Literal["id", "name", "features", "codes", "projection", "value"]

PATTERN_BYTES_MIN: Final = 6
"""Shortest pattern that is looked for at any offset: one of 256^6 places matches by chance.
Shorter texts are looked for as whole words and cells."""

WINDOW_BYTES: Final = 24
"""Bytes of a window of a long row: two rows of measurements that share it share their source."""

WINDOWS: Final = 3
"""Windows of a row: a page of a database splits at most one of them."""

DISTINCT_MIN: Final = 5
"""Different bytes in a window, at least: rows of zeros recognise nothing."""


@dataclass(frozen=True, slots=True)
class Needle:
    """One thing to look for.  name: of what, for the report.  patterns: any of them is a trace.
    words: texts that count only as a whole word or cell."""

    kind: NeedleKind
    name: str
    patterns: tuple[bytes, ...]
    words: tuple[bytes, ...] = ()


def text_needle(kind: Literal["id", "name"], text: str) -> Needle:
    """Return the needle of an id or of a name; names are found in lower case, too."""
    forms = (text, text.lower()) if kind == "name" else (text,)
    raw = [form.encode() for form in forms]
    raw += [json.dumps(form)[1:-1].encode() for form in forms]
    wide = [form.encode("utf-32-le") for form in forms]
    long = [one for one in raw if len(one) >= PATTERN_BYTES_MIN]
    short = [one for one in raw if 0 < len(one) < PATTERN_BYTES_MIN]
    # Two characters as UTF-32 are eight bytes, but common ones.
    long += [one for one in wide if len(one) >= 4 * PATTERN_BYTES_MIN]
    return Needle(kind, text, tuple(dict.fromkeys(long)), tuple(dict.fromkeys(short)))


def row_needle(kind: NeedleKind, name: str, row: bytes) -> Needle | None:
    """Return the needle of a row of bytes; None if it has too few different ones to recognise."""
    if len(row) < WINDOWS * WINDOW_BYTES:
        usable = len(row) >= PATTERN_BYTES_MIN and len(set(row)) >= min(DISTINCT_MIN, len(row))
        return Needle(kind, name, (row,)) if usable else None
    edges = np.linspace(0, len(row), WINDOWS + 1).astype(int).tolist()
    found = tuple(
        window for start, end in pairwise(edges) if (window := _best_window(row[start:end]))
    )
    return Needle(kind, name, tuple(dict.fromkeys(found))) if found else None


def fact_needles(facts: Iterable[Fact], geometry: hdc.Geometry | None = None) -> Iterator[Needle]:
    """Yield the needles of facts: ids, features, and with a geometry codes and projections."""
    held = tuple(facts)
    for fact in held:
        yield text_needle("id", fact.id)
        made = row_needle("features", fact.id, fact.features)
        if made is not None:
            yield made
    if geometry is None or not held:
        return
    rows = np.frombuffer(b"".join(fact.features for fact in held), np.uint8)
    codes = geometry.project(rows.reshape(len(held), -1))
    for fact, words, values in zip(held, codes.bits, codes.values, strict=True):
        yield from _code_needles(fact.id, words, values)


def name_needles(facts: Iterable[Fact], names: Iterable[str] = ()) -> Iterator[Needle]:
    """Yield the needles of the subjects and recordings of facts, and of other names."""
    found = [name for fact in facts for name in (fact.subject, fact.recording)]
    yield from (text_needle("name", name) for name in dict.fromkeys((*found, *names)) if name)


def _code_needles(
    name: str, words: NDArray[np.uint64], values: NDArray[np.int64]
) -> Iterator[Needle]:
    made = row_needle("codes", name, words.astype("<u8").tobytes())
    if made is not None:
        yield made
    forms = [values.astype(kind).tobytes() for kind in ("<i8", "<i4", "<f4", "<f8")]
    rows = (row_needle("projection", name, form) for form in forms)
    patterns = [pattern for row in rows if row is not None for pattern in row.patterns]
    if patterns:
        yield Needle("projection", name, tuple(dict.fromkeys(patterns)))


def _best_window(row: bytes) -> bytes:
    """Return the window with the most different bytes, the first four of them above all: the
    search looks these up.  Empty if none has enough."""
    if len(row) < WINDOW_BYTES:
        return b""
    starts = range(0, len(row) - WINDOW_BYTES + 1, 4)
    windows = (row[at : at + WINDOW_BYTES] for at in starts)
    best = max(windows, key=lambda one: (len(set(one[:4])), len(set(one))))
    return best if len(set(best)) >= DISTINCT_MIN else b""
