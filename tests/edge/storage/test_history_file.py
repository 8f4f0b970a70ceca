"""The history of a home on disk: bounded, without ids, and never in the way."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from edge.core.errors import StateError
from edge.storage import history_file
from edge.storage.history_file import HistoryEvent, HistoryFile, events_as_data
from edge.storage.schema import MigratedLayout


def event(number: int, kind: str = "alarm", stream: str = "door", ids: tuple[str, ...] = ()):
    """An event of a stream."""
    return HistoryEvent(
        at_ns=number,
        kind=kind,
        stream=stream,
        text=f"event {number}",
        fields={"n": number},
        observation_ids=ids,
    )


def times(events: tuple[HistoryEvent, ...]) -> list[int]:
    """When events happened."""
    return [one.at_ns for one in events]


def test_events_are_listed_in_pages_and_filtered(tmp_path: Path):
    """Newest first, before a number, of some kinds and of one stream; also by a later process."""
    made = HistoryFile(tmp_path / "h.db", writable=True)
    kinds = ("alarm", "growth", "gap")
    made.append([event(n, kinds[n % 3], f"s{n % 2}") for n in range(9)])
    made.close()
    again = HistoryFile(tmp_path / "h.db", writable=True)
    newest = again.read(limit=3)
    assert times(newest) == [8, 7, 6]
    assert times(again.read(before=newest[-1].number, limit=3)) == [5, 4, 3]
    assert times(again.read(kinds=("growth", "gap"), stream="s0")) == [8, 4, 2]
    (plain,) = events_as_data(again.read(limit=1))
    assert plain["fields"] == {"n": 8}
    assert "observation_ids" not in plain
    again.close()


def test_kept_labels_are_found_taken_back_and_forgotten(tmp_path: Path):
    """A kept label is found by observation and name, also among many and by a later process, until
    it is taken back or its observation is forgotten."""
    made = HistoryFile(tmp_path / "h.db", writable=True)
    ids = [f"o{number}" for number in range(1_200)]
    made.append(
        [
            HistoryEvent(
                at_ns=1,
                kind=history_file.LABEL_KEPT,
                text="kept",
                fields={"label": "worn"},
                observation_ids=(name,),
            )
            for name in ids[::100]
        ]
    )
    made.close()
    again = HistoryFile(tmp_path / "h.db", writable=True)
    given = [(name, label) for name in ids for label in ("ok", "worn")]
    assert again.kept_labels(given) == tuple((name, "worn") for name in ids[::100])
    again.take_back_kept("o100", "ok")
    assert again.kept_labels([("o100", "worn")]) == (("o100", "worn"),)
    again.take_back_kept("o100", "worn")
    again.erase(["o200"])
    assert again.kept_labels(given)[:2] == (("o0", "worn"), ("o300", "worn"))
    assert len(again.read(limit=100)) == 10
    again.close()


def test_the_oldest_events_leave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Beyond the bound the oldest are deleted, with their traces."""
    monkeypatch.setattr(history_file, "EVENTS_MAX", 10)
    monkeypatch.setattr(history_file, "TRIMMED", 2)
    made = HistoryFile(tmp_path / "h.db", writable=True)
    for number in range(40):
        made.append([event(number, ids=(f"id{number}",))])
    assert 10 <= len(made.read(limit=100)) <= 12
    assert times(made.read(limit=1)) == [39]
    made.erase([f"id{number}" for number in range(40)])
    assert made.read(limit=100) == ()
    made.close()


def test_forgetting_an_observation_erases_its_events_from_the_files(tmp_path: Path):
    """Events about it are gone from the file and its log; all others stay."""
    path = tmp_path / "h.db"
    made = HistoryFile(path, writable=True)
    made.append([event(1, ids=("a", "b")), event(2, ids=("c",)), event(3)])
    made.erase(["b", "never seen"])
    assert times(made.read()) == [3, 2]
    for file in tmp_path.iterdir():
        assert b"event 1" not in file.read_bytes()
    made.close()


def test_many_events_are_erased_in_a_moment(tmp_path: Path):
    """Decisions wait for an erasure, so it finds the traces of an event without reading all."""
    made = HistoryFile(tmp_path / "h.db", writable=True)
    made.append([event(n, ids=tuple(f"{n}-{k}" for k in range(8))) for n in range(20_000)])
    began = time.process_time()
    made.erase([f"{n}-0" for n in range(1_000)])
    assert time.process_time() - began < 3
    assert times(made.read(before=1_001, limit=1)) == []
    made.close()


def test_a_series_loses_its_events_from_a_time_on(tmp_path: Path):
    """Change points and anomalies of one series go from a time on; older ones, and its alarms by
    observations, stay."""
    made = HistoryFile(tmp_path / "h.db", writable=True)
    made.append([event(at, "change-point", "a") for at in (1, 2, 4)])
    made.append([event(5, "anomaly", "b"), event(6, "alarm", "a")])
    made.erase_series("a", 2)
    assert times(made.read()) == [6, 5, 1]
    made.close()


def test_a_damaged_file_is_started_again(tmp_path: Path):
    """It is no part of the knowledge: what cannot be read is replaced, and nothing fails."""
    path = tmp_path / "h.db"
    path.write_bytes(b"not a database at all")
    made = HistoryFile(path, writable=True)
    made.append([event(1)])
    assert (times(made.read()), made.problem) == ([1], "")
    made.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_disk_that_fails_costs_events_alone(tmp_path: Path):
    """Without permission to write, the problem names the reason."""
    tmp_path.chmod(0o500)
    made = HistoryFile(tmp_path / "h.db", writable=True)
    made.append([event(1)])
    assert made.problem
    tmp_path.chmod(0o700)


def test_a_home_that_is_open_for_reading_writes_nothing(tmp_path: Path):
    """Opened for reading, no file appears; an existing one is read."""
    path = tmp_path / "h.db"
    reader = HistoryFile(path, writable=False)
    reader.append([event(1)])
    assert (reader.read(), path.exists()) == ((), False)
    writer = HistoryFile(path, writable=True)
    writer.append([event(1)])
    writer.close()
    assert times(reader.read()) == [1]
    reader.close()


def test_a_newer_layout_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A file of a newer program is not replaced."""
    path = tmp_path / "h.db"
    steps = [*history_file.MIGRATIONS, "SELECT 1;"]
    layout = MigratedLayout(history_file.LAYOUT.APPLICATION_ID, steps)
    monkeypatch.setattr(history_file, "LAYOUT", layout)
    newer = HistoryFile(path, writable=True)
    newer.append([event(1)])
    newer.close()
    monkeypatch.undo()
    older = HistoryFile(path, writable=True)
    older.append([event(2)])
    assert "version 2" in older.problem
    with pytest.raises(StateError):
        older.read()
    assert path.exists()
