from __future__ import annotations

import math
import sqlite3
from pathlib import Path

import pytest
from msgspec.structs import replace

import nas
from edge.core import limits
from edge.core.adaptors.record import AdaptorRecord
from edge.core.errors import StateCorruptError
from edge.core.facts import LabelCandidate, Selector
from edge.storage import schema, tables
from edge.storage.tables import (
    FACT_COLUMNS,
    fact_from_row,
    fact_to_row,
    hash_id,
    where_clause,
)
from tests.workers import a_record
from tests.worlds import WIDTH, fact

KEY = b"k" * 32


def test_a_row_is_a_fact():
    """A row round-trips to the same fact, in the order of the columns."""
    one = replace(fact("a", subject="ann", revision=3), recording="run 1")
    assert fact_from_row(fact_to_row(one), WIDTH, Path("k.db")) == one
    names = FACT_COLUMNS.split(", ")
    assert dict(zip(names, fact_to_row(one), strict=True)) == {
        name: getattr(one, name) for name in names
    }


@pytest.mark.parametrize("features", [b"", b"x" * (WIDTH + 1), "x" * WIDTH, None, 5])
def test_features_of_another_kind_are_damage(features):
    """A row whose features are not `width` bytes raises a StateCorruptError that names the fact."""
    row = ("a", "s", "d", "l", 0, features, "", 0, "")
    with pytest.raises(StateCorruptError, match="'a'"):
        fact_from_row(row, WIDTH, Path("k.db"))


def test_a_clause_restricts_only_the_given_fields():
    """Only given fields restrict the selection; ids are left to the caller."""
    assert where_clause(Selector()) == ("1", ())
    assert where_clause(Selector(ids=frozenset({"a"}))) == ("1", ())
    where, values = where_clause(Selector(label="'; DROP TABLE facts", until_ns=0))
    assert where == "label = ? AND captured_at_ns < ?"
    assert values == ("'; DROP TABLE facts", 0)


def test_a_tombstone_reveals_nothing_without_its_key():
    """Under another key the same id has another hash, of fixed length."""
    assert hash_id(KEY, "a") != hash_id(b"x" * 32, "a")
    assert len(hash_id(KEY, "a" * 200)) == 32


@pytest.fixture
def db() -> sqlite3.Connection:
    """A database in memory with the newest layout."""
    made = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(made, 0)
    return made


def a_candidate(number: int, score: float = 1.0) -> LabelCandidate:
    """A candidate of some number."""
    return LabelCandidate(
        observation_id=f"c{number}",
        stream="cam",
        subject="ann",
        domain="home",
        captured_at_ns=number,
        score=score,
        features=bytes([number % 256]) * 8,
    )


def held(db: sqlite3.Connection, table: str) -> int:
    """The number of rows of a table."""
    names = ("adaptors", "adaptor_facts", "candidates", "attempts")
    counts = {
        name: f"SELECT COUNT(*) FROM {name}"  # noqa: S608 - one of four names
        for name in names
    }
    return int(db.execute(counts[table]).fetchone()[0])


def test_two_versions_of_a_domain_are_kept(db):
    """The third version of a domain pushes the first out, with what shaped it; other domains
    stay."""
    tables.replace_adaptor(db, a_record("attic", 1, ("x",)))
    for version in (1, 2, 3):
        tables.replace_adaptor(db, a_record("home", version, ("a", f"only {version}")))
    rows = db.execute("SELECT domain, version FROM adaptors ORDER BY number").fetchall()
    assert rows == [("attic", 1), ("home", 2), ("home", 3)]
    ids = {row[0] for row in db.execute("SELECT id FROM adaptor_facts")}
    assert ids == {"x", "a", "only 2", "only 3"}
    assert limits.VERSIONS_MAX == 2


def test_a_version_is_stored_once(db):
    """The same version again replaces the stored one."""
    tables.replace_adaptor(db, a_record("home", 1, ("a", "b")))
    tables.replace_adaptor(db, a_record("home", 1, ("c",)))
    assert held(db, "adaptors") == 1
    assert [row[0] for row in db.execute("SELECT id FROM adaptor_facts")] == ["c"]


def test_a_retired_version_leaves_nothing(db):
    """Deleting a version also deletes the ids of its facts, and nothing else."""
    for version in (1, 2):
        tables.replace_adaptor(db, a_record("home", version, (f"of {version}",)))
    tables.delete_adaptor(db, "home", 2)
    assert [row[0] for row in db.execute("SELECT id FROM adaptor_facts")] == ["of 1"]
    tables.delete_adaptor(db, "home", 9)
    assert held(db, "adaptors") == 1


def test_forgetting_reaches_every_version_that_a_fact_shaped(db):
    """Versions shaped by a forgotten fact are deleted in every domain, and its candidates and
    attempts."""
    tables.replace_adaptor(db, a_record("home", 1, ("a", "b")))
    tables.replace_adaptor(db, a_record("home", 2, ("b", "c")))
    tables.replace_adaptor(db, a_record("attic", 1, ("a", "z")))
    tables.store_candidates(db, [a_candidate(1), a_candidate(2)], ())
    db.execute("INSERT INTO attempts VALUES ('home', 'hash')")
    tables.erase_growth(db, ["a", "c1"])
    assert db.execute("SELECT domain, version FROM adaptors").fetchall() == [("home", 2)]
    assert held(db, "adaptor_facts") == 2
    assert [row[0] for row in db.execute("SELECT id FROM candidates")] == ["c2"]
    assert held(db, "attempts") == 0


def test_rows_round_trip(db):
    """A record and a candidate round-trip through the tables, NaN included."""
    record = replace(a_record(), incumbent=math.nan, provisional=True)
    tables.replace_adaptor(db, record)
    row = db.execute(
        "SELECT domain, version, blueprint, own, seed, accuracy, incumbent, provisional"
        " FROM adaptors"
    ).fetchone()
    made = tables.adaptor_from_row(row, record.arrays, record.facts)
    assert isinstance(made, AdaptorRecord)
    assert made.digest == record.digest
    assert (made.own, made.accuracy) == (record.own, record.accuracy)
    assert made.provisional
    assert math.isnan(made.incumbent)
    tables.store_candidates(db, [a_candidate(5, math.nan)], ())
    query = (
        "SELECT id, stream, subject, domain, captured_at_ns, score, features, recording"
        " FROM candidates"
    )
    candidate = tables.candidate_from_row(db.execute(query).fetchone())
    assert math.isnan(candidate.score)
    assert replace(candidate, score=1.0) == a_candidate(5)


def test_a_blueprint_that_cannot_be_one_is_refused():
    """A damaged blueprint raises ValueError, whichever way it is damaged."""
    good = '{"kind": "linear", "taps": [0]}'
    row = ("home", 1, good, 2, 3, 0.5, None, 0)
    assert tables.adaptor_from_row(row, {}, ()).blueprint == nas.Blueprint(kind="linear", taps=(0,))
    for bad in ("", "{", '{"kind": 3}', '["linear"]'):
        with pytest.raises(ValueError, match=r".+"):
            tables.adaptor_from_row((*row[:2], bad, *row[3:]), {}, ())
