"""What a forget request reads from a knowledge file."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from ..core import Concept, PendingForget, Selector
from .pending_forgets import read_pending
from .provenance import count_evicted, count_placed
from .tables import TABLES_WITH_IDS, where_facts


class ForgetReads(ABC):
    """The part of a `StoreReader` that forget requests read.  path: of the file."""

    path: Path

    @abstractmethod
    def _rows(self, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""

    def touched(self, selector: Selector) -> Mapping[Concept, int]:
        """See `facts.Ledger`."""
        where, values = where_facts(selector)
        rows = self._rows(
            f"SELECT domain, label, COUNT(*) FROM facts WHERE {where} GROUP BY domain, label"
            " ORDER BY domain, label",
            values,
        )
        return {(domain, label): count for domain, label, count in rows}

    def evicted_by(self, selector: Selector) -> Mapping[Concept, int]:
        """See `facts.Ledger`."""
        return count_evicted(self._rows, selector)

    def placed(self, domain: str, without: AbstractSet[str] = frozenset()) -> int:
        """See `facts.Ledger`."""
        return count_placed(self._rows, domain, without)

    def facts_among(self, ids: AbstractSet[str]) -> frozenset[str]:
        """See `facts.Ledger`."""
        where, values = where_facts(Selector(ids=frozenset(ids)))
        rows = self._rows(f"SELECT id FROM facts WHERE {where}", values) if ids else ()
        return frozenset(row[0] for row in rows)

    def pending_forgets(self) -> tuple[PendingForget, ...]:
        """See `facts.Ledger`."""
        return read_pending(self._rows, self.path)

    def _holds(self, fact_id: str) -> bool:
        """Return whether any table still holds an id."""
        query = " UNION ALL ".join(
            f"SELECT 1 FROM {table} WHERE id = ?1" for table in TABLES_WITH_IDS
        )
        return bool(self._rows(query, (fact_id,)))
