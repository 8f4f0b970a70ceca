"""Reads of facts as columns: pages of all, of a domain or of a concept, samples, and time spans.

Each read goes through an index and takes as long as what it returns, whatever the ledger holds.
"""

import heapq
from collections.abc import Collection, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ..core import Concept, FactBatch, Span, StateCorruptError, select_rows
from ..core import limits as core_limits


class RowReader(Protocol):
    """Runs a query with its parameters, and returns all rows."""

    def __call__(self, sql: str, values: tuple[Any, ...] = (), /) -> list[tuple[Any, ...]]:
        """Run a query."""


DAMAGED: Final = "keep the damaged file and restore the last backup"
COLUMNS: Final = "id, domain, label, captured_at_ns, recording, subject, features"
TIME_MIN: Final = -(2**63)
"""Below every time: the smallest integer of SQLite."""

SCANNED_BYTES_MAX: Final = 8 << 20
"""Features held at once to read most of a table in its own order: 349,525 facts of 24 numbers.
Chosen by hand, to bound memory."""

SCANNED_ROWS: Final = 4_096
"""Rows of the table read at a time.  Chosen by hand; effect not measured."""

RANKS_MIN: Final = 4
"""Fewest ranks read of a domain at a time: a query costs about as much as ten rows."""


class FactReads:
    """Reads facts of an open file.  rows: runs a query.  width: bytes of the features."""

    def __init__(self, rows: RowReader, width: int, path: Path) -> None:
        self._rows, self._width, self._path = rows, width, path

    def every(self) -> Iterator[FactBatch]:
        """Yield all facts, sorted by id."""
        last = ""
        while rows := self._rows(
            f"SELECT {COLUMNS} FROM facts WHERE id > ? ORDER BY id LIMIT ?",
            (last, core_limits.BATCH_FACTS),
        ):
            yield self._stacked(rows)
            last = rows[-1][0]

    def of_domain(self, domain: str) -> Iterator[FactBatch]:
        """Yield a domain's facts by (label, captured_at_ns, id)."""
        last: tuple[Any, ...] = ("", TIME_MIN, "")
        while rows := self._rows(
            f"SELECT {COLUMNS} FROM facts WHERE domain = ? AND (label, captured_at_ns, id) >"
            " (?, ?, ?) ORDER BY label, captured_at_ns, id LIMIT ?",
            (domain, *last, core_limits.BATCH_FACTS),
        ):
            yield self._stacked(rows)
            last = (rows[-1][2], rows[-1][3], rows[-1][0])

    def of_concept(self, domain: str, label: str) -> Iterator[FactBatch]:
        """Yield a concept's facts by (captured_at_ns, id)."""
        last: tuple[Any, ...] = (TIME_MIN, "")
        while rows := self._rows(
            f"SELECT {COLUMNS} FROM facts WHERE domain = ? AND label = ? AND (captured_at_ns, id) >"
            " (?, ?) ORDER BY captured_at_ns, id LIMIT ?",
            (domain, label, *last, core_limits.BATCH_FACTS),
        ):
            yield self._stacked(rows)
            last = (rows[-1][3], rows[-1][0])

    def in_order_of_rows(
        self, concepts: Collection[Concept]
    ) -> Iterator[tuple[Concept, NDArray[np.uint8]]]:
        """Yield the features of concepts, of each at most `BATCH_FACTS` at a time.  Cost: one pass
        over the table, a sixth of the time of reading all concepts by index; memory: the features.
        """
        found: dict[Concept, list[bytes]] = {concept: [] for concept in concepts}
        last = TIME_MIN
        while rows := self._rows(
            "SELECT rowid, domain, label, features FROM facts WHERE rowid > ? ORDER BY rowid"
            " LIMIT ?",
            (last, SCANNED_ROWS),
        ):
            last = rows[-1][0]
            for number, domain, label, features in rows:
                if not isinstance(features, bytes) or len(features) != self._width:
                    raise self._damaged(f"row {number}")
                held = found.get((domain, label))
                if held is not None:
                    held.append(features)
        for concept, parts in found.items():
            for at in range(0, len(parts), core_limits.BATCH_FACTS):
                chosen = parts[at : at + core_limits.BATCH_FACTS]
                joined = np.frombuffer(b"".join(chosen), np.uint8)
                yield concept, joined.reshape(len(chosen), self._width)

    def _damaged(self, name: str) -> StateCorruptError:
        wrong = f"the features of {name} are not {self._width} bytes"
        return StateCorruptError(f"reading {self._path}: {wrong}", DAMAGED)

    def sample(self, size: int, domains: Collection[str], without: AbstractSet[str]) -> FactBatch:
        """Return the facts of lowest rank of some domains.  Cost: one query per domain, and the
        sampled rows."""
        chunk = max(RANKS_MIN, 2 * size // max(1, len(domains)))
        merged = heapq.merge(*(self._ranked(domain, min(chunk, size)) for domain in domains))
        lowest = (fact_id for _, fact_id in merged if fact_id not in without)
        return self._of_ids(list(islice(lowest, size)))

    def times(self, domain: str) -> NDArray[np.int64]:
        """Return when a domain's facts were captured, ascending.  Cost: one pass over an index."""
        rows = self._rows("SELECT captured_at_ns FROM facts WHERE domain = ?", (domain,))
        found = np.fromiter((row[0] for row in rows), np.int64, len(rows))
        found.sort()
        return found

    def between(
        self,
        domain: str,
        labels: Collection[str],
        spans: Sequence[Span],
        without: AbstractSet[str],
    ) -> Iterator[FactBatch]:
        """Yield a domain's facts captured in any of the spans, sorted by id.  Cost: one query per
        label and span."""
        query = (
            "SELECT id FROM facts WHERE domain = ? AND label = ? AND captured_at_ns BETWEEN ? AND ?"
        )
        ids = sorted(
            row[0]
            for label in labels
            for span in spans
            for row in self._rows(query, (domain, label, *span))
            if row[0] not in without
        )
        for at in range(0, len(ids), core_limits.BATCH_FACTS):
            yield self._of_ids(ids[at : at + core_limits.BATCH_FACTS])

    def _ranked(self, domain: str, chunk: int) -> Iterator[tuple[int, str]]:
        last: tuple[Any, ...] = (TIME_MIN, "")
        while True:
            rows = self._rows(
                "SELECT rank, id FROM ranks WHERE domain = ? AND (rank, id) > (?, ?)"
                " ORDER BY rank, id LIMIT ?",
                (domain, *last, chunk),
            )
            yield from rows
            if len(rows) < chunk:
                return
            last = rows[-1]

    def _of_ids(self, ids: Sequence[str]) -> FactBatch:
        rows: list[tuple[Any, ...]] = []
        for at in range(0, len(ids), core_limits.BATCH_FACTS):
            part = tuple(ids[at : at + core_limits.BATCH_FACTS])
            marks = ", ".join("?" * len(part))
            rows += self._rows(f"SELECT {COLUMNS} FROM facts WHERE id IN ({marks})", part)
        if len(rows) != len(ids):
            raise StateCorruptError(
                f"reading {self._path}: the ranks name {len(ids) - len(rows)} facts that are not"
                " in it",
                DAMAGED,
            )
        return self._stacked(rows)

    def _stacked(self, rows: list[tuple[Any, ...]]) -> FactBatch:
        """Return rows of COLUMNS as a batch, sorted by id; raises StateCorruptError unless the
        features of each are `width` bytes."""
        rows = sorted(rows)
        ids, domains, labels, times, recordings, subjects, features = (
            zip(*rows, strict=True) if rows else ((),) * 7
        )
        for fact_id, row in zip(ids, features, strict=True):
            if not isinstance(row, bytes) or len(row) != self._width:
                raise self._damaged(repr(fact_id))
        joined = np.frombuffer(b"".join(features), np.uint8)
        return FactBatch(
            ids=ids,
            domains=domains,
            labels=labels,
            features=joined.reshape(len(rows), self._width if rows else 0),
            captured_at_ns=np.array(times, np.int64),
            recordings=recordings,
            subjects=subjects,
        )


def without_rows(batches: Iterable[FactBatch], without: AbstractSet[str]) -> Iterator[FactBatch]:
    """Yield batches without some ids; none that is empty."""
    for batch in batches:
        if without.isdisjoint(batch.ids):
            yield batch
            continue
        kept = [row for row, fact_id in enumerate(batch.ids) if fact_id not in without]
        if kept:
            yield select_rows(batch, np.array(kept, np.intp))
