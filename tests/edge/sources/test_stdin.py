from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from edge.config.streams import StdinStream
from edge.sources.measurement import InvalidMeasurement
from edge.sources.polling import PollingPause
from edge.sources.stdin import LINE_BYTES_MAX, StdinSource


@pytest.fixture
def pipe():
    """The read and write descriptors of a pipe."""
    reading, writing = os.pipe()
    yield reading, writing
    os.close(reading)


def read_all(pipe, data: bytes, **settings: Any) -> list[Any]:
    """The results for bytes that another process writes."""
    reading, writing = pipe
    child = os.fork()
    if not child:
        try:
            os.write(writing, data[:7])
            while data[7:]:
                data = data[:7] + data[7 + os.write(writing, data[7:]) :]
        finally:
            os._exit(0)
    os.close(writing)
    found = list(StdinSource("s", StdinStream(**settings), reading).read(PollingPause()))
    os.waitpid(child, 0)
    return found


def test_lines_become_measurements(pipe):
    """Lists and documents are read in chunks of any size; empty lines are skipped."""
    found = read_all(pipe, b'[1, 2]\n\n{"values": [3], "id": "x"}\r\n[4]')
    assert [one.payload.tolist() for one in found] == [[1, 2], [3], [4]]
    assert found[1].metadata.id == "x"


def test_csv_lines_are_read(pipe):
    """The format csv reads plain numbers."""
    (found,) = read_all(pipe, b"1,2.5, 3\n", format="csv")
    assert found.payload.tolist() == [1, 2.5, 3]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"1,[2]\n", "cell 2 holds no number: '[2]'"),
        (b"1;2\n", "cell 1 holds no number: '1;2'"),
        (b"time;load\n", "cell 1 holds no number: 'time;load'"),
    ],
)
def test_invalid_csv_is_reported_as_csv(pipe, line, words):
    """The reason and the hint are about the configured format."""
    (found,) = read_all(pipe, line, format="csv")
    assert found.reason == f"it is not csv as expected: {words}"
    assert found.hint.startswith("send numbers with commas, such as 1.5,2.0")


def test_an_empty_cell_is_a_missing_number(pipe):
    """In a series, empty cells and null are missing numbers."""
    (found,) = read_all(pipe, b"1,,null,4\n", format="csv", kind="series")
    assert np.isnan(found.payload).tolist() == [False, True, True, False]


def test_an_invalid_line_does_not_affect_the_next(pipe):
    """Invalid text and endless lines are rejected; the next line is read."""
    data = b"hello\n" + b"1" * (LINE_BYTES_MAX + 70_000) + b"\n[5]\n"
    found = read_all(pipe, data)
    assert [isinstance(one, InvalidMeasurement) for one in found] == [True, True, False]
    assert found[2].payload.tolist() == [5]


def test_a_csv_header_names_the_values(pipe):
    """Rows have the names of the header above them; id, subject and time are metadata; a later
    header may reorder the columns."""
    data = b"id,a,b,captured_at_ns,label\nx,1,2,7,on\ny,3,,8,on\n"
    data += b"b,a,id,label,captured_at_ns\n4,5,z,on,9\n"
    found = read_all(pipe, data, format="csv")
    assert [one.payload.names for one in found] == [("a", "b"), ("a", "b"), ("b", "a")]
    assert [one.metadata.id for one in found] == ["x", "y", "z"]
    assert [one.metadata.captured_at_ns for one in found] == [7, 8, 9]
    assert found[2].payload.values.tolist() == [4, 5]
    assert found[0].payload.ordered


def test_an_invalid_csv_line_does_not_affect_others(pipe):
    """Text, extra cells and unclosed quotes are rejected as csv."""
    found = read_all(pipe, b'a,b\n1,2\nhello\n1,2,3\n"1,2\n3,4\n', format="csv")
    assert [isinstance(one, InvalidMeasurement) for one in found] == [
        False,
        True,
        True,
        True,
        False,
    ]
    assert all(
        "not csv as expected" in one.reason for one in found if isinstance(one, InvalidMeasurement)
    )


def test_csv_without_header_takes_the_configured_columns(pipe):
    """The cells are the configured columns, in order."""
    (found,) = read_all(pipe, b"1,2\n", format="csv", columns=("a", "b"))
    assert found.payload.names == ("a", "b")


def test_text_columns_are_no_channels_of_a_series(pipe):
    """A series uses the columns that hold numbers or missing values."""
    (found,) = read_all(pipe, b"when,load,temp\nMonday,1,\n", format="csv", kind="series")
    assert found.payload.names == ("load", "temp")
