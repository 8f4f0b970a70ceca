from __future__ import annotations

import math
import sqlite3
from dataclasses import replace

import pytest

import nas
from edge.core import limits
from edge.core.adaptors.record import AdaptorRecord
from edge.core.facts import LabelCandidate
from edge.storage import adaptor_tables as growth_tables
from edge.storage import schema
from tests.workers import a_record


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
    """How many rows a table has."""
    names = ("adaptors", "adaptor_facts", "candidates", "attempts")
    counts = {
        name: f"SELECT COUNT(*) FROM {name}"  # noqa: S608 - one of four names
        for name in names
    }
    return int(db.execute(counts[table]).fetchone()[0])


def test_two_versions_of_a_domain_are_kept(db):
    """The third version of a domain pushes the first out, with what shaped it; other domains
    stay."""
    growth_tables.put_adaptor(db, a_record("attic", 1, ("x",)))
    for version in (1, 2, 3):
        growth_tables.put_adaptor(db, a_record("home", version, ("a", f"only {version}")))
    rows = db.execute("SELECT domain, version FROM adaptors ORDER BY number").fetchall()
    assert rows == [("attic", 1), ("home", 2), ("home", 3)]
    ids = {row[0] for row in db.execute("SELECT id FROM adaptor_facts")}
    assert ids == {"x", "a", "only 2", "only 3"}
    assert limits.VERSIONS_MAX == 2


def test_a_version_is_stored_once(db):
    """The same version again replaces what is there."""
    growth_tables.put_adaptor(db, a_record("home", 1, ("a", "b")))
    growth_tables.put_adaptor(db, a_record("home", 1, ("c",)))
    assert held(db, "adaptors") == 1
    assert [row[0] for row in db.execute("SELECT id FROM adaptor_facts")] == ["c"]


def test_a_retired_version_leaves_nothing(db):
    """Retiring deletes the version and the ids of what shaped it, and only those."""
    for version in (1, 2):
        growth_tables.put_adaptor(db, a_record("home", version, (f"of {version}",)))
    growth_tables.remove_adaptor(db, "home", 2)
    assert [row[0] for row in db.execute("SELECT id FROM adaptor_facts")] == ["of 1"]
    growth_tables.remove_adaptor(db, "home", 9)
    assert held(db, "adaptors") == 1


def test_forgetting_reaches_every_version_that_a_fact_shaped(db):
    """Versions shaped by a forgotten fact go, in every domain; candidates and attempts too."""
    growth_tables.put_adaptor(db, a_record("home", 1, ("a", "b")))
    growth_tables.put_adaptor(db, a_record("home", 2, ("b", "c")))
    growth_tables.put_adaptor(db, a_record("attic", 1, ("a", "z")))
    growth_tables.put_candidates(db, [a_candidate(1), a_candidate(2)])
    db.execute("INSERT INTO attempts VALUES ('home', 'hash')")
    growth_tables.forget_growth(db, ["a", "c1"])
    assert db.execute("SELECT domain, version FROM adaptors").fetchall() == [("home", 2)]
    assert held(db, "adaptor_facts") == 2
    assert [row[0] for row in db.execute("SELECT id FROM candidates")] == ["c2"]
    assert held(db, "attempts") == 0


def test_candidates_are_bounded_and_the_newest_stay(db):
    """Beyond the bound the oldest nominations leave; one nominated again keeps its place."""
    most = limits.CANDIDATES_MAX
    growth_tables.put_candidates(db, [a_candidate(number) for number in range(most)])
    growth_tables.put_candidates(db, [a_candidate(0, 7.0)])
    growth_tables.put_candidates(db, [a_candidate(most)])
    ids = [row[0] for row in db.execute("SELECT id FROM candidates ORDER BY number")]
    assert ids == [f"c{number}" for number in range(1, most + 1)]


def test_rows_give_back_what_was_written(db):
    """A record and a candidate survive the table, numbers that are not known (NaN) included."""
    record = replace(a_record(), incumbent=math.nan)
    growth_tables.put_adaptor(db, record)
    row = db.execute(
        "SELECT domain, version, blueprint, own, seed, accuracy, incumbent FROM adaptors"
    ).fetchone()
    made = growth_tables.record_of(row, record.arrays, record.facts)
    assert isinstance(made, AdaptorRecord)
    assert made.digest == record.digest
    assert (made.own, made.accuracy) == (record.own, record.accuracy)
    assert math.isnan(made.incumbent)
    growth_tables.put_candidates(db, [a_candidate(5, math.nan)])
    columns = "SELECT id, stream, subject, domain, captured_at_ns, score, features FROM candidates"
    candidate = growth_tables.candidate_of(db.execute(columns).fetchone())
    assert math.isnan(candidate.score)
    assert replace(candidate, score=1.0) == a_candidate(5)


def test_a_blueprint_that_cannot_be_one_is_refused():
    """A damaged blueprint raises ValueError, whichever way it is damaged."""
    good = '{"kind": "linear", "taps": [0]}'
    row = ("home", 1, good, 2, 3, 0.5, None)
    assert growth_tables.record_of(row, {}, ()).blueprint == nas.Blueprint(kind="linear", taps=(0,))
    for bad in ("", "{", '{"kind": 3}', '["linear"]'):
        with pytest.raises(ValueError, match=r".+"):
            growth_tables.record_of((*row[:2], bad, *row[3:]), {}, ())
