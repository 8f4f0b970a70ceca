from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.mqtt.homeassistant.controls import (
    CONTROL_BYTES_MAX,
    CONTROLS,
    InvalidControl,
    LabelControl,
    NotNewControl,
    RateControl,
    decode_control,
)


def test_controls_are_decoded() -> None:
    """Each kind has its own fields; a label in quotation marks is the name within them."""
    label = decode_control("label", b'{"stream":"c","observation_id":"c:1","label":"\\"none\\""}')
    assert isinstance(label, LabelControl)
    assert label.name == "none"
    pressed = decode_control("not-new", b'{"stream":"c","observation_id":"c:1","alarm_id":""}')
    assert pressed == NotNewControl("c", "c:1")
    rate = decode_control("false-alarm-rate", b'{"home": "", "percent": 2.5}')
    assert rate == RateControl("", 2.5)


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("forget", b'{"select": {"label": "cat"}}'),
        ("label", b'{"stream":"c","observation_id":"c:1","label":"cat","domain":"yard"}'),
        ("label", b'{"stream":"c","observation_id":"c:1","label":""}'),
        ("label", b'{"stream":"c","observation_id":"c:1","label":"%b"}' % (b"x" * 203)),
        ("false-alarm-rate", b'{"home": "", "percent": 0}'),
        ("false-alarm-rate", b'{"home": "", "percent": 50}'),
        ("false-alarm-rate", b'{"home": "", "percent": NaN}'),
        ("not-new", b"\xff"),
        ("not-new", b"[" * 5_000),
        ("label", b" " * (CONTROL_BYTES_MAX + 1)),
    ],
)
def test_an_invalid_control_has_a_reason(kind: str, payload: bytes) -> None:
    """Unknown kinds, unknown fields, values out of range and huge payloads are refused."""
    found = decode_control(kind, payload)
    assert isinstance(found, InvalidControl)
    assert found.kind == kind
    assert found.reason


@given(st.sampled_from(sorted(CONTROLS)), st.binary(max_size=64))
def test_no_payload_raises(kind: str, payload: bytes) -> None:
    """Whatever is published, a control or a reason comes out."""
    found = decode_control(kind, payload)
    assert not isinstance(found, InvalidControl) or found.reason
