"""The sender's side of commands: make, sign, and send them to a device through its broker."""

import base64
import json
import secrets
import threading
from collections.abc import Iterable
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from paho.mqtt.client import Client, ConnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ..config import MqttSettings
from ..core import ConfigError, TransportError
from ..mqtt import Topics, encode_level, make_tls_context, read_password
from .parsing import SIGNED, Refusal, parse_command


def make_command(verb: str, given: Iterable[str], fields: dict[str, Any]) -> bytes:
    """Return the JSON of a command.  given: NAME=VALUE pairs; VALUE is JSON or else text; dots in
    NAME nest.  fields: those of every command.

    Raises ConfigError for a command that the device would refuse.
    """
    made: dict[str, Any] = {"verb": verb, **{name: one for name, one in fields.items() if one}}
    for pair in given:
        name, sign, text = pair.partition("=")
        if not sign:
            raise ConfigError(
                f"reading --set {pair}: expected NAME=VALUE", "see docs/reference/commands.md"
            )
        place = made
        *outer, last = name.split(".")
        for step in outer:
            place = place.setdefault(step, {})
        place[last] = _value(text)
    payload = json.dumps(made, ensure_ascii=False).encode()
    found = parse_command(payload)
    if isinstance(found, Refusal):
        raise ConfigError(f"making the command {verb}: {found.reason}", found.hint)
    return payload


def sign_command(payload: bytes, key: Ed25519PrivateKey, name: str) -> bytes:
    """Return a signed envelope.  name: of the key in the device's [commands.keys]."""
    signature = base64.b64encode(key.sign(SIGNED + payload)).decode()
    return msgspec.json.encode({"payload": payload.decode(), "key": name, "signature": signature})


def send_command(
    settings: MqttSettings, device: str, verb: str, payload: bytes, wait_s: float
) -> dict[str, Any]:
    """Send a command and wait for its answer; raises TransportError without one."""
    name = f"auricle-command-{secrets.token_hex(6)}"
    client = Client(CallbackAPIVersion.VERSION2, name, protocol=MQTTProtocolVersion.MQTTv5)
    try:
        if settings.username:
            client.username_pw_set(settings.username, read_password(settings))
        if settings.tls is not None:
            client.tls_set_context(make_tls_context(settings.tls))
    except (OSError, ValueError) as error:
        raise ConfigError(f"connecting to the broker: {error}", "correct [mqtt]") from error
    exchange = _CommandRequest(client, Topics(device), verb, payload, name)
    host, port = settings.address
    try:
        client.connect(host, port, keepalive=30)
    except OSError as error:
        raise TransportError(
            f"connecting to {host}:{port}: {error}", "check the broker's address, and --home"
        ) from error
    client.loop_start()
    try:
        exchange.done.wait(wait_s)
    finally:
        client.disconnect()
        client.loop_stop()
    if exchange.answer is None:
        raise TransportError(
            exchange.problem or f"no answer from {device} within {wait_s:g} s",
            "is the daemon running, and the command enabled there? It may still be carried out;"
            " sent again with the same --id, it is carried out once",
        )
    return exchange.answer


class _CommandRequest:
    """Subscribes to the answers, sends the command once that is granted, and keeps the answer."""

    def __init__(
        self, client: Client, topics: Topics, verb: str, payload: bytes, name: str
    ) -> None:
        self.answer: dict[str, Any] | None = None
        self.problem = ""
        self.done = threading.Event()
        self._topic, self._payload = f"{topics.base}/command/{encode_level(verb)}", payload
        self._answer_topic = f"{topics.response}/{encode_level(name)}"
        self._correlation = secrets.token_bytes(8)
        client.on_connect = self._connected
        client.on_subscribe = self._granted
        client.on_publish = self._published
        client.on_message = self._received

    def _connected(
        self, client: Client, _data: Any, _flags: ConnectFlags, code: ReasonCode, _more: Any
    ) -> None:
        if code.is_failure:
            self._fail(f"the broker refused the connection: {code}")
        else:
            client.subscribe(self._answer_topic, qos=1)

    def _granted(
        self, client: Client, _data: Any, _mid: int, codes: list[ReasonCode], _more: Any
    ) -> None:
        if any(code.is_failure for code in codes):
            self._fail(f"the broker refused {self._answer_topic}: {codes[0]}")
            return
        properties = Properties(PacketTypes.PUBLISH)
        properties.ResponseTopic = self._answer_topic
        properties.CorrelationData = self._correlation
        client.publish(self._topic, self._payload, qos=1, properties=properties)

    def _published(
        self, _client: Client, _data: Any, _mid: int, code: ReasonCode, _more: Any
    ) -> None:
        if code.is_failure:
            self._fail(f"the broker refused {self._topic}: {code}")

    def _received(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        given = getattr(message.properties, "CorrelationData", b"")
        if given == self._correlation:
            self.answer = msgspec.json.decode(message.payload, type=dict[str, Any])
            self.done.set()

    def _fail(self, why: str) -> None:
        self.problem = why
        self.done.set()


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
