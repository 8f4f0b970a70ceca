"""Times and recordings of the rows of tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge.core.errors import ConfigError
from edge.datasets.class_folders import Example, Skipped
from edge.datasets.tables import read_examples
from edge.datasets.time_columns import NamedColumns
from edge.datasets.timestamps import read_time_ns
from edge.sources import content_id

NOON_NS = 1_709_294_400 * 10**9
"""2024-03-01 12:00:00 UTC."""


def table(folder: Path, text: str) -> Path:
    """A table with some content."""
    path = folder / "line.csv"
    path.write_text(text, "utf-8")
    return path


def rows(path: Path, columns: tuple[str, ...] = (), **named: str) -> list[Example]:
    """The examples of a table in which every row can be used."""
    found = list(read_examples(path, None, 16_000, columns, NamedColumns(**named)))
    assert all(isinstance(one, Example) for one in found), found
    return [one for one in found if isinstance(one, Example)]


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("timestamp", "2024-03-01T12:00:00"),
        ("Time", "2024-03-01 13:00:00+01:00"),
        ("datetime", "1.3.2024 12:00"),
        ("time", "1709294400"),
        ("time", "1709294400000"),
        ("epoch", "1709294400000000"),
        ("ts", "1709294400000000000"),
    ],
)
def test_a_column_of_times_is_recognised(tmp_path, name, cell):
    """A column with a usual name whose first cell is a time gives the times, and is no feature."""
    path = table(tmp_path, f"x0,{name},x1\n1,{cell},2\n3,,4\n")
    found = read_examples(path)
    assert found.names == ("x0", "x1")
    assert found.layout == f"2 rows of numbers with time ({name})"
    first, second = rows(path)
    assert (first.captured_at_ns, first.timed_by) == (NOON_NS, f"the column {name}")
    assert (second.captured_at_ns, second.timed_by) == (0, "")


def test_a_date_and_a_clock_time_are_joined(tmp_path):
    """A column of dates and one of clock times give one time."""
    path = table(tmp_path, "date,time,x\n2024-03-01,12:00:00,1\n2024-03-02,00:00:01,2\n")
    assert [one.captured_at_ns for one in rows(path)] == [NOON_NS, NOON_NS + 43_201 * 10**9]


def test_elapsed_times_and_features_stay_features(tmp_path):
    """A small number under the name of a time is a feature; so is a feature of the home, whatever
    it holds; a named column of seconds is a time."""
    path = table(tmp_path, "time,x\n0.5,1\n1.5,2\n")
    assert read_examples(path).names == ("time", "x")
    assert [one.captured_at_ns for one in rows(path, time="time")] == [5 * 10**8, 15 * 10**8]
    path = table(tmp_path, "time,run,x\n1709294400,3,1\n")
    (one,) = rows(path, columns=("time", "run", "x"))
    assert (one.captured_at_ns, len(one.payload)) == (0, 3)
    with pytest.raises(ConfigError, match="a feature of the home"):
        rows(path, columns=("time", "run", "x"), time="time")
    with pytest.raises(ConfigError, match="--recording-column names 'shift'"):
        rows(path, recording="shift")


def test_a_cell_without_a_time_makes_its_row_unusable(tmp_path):
    """An unreadable time is reported with its cell and the form expected; other rows are read."""
    path = table(tmp_path, "time,x\n2024-03-01,1\nsoon,2\n1600-01-01,3\n")
    good, bad, early = read_examples(path)
    assert isinstance(good, Example)
    for one, cell in ((bad, "'soon'"), (early, "'1600-01-01'")):
        assert isinstance(one, Skipped)
        assert cell in one.reason
        assert "2024-01-31T09:30:00" in one.reason


def test_exact_times_come_first(tmp_path):
    """A number in `captured_at_ns` wins over a time column, which is no feature either way."""
    path = table(tmp_path, "captured_at_ns,time,x\n5,2024-03-01T12:00:00,1\n,2024-03-01T12:00,2\n")
    assert [one.captured_at_ns for one in rows(path)] == [5, NOON_NS]


def test_a_row_belongs_to_its_recording_subject_or_file(tmp_path):
    """The recording is that of the column, else the subject, else the file, whose name does not
    depend on its folder."""
    text = "x,session,subject\n1,s1,ann\n2,,ann\n3,,\n"
    path = table(tmp_path, text)
    file = f"line.csv#{content_id(text.encode())[:8]}"
    assert [one.recording for one in rows(path)] == ["s1", "ann", file]
    (tmp_path / "other").mkdir()
    assert rows(table(tmp_path / "other", text))[2].recording == file
    assert read_examples(path).layout == "3 rows of numbers with subject, recording (session)"
    shifts = table(tmp_path, "x,shift\n1,early\n2,late\n")
    assert [one.recording for one in rows(shifts, recording="shift")] == ["early", "late"]


def test_arrays_of_times_and_runs_are_read(tmp_path):
    """An .npz may hold times as numbers, text or datetime64, and recordings; an array of another
    length is left alone."""
    when = np.array(["2024-03-01T12:00", "2024-03-01T12:01"], "datetime64[ns]")
    for times in (when, when.astype("datetime64[s]"), when.astype(str), when.astype(np.int64)):
        np.savez(
            tmp_path / "a.npz",
            features=np.ones((2, 3)),
            timestamp=times,
            run=np.array([1, 2]),
            t=np.arange(5),
        )
        found = rows(tmp_path / "a.npz")
        assert [one.captured_at_ns - NOON_NS for one in found] == [0, 60 * 10**9]
        assert [one.recording for one in found] == ["1", "2"]
    np.savez(tmp_path / "b.npz", features=np.ones((2, 3)))
    (one, other) = rows(tmp_path / "b.npz")
    assert one.recording == other.recording
    assert one.recording.startswith("b.npz#")


def test_times_keep_their_digits():
    """Whole numbers of any unit are exact; text is exact to the microsecond."""
    assert read_time_ns("1709294400123456789") == 1_709_294_400_123_456_789
    assert read_time_ns("2024-03-01T12:00:00.123456") == NOON_NS + 123_456_000
    assert read_time_ns("0") == 0
    assert [read_time_ns(cell) for cell in ("-5", "9999-01-01", "nan", "x", "")] == [None] * 5
