from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import pytest

from edge.core.events import (
    Acknowledgement,
    Decision,
    DriftAlarm,
    GrowthReport,
    LabelRequest,
    Rejected,
)
from edge.core.facts import Selector
from edge.core.receipt import Receipt
from edge.mqtt.envelope import MessageEncoder, mark_historical

DECISION = Decision(
    observation_id="c:1",
    stream="cam/1",
    captured_at_ns=5,
    known=None,
    domain="d",
    label=None,
    guess="g",
    score=0.5,
    p_value=0.25,
    window_p=math.nan,
    alarm=True,
)
MESSAGES: tuple[tuple[Any, str], ...] = (
    (DECISION, "decision/cam%2F1"),
    (
        DriftAlarm(
            stream="cam",
            observation_id="c:1",
            captured_at_ns=5,
            raised=True,
            window_p=0.1,
            domain="d",
        ),
        "alarm/cam",
    ),
    (LabelRequest("cam", "d", ("c:1", "c:2")), "label-request/cam"),
    (GrowthReport(domain="d", state="serving", version=3), "growth"),
    (Acknowledgement("c:1", 1), "ack"),
    (Rejected("c:1", 'too "late"'), "rejected"),
    (
        Receipt(
            request_id="r",
            requested_at_ns=1,
            selector=Selector(ids=frozenset({"a"})),
            facts_forgotten=1,
            concepts_touched=("d/l",),
            digest_before="x",
            digest_after="y",
            rebuilt=(),
            evicted_before=0,
            not_covered=(),
        ),
        "receipt",
    ),
)


@pytest.mark.parametrize(("message", "place"), MESSAGES)
def test_every_message_of_the_core_is_encoded(message: Any, place: str) -> None:
    """The envelope holds schema, device, sequence and time, and the fields of the message."""
    worded = MessageEncoder('g"w').encode(message, 17, 99)
    result = json.loads(worded.body)
    assert worded.topic == f'auricle/v1/g"w/{place}'
    assert (result["schema"], result["device"]) == (f"auricle/v1/{worded.kind}", 'g"w')
    assert (result["sequence"], result["at_ns"], result["historical"]) == (17, 99, False)
    assert set(type(message).__slots__) <= set(result)


def test_nan_and_infinity_are_null() -> None:
    """JSON has no NaN and no infinity; readers get null."""
    assert json.loads(MessageEncoder("gw").encode(DECISION, 1, 1).body)["window_p"] is None


def test_a_new_kind_of_message_is_an_event() -> None:
    """A kind without a topic of its own is an event, even without fields."""

    @dataclass(frozen=True, slots=True)
    class NothingNew:
        pass

    worded = MessageEncoder("gw").encode(NothingNew(), 1, 2)
    assert worded.topic == "auricle/v1/gw/event/nothing-new"
    assert json.loads(worded.body)["at_ns"] == 2


def test_historical_messages_are_marked() -> None:
    """The mark changes one field only, even if the device's name looks like it."""
    body = MessageEncoder('"historical":false,').encode(DECISION, 1, 2).body
    live, late = json.loads(body), json.loads(mark_historical(body))
    assert late == live | {"historical": True}
