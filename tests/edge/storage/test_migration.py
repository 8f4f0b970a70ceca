"""Files of every earlier layout become files of the newest, whatever happens in between."""

from __future__ import annotations

import resource
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from edge import Store
from edge.core.errors import StateCorruptError
from edge.core.events import EraseFacts
from edge.core.facts import Fact, sample_facts
from edge.storage import schema
from edge.storage.tables import FACT_FIELDS, fact_to_row
from tests.edge.storage.test_erasure import gaps, traces
from tests.homes import RECEIPT, distinct_facts, wide_card
from tests.kills import environment, run_up_to, steps_of

WIDTH = 300
VERSIONS = range(1, schema.version())

UNCOUNTED = 9
"""The last layout without totals and ranks of facts: later steps begin with counting the facts."""


def earlier_file(path: Path, version: int, facts: list[Fact]) -> None:
    """Write a file of an earlier layout as the program of that time did."""
    card, total = wide_card(WIDTH), 0
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript("PRAGMA page_size=8192; PRAGMA journal_mode=WAL; PRAGMA secure_delete=ON;")
    db.executescript("".join(schema.MIGRATIONS[: min(version, UNCOUNTED)]))
    held = {row[1] for row in db.execute("PRAGMA table_info(facts)")}
    names = [name for name in FACT_FIELDS if name in held]
    marks = ", ".join("?" * len(names))
    db.execute("BEGIN")
    for one in reversed(facts):
        row = dict(zip(FACT_FIELDS, fact_to_row(one), strict=True))
        db.execute(
            f"INSERT INTO facts ({', '.join(names)}) VALUES ({marks})",  # noqa: S608 - own names
            [row[n] for n in names],
        )
        total += int.from_bytes(one.hash(), "little")
    db.execute("INSERT INTO burial_keys (key) VALUES (?)", (bytes(32),))
    digest = (total % (1 << 256)).to_bytes(32, "big")
    for name, value in (
        ("card", card.fingerprint.encode()),
        ("width", str(WIDTH).encode()),
        ("digest", digest),
    ):
        db.execute("INSERT INTO meta VALUES (?, ?)", (name, value))
    db.execute("COMMIT")
    schema.add_functions(db)
    db.executescript("".join(schema.MIGRATIONS[UNCOUNTED:version]))
    db.execute(f"PRAGMA application_id={schema.APPLICATION_ID}")
    db.execute(f"PRAGMA user_version={version}")
    db.close()


def is_whole(store: Store, facts: list[Fact]) -> bool:
    """Whether a store holds exactly these facts, and all that is kept beside them agrees."""
    concepts = {(one.domain, one.label) for one in facts}
    wanted = {c: sum((one.domain, one.label) == c for one in facts) for c in sorted(concepts)}
    return (
        store.check() == ()
        and [one for page in store.pages() for one in page] == sorted(facts, key=lambda one: one.id)
        and store.concepts() == wanted
        and store.sample(50).ids == sample_facts(store.batches(), 50).ids
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_each_earlier_layout_is_brought_up_to_date(tmp_path: Path, version: int) -> None:
    """A file of any earlier layout opens with the same facts, their totals and ranks; what is then
    erased leaves no trace in it, nor in the copy that the migration made."""
    path, facts = tmp_path / "k.db", distinct_facts(400, WIDTH)
    earlier_file(path, version, facts)
    with Store.open(path, wide_card(WIDTH)) as store:
        assert is_whole(store, facts)
        assert path.with_name(f"k.db.v{version}").exists()
        store.apply(EraseFacts(tuple(one.id for one in facts[::3]), RECEIPT))
        assert traces(path, facts[::3]) == []
        assert not path.with_name(f"k.db.v{version}").exists()
    assert gaps(path) == []


OPEN = textwrap.dedent("""
    import sys
    from edge import Store
    print("begin", flush=True)
    store = Store.open(sys.argv[1])
    print("open", flush=True)
    store.close()
    print("closed", flush=True)
""")


def opened(path: Path, **options: object) -> subprocess.Popen[str]:
    """A process that opens a file for writing, and so migrates it."""
    process: subprocess.Popen[str] = subprocess.Popen(
        [sys.executable, "-c", OPEN, str(path)],
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,  # type: ignore[call-overload]
    )
    return process


def test_a_migration_killed_at_any_step_loses_nothing(tmp_path: Path) -> None:
    """Killed with -9 at steps spread over all that SQLite does for a migration, the file is whole
    each time: of the earlier layout, or of the newest; the next opening finishes."""
    path, facts = tmp_path / "k.db", distinct_facts(1000, WIDTH)
    earlier_file(path, 9, facts)
    before = path.read_bytes()
    path.write_bytes(before)
    steps = steps_of(OPEN, str(path))
    migrated = []
    for part in range(1, 8):
        path.write_bytes(before)
        path.with_name("k.db-wal").unlink(missing_ok=True)
        assert run_up_to(steps * part // 8, OPEN, str(path)).returncode == -signal.SIGKILL
        migrated.append(int.from_bytes(path.read_bytes()[60:64], "big"))
        with Store.open(path) as store:
            assert is_whole(store, facts)
        assert gaps(path) == []
    assert set(migrated) <= {9, schema.version()}
    assert migrated.count(9) >= 3  # the migration had begun, and was not written


def limit(size: int) -> Callable[[], None]:
    """A function that limits the size of the files that a process may write."""

    def set_limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return set_limit


def test_a_full_disk_during_a_migration_loses_nothing(tmp_path: Path) -> None:
    """Where the disk is full at any step, opening fails with a hint, and the file is as before;
    with space again it opens."""
    path, facts = tmp_path / "k.db", distinct_facts(1000, WIDTH)
    earlier_file(path, 9, facts)
    size, before = path.stat().st_size, path.read_bytes()
    failed = 0
    for share in (0.1, 1.01, 1.05, 3.0):
        path.write_bytes(before)
        process = opened(path, preexec_fn=limit(int(size * share)))
        said, errors = process.communicate()
        failed += "open" not in said
        assert "closed" in said or ("StateError" in errors and "hint" in errors)
        with Store.open(path) as store:
            assert is_whole(store, facts)
    assert 0 < failed < 4


ERASE = textwrap.dedent("""
    import sys
    from edge import Store
    from edge.core import EraseFacts
    from tests.homes import RECEIPT
    with Store.open(sys.argv[1]) as store:
        store.apply(EraseFacts(tuple(sys.argv[2].split(",")), RECEIPT))
""")


def test_a_full_disk_during_an_erasure_keeps_or_erases_all(tmp_path: Path) -> None:
    """Where the disk is full at any step of an erasure, all of the facts are still there, or all
    are gone for good; the next opening leaves no trace of these."""
    path, facts = tmp_path / "k.db", distinct_facts(800, WIDTH)
    gone = facts[::4]
    earlier_file(path, 9, facts)
    Store.open(path).close()
    path.with_name("k.db.v9").unlink()
    before, outcomes = path.read_bytes(), set()
    for size in (40_000, 120_000, 300_000, 500_000, 10_000_000):
        path.write_bytes(before)
        process = subprocess.run(
            [sys.executable, "-c", ERASE, str(path), ",".join(one.id for one in gone)],
            env=environment(),
            text=True,
            capture_output=True,
            check=False,
            preexec_fn=limit(size),
        )
        assert process.returncode == 0 or "StateError" in process.stderr
        with Store.open(path) as store:
            erased = store.was_forgotten(gone[0].id)
            outcomes.add(erased)
            assert store.check() == ()
            out = {one.id for one in gone} if erased else set()
            assert is_whole(store, [one for one in facts if one.id not in out])
            assert not store.unscrubbed
        if erased:
            assert traces(path, gone) == []
        assert process.returncode == 0 or size < 10_000_000
    assert outcomes == {True, False}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE concepts SET facts = facts + CASE label WHEN 'a' THEN 1 ELSE -1 END",
        "UPDATE ranks SET rank = rank + 1 WHERE id = (SELECT MIN(id) FROM ranks)",
    ],
)
def test_totals_that_add_up_but_differ_from_the_facts_are_reported(
    tmp_path: Path, change: str
) -> None:
    """What opening a file cannot see without reading all facts is found by the check."""
    path = tmp_path / "k.db"
    earlier_file(path, 9, distinct_facts(31, WIDTH))
    Store.open(path).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(change)
    with Store.open(path) as store:
        (complaint,) = store.check()
        assert "differ" in complaint


DAMAGE = (
    "UPDATE concepts SET digest = 'x'",
    "UPDATE concepts SET digest = zeroblob(5)",
    "UPDATE concepts SET digest = zeroblob(32)",
    "UPDATE concepts SET digest = 0",
    "UPDATE concepts SET facts = 'many'",
    "DELETE FROM concepts WHERE label = 'a'",
    "DELETE FROM concepts",
    "DELETE FROM ranks",
)
"""What may happen to the tables that follow from the facts alone."""

MISCOUNTED = (
    "UPDATE concepts SET facts = facts + 1000",
    "DELETE FROM ranks WHERE id = (SELECT MIN(id) FROM ranks)",
)
"""The same, found by counting the facts."""


@pytest.mark.parametrize("damage", MISCOUNTED)
def test_numbers_that_differ_are_derived_again(tmp_path: Path, damage: str) -> None:
    """A file opened for writing counts its facts unless that would take too long; the check finds
    the difference in any case."""
    path = tmp_path / "k.db"
    earlier_file(path, 9, distinct_facts(30, WIDTH))
    with Store.open(path) as store:
        before = store.concepts(), store.sample(20).ids
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(damage)
    with Store.open(path, counts=False) as store:
        assert any("differ" in complaint for complaint in store.check())
    with Store.open(path) as store:
        assert before == (store.concepts(), store.sample(20).ids)
        assert store.check() == ()


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("counts", [True, False])
def test_damaged_totals_and_ranks_are_derived_again(
    tmp_path: Path, damage: str, counts: bool
) -> None:
    """No fact is lost with them: a file opened for writing has the totals, the digest and the
    sample that it had; one that is only read says what to do."""
    path = tmp_path / "k.db"
    earlier_file(path, 9, distinct_facts(30, WIDTH))
    with Store.open(path) as store:
        before = store.concepts(), store.contents(), store.sample(20).ids, store.digest()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(damage)
    with pytest.raises(StateCorruptError, match="are damaged") as refused:
        Store.open(path, writable=False)
    assert "no fact is lost" in refused.value.hint
    with Store.open(path, counts=counts) as store:
        assert before == (store.concepts(), store.contents(), store.sample(20).ids, store.digest())
        assert store.check() == ()
    with Store.open(path, writable=False) as store:
        assert store.concepts() == before[0]


def test_facts_that_are_damaged_with_their_totals_are_refused(tmp_path: Path) -> None:
    """What damaged facts give is not taken for their totals: the file stays as it is."""
    path = tmp_path / "k.db"
    earlier_file(path, 9, distinct_facts(30, WIDTH))
    Store.open(path).close()
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE facts SET label = 'z' WHERE id = (SELECT MIN(id) FROM facts)")
        db.execute("DELETE FROM concepts")
    with pytest.raises(StateCorruptError, match="and so are the facts"):
        Store.open(path)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT COUNT(*) FROM concepts").fetchone() == (0,)
