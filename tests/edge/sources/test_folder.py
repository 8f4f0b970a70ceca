from __future__ import annotations

import os
import time
from typing import Any

import pytest
from PIL import Image

from edge.config.streams import FolderStream
from edge.sources.factory import SourceContext, open_source
from edge.sources.measurement import content_id, recording_of_file
from tests.edge.sources.sinks import Kept, wait_for


@pytest.fixture
def watch(tmp_path):
    """Watch a folder; every source is stopped at the end."""
    running = []
    (tmp_path / "in").mkdir()

    def start(sink: Kept, **settings: Any):
        stream = FolderStream(path="in", settle_s=0.02, every_s=0.01, **settings)
        place = SourceContext(tmp_path, tmp_path / "memory", None)
        source = open_source("cam", stream, place, sink)
        assert source is not None
        source.start()
        running.append(source)
        return source

    yield start
    for source in running:
        source.stop(5)


def names(sink: Kept) -> list[str]:
    """The names of the files that arrived."""
    return [one.metadata.id.split(":")[1].split("@")[0] for one in sink.measurements]


def write(path, data: bytes, at_s: int) -> None:
    """Write a file with a modification time."""
    path.write_bytes(data)
    os.utime(path, (at_s, at_s))


def names_in(tmp_path) -> list[str]:
    """The names in the folder."""
    return sorted(path.name for path in (tmp_path / "in").iterdir())


def test_files_are_read_oldest_first(tmp_path, watch):
    """Existing files are read by age, later ones follow, with the time and bytes of the file."""
    for name, at_s in (("b", 10), ("a", 20), ("c", 5)):
        write(tmp_path / "in" / name, name.encode(), at_s)
    sink = Kept()
    watch(sink)
    wait_for(lambda: len(sink.measurements) == 3)
    write(tmp_path / "in" / "d", b"late", 1)
    wait_for(lambda: len(sink.measurements) == 4)
    assert names(sink) == ["c", "b", "a", "d"]
    assert sink.measurements[0].payload == b"c"
    assert sink.measurements[0].metadata.captured_at_ns == 5_000_000_000


def test_unfinished_files_wait(tmp_path, watch):
    """Hidden and unfinished files are skipped until they are renamed."""
    for name in (".hidden", "x.part", "y.tmp"):
        write(tmp_path / "in" / name, b"half", 1)
    write(tmp_path / "in" / "whole", b"whole", 1)
    sink = Kept()
    watch(sink)
    wait_for(lambda: sink.measurements)
    (tmp_path / "in" / "x.part").rename(tmp_path / "in" / "x")
    wait_for(lambda: len(sink.measurements) == 2)
    assert names(sink) == ["whole", "x"]


@pytest.mark.parametrize(("after", "left"), [("keep", ["a"]), ("delete", []), ("move", ["done"])])
def test_a_file_is_kept_deleted_or_moved(tmp_path, watch, after, left):
    """A file that was read stays, is deleted or is moved, as configured."""
    write(tmp_path / "in" / "a", b"a", 1)
    sink = Kept()
    source = watch(sink, after=after)
    wait_for(lambda: names_in(tmp_path) == left and sink.measurements)
    source.stop(5)
    assert not source.problem


def test_files_that_cannot_be_moved_are_read_once(tmp_path, watch, monkeypatch):
    """The other files are read as well, and the problem is reported until it is solved."""
    monkeypatch.setattr("edge.sources.polling.RETRY_S_MIN", 0.02)
    for number, name in enumerate(("a1", "a2")):
        write(tmp_path / "in" / name, b"a", number + 1)
    (tmp_path / "in" / "done").write_bytes(b"in the way")
    sink = Kept()
    source = watch(sink, after="move", pattern="a*")
    wait_for(lambda: len(sink.measurements) >= 2)
    time.sleep(0.3)
    assert names(sink) == ["a1", "a2"]
    assert "cannot be moved or deleted" in source.problem
    (tmp_path / "in" / "done").unlink()
    write(tmp_path / "in" / "a3", b"a", 3)
    wait_for(lambda: not source.problem)
    assert names_in(tmp_path) == ["a1", "a2", "done"]


def test_unreadable_entries_do_not_block_others(tmp_path, watch):
    """A cyclic link, a dangling link, a pipe and a folder are skipped."""
    folder = tmp_path / "in"
    (folder / "circle").symlink_to("circle")
    (folder / "nowhere").symlink_to("/nowhere")
    os.mkfifo(folder / "pipe")
    (folder / "sub").mkdir()
    write(folder / "a", b"a", 1)
    sink = Kept()
    source = watch(sink)
    wait_for(lambda: sink.measurements)
    assert names(sink) == ["a"]
    assert not source.problem
    assert not sink.flaws


def test_a_restart_reads_nothing_twice(tmp_path, watch):
    """Kept files are not read again after a restart; a file that was written again is."""
    for name in "ab":
        write(tmp_path / "in" / name, b"1", 1)
    first, second = Kept(), Kept()
    source = watch(first)
    wait_for(lambda: len(first.measurements) == 2)
    source.stop(5)
    write(tmp_path / "in" / "b", b"22", 2)
    watch(second)
    wait_for(lambda: second.measurements)
    assert names(second) == ["b"]
    assert second.measurements[0].metadata.id != first.measurements[1].metadata.id


def test_a_damaged_state_file_is_ignored(tmp_path, watch):
    """If the state file cannot be read, files are read again."""
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / f"{b'cam'.hex()}.json").write_bytes(b"\0\0")
    write(tmp_path / "in" / "a", b"a", 1)
    sink = Kept()
    watch(sink)
    wait_for(lambda: sink.measurements)


def test_files_wait_for_room_in_the_queue(tmp_path, watch):
    """A full queue loses no file."""
    for number in range(5):
        write(tmp_path / "in" / str(number), b"x", number + 1)
    sink = Kept(places=2)
    watch(sink, after="delete")
    wait_for(lambda: len(sink.measurements) == 2)
    assert len(names_in(tmp_path)) >= 3
    sink.places = 5
    wait_for(lambda: len(sink.measurements) == 5)


def test_a_missing_folder_is_reported_and_retried(tmp_path, watch, monkeypatch):
    """The problem has a reason, and ends once the folder exists."""
    monkeypatch.setattr("edge.sources.polling.RETRY_S_MIN", 0.02)
    (tmp_path / "in").rmdir()
    sink = Kept()
    source = watch(sink)
    wait_for(lambda: source.problem)
    assert str(tmp_path / "in") in source.problem
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a", b"a", 1)
    wait_for(lambda: sink.measurements)
    assert not source.problem


def test_an_invalid_name_is_rejected_and_moved(tmp_path, watch):
    """A name that cannot be an id is reported, and the file is moved to `failed` if files are
    moved."""
    write(tmp_path / "in" / "a\nb", b"a", 1)
    sink = Kept()
    watch(sink, after="move")
    wait_for((tmp_path / "in" / "failed" / "a\nb").exists)
    assert "not printable" in sink.flaws[0].reason


def test_rows_of_a_csv_are_measurements_of_a_vector_stream(tmp_path, watch):
    """Each row has an id of file and line; the file is moved after its last row, to `failed` if it
    has no valid row."""
    write(tmp_path / "in" / "a.csv", b"x,y\n1,2\nbad,3\n4,5,6\n7,8\n", 1)
    write(tmp_path / "in" / "b.csv", b"x,y\n1\n", 2)
    write(tmp_path / "in" / "c.txt", b"x", 3)
    sink = Kept()
    watch(sink, kind="series", after="move")
    wait_for(lambda: names_in(tmp_path) == ["done", "failed"])
    assert [one.payload.names for one in sink.measurements] == [("x", "y"), ("y",), ("x", "y")]
    assert [one.metadata.id.rpartition("#")[2] for one in sink.measurements] == ["2", "3", "5"]
    reasons = [one.reason.partition(":")[0] for one in sink.flaws]
    assert reasons == ["a.csv, line 4", "b.csv, line 2", "c.txt"]
    assert sorted(one.name for one in (tmp_path / "in" / "failed").iterdir()) == ["b.csv", "c.txt"]


def test_a_photo_has_the_time_of_its_exif_data(tmp_path, watch):
    """As when it is learned, a photo was captured when its EXIF data says, not when it arrived."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2024:03:01 12:00:00"
    Image.new("RGB", (8, 8)).save(tmp_path / "photo.jpg", exif=exif)
    sink = Kept()
    watch(sink)
    write(tmp_path / "in" / "photo.jpg", (tmp_path / "photo.jpg").read_bytes(), 10)
    wait_for(lambda: len(sink.measurements) == 1)
    assert sink.measurements[0].metadata.captured_at_ns == 1_709_294_400 * 10**9


def test_the_rows_of_a_file_are_one_recording(tmp_path):
    """As when it is learned, a CSV file is a recording; a row with its own is a part of that."""
    (tmp_path / "in").mkdir()
    data = b"temperature,recording\n1,\n2,night\n"
    (tmp_path / "in" / "a.csv").write_bytes(data)
    settings = FolderStream(path="in", settle_s=0.02, every_s=0.01, kind="series")
    place, sink = SourceContext(tmp_path, tmp_path / "memory", None), Kept()
    source = open_source("cam", settings, place, sink)
    assert source is not None
    source.start()
    wait_for(lambda: len(sink.measurements) == 2)
    source.stop(5)
    named = recording_of_file("a.csv", content_id(data))
    assert [one.metadata.recording for one in sink.measurements] == [named, "night"]
