from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.core.events import Message
from edge.mqtt.envelope import MessageEncoder, mark_historical
from edge.mqtt.messages import BrokerStatus, Response
from edge.mqtt.presences import StatusPresence
from edge.mqtt.schemas import PUBLISHED, message_schemas
from edge.mqtt.topics import kind_of
from tests.brokers import Mosquitto, needs_mosquitto, quick, seated

WORDING = MessageEncoder("gw1")
VALIDATORS = {kind: jsonschema.Draft202012Validator(one) for kind, one in message_schemas().items()}


@pytest.fixture(scope="module")
def folder(source: Path) -> Path:
    """The folder of the published schemas."""
    return source / "docs/schemas"


def test_the_published_schemas_are_those_of_the_classes(folder: Path) -> None:
    """docs/schemas/ holds the output of `python scripts/generate_schemas.py`."""
    published = {one.stem: json.loads(one.read_text("utf-8")) for one in folder.glob("*.json")}
    assert published == json.loads(json.dumps(message_schemas()))
    assert {kind_of(one) for one in get_args(Message)} < set(published)


@pytest.mark.parametrize("kind", message_schemas())
def test_a_schema_is_valid_and_strict(kind: str) -> None:
    """Each schema is valid, and rejects a message that lacks a field."""
    schema = message_schemas()[kind]
    jsonschema.Draft202012Validator.check_schema(schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"schema": f"auricle/v1/{kind}"}, schema)


def instances(reported: type) -> st.SearchStrategy[Any]:
    """Instances of a message class; the body of a response is any JSON value."""
    plain = st.dictionaries(
        st.text(max_size=4), st.integers() | st.text(max_size=4) | st.booleans(), max_size=4
    )
    return st.builds(reported, body=plain) if reported is Response else st.from_type(reported)


# If a Struct has a default factory, hypothesis would use the factory as the value.
st.register_type_strategy(
    BrokerStatus,
    st.builds(
        BrokerStatus, reasons=st.dictionaries(st.text(max_size=4), st.integers(0, 9), max_size=4)
    ),
)


@settings(max_examples=60)
@given(st.one_of([instances(one) for one in PUBLISHED]), st.booleans())
def test_every_message_fits_its_schema(message: Any, late: bool) -> None:
    """Any message, with any values, is JSON that its schema accepts."""
    worded = WORDING.encode(message, 1, 2)
    body = mark_historical(worded.body) if late else worded.body
    VALIDATORS[worded.kind].validate(json.loads(body))


@needs_mosquitto
def test_received_messages_fit_their_schema(tmp_path: Path) -> None:
    """The retained status, online and offline, fits the schema."""
    with Mosquitto(tmp_path) as mosquitto, seated(quick(mosquitto.port), "watcher") as watcher:
        watcher.broker.subscribe(["auricle/v1/+/status"])
        watcher.online()
        here = StatusPresence("gw1", "1.0")
        with seated(quick(mosquitto.port), "gw1", here) as seat:
            seat.online()
            watcher.until(lambda: len(watcher.arrivals) >= 2)
        watcher.until(lambda: len(watcher.arrivals) >= 3)
    for arrival in watcher.arrivals:
        jsonschema.validate(json.loads(arrival.payload), message_schemas()["status"])
    will = here.will()
    jsonschema.validate(json.loads(will.payload), message_schemas()["status"])


def test_the_page_of_topics_has_every_kind(source: Path) -> None:
    """docs/reference/topics.md names each kind of message, and its examples fit their schemas."""
    page = (source / "docs/reference/topics.md").read_text("utf-8")
    assert [kind for kind in message_schemas() if f"schemas/{kind}.json" not in page] == []
    examples = [json.loads(one) for one in re.findall(r"```json\n(.*?)```", page, re.DOTALL)]
    reported = [one for one in examples if "schema" in one]
    for example in reported:
        jsonschema.validate(example, message_schemas()[example["schema"].rpartition("/")[2]])
    assert len(reported) >= 3
