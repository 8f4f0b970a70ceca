from __future__ import annotations

import json
import struct
from typing import Any

import cbor2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.streams import HttpStream
from edge.sources.measurement import InvalidMeasurement, Measurement, MeasurementMetadata
from edge.sources.payloads import NUMBERS_MAX, decode_payload, read_properties

NOTHING = MeasurementMetadata()


def read(
    body: bytes, sender: MeasurementMetadata = NOTHING, **settings: Any
) -> Measurement | InvalidMeasurement:
    """Decode a payload as a request is decoded."""
    return decode_payload("s", HttpStream(**settings), body, sender)


def test_a_list_of_numbers_is_a_vector():
    """A JSON list becomes float32 numbers."""
    found = read(b"[1, 2.5, -3e2]")
    assert isinstance(found, Measurement)
    assert found.payload.dtype == np.float32
    assert found.payload.tolist() == [1, 2.5, -300]


def test_metadata_in_a_document_takes_precedence():
    """A document's own id, subject, sequence and time override the metadata outside the body."""
    own = {"id": "a", "sequence": 7, "captured_at_ns": 5, "recording": "shift-2"}
    found = read(
        json.dumps({"values": [1], **own}).encode(), MeasurementMetadata("b", "anna", 1, 2)
    )
    assert isinstance(found, Measurement)
    assert found.metadata == MeasurementMetadata("a", "anna", 7, 5, "shift-2")


def test_rows_become_a_window():
    """Rows of equal length become a two-dimensional array."""
    found = read(b"[[1, 2], [3, 4], [5, 6]]")
    assert isinstance(found, Measurement)
    assert found.payload.shape == (3, 2)


def test_raw_numbers_are_little_endian():
    """The configured dtype and shape define how bytes are read."""
    found = read(struct.pack("<4h", 1, -2, 3, 4), format="raw", dtype="int16", shape=(2, 2))
    assert isinstance(found, Measurement)
    assert found.payload.tolist() == [[1, -2], [3, 4]]


def test_raw_numbers_of_another_length_are_refused():
    """The reason names the bytes expected and found."""
    found = read(b"123", format="raw", dtype="int16", shape=(2,))
    assert isinstance(found, InvalidMeasurement)
    assert "4 bytes, found 3" in found.reason


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.5, 2.0], [1.5, 2.0]),
        (cbor2.CBORTag(85, np.array([1.5, 2], "<f4").tobytes()), [1.5, 2.0]),
        (cbor2.CBORTag(64, b"\x01\xff"), [1, 255]),
    ],
)
def test_cbor_takes_lists_and_typed_arrays(values, expected):
    """A list and an RFC 8746 array give the same numbers, alone or in a document."""
    for body in (values, {"values": values, "id": "x"}):
        found = read(cbor2.dumps(body), format="cbor")
        assert isinstance(found, Measurement)
        assert found.payload.tolist() == expected


@pytest.mark.parametrize("tag", [2, 4, 5, 30, 35, 36, 258, 1_000, 41])
def test_tags_that_build_objects_are_refused(tag):
    """CBOR of dates, big numbers, regular expressions or sets is rejected."""
    body = cbor2.dumps(cbor2.CBORTag(tag, [1, 2]))
    assert isinstance(read(body, format="cbor"), InvalidMeasurement)


def test_a_series_has_named_or_numbered_channels():
    """Null is a missing number."""
    named = read(b'{"values": {"load": 1, "temperature": null}}', kind="series")
    assert isinstance(named, Measurement)
    assert named.payload["load"] == 1
    assert np.isnan(named.payload["temperature"])
    listed = read(b"[1, null]", kind="series")
    assert isinstance(listed, Measurement)
    assert np.isnan(listed.payload[1])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[",
        b'"text"',
        b"[true]",
        b'["1"]',
        b"[null]",
        b"[[1],[1,2]]",
        b'{"values":[1],"more":1}',
        b'{"values":[1],"sequence":-1}',
        b'{"values":{"a":"b"}}',
        b'{"values":[1],"id":"' + b"x" * 201 + b'"}',
        b'{"values":[1],"captured_at_ns":9223372036854775808}',
        b"[" * 100_000,
        b"\xff\xfe",
        b"NaN",
        b"[1e999]x",
    ],
)
def test_invalid_input_gives_a_reason(body):
    """Anything else gives a reason and a hint, never an exception."""
    found = read(body)
    assert isinstance(found, InvalidMeasurement)
    assert found.reason
    assert found.hint


def test_too_many_numbers_are_refused():
    """More than the limit of numbers is rejected."""
    body = b"[" + b"0," * NUMBERS_MAX + b"0]"
    assert isinstance(read(body), InvalidMeasurement)


@given(st.binary(max_size=200), st.sampled_from(["json", "cbor", "raw", "image"]))
def test_random_bytes_never_raise(body, form):
    """Any bytes give a measurement or a reason."""
    assert isinstance(read(body, format=form), Measurement | InvalidMeasurement)


_plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
_documents = st.fixed_dictionaries(
    {"values": _plain},
    optional={"id": _plain, "subject": _plain, "sequence": _plain, "captured_at_ns": _plain},
)


@given(_documents | _plain, st.sampled_from(["sample", "series"]))
def test_documents_of_any_shape_never_raise(document, kind):
    """Any JSON or CBOR document gives a measurement or a reason."""
    text = json.dumps(document, default=str).encode()
    assert isinstance(read(text, kind=kind), Measurement | InvalidMeasurement)
    assert isinstance(
        read(cbor2.dumps(document), kind=kind, format="cbor"), Measurement | InvalidMeasurement
    )


def test_properties_outside_the_body_are_read_strictly():
    """Known names are read, others ignored, invalid numbers rejected."""
    pairs = [("id", "a"), ("captured_at_ns", "12"), ("trace", "zz")]
    assert read_properties(pairs) == MeasurementMetadata("a", "", None, 12)
    assert isinstance(read_properties([("sequence", "1.5")]), InvalidMeasurement)
    assert isinstance(read_properties([("sequence", "٣")]), InvalidMeasurement)
    assert isinstance(read_properties([("id", "a\nb")]), InvalidMeasurement)


Z2M = {
    "temperature": 21.5,
    "battery": {"voltage": 3.0, "low": False},
    "action": "single",
    "linkquality": 80,
    "update": {"state": "idle", "progress": None},
}


def test_fields_at_the_top_and_in_nested_objects_are_values():
    """Every field that holds a number is used under its dotted name; other fields are ignored."""
    for body in (
        json.dumps(Z2M).encode(),
        json.dumps({"values": {"t": 1, "b": {"v": 2}}}).encode(),
    ):
        found = read(body)
        assert isinstance(found, Measurement)
        values = dict(zip(found.payload.names, found.payload.values, strict=True))
        assert values in (
            {"temperature": 21.5, "battery.voltage": 3, "battery.low": 0, "linkquality": 80},
            {"t": 1, "b.v": 2},
        )
        assert not found.payload.ordered


def test_configured_columns_choose_and_order_the_fields():
    """Dotted names select the fields of JSON and CBOR, and name those of lists and raw numbers."""
    chosen: dict[str, Any] = {"columns": ("battery.voltage", "temperature")}
    raw = struct.pack("<2f", 3, 21.5)
    for found in (
        read(json.dumps(Z2M).encode(), **chosen),
        read(cbor2.dumps(Z2M), format="cbor", **chosen),
        read(json.dumps({"values": Z2M}).encode(), **chosen),
        read(b"[3, 21.5]", **chosen),
        read(raw, format="raw", **chosen),
        read(json.dumps(Z2M).encode(), kind="series", **chosen),
    ):
        assert isinstance(found, Measurement)
        assert found.payload.names == chosen["columns"]
        assert found.payload.values.tolist() == [3, 21.5]
        assert found.payload.ordered


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"temperature": 1}', "missing fields: battery.voltage; found temperature"),
        (
            b'{"temperature": "hot", "battery": {"voltage": 3}}',
            "temperature holds no number: 'hot'",
        ),
        (b'{"battery": [3], "action": "x"}', "missing fields"),
        (b"[1]", "expected 2 numbers, one for each column"),
    ],
)
def test_fields_that_are_missing_or_no_numbers_are_named(body, words):
    """The reason names the missing column of a sample, and the fields found."""
    found = read(body, columns=("temperature", "battery.voltage"))
    assert isinstance(found, InvalidMeasurement)
    assert words in found.reason


def test_a_field_of_a_series_may_be_missing():
    """A missing field is a missing number; a message without any column is rejected."""
    chosen: dict[str, Any] = {"columns": ("t", "v"), "kind": "series"}
    found = read(b'{"t": 1}', **chosen)
    assert isinstance(found, Measurement)
    assert np.isnan(found.payload.values[1])
    assert isinstance(read(b'{"x": 1}', **chosen), InvalidMeasurement)


def test_a_device_that_sends_its_own_id_does_not_name_its_measurements():
    """Of the metadata fields next to values only the time is used, and none is a value."""
    found = read(b'{"id": "sensor-1", "sequence": 4, "captured_at_ns": 7, "t": 1}')
    assert isinstance(found, Measurement)
    assert found.metadata == MeasurementMetadata(captured_at_ns=7)
    assert found.payload.names == ("t",)


def test_fields_that_are_too_deep_or_too_many_are_refused():
    """Depth and number of fields are limited."""
    deep: Any = {"t": 1}
    for _ in range(9):
        deep = {"n": deep}
    assert isinstance(read(json.dumps(deep).encode()), InvalidMeasurement)
    assert isinstance(
        read(json.dumps({f"f{n}": n for n in range(4_097)}).encode()), InvalidMeasurement
    )
