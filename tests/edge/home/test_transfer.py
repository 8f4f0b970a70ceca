from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from edge import Store
from edge.core.errors import ModelMismatchError, StateCorruptError, StateError
from edge.core.events import (
    Enrol,
    ForgetRequest,
    Relabel,
    StoreAdaptor,
    StoreRecalibration,
)
from edge.core.facts import Selector
from edge.core.recalibration import Recalibration
from edge.home import actions, transfer
from edge.home.home import Home
from edge.storage import schema
from tests.homes import CARD, learned_home, new_home, new_store, raw_bytes, teach, wide_card
from tests.workers import a_record
from tests.worlds import WIDTH, fact


def facts(numbers: range) -> Enrol:
    """An enrolment of the facts with some numbers."""
    return Enrol(tuple(fact(f"f{n}", "ab"[n % 2], seed=n, at=n) for n in numbers))


def filled(folder: Path, numbers: range) -> Path:
    """A home with the facts of some numbers."""
    with Home(new_home(folder)) as home:
        home.feed(facts(numbers))
    return folder


def digest(folder: Path) -> tuple[str, str]:
    """Digests of a home's facts and of its knowledge."""
    with Home(folder, writable=False) as home:
        return home.store.digest(), home.runtime.digest()


def test_an_export_learned_back_is_the_same_ledger(tmp_path):
    """Exported, then learned into a new home of the same card, facts and knowledge are equal to the
    bit, including corrections, subjects and recordings."""
    with Home(filled(tmp_path / "a", range(9))) as home:
        odd = fact("odd", "été", "дом", 7, subject="ann", stream="line 1")
        home.feed(Enrol((replace(odd, recording="session 3"),)))
        home.feed(Relabel(Selector(ids=frozenset({"f1"})), "c", "attic"))
        assert transfer.export_facts(home.store, tmp_path / "e.npz") == 10
    with Home(new_home(tmp_path / "b")) as home:
        done = teach(home, tmp_path / "e.npz")
        assert done.count == 10
        again = teach(home, tmp_path / "e.npz")
        assert again.count == 0
    assert digest(tmp_path / "a")[0] == digest(tmp_path / "b")[0]


def test_an_export_is_plain_arrays(tmp_path):
    """An export needs no pickle in numpy, and an empty ledger gives an empty export."""
    with new_store(tmp_path / "k.db") as store:
        assert transfer.export_facts(store, tmp_path / "e.npz") == 0
    with np.load(tmp_path / "e.npz", allow_pickle=False) as held:
        assert held["features"].shape == (0, 0)
        assert set(held.files) == {
            "card",
            "features",
            "id",
            "stream",
            "domain",
            "label",
            "subject",
            "recording",
            "captured_at_ns",
            "revision",
        }


def test_an_export_overwrites_nothing_and_leaves_nothing(tmp_path, monkeypatch):
    """An existing target is refused; a failed export leaves no file."""
    with new_store(tmp_path / "k.db", [fact("a")]) as store:
        (tmp_path / "e.npz").write_text("mine", "utf-8")
        with pytest.raises(StateError, match="exists already"):
            transfer.export_facts(store, tmp_path / "e.npz")

        def fail(*_: object, **_options: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(transfer, "replace_file", fail)
        with pytest.raises(StateError, match="No space"):
            transfer.export_facts(store, tmp_path / "f.npz")
    assert not list(tmp_path.glob("f.npz*"))


def test_merging_is_a_union_either_way(tmp_path):
    """Two ledgers merged into each other hold the same facts."""
    for name, numbers in (("a", range(6)), ("b", range(4, 9))):
        filled(tmp_path / name, numbers)
    with Home(tmp_path / "b") as home:
        home.feed(Relabel(Selector(ids=frozenset({"f4"})), "c"))
    with Home(tmp_path / "a", writable=False) as home:
        home.store.backup(tmp_path / "a.db")
    for into, other in (("a", "b/knowledge.db"), ("b", "a.db")):
        with Home(tmp_path / into) as home, Store.open(tmp_path / other, writable=False) as store:
            done = transfer.merge_store(home, store)
            assert done.forgotten == 0
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    with Home(tmp_path / "a", writable=False) as home:
        assert home.store.select(Selector(label="c")) == ("f4",)
        assert sum(home.store.concepts().values()) == 9


def test_facts_forgotten_on_either_side_stay_forgotten(tmp_path):
    """A fact forgotten on one side is removed by a merge, and not learned again."""
    for name in "ab":
        filled(tmp_path / name, range(6))
    with Home(tmp_path / "a") as home:
        home.feed(
            ForgetRequest(
                request_id="r", selector=Selector(ids=frozenset({"f1"})), requested_at_ns=1
            )
        )
    with Home(tmp_path / "b") as home:
        home.feed(
            ForgetRequest(
                request_id="r", selector=Selector(ids=frozenset({"f2"})), requested_at_ns=1
            )
        )
        with Store.open(tmp_path / "a/knowledge.db", writable=False) as store:
            done = transfer.merge_store(home, store)
        assert done.forgotten == 1
        assert home.store.select(Selector(ids=frozenset({"f1", "f2"}))) == ()
        home.feed(facts(range(6)))
        assert sum(home.store.concepts().values()) == 4


def test_a_ledger_of_another_card_is_not_merged(tmp_path):
    """Features of another card are refused, and nothing is changed."""
    Store.create(tmp_path / "other.db", wide_card(WIDTH + 1)).close()
    with (
        Home(filled(tmp_path / "a", range(3))) as home,
        Store.open(tmp_path / "other.db", writable=False) as store,
        pytest.raises(StateError, match="another encoder card"),
    ):
        transfer.merge_store(home, store)


def backed_up(tmp_path: Path) -> tuple[Path, Path]:
    """A home with facts, and a backup of it."""
    folder = learned_home(tmp_path / "home")
    with Home(folder, writable=False) as home:
        home.store.backup(tmp_path / "b.db")
    return folder, tmp_path / "b.db"


@pytest.mark.parametrize("damage", ["none", "missing", "garbage", "empty"])
def test_a_backup_is_put_back(tmp_path, damage):
    """Whatever the state of the file, the backup replaces it, and the replaced file is kept."""
    folder, backup = backed_up(tmp_path)
    before, file = digest(folder), folder / "knowledge.db"
    if damage == "missing":
        file.unlink()
        file.with_name("knowledge.db-wal").write_bytes(b"a log that belongs to nothing")
    elif damage != "none":
        file.write_bytes(b"x" * 5000 if damage == "garbage" else b"")
    kept = file.read_bytes() if file.exists() else None
    done = transfer.restore_home(folder, backup)
    assert digest(folder) == before
    if kept is not None:
        assert Path(done.kept).read_bytes() == kept
    with Home(folder) as home:
        assert actions.verify_home(home).complaints == ()


def test_earlier_files_are_all_kept(tmp_path):
    """A second restore does not overwrite the file that the first one kept."""
    folder, backup = backed_up(tmp_path)
    names = [Path(transfer.restore_home(folder, backup).kept).name for _ in range(3)]
    assert names == [f"knowledge.db.before-restore-{number}" for number in (1, 2, 3)]


def test_facts_forgotten_after_the_backup_are_forgotten_again(tmp_path):
    """A backup restores no fact that was forgotten after it was made."""
    folder, backup = backed_up(tmp_path)
    with Home(folder) as home:
        home.feed(ForgetRequest(request_id="r", selector=Selector(label="a"), requested_at_ns=1))
        home.stamp()
    after = digest(folder)
    done = transfer.restore_home(folder, backup)
    assert done.forgotten == 12
    assert digest(folder) == after
    assert done.kept == ""


def test_a_file_in_use_is_not_replaced(tmp_path):
    """While another process has the file open for writing, restoring is refused."""
    folder, backup = backed_up(tmp_path)
    with Home(folder), pytest.raises(StateError, match="another process"):
        transfer.restore_home(folder, backup)
    assert not list(folder.glob("*before*"))


def test_a_bad_backup_changes_nothing(tmp_path):
    """A damaged backup, one of another card, and a missing one are refused without a change."""
    folder, backup = backed_up(tmp_path)
    before = digest(folder)
    content = bytearray(backup.read_bytes())
    with Store.open(backup, writable=False) as store:
        features = next(store.pages())[0].features
    content[content.index(features)] ^= 1
    (tmp_path / "damaged.db").write_bytes(bytes(content))
    Store.create(tmp_path / "other.db", wide_card(WIDTH + 1)).close()
    for bad, error in (
        ("damaged.db", StateError),
        ("other.db", ModelMismatchError),
        ("none.db", StateError),
    ):
        with pytest.raises(error):
            transfer.restore_home(folder, tmp_path / bad)
    (folder / "text.db").write_text("text", "utf-8")
    with pytest.raises(StateCorruptError):
        transfer.restore_home(folder, folder / "text.db")
    assert digest(folder) == before
    assert not list(folder.glob("*before*"))
    assert not list(folder.glob("*.new*"))


def test_a_folder_in_the_way_is_left_alone(tmp_path):
    """A folder with the name of the knowledge file is not moved."""
    folder, backup = backed_up(tmp_path)
    (folder / "knowledge.db").unlink()
    (folder / "knowledge.db").mkdir()
    with pytest.raises(StateError, match="folder is in the way"):
        transfer.restore_home(folder, backup)
    assert (folder / "knowledge.db").is_dir()


def test_a_backup_of_the_first_version_is_restored_up_to_date(tmp_path, monkeypatch):
    """A backup without growth tables is restored with all its facts, and is itself unchanged."""
    backup = tmp_path / "old.db"
    with monkeypatch.context() as earlier:
        earlier.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
        Store.create(backup, CARD).close()
    before = backup.read_bytes()
    folder = filled(tmp_path / "home", range(3))
    done = transfer.restore_home(folder, backup)
    assert backup.read_bytes() == before
    assert done.forgotten == 0
    with Home(folder) as home:
        assert home.store.concepts() == {}
        assert home.store.adaptors() == {}
        assert home.store.check() == ()
    assert not list(folder.glob("*.updated*"))


def test_a_backup_brings_its_adaptors_unless_they_are_forgotten(tmp_path):
    """A restored backup has its adaptors, except those trained on facts forgotten since."""
    folder = filled(tmp_path / "home", range(9))
    with Home(folder) as home:
        home.store.apply(StoreAdaptor(a_record("home", 1, ("f1", "f2"))))
        home.store.apply(StoreAdaptor(a_record("attic", 1, ("f3",))))
        home.store.backup(tmp_path / "b.db")
        home.feed(ForgetRequest(request_id="r", selector=Selector(ids=frozenset({"f2"}))))
    transfer.restore_home(folder, tmp_path / "b.db")
    with Home(folder) as home:
        assert list(home.store.adaptors()) == ["attic"]
        assert home.store.check() == ()


def test_a_merge_removes_adaptors_trained_on_facts_forgotten_there(tmp_path):
    """A merge transfers no adaptors; own ones trained on a fact forgotten there are removed."""
    with Home(filled(tmp_path / "a", range(9))) as home:
        home.store.apply(StoreAdaptor(a_record("home", 1, ("f1", "f2"))))
        home.store.apply(StoreAdaptor(a_record("attic", 1, ("f3",))))
        with Home(filled(tmp_path / "b", range(9))) as other:
            other.store.apply(StoreAdaptor(a_record("cellar", 1, ("f4",))))
            other.feed(ForgetRequest(request_id="r", selector=Selector(ids=frozenset({"f2"}))))
            transfer.merge_store(home, other.store)
        assert list(home.store.adaptors()) == ["attic"]


def test_a_restore_drops_recalibration_that_may_have_been_forgotten(tmp_path):
    """The recalibration of a backup is used; after a forget request since the backup it is dropped,
    with its traces, since the request may have covered it."""
    folder = learned_home(tmp_path / "home")
    record = Recalibration(stream="cam", geometry="g", subjects=("secret-person",), samples=9)
    with Home(folder) as home:
        home.store.apply(StoreRecalibration("cam", record))
        home.store.backup(tmp_path / "b.db")
    transfer.restore_home(folder, tmp_path / "b.db")
    with Home(folder) as home:
        assert home.store.recalibrations() == {"cam": record}
        home.feed(ForgetRequest(request_id="r", selector=Selector(label="a"), requested_at_ns=1))
    transfer.restore_home(folder, tmp_path / "b.db")
    with Home(folder, writable=False) as home:
        assert home.store.recalibrations() == {}
    assert b"secret-person" not in raw_bytes(folder / "knowledge.db")


def test_merging_applies_tombstones_of_contents_in_either_direction(tmp_path):
    """Content that one ledger has forgotten leaves the other, where it has another id; a fact that
    the first kept beside the tombstone stays.  Both directions end with the same facts."""

    def pair(folder: Path) -> tuple[Path, Path]:
        with Home(new_home(folder / "one")) as one:
            one.feed(Enrol((fact("x", seed=5), fact("twin", "b", seed=5), fact("u", seed=1))))
            one.feed(ForgetRequest(request_id="r", selector=Selector(ids=frozenset({"x"}))))
        with Home(new_home(folder / "two")) as two:
            two.feed(Enrol((fact("other", seed=5), fact("v", "b", seed=2))))
        return folder / "one", folder / "two"

    held = []
    for number, order in enumerate(((0, 1), (1, 0))):
        folders = pair(tmp_path / str(number))
        into, source = (folders[at] for at in order)
        with Home(source, writable=False) as second, Home(into) as first:
            transfer.merge_store(first, second.store)
            held.append(sorted(one.id for page in first.store.pages() for one in page))
            assert first.store.resembles_forgotten(fact("x", seed=5).features)
    assert held == [["twin", "u", "v"], ["twin", "u", "v"]]
