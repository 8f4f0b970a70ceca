"""`auricle unlabel` and `auricle undo`, with and without a daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from edge.home.home import Home
from tests.daemons import daemon_home, served
from tests.homes import learned_home, new_home, run


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """A daemon of a home that turns in a thread."""
    ready, stop = Event(), Event()

    def turn() -> None:
        with served(folder) as daemon:
            ready.set()
            while not stop.is_set():
                daemon.daemon.loop.turn(0.01)

    thread = Thread(target=turn)
    thread.start()
    assert ready.wait(60)
    try:
        yield
    finally:
        stop.set()
        thread.join()


def labelled(folder: Path) -> dict[str, str]:
    """The labels of a home's facts by id."""
    with Home(folder, writable=False) as home:
        return {fact.id: fact.label for page in home.store.pages() for fact in page}


def test_labels_are_taken_back_and_given_back_without_a_daemon(tmp_path: Path) -> None:
    """Both verbs open the home themselves; the newest action is undone by default."""
    folder = learned_home(tmp_path / "home")
    before = labelled(folder)
    some = sorted(before)[:2]
    result = run("unlabel", *some, "nothing", "--home", folder)
    assert result.output == "2 labels taken back (1 were not labelled)\n"
    assert labelled(folder).keys() == before.keys() - set(some)
    listed = json.loads(run("undo", "--list", "--json", "--home", folder).output)
    assert [one["verb"] for one in listed] == ["unlabel"]
    assert "took back" in run("undo", "--list", "--home", folder).output
    result = run("undo", "--home", folder)
    assert result.output == "undone: took back the label of 2 observations\n"
    assert labelled(folder) == before
    result = run("undo", "--home", folder)
    assert result.exit_code == 1
    assert "can be undone" in result.output


def test_a_label_without_a_daemon_can_be_undone(tmp_path: Path) -> None:
    """`auricle label` leaves a record; the id of an action chooses it."""
    folder = learned_home(tmp_path / "home")
    before = labelled(folder)
    first, second = sorted(before)[:2]
    run("label", first, "other", "--home", folder)
    run("label", second, "other", "--home", folder)
    listed = json.loads(run("undo", "--list", "--json", "--home", folder).output)
    result = run("undo", listed[1]["undo_id"], "--json", "--home", folder)
    assert json.loads(result.output)["text"] == "labelled 1 observation as other"
    assert labelled(folder) == before | {second: "other"}
    result = run("undo", "unknown", "--home", folder)
    assert "no such action" in result.output


def test_nothing_to_undo(tmp_path: Path) -> None:
    """A new home has no actions."""
    folder = new_home(tmp_path)
    assert "nothing" in run("undo", "--list", "--home", folder).output
    assert run("undo", "--home", folder).exit_code == 1


def test_both_go_through_a_running_daemon(tmp_path: Path) -> None:
    """The daemon carries them out, and lists the actions."""
    folder = daemon_home(tmp_path / "home", facts=8)
    before = labelled(folder)
    with running(folder):
        assert run("unlabel", "f1", "f2", "--home", folder).output == "2 labels taken back\n"
        assert "took back" in run("undo", "--list", "--home", folder).output
        result = run("undo", "--home", folder)
        assert result.output == "undone: took back the label of 2 observations\n"
    assert labelled(folder) == before
