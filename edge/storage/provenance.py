"""Which facts have evicted others, and whose domain the detector chose: tables beside the facts.

Rows go with their facts.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

import msgspec

from ..core import Concept, Selector, StoreFacts, evictors, settled
from .fact_reads import RowReader
from .tables import where_facts


def note_facts(db: sqlite3.Connection, effect: StoreFacts) -> None:
    """Note what new facts have evicted, and whose domain the detector chose."""
    db.executemany("DELETE FROM placed_facts WHERE id = ?", [(key,) for key in settled(effect)])
    placed = set(effect.placed)
    rows = [(fact.id, fact.domain) for fact in effect.facts if fact.id in placed]
    db.executemany("INSERT OR REPLACE INTO placed_facts VALUES (?, ?)", rows)
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


def count_evicted(rows: RowReader, selector: Selector) -> Mapping[Concept, int]:
    """Count the facts that the selected ones have evicted, by concept."""
    where, values = where_facts(selector)
    found = rows(
        "SELECT domain, label, SUM(evictors.facts) FROM facts CROSS JOIN evictors USING (id)"
        f" WHERE {where} GROUP BY domain, label",
        values,
    )
    return {(domain, label): count for domain, label, count in found}


def count_placed(rows: RowReader, domain: str, without: AbstractSet[str]) -> int:
    """Count the facts of a domain that the detector chose for them, without some."""
    query = "SELECT COUNT(*) FROM placed_facts WHERE domain = ?"
    found = rows(query, (domain,))[0][0]
    if without:
        named = msgspec.json.encode(sorted(without)).decode()
        query += " AND id IN (SELECT value FROM json_each(?))"
        found -= rows(query, (domain, named))[0][0]
    return int(found)


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
