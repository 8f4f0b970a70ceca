"""Which facts have evicted others, and whose domain the detector chose: tables beside the facts.

Rows go with their facts.
"""

import sqlite3
from collections.abc import Iterable, Mapping

from ..core import Concept, Selector, StoreFacts, evictors, settled
from .fact_reads import Rows
from .tables import where_facts


def note_facts(db: sqlite3.Connection, effect: StoreFacts) -> None:
    """Note what new facts have evicted, and whose domain the detector chose."""
    db.executemany("DELETE FROM placed_facts WHERE id = ?", [(key,) for key in settled(effect)])
    db.executemany(
        "INSERT OR IGNORE INTO placed_facts VALUES (?)", [(key,) for key in effect.placed]
    )
    db.executemany(
        "INSERT INTO evictors VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET"
        " facts = facts + excluded.facts",
        list(evictors(effect).items()),
    )


def delete_notes(db: sqlite3.Connection, ids: Iterable[str]) -> None:
    """Delete what is noted of facts that leave the ledger."""
    rows = [(key,) for key in ids]
    db.executemany("DELETE FROM placed_facts WHERE id = ?", rows)
    db.executemany("DELETE FROM evictors WHERE id = ?", rows)


def count_evicted(rows: Rows, selector: Selector) -> Mapping[Concept, int]:
    """Count the facts that the selected ones have evicted, by concept."""
    where, values = where_facts(selector)
    found = rows(
        "SELECT domain, label, SUM(evictors.facts) FROM evictors JOIN facts USING (id)"
        f" WHERE id IN (SELECT id FROM facts WHERE {where}) GROUP BY domain, label",
        values,
    )
    return {(domain, label): count for domain, label, count in found}


def count_placed(rows: Rows, selector: Selector) -> Mapping[str, int]:
    """Count the selected facts whose domain the detector chose, by domain."""
    where, values = where_facts(selector)
    found = rows(
        "SELECT domain, COUNT(*) FROM placed_facts JOIN facts USING (id)"
        f" WHERE id IN (SELECT id FROM facts WHERE {where}) GROUP BY domain",
        values,
    )
    return dict(found)


def rename_domain(db: sqlite3.Connection, old: str, new: str) -> None:
    """Give a domain another name wherever it is named besides its facts."""
    for table, column in (
        ("candidates", "domain"),
        ("action_facts", "domain"),
        ("domain_merges", "source"),
        ("domain_merges", "target"),
    ):
        db.execute(f"UPDATE {table} SET {column} = ? WHERE {column} = ?", (new, old))
    db.execute("DELETE FROM attempts WHERE domain = ?", (old,))
