"""The tables of people's actions, each written in the transaction of its change.

`actions` holds the actions, `action_facts` the facts as they were before, and an adaptor that an
action removed stays in `adaptors` with the action's number in `kept_for`.
"""

import re
import sqlite3
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from ..core import ACTIONS_OF_FACTS, Action, Fact, FactBefore
from ..core import limits as core_limits
from . import tables
from .command_journal import Transaction
from .fact_reads import RowReader

ROW_COLUMNS: Final = f"{tables.FACT_COLUMNS}, after, score"
"""Columns of `action_facts` without the action."""


class _Detail(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Fields of an action in the column `detail`; see `Action`."""

    labels: tuple[str, ...] = ()
    domain: str = ""
    other: str = ""
    version: int = 0
    stream: str = ""
    harmless: bool = True
    counts: tuple[int, int, int] = (0, 0, 0)
    restored: int = 0


class ActionRecords:
    """The actions of an open file.  rows: runs a query; change: opens a transaction."""

    def __init__(self, rows: RowReader, change: Transaction) -> None:
        self._rows, self._change = rows, change

    def heads(self) -> tuple[tuple[Action, int], ...]:
        """Return the actions without their facts, newest first, each with the number of facts in
        its record."""
        counts: dict[str, int] = dict(
            self._rows(
                "SELECT actions.action, COUNT(*) FROM actions JOIN action_facts"
                " ON action_facts.action = actions.number GROUP BY actions.number",
                (),
            )
        )
        found = read_actions(self._rows, heads=True)
        return tuple((one, counts.get(one.id, 0)) for one in found)

    def holds(self, action_id: str) -> bool:
        """Return whether an action is recorded."""
        return bool(self._rows("SELECT 1 FROM actions WHERE action = ?", (action_id,)))

    def newest_ns(self) -> int:
        """Return the time of the newest action, 0 without any.  A clock that is below it is not set
        yet, and must not end what can be undone."""
        return int(self._rows("SELECT COALESCE(MAX(at_ns), 0) FROM actions", ())[0][0])

    def expire(self, now_ns: int) -> None:
        """Delete the actions that can't be undone any more, with the evicted facts kept for
        them."""
        ((oldest, newest),) = self._rows("SELECT MIN(at_ns), MAX(at_ns) FROM actions", ())
        if oldest is None or max(now_ns - oldest, newest - now_ns) < core_limits.UNDO_NS:
            return
        with self._change("deleting old actions") as db:
            delete_expired(db, now_ns)

    def drop(self) -> None:
        """Delete all actions: none can be undone any more."""
        with self._change("deleting actions") as db:
            db.execute("DELETE FROM actions")
            _delete_orphans(db)


def read_actions(rows: RowReader, *, heads: bool = False) -> tuple[Action, ...]:
    """Return the actions, newest first.  heads: without their facts and adaptors."""
    found = rows(
        "SELECT number, action, verb, at_ns, undone, detail FROM actions ORDER BY number DESC", ()
    )
    return tuple(_action(rows, row, heads=heads) for row in found)


def _action(rows: RowReader, row: tuple[Any, ...], *, heads: bool) -> Action:
    number, name, verb, at_ns, undone, detail = row
    given = msgspec.structs.asdict(msgspec.json.decode(detail, type=_Detail))
    facts: Iterable[tuple[Any, ...]] = ()
    adaptors: Iterable[tuple[Any, ...]] = ()
    if not heads:
        facts = rows(
            f"SELECT {ROW_COLUMNS} FROM action_facts WHERE action = ? ORDER BY id", (number,)
        )
        kept = "SELECT domain, version FROM adaptors WHERE kept_for = ? ORDER BY domain, number"
        adaptors = rows(kept, (number,))
    return Action(
        id=name,
        verb=verb,
        at_ns=at_ns,
        undone=bool(undone),
        facts=tuple(map(_before_from_row, facts)),
        adaptors=tuple((domain, version) for domain, version in adaptors),
        **given,
    )


def kept_facts(rows: RowReader, where: str, values: tuple[Any, ...]) -> tuple[str, ...]:
    """Return the ids of facts in records that a condition selects as they were, sorted."""
    found = rows(f"SELECT DISTINCT id FROM action_facts WHERE {where} ORDER BY id", values)
    return tuple(row[0] for row in found)


def write_action(db: sqlite3.Connection, action: Action) -> int:
    """Write an action, if it is not recorded yet; return its number.  Delete those that are too
    old, and the oldest beyond the limits."""
    known = db.execute("SELECT number FROM actions WHERE action = ?", (action.id,)).fetchone()
    if known is not None:
        return int(known[0])
    detail = _Detail(**{name: getattr(action, name) for name in _Detail.__struct_fields__})
    number = db.execute(
        "INSERT INTO actions (action, verb, at_ns, undone, detail) VALUES (?, ?, ?, 0, ?)",
        (action.id, action.verb, action.at_ns, msgspec.json.encode(detail).decode()),
    ).lastrowid
    assert number is not None, "a row was inserted"
    marks = ", ".join("?" * (1 + len(ROW_COLUMNS.split(", "))))
    db.executemany(
        f"INSERT INTO action_facts (action, {ROW_COLUMNS}) VALUES ({marks})",
        [(number, *_row_from_before(one)) for one in action.facts],
    )
    delete_expired(db, action.at_ns)
    _delete_beyond_limits(db)
    return number


def end_action(db: sqlite3.Connection, name: str) -> None:
    """Mark an action as undone: its adaptors serve again, and its record of facts ends."""
    (number,) = db.execute("SELECT number FROM actions WHERE action = ?", (name,)).fetchone()
    db.execute("UPDATE adaptors SET kept_for = NULL WHERE kept_for = ?", (number,))
    count = db.execute("DELETE FROM action_facts WHERE action = ?", (number,)).rowcount
    db.execute(
        "UPDATE actions SET undone = 1, detail = json_set(detail, '$.restored', ?)"
        " WHERE number = ?",
        (count, number),
    )


def delete_expired(db: sqlite3.Connection, now_ns: int) -> None:
    """Delete the actions that can't be undone any more; those that a wrong clock dated into the
    future, too."""
    db.execute(
        "DELETE FROM actions WHERE at_ns <= ? OR at_ns > ?",
        (now_ns - core_limits.UNDO_NS, now_ns + core_limits.UNDO_NS),
    )
    _delete_orphans(db)


def delete_facts(
    db: sqlite3.Connection, ids: Iterable[str], *, streams: Iterable[str] = ()
) -> None:
    """Delete facts from the records, actions of which none is left, and answers to the alarms of
    some streams."""
    db.executemany("DELETE FROM action_facts WHERE id = ?", [(fact_id,) for fact_id in ids])
    db.executemany(
        "DELETE FROM actions WHERE verb = 'confirm' AND json_extract(detail, '$.stream') = ?",
        [(stream,) for stream in streams],
    )
    _delete_emptied(db)


def delete_named(db: sqlite3.Connection, names: re.Pattern[bytes]) -> None:
    """Delete the records of actions that name what is forgotten, in their detail or as their facts
    were before: undoing them would bring the names back."""
    texts = db.execute("SELECT number, detail FROM actions").fetchall()
    texts += [
        (number, " ".join(f'"{name}"' for name in held))
        for number, *held in db.execute(
            "SELECT DISTINCT action, domain, label, subject, recording FROM action_facts"
        ).fetchall()
    ]
    found = {number for number, text in texts if names.search(text.encode())}
    db.executemany("DELETE FROM actions WHERE number = ?", [(number,) for number in found])
    _delete_orphans(db)


def _delete_beyond_limits(db: sqlite3.Connection) -> None:
    """Delete the oldest actions beyond the limits, never the newest."""
    db.execute(
        "DELETE FROM actions WHERE number NOT IN"
        " (SELECT number FROM actions ORDER BY number DESC LIMIT ?)",
        (core_limits.ACTIONS_MAX,),
    )
    _delete_orphans(db)
    ((held,),) = db.execute("SELECT COUNT(*) FROM action_facts").fetchall()
    if held > core_limits.ACTION_FACTS_MAX:
        db.execute(
            "DELETE FROM actions WHERE number IN (SELECT action FROM (SELECT action,"
            " SUM(COUNT(*)) OVER (ORDER BY action DESC) AS newer, RANK() OVER"
            " (ORDER BY action DESC) AS place FROM action_facts GROUP BY action)"
            " WHERE newer > ? AND place > 1)",
            (core_limits.ACTION_FACTS_MAX,),
        )
        _delete_orphans(db)


def _delete_emptied(db: sqlite3.Connection) -> None:
    marks = ", ".join("?" * len(ACTIONS_OF_FACTS))
    db.execute(
        f"DELETE FROM actions WHERE verb IN ({marks}) AND undone = 0"
        " AND number NOT IN (SELECT action FROM action_facts)",
        ACTIONS_OF_FACTS,
    )
    _delete_orphans(db)


def _delete_orphans(db: sqlite3.Connection) -> None:
    """Delete the facts and adaptors kept for actions that no longer exist."""
    db.execute("DELETE FROM action_facts WHERE action NOT IN (SELECT number FROM actions)")
    gone = db.execute(
        "DELETE FROM adaptors WHERE kept_for IS NOT NULL"
        " AND kept_for NOT IN (SELECT number FROM actions)"
    )
    if gone.rowcount:
        tables.delete_orphaned_ids(db)


def _before_from_row(row: tuple[Any, ...]) -> FactBefore:
    *fields, after, score = row
    fact = Fact(**dict(zip(tables.FACT_FIELDS, fields, strict=True)))
    return FactBefore(fact=fact, after=after, score=tables.null_to_nan(score))


def _row_from_before(one: FactBefore) -> tuple[Any, ...]:
    kept = one.stored()
    return (*tables.fact_to_row(kept.fact), kept.after, tables.nan_to_null(kept.score))
