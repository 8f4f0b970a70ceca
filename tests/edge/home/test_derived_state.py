"""What a home keeps of derived state: opened sooner with it, never wrong because of it."""

from __future__ import annotations

import shutil
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge.core import Decision, Derived, FactBatch, Observation, StateError, limits
from edge.core.events import (
    Enrol,
    FitGeometry,
    ForgetRequest,
    GrowRequest,
    GrowthFinished,
    StartGrowth,
)
from edge.core.facts import Selector, hash_rank
from edge.core.knowledge.refits import HeadRefit, RouterRefit, ThresholdsRefit
from edge.home.actions import verify_home
from edge.home.home import Home
from edge.storage import Store
from tests.growers import accept
from tests.homes import new_home, raw_bytes, run, teach, write_csv
from tests.kills import run_up_to
from tests.worlds import fact, vector


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A home that has learned two labels of many facts each, and was closed."""
    made = new_home(tmp_path / "home")
    table = write_csv(tmp_path / "table.csv", 40)
    with Home(made) as home:
        teach(home, table, "hall")
    return made


def entries(folder: Path) -> int:
    """The number of kept sums in a home's file."""
    with sqlite3.connect(folder / "knowledge.db") as db:
        (count,) = db.execute("SELECT COUNT(*) FROM derived WHERE name = 'sums'").fetchone()
    db.close()
    return int(count)


def test_a_home_opens_without_reading_every_fact(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A home that was closed opens from kept sums, with the same knowledge."""
    with Home(folder) as home:
        digest = home.runtime.digest()

    def refuse(*_: Any, **_named: Any) -> Iterator[FactBatch]:
        raise AssertionError("every fact is read")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "batches", refuse)
        home = Home(folder)
    with home:
        assert home.runtime.digest() == digest


def test_what_answers_need_is_solved_while_learning(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a home has learned, the first decision of the next program solves nothing: over ten
    thousand facts that takes two seconds."""
    with Home(folder) as home:
        teach(home, write_csv(tmp_path / "yard.csv", 40, "cd"), "yard")

    def refuse(*_: Any) -> None:
        raise AssertionError("it is solved again")

    for part in (HeadRefit, RouterRefit, ThresholdsRefit):
        monkeypatch.setattr(part, "solve", refuse)
    with Home(folder) as home:
        for number in range(6):
            row = vector(number)
            seen = Observation(stream="s", sequence=number, captured_at_ns=number, payload=row)
            assert any(isinstance(one, Decision) for one in home.feed(seen))


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE derived SET arrays = substr(arrays, 1, length(arrays) - 1) || x'77'",
        "UPDATE derived SET arrays = x''",
        "UPDATE derived SET key = replace(key, '1 ', '2 ')",
        "UPDATE derived SET sha256 = x'00'",
        "DELETE FROM derived",
    ],
)
def test_damaged_and_foreign_entries_are_derived_again(folder: Path, damage: str) -> None:
    """An entry that was damaged or is of another program costs time and nothing else, and is kept
    again."""
    with Home(folder) as home:
        digest = home.runtime.digest()
    with sqlite3.connect(folder / "knowledge.db") as db:
        db.execute(damage)
    db.close()
    with Home(folder) as home:
        assert home.runtime.digest() == digest
        assert verify_home(home).complaints == ()
    assert entries(folder) == 2


def test_verify_reports_sums_that_differ_from_the_facts(folder: Path) -> None:
    """An entry whose checksum fits but whose sums are of other facts is found, and fitting the
    geometry removes it."""
    with Store.open(folder / "knowledge.db") as store:
        geometry = store.geometry()
        assert geometry is not None
        ((domain, label), content), *_ = store.contents().items()
        (key,) = (row[0] for row in keys(folder, label))
        assert content in key
        arrays = store.derived("sums", key, domain=domain, label=label)
        assert arrays is not None
        wrong = {**arrays, "sums": arrays["sums"].astype(np.int64) + 1}
        store.save_derived(
            [Derived(name="sums", key=key, domain=domain, label=label, arrays=wrong)]
        )
    with Home(folder) as home:
        complaints = verify_home(home).complaints
        assert any("kept in the file differ" in one for one in complaints)
    assert run("verify", "--home", folder).exit_code == 1
    assert run("fit-geometry", "--home", folder).exit_code == 0
    assert run("verify", "--home", folder).exit_code == 0
    assert entries(folder) == 2


def keys(folder: Path, label: str) -> list[tuple[str]]:
    """The keys of the kept sums of a label."""
    with sqlite3.connect(folder / "knowledge.db") as db:
        found = db.execute("SELECT key FROM derived WHERE name = 'sums' AND label = ?", (label,))
        rows = found.fetchall()
    db.close()
    return rows


def test_a_forget_request_removes_the_sums_of_its_facts(folder: Path) -> None:
    """Sums that include forgotten facts are gone from the file at once."""
    with sqlite3.connect(folder / "knowledge.db") as db:
        rows = db.execute("SELECT label, arrays FROM derived WHERE name = 'sums'").fetchall()
    db.close()
    held = {label: bytes(arrays[-200:]) for label, arrays in rows}
    assert all(part in raw_bytes(folder / "knowledge.db") for part in held.values())
    with Home(folder) as home:
        fact_id = home.store.select(Selector(label="a"))[0]
        home.feed(
            ForgetRequest(
                request_id="r", selector=Selector(ids=frozenset({fact_id})), refit_geometry=False
            )
        )
        raw = raw_bytes(folder / "knowledge.db")
        assert held["a"] not in raw
        assert held["b"] in raw
    with Home(folder) as home:
        assert verify_home(home).complaints == ()
    assert entries(folder) == 2


def test_a_home_that_cannot_keep_anything_closes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where derived state cannot be written, closing succeeds, and the next opening derives it."""

    def fail(*_: Any) -> None:
        raise StateError("keeping what was derived: database or disk is full", "free space")

    with Home(folder) as home:
        digest = home.runtime.digest()
        monkeypatch.setattr(Store, "save_derived", fail)
    monkeypatch.undo()
    with Home(folder) as home:
        assert home.runtime.digest() == digest


def test_an_entry_whose_arrays_are_gone_is_derived_again(folder: Path) -> None:
    """A damaged row may hold nothing where its arrays were: the home opens all the same."""
    with Home(folder) as home:
        digest = home.runtime.digest()
    with sqlite3.connect(folder / "knowledge.db") as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute(
            "UPDATE sqlite_master SET sql = replace(sql, 'arrays BLOB NOT NULL', 'arrays BLOB')"
            " WHERE name = 'derived'"
        )
    db.close()
    with sqlite3.connect(folder / "knowledge.db") as db:
        db.execute("UPDATE derived SET arrays = NULL")
    db.close()
    with Home(folder) as home:
        assert home.runtime.digest() == digest


def test_what_stood_on_a_forgotten_adaptor_does_not_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An adaptor's record leaves with a fact that it was grown from, though later facts have pushed
    that fact out of every sample: the head on top of it leaves, too, and is not kept."""
    monkeypatch.setattr(limits, "SUPPORT_FACTS_MAX", 12)
    monkeypatch.setattr(limits, "GEOMETRY_FACTS_MAX", 12)
    ids = sorted((f"f{at}" for at in range(300)), key=hash_rank)
    own = [fact(key, "xy"[at % 2], "A", at + 1, seed=at) for at, key in enumerate(ids[100:130])]
    others = [
        fact(key, "xy"[at % 2], "B", at + 1, seed=1_000 + at) for at, key in enumerate(ids[200:215])
    ]
    later = [
        fact(key, "xy"[at % 2], "B", at + 100, seed=2_000 + at) for at, key in enumerate(ids[:20])
    ]
    rows = np.stack([np.frombuffer(one.features, np.uint8) for one in own])
    path = new_home(tmp_path / "grown")
    with Home(path) as home:
        home.feed(Enrol(tuple(own + others)))
        home.feed(FitGeometry())
        found = home.runtime.handle(GrowRequest("A", "g"))
        job = next(one.job for one in found if isinstance(one, StartGrowth))
        home.feed(GrowthFinished(accept(job)))
        record = home.store.adaptors()["A"][0]
        home.feed(Enrol(tuple(later)))
        home.feed(FitGeometry())
        home.runtime.knowledge.adaptor("A")
        outside = next(one.id for one in others if one.id in record.facts)
        home.feed(
            ForgetRequest(
                request_id="r", selector=Selector(ids=frozenset({outside})), requested_at_ns=5
            )
        )
        assert outside not in home.store.adaptors()["A"][0].facts
        served = home.runtime.knowledge.adaptor("A").answer(rows)
    with Home(path) as home:
        kept = home.runtime.knowledge.adaptor("A").answer(rows)
        home.store.drop_derived()
        home.reopen()
        fresh = home.runtime.knowledge.adaptor("A").answer(rows)
    assert np.array_equal(served, fresh)
    assert np.array_equal(kept, fresh)


KEEP = """
    import sys
    from pathlib import Path
    from edge.core import Label, Observation
    from edge.home.home import Home
    with Home(Path(sys.argv[1])) as home:
        row = [3.0] * home.model.card.width
        seen = Observation(stream="s", sequence=7, captured_at_ns=7, payload=row)
        home.feed(seen)
        home.feed(Label(seen.key, "c"))
        print("learned", seen.key, steps, flush=True)
"""


def test_a_home_killed_while_it_keeps_derived_state_loses_nothing(
    folder: Path, tmp_path: Path
) -> None:
    """Killed with -9 at steps spread over learning a fact and keeping what follows from it, the
    next opening has every acknowledged fact, and what it keeps is that of its facts."""
    whole = tmp_path / "whole"
    shutil.copytree(folder, whole)
    done = run_up_to(0, KEEP, str(whole)).stdout.split()
    learned, steps = int(done[2]), int(done[3])
    before = range(1, learned, max(1, learned // 4))
    while_kept = range(learned + 1, steps, max(1, (steps - learned) // 6))
    assert len(while_kept) >= 3
    for step in (*before, *while_kept):
        here = tmp_path / f"killed {step}"
        shutil.copytree(folder, here)
        killed = run_up_to(step, KEEP, str(here))
        assert killed.returncode == -signal.SIGKILL
        with Home(here) as home:
            if step > learned:
                assert home.store.get("s:7") is not None
            assert verify_home(home).complaints == ()
