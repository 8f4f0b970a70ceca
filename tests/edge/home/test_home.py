from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

import numpy as np
import pytest

import encoder
from edge import Store
from edge.config.settings import EncoderSettings, Settings, read_settings
from edge.core.errors import ConfigError, ModelMismatchError, StateError
from edge.core.events import (
    Acknowledgement,
    Decision,
    Enrol,
    ForgetRequest,
    GrowRequest,
    GrowthReport,
    Label,
    LabelMany,
    Message,
    Observation,
    Rejected,
    Tick,
    Undoable,
)
from edge.core.facts import Selector
from edge.core.receipt import Receipt
from edge.home import new_home as new_home_file
from edge.home.home import Home
from edge.home.new_home import create_home
from edge.home.transfer import merge_store
from edge.storage import read_card_fingerprint
from tests import workers
from tests.homes import CARD, new_home, new_store
from tests.worlds import WIDTH, fact, vector


def test_a_new_home_opens(tmp_path):
    """A new home has settings, card and an empty ledger, and opens."""
    folder = new_home(tmp_path / "a" / "b")
    assert sorted(path.name for path in folder.iterdir()) == [
        "auricle.toml",
        "card.toml",
        "knowledge.db",
        "knowledge.db.lock",
    ]
    with Home(folder) as opened:
        assert opened.store.concepts() == {}
        assert opened.settings == read_settings(folder)


def test_the_template_is_the_default(tmp_path):
    """The written settings equal the defaults."""
    written = read_settings(new_home(tmp_path))
    assert written == Settings(encoder=EncoderSettings("card.toml"))


@pytest.mark.parametrize("named", ['odd "name" \\ é.toml', "tab\tin.toml"])
def test_any_path_of_a_card_survives(tmp_path, named):
    """A card's path reads back as it was written."""
    encoder.save_card(CARD, tmp_path / named)
    create_home(tmp_path / "home", None, str(tmp_path / named))
    assert read_settings(tmp_path / "home").encoder.card == str(tmp_path / named)


def test_a_home_keeps_the_preparation_it_learned_with(tmp_path, monkeypatch):
    """A home of an earlier version of the shipped encoder goes on preparing images as before, and
    a new home uses the newest version."""
    newest = encoder.shipped_card("efficientnet_lite0")
    first = encoder.load_card(encoder.SHIPPED["efficientnet_lite0"].with_name("card-1.toml"))
    with monkeypatch.context() as before:
        before.setattr(encoder, "shipped_card", lambda *_: first)
        create_home(tmp_path / "old", None, "efficientnet_lite0")
    create_home(tmp_path / "new", None, "efficientnet_lite0")
    photo = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    with Home(tmp_path / "old") as old, Home(tmp_path / "new") as new:
        assert old.model.card == first
        assert new.model.card == newest
        # One measurement gives different features, so facts of the two may never mix.
        assert old.model.encode(photo) != new.model.encode(photo)
        with pytest.raises(StateError, match="encoder"):
            merge_store(new, old.store)


def test_a_damaged_ledger_does_not_choose_a_card(tmp_path):
    """If the knowledge file cannot be read, its own error is reported, not one of the encoder."""
    create_home(tmp_path, None, "efficientnet_lite0")
    file = tmp_path / "knowledge.db"
    file.write_bytes(b"SQLite format 3\0" + bytes(5000))
    assert read_card_fingerprint(file) == ""
    with pytest.raises(StateError, match=r"knowledge\.db"):
        Home(tmp_path)


def test_a_home_is_not_made_twice(tmp_path):
    """Creating a home over an existing one raises ConfigError and changes nothing."""
    new_home(tmp_path)
    before = (tmp_path / "auricle.toml").read_bytes()
    with pytest.raises(ConfigError, match="one already"):
        new_home(tmp_path)
    assert (tmp_path / "auricle.toml").read_bytes() == before


@pytest.mark.parametrize("function", ["write_text", "open_encoder"])
def test_a_failed_making_leaves_nothing(tmp_path, monkeypatch, function):
    """If a home cannot be completed, none of its files and new folders remain."""

    def fail(*_: object) -> None:
        raise StateError("making", "no room")

    monkeypatch.setattr(new_home_file, function, fail)
    with pytest.raises(StateError):
        new_home(tmp_path / "x" / "y")
    assert list(tmp_path.iterdir()) == []


def test_a_card_without_quantiser_makes_no_home(tmp_path):
    """An encoder without calibration is refused with the command that calibrates it."""
    encoder.save_card(encoder.vector_card(WIDTH), tmp_path / "raw.toml")
    with pytest.raises(ConfigError, match="no frozen quantiser") as caught:
        create_home(tmp_path / "home", None, str(tmp_path / "raw.toml"))
    assert "calibrate" in caught.value.hint
    assert not (tmp_path / "home").exists()


def test_no_home_and_unreadable_settings(tmp_path):
    """The error for a folder without a home has the command that creates one; binary settings are
    refused."""
    with pytest.raises(ConfigError, match=r"no auricle\.toml"):
        Home(tmp_path)
    (tmp_path / "auricle.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="utf-8"):
        Home(tmp_path)


def test_a_failed_opening_frees_everything(tmp_path):
    """After a failed opening the file can be opened again."""
    folder = new_home(tmp_path)
    (folder / "knowledge.db").unlink()
    new_store(folder / "knowledge.db").close()
    encoder.save_card(
        encoder.vector_card(WIDTH, "other", CARD.quantiser, {"a": 3, "b": 5}), folder / "card.toml"
    )
    with pytest.raises(ModelMismatchError):
        Home(folder)
    Store.open(folder / "knowledge.db").close()
    (folder / "card.toml").unlink()
    with pytest.raises(StateError, match="no such file"):
        Home(folder)


def test_effects_are_applied_before_messages_are_published(tmp_path):
    """The messages of `feed` describe changes that are already in the file."""
    with Home(new_home(tmp_path)) as opened:
        opened.feed(Enrol((fact("a"),)))
        assert opened.store.get("a") is not None
        (refused,) = opened.feed(Enrol((fact("b", width=WIDTH + 1),)))
        assert isinstance(refused, Rejected)


def test_features_made_before_pass_through(tmp_path):
    """The home's encoder accepts measurements, and features that it quantised before."""
    with Home(new_home(tmp_path)) as opened:
        made = opened.model.encode(vector(1))
        assert opened.model.encode(made) is made


def test_burying_reaches_own_facts(tmp_path):
    """A fact that another store has forgotten is forgotten here, with a receipt."""
    other = new_store(tmp_path / "other.db", [fact("a"), fact("b")])
    with Home(new_home(tmp_path / "home")) as opened, other:
        opened.feed(Enrol((fact("a"), fact("b"), fact("c"))))
        with Home(new_home(tmp_path / "third")) as third:
            third.feed(Enrol((fact("a"),)))
            third.feed(ForgetRequest(request_id="r", selector=Selector(ids=frozenset({"a"}))))
            assert opened.forget_buried(third.store) == 1
        assert opened.store.get("a") is None
        assert opened.store.was_forgotten("a")
        assert len(opened.store.receipts()) == 1
        assert opened.store.receipts()[0]["requested_at_ns"] > 0


def learning_home(folder: Path) -> Home:
    """A home with two labels of one domain, enough to grow an adaptor."""
    opened = Home(new_home(folder))
    facts = [fact(f"f{n:02}", "ab"[n % 2], at=n, seed=n) for n in range(24)]
    opened.feed(Enrol(tuple(facts)))
    return opened


def tended(opened: Home) -> list[GrowthReport]:
    """The growth reports of a home once its worker is done."""
    messages: list[Message] = []
    until = time.monotonic() + 30
    while opened.growing:
        assert time.monotonic() < until
        messages += opened.poll_growth()
        time.sleep(0.01)
    return [one for one in messages if isinstance(one, GrowthReport)]


@pytest.fixture
def growing(tmp_path: Path) -> Iterator[Home]:
    """An opened home whose worker finishes at once."""
    with learning_home(tmp_path / "home") as opened:
        opened.worker = workers.worker("grown")
        yield opened


def test_nothing_grows_before_a_tick(growing):
    """Learning starts no worker; a tick does, and its result is stored, serves and answers."""
    assert growing.worker.job is None
    (started,) = growing.feed(Tick())
    assert isinstance(started, GrowthReport)
    assert (started.domain, started.state, started.version) == ("home", "started", 1)
    assert growing.poll_growth() == ()
    (news,) = tended(growing)
    assert (news.state, news.version, news.accuracy) == ("serving", 1, 0.9)
    assert growing.store.adaptors()["home"][0].version == 1
    adaptor = growing.runtime.knowledge.adaptor("home")
    assert adaptor.answer(vector(1)).shape == (2,)
    assert growing.feed(Tick()) == ()


def test_serving_goes_on_while_the_worker_works(growing):
    """Observations are decided and facts learned while a job runs, whatever its outcome."""
    growing.worker = workers.worker("hanging")
    growing.feed(GrowRequest("home"))
    (result,) = growing.feed(
        Observation(stream="s", sequence=1, captured_at_ns=1, payload=vector(1))
    )
    assert isinstance(result, Decision)
    assert growing.feed(Enrol((fact("more"),)))
    assert growing.worker.job is not None


@pytest.mark.parametrize("kind", ["crashing", "hungry", "garbage", "lying", "bent", "failing"])
def test_a_failing_worker_harms_nothing(growing, kind):
    """However the worker fails, knowledge and file stay unchanged, the reason is reported, and the
    same facts are not tried again automatically."""
    growing.worker = workers.worker(kind, memory_mib_max=256)
    before, facts = growing.runtime.digest(), growing.store.digest()
    growing.feed(Tick())
    (news,) = tended(growing)
    assert news.state == "refused"
    assert "the worker failed" in news.detail
    assert (growing.runtime.digest(), growing.store.digest()) == (before, facts)
    assert growing.store.check() == ()
    assert growing.store.adaptors() == {}
    assert growing.feed(Tick()) == ()
    growing.worker = workers.worker("grown")
    growing.feed(GrowRequest("home"))
    assert tended(growing)[0].state == "serving"


@pytest.mark.parametrize("seed", range(4))
def test_a_worker_killed_at_any_moment_harms_nothing(growing, seed):
    """After kill -9 of the worker at a random time the knowledge is complete, with or without the
    adaptor."""
    growing.worker = workers.worker("slow")
    before = growing.runtime.digest()
    growing.feed(GrowRequest("home"))
    time.sleep(Random(seed).random())
    if growing.worker.process_id is not None:
        os.kill(growing.worker.process_id, signal.SIGKILL)
    (news,) = tended(growing)
    assert news.state in {"serving", "refused"}
    assert bool(growing.store.adaptors()) == (news.state == "serving")
    assert growing.runtime.digest() == before
    assert growing.store.check() == ()


def test_a_full_disk_at_storing_an_adaptor_loses_nothing(growing):
    """If the adaptor cannot be stored, the error has the reason, the head answers as before, and
    the next growth with room succeeds."""
    growing.feed(Enrol(tuple(fact(f"{n:0150}", "ab"[n % 2], seed=n) for n in range(200))))
    db = growing.store._db  # noqa: SLF001  the disk is full for this connection alone
    before = growing.runtime.digest()
    answer = growing.runtime.knowledge.adaptor("home").answer(vector(1)).tolist()
    growing.feed(GrowRequest("home"))
    db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(StateError, match="full") as caught:
        tended(growing)
    assert "free space" in caught.value.hint
    assert growing.store.adaptors() == {}
    assert growing.runtime.digest() == before
    assert growing.runtime.knowledge.adaptor("home").answer(vector(1)).tolist() == answer
    assert growing.store.check() == ()
    db.execute("PRAGMA max_page_count = 100000")
    growing.feed(GrowRequest("home"))
    assert tended(growing)[0].state == "serving"


@pytest.mark.parametrize("recorded", [False, True])
def test_labels_that_a_full_disk_refused_can_be_given_again(tmp_path, monkeypatch, recorded):
    """A label that could not be stored leaves the label buffer as it was: with room again, the same
    label is learned.  A forget request that fails keeps nothing in the buffer."""
    labels = LabelMany((Label("s:0", "a"), Label("s:1", "b")))
    event = Undoable(labels, "u", 9) if recorded else labels
    with Home(new_home(tmp_path / "home")) as home:
        for number in range(3):
            row = vector(number)
            home.feed(Observation(stream="s", sequence=number, captured_at_ns=9, payload=row))

        def full(_effect: object) -> None:
            raise StateError("storing: the disk is full", "free space")

        with monkeypatch.context() as patch:
            patch.setattr(home.store, "apply", full)
            with pytest.raises(StateError, match="full"):
                home.feed(event)
        (answer,) = home.feed(event)
        assert isinstance(answer, Acknowledgement)
        assert answer.count == 2
        assert home.store.concepts() == {("domain-1", "a"): 1, ("domain-1", "b"): 1}
        request = ForgetRequest(request_id="r", selector=Selector(stream="s"), requested_at_ns=1)
        with monkeypatch.context() as patch:
            patch.setattr(home.store, "apply", full)
            with pytest.raises(StateError, match="full"):
                home.feed(request)
        assert home.runtime.recent() == ()


def test_forgetting_stops_a_worker_that_holds_the_facts(growing):
    """A forget request kills the job that has its facts, and reports it; no result of the job is
    used."""
    growing.worker = workers.worker("hanging")
    growing.feed(GrowRequest("home"))
    process_id = growing.worker.process_id
    growing.feed(ForgetRequest(request_id="r", selector=Selector(ids=frozenset({"f00"}))))
    assert growing.worker.job is None
    assert not Path(f"/proc/{process_id}").exists()
    assert growing.poll_growth() == ()


def test_forgetting_deletes_adaptors_trained_on_the_facts(growing):
    """After a forget request no version trained on its facts is left, the receipt lists them, and
    the answers are those of a home that never had the facts."""
    growing.feed(GrowRequest("home"))
    tended(growing)
    messages = growing.feed(
        ForgetRequest(request_id="r", selector=Selector(ids=frozenset({"f00"})))
    )
    (receipt,) = (one for one in messages if isinstance(one, Receipt))
    assert "adaptors" in receipt.rebuilt
    assert growing.store.adaptors() == {}
    assert growing.runtime.knowledge.adaptor("home").answer(vector(1)).shape == (2,)


def test_closing_a_home_ends_its_worker(tmp_path):
    """Closing a home ends the process of its worker."""
    with learning_home(tmp_path / "home") as opened:
        opened.worker = workers.worker("hanging")
        opened.feed(GrowRequest("home"))
        process_id = opened.worker.process_id
        assert Path(f"/proc/{process_id}").exists()
    assert not Path(f"/proc/{process_id}").exists()


def test_an_adaptor_serves_after_a_restart(growing):
    """A grown adaptor serves again at the next opening."""
    growing.feed(GrowRequest("home"))
    tended(growing)
    answer = growing.runtime.knowledge.adaptor("home").answer(vector(1)).tolist()
    growing.close()
    with Home(growing.folder) as again:
        assert again.runtime.knowledge.adaptor("home").answer(vector(1)).tolist() == answer
