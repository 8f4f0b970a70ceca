from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.errors import ConfigError
from edge.datasets import recordings
from edge.datasets.recordings import SeriesRows, read_recording


def rows(text: str):
    """Names, elapsed seconds and values of a text."""
    found = SeriesRows(text.splitlines(keepends=True))
    elapsed, values = zip(*found, strict=True)
    return found.names, list(elapsed), np.stack(values)


def test_a_header_times_and_gaps_are_understood():
    """Names come from the header, seconds from the times, NaN from cells that hold no number."""
    names, elapsed, values = rows(
        "timestamp;a;note;b\n2024-01-01 00:00:00;1;x;2\n2024-01-01 00:05:00;;y;inf\n"
        "\n2024-01-01 00:10:00+00:00;3;z;4\n"
    )
    assert names == ("a", "b")
    assert elapsed == [0.0, 300.0, 300.0]
    np.testing.assert_array_equal(values, [[1, 2], [np.nan, np.nan], [3, 4]])


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000, 1_000_000_000])
def test_times_may_be_numbers(unit):
    """Seconds and milliseconds since 1970 are distinguished by their size."""
    _, elapsed, _ = rows(f"x,ts\n1,{1_700_000_000 * unit}\n2,{1_700_000_060 * unit}\n")
    assert elapsed == [0.0, 60.0]


def test_a_bare_table_has_numbered_channels():
    """Without header and times the columns are numbered, and steps are one second."""
    names, elapsed, values = rows("1,2\n3,4,5\n6\n")
    assert (names, elapsed) == (("0", "1"), [1.0, 1.0, 1.0])
    np.testing.assert_array_equal(values, [[1, 2], [3, 4], [6, np.nan]])


def test_a_first_column_of_dates_needs_no_name():
    """A first column of dates holds the times, with or without a header."""
    assert rows("2024-01-01,5\n2024-01-02,6\n")[1] == [0.0, 86_400.0]
    assert rows("day,v\n2024-01-01,5\n2024-01-02,6\n")[0] == ("v",)


@pytest.mark.parametrize("text", ["", "\n", "a,b\n", "a,b\nx,y\n", "name\nann\n"])
def test_a_text_without_numbers_is_refused(text):
    """Text without numbers raises ConfigError with a hint."""
    with pytest.raises(ConfigError, match="reading a stream") as caught:
        rows(text)
    assert caught.value.hint


def test_a_file_is_read_whole(tmp_path):
    """A file gives all rows; a missing one raises ConfigError."""
    path = tmp_path / "loads.csv"
    path.write_text("\ufeffa\n1\n2\n", "utf-8")
    found = read_recording(path)
    assert (found.names, found.values.tolist()) == (("a",), [[1.0], [2.0]])
    with pytest.raises(ConfigError, match="No such file"):
        read_recording(tmp_path / "none.csv")


def test_a_file_that_is_too_long_is_refused(tmp_path, monkeypatch):
    """A file above the limit of values raises ConfigError; one at the limit is read."""
    monkeypatch.setattr(recordings, "VALUES_MAX", 6)
    path = tmp_path / "long.csv"
    path.write_text("a,b\n" + "1,2\n" * 3, "utf-8")
    assert len(read_recording(path).values) == 3
    path.write_text("a,b\n" + "1,2\n" * 4, "utf-8")
    with pytest.raises(ConfigError, match="at most 6 values"):
        read_recording(path)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a;b\n1,5;2\n,5;-3,25\n", [[1.5, 2], [0.5, -3.25]]),
        ("1,5;2,5\n3,5;4,5\n", [[1.5, 2.5], [3.5, 4.5]]),
        ("a,b\n1,1e300\n2,3\n", [[1, np.nan], [2, 3]]),
        ('a,b\n1,2\n"3,4\n5,6\n', [[1, 2], [np.nan, np.nan], [5, 6]]),
    ],
)
def test_numbers_of_other_countries_and_broken_cells(text, values):
    """Decimal commas are read if commas separate no fields; a cell without a number makes only
    its row unusable."""
    np.testing.assert_array_equal(rows(text)[2], values)


@pytest.mark.parametrize(
    "text",
    [
        "date,time,v\n2024-01-31,23:00:00,1\n2024-02-01,0:00:00,2\n",
        "Time;v\n31.01.2024 23:00;1\n01.02.2024 00:00;2\n",
        "ts,v\n2024/01/31 23:00,1\n2024/02/01 0:00,2\n",
        "\ufeffts,v\r\n2024-01-31T23:00:00Z,1\r\n2024-02-01T00:00:00.000Z,2\r\n",
    ],
)
def test_times_in_other_forms_are_read(text):
    """Dates with a separate clock column, dotted dates, and dates with slashes are times."""
    names, elapsed, _ = rows(text)
    assert (names, elapsed) == (("v",), [0.0, 3600.0])


def test_a_time_that_can_be_read_two_ways_is_refused():
    """An ambiguous date such as 03/04/2024 raises ConfigError."""
    with pytest.raises(ConfigError, match="times in the column 'date', found '03/04/2024'"):
        rows("date,v\n03/04/2024,1\n04/04/2024,2\n")


def test_columns_have_unique_names_and_text_columns_are_reported():
    """Repeated names are made unique, and text columns are reported."""
    found = SeriesRows(["a,,a,note\n", "1,2,3,fine\n"])
    assert found.names == ("a", "1", "a (2)")
    assert found.left_out == ("note",)
    assert SeriesRows([b"temp\xe9rature\n".decode("utf-8", "surrogateescape"), "1\n"]).names == (
        "temp?rature",
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("ts,v\n3,1\n2,2\n1,3\n", "descending in 2 of 3 rows"),
        ("a\nnan\nnan\n", "none in 2 rows"),
    ],
)
def test_an_ambiguous_file_is_refused(tmp_path, text, reason):
    """Descending times and a file without numbers are different errors."""
    path = tmp_path / "odd.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=reason):
        read_recording(path)


def test_a_file_in_utf_16_is_read(tmp_path):
    """UTF-16 text of spreadsheets is recognised by its byte order mark."""
    path = tmp_path / "wide.csv"
    path.write_text("a\tb\n1\t2\n", "utf-16")
    assert read_recording(path).values.tolist() == [[1.0, 2.0]]


@given(st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_no_text_breaks_the_reader(text):
    """Any text is rows of one length with finite numbers or NaN, or a ConfigError."""
    try:
        names, elapsed, values = rows(text)
    except ConfigError:
        return
    assert values.shape[1] == len(names)
    assert not np.isinf(values).any()
    assert np.isfinite(elapsed).all()


def test_a_binary_file_is_refused_without_its_bytes(tmp_path):
    """A file with zero bytes is no text, and the error shows none of them."""
    path = tmp_path / "loads.csv"
    path.write_bytes(b"\x7fELF\x02\0\0\0" + bytes(range(256)))
    with pytest.raises(ConfigError, match="found binary data") as caught:
        read_recording(path)
    assert caught.value.message.isprintable()
