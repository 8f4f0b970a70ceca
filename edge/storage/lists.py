"""Reads of a knowledge file for people: pages of facts without features, and lookups of many
observations at once."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from ..core import Concept, Selector
from .fact_reads import RowReader
from .receipt_times import decode_receipts
from .tables import where_clause

IDS_MAX: Final = 500
"""Ids in one query; SQLite accepts 999 parameters before version 3.32."""

COLUMNS: Final = "id, stream, domain, label, captured_at_ns"

NAME_COLUMNS: Final = ("subject", "stream", "recording", "domain", "label")
"""Columns of the facts that hold names which people choose."""

FactRow = tuple[str, str, str, str, int]
"""Id, stream, domain, label and time of a fact."""


class Lists:
    """Reads of an open file.  rows: runs a query."""

    def __init__(self, rows: RowReader) -> None:
        self._rows = rows

    def concept_page(
        self, concepts: Mapping[Concept, int], offset: int, limit: int
    ) -> list[FactRow]:
        """Return the facts of concepts in their order, each concept's newest first.

        concepts: with their counts.  Cost: the rows of the page and those before it in its first
        concept, from an index.
        """
        found: list[FactRow] = []
        for (domain, label), count in concepts.items():
            if offset >= count:
                offset -= count
                continue
            found += self._rows(
                f"SELECT {COLUMNS} FROM facts WHERE domain = ? AND label = ?"
                " ORDER BY captured_at_ns DESC, id DESC LIMIT ? OFFSET ?",
                (domain, label, limit - len(found), offset),
            )
            offset = 0
            if len(found) >= limit:
                break
        return found

    def newest_page(self, selector: Selector, offset: int, limit: int) -> list[FactRow]:
        """Return selected facts, the last stored first.  selector: without ids.  Cost: all rows up
        to those of the page."""
        where, values = where_clause(selector)
        return self._rows(
            f"SELECT {COLUMNS} FROM facts WHERE {where} ORDER BY rowid DESC LIMIT ? OFFSET ?",
            (*values, limit, offset),
        )

    def count(self, selector: Selector) -> int:
        """Count selected facts.  selector: without ids.  Cost: a pass over all facts, unless an
        index has them."""
        where, values = where_clause(selector)
        return int(self._rows(f"SELECT COUNT(*) FROM facts WHERE {where}", values)[0][0])

    def names(self, column: str) -> list[str]:
        """Return all names in a column of the facts, sorted, without the empty one.  Cost: a pass
        over all facts."""
        assert column in NAME_COLUMNS, f"expected one of {NAME_COLUMNS}, found {column}"
        query = f"SELECT DISTINCT {column} FROM facts WHERE {column} != '' ORDER BY {column}"
        return [row[0] for row in self._rows(query)]

    def concept_counts(self, ids: Sequence[str]) -> dict[Concept, int]:
        """Count facts by concept."""
        query = "SELECT domain, label, COUNT(*) FROM facts WHERE id IN ({}) GROUP BY domain, label"
        found: Counter[Concept] = Counter()
        for domain, label, count in self._in(query, ids):
            found[domain, label] += count
        return found

    def newest_of(self, concepts: Iterable[Concept]) -> dict[Concept, int]:
        """Return the newest capture time of each concept.  Cost: one look-up each."""
        query = "SELECT MAX(captured_at_ns) FROM facts WHERE domain = ? AND label = ?"
        return {key: int(self._rows(query, key)[0][0] or 0) for key in concepts}

    def receipts(self, limit: int) -> list[dict[str, Any]]:
        """Return the newest receipts, newest first; see `StoreReader.receipts`."""
        rows = self._rows("SELECT body FROM receipts ORDER BY number DESC LIMIT ?", (limit,))
        return decode_receipts(self._rows, (row[0] for row in rows))

    def learned(self, ids: Sequence[str]) -> set[str]:
        """Return those of the ids that are facts."""
        return {row[0] for row in self._in("SELECT id FROM facts WHERE id IN ({})", ids)}

    def with_raw(self, ids: Sequence[str]) -> set[str]:
        """Return those of the ids whose raw input is kept."""
        return {row[0] for row in self._in("SELECT id FROM raws WHERE id IN ({})", ids)}

    def candidate_features(self, ids: Sequence[str]) -> dict[str, bytes]:
        """Return the features of label candidates by id; others are left out."""
        return dict(self._in("SELECT id, features FROM candidates WHERE id IN ({})", ids))

    def features(self, ids: Sequence[str]) -> dict[str, bytes]:
        """Return the features of facts and label candidates by id; others are left out."""
        found = dict(self._in("SELECT id, features FROM facts WHERE id IN ({})", ids))
        return self.candidate_features([one for one in ids if one not in found]) | found

    def adaptors_shaped_by(self, ids: Sequence[str]) -> list[tuple[str, int]]:
        """Return domain and version of the adaptors that any of these facts shaped, sorted."""
        query = (
            "SELECT DISTINCT domain, version FROM adaptor_facts JOIN adaptors ON number = adaptor"
            " WHERE kept_for IS NULL AND id IN ({})"
        )
        return sorted(set(self._in(query, ids)))

    def _in(self, query: str, ids: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        for at in range(0, len(ids), IDS_MAX):
            part = tuple(ids[at : at + IDS_MAX])
            yield from self._rows(query.format(", ".join("?" * len(part))), part)
