"""A client that sends vectors and labels to a daemon through a real broker and receives all its
messages."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import Any

from edge.config import MqttSettings
from edge.mqtt import InboundMessage, StatusPresence
from edge.mqtt import MqttClient as Client

from ..daemon.fixture import DEVICE, STREAM, vectors

COLUMNS = 16
"""A small sensor: messages are short, and faults hit the protocol, not the encoder."""
QUIET_S = 6.0
"""Silence after which no further message is expected.  Chosen by hand."""
PUMP_S = 0.005
"""The longest wait for the socket between two vectors, as PACE_S."""
PACE_S = 0.005
"""200 vectors a second.  Chosen by hand: the daemon keeps up outside faults."""
LABEL_LAG = 39
"""Vectors between a sample and its label, so the sample is decided before."""
ANSWER_S = 30.0
"""Generous: covers a restart of daemon or broker with its backoff."""
SILENT_S = 12.0
"""Twice QUIET_S."""
BASE = f"auricle/v1/{DEVICE}"


@dataclass(kw_only=True)
class ReceivedMessages:
    """The received messages.  conflicts: numbers with two contents.  jumps: clock jumps reported by
    the device, in seconds."""

    by_number: dict[int, dict[str, Any]] = field(default_factory=dict)
    conflicts: int = 0
    repeated: int = 0
    confirmed: dict[str, str] = field(default_factory=dict)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    decisions: int = 0
    refused: int = 0
    jumps: list[float] = field(default_factory=list)

    def record(self, message: dict[str, Any]) -> None:
        """Process a message."""
        number = message.get("sequence", 0)
        if not number:
            return
        message.pop("historical")
        before = self.by_number.setdefault(number, message)
        if before is not message:
            self.repeated += 1
            self.conflicts += before != message
            return
        self.decisions += message["schema"].endswith("/decision")
        if message["schema"].endswith("/gap"):
            self.gaps.append((message["first"], message["last"]))
        if message["schema"].endswith("/clock-jump"):
            self.jumps.append(message["seconds"])
        if message["schema"].endswith("/response") and not message["done"]:
            self.refused += 1
        elif message["schema"].endswith("/response"):
            self.confirmed[message["id"].partition("/")[2]] = message["id"].partition("/")[0]

    def unreported(self) -> int:
        """Return the numbers up to the last that neither arrived nor lie in a reported gap."""
        lost = {number for first, last in self.gaps for number in range(first, last + 1)}
        return sum(
            number not in lost and number not in self.by_number
            for number in range(1, max(self.by_number, default=0))
        )


class FaultDriver:
    """Sends vectors and labels, and receives all messages of the device."""

    def __init__(self, port: int) -> None:
        self.received = ReceivedMessages()
        self.sent = 0
        self._port, self._sessions = port, 0
        self._vectors = vectors(COLUMNS, 300)
        self.start_session()

    def start_session(self) -> None:
        """Start a session with a new name."""
        self._sessions += 1
        settings = MqttSettings(
            host="127.0.0.1", port=self._port, reconnect_s_min=0.05, reconnect_s_max=0.1
        )
        name = f"driver-{self._sessions}"
        self._client = Client(settings, name, self._read_output, StatusPresence(name, "1"))
        kinds = ("decision/+", "alarm/+", "label-request/+", "ack", "gap", "growth", "receipt")
        others = ("rejected", "response", "event/#")
        self._client.subscribe([f"{BASE}/{kind}" for kind in (*kinds, *others)])
        self._client.start()

    def _read_output(self, arrival: InboundMessage) -> None:
        self._client.acknowledge(arrival.ticket)
        self.received.record(json.loads(arrival.payload))

    def receive(self, seconds: float) -> None:
        """Receive for some seconds."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._client.pump(min(left, PUMP_S))
            self._client.acked()

    def run_load(self, seconds: float) -> None:
        """Send for some seconds: a vector each turn, and a label for each tenth one."""
        until = next_at = time.monotonic()
        until += seconds
        while time.monotonic() < until:
            next_at += PACE_S
            self.receive(next_at - time.monotonic())
            self.sent += 1
            name = f"o{self.sent}"
            values = self._vectors[self.sent % len(self._vectors)]
            self._publish(f"{BASE}/observe/{STREAM}", f'{{"id":"{name}","values":{values}}}')
            if self.sent % 10 == 0:
                name, label = f"o{self.sent - LABEL_LAG}", "abc"[self.sent % 3]
                order = {"verb": "label", "id": f"{label}/{name}", "label": label}
                self._publish(f"{BASE}/command/label", json.dumps(order | {"observation_id": name}))

    def _publish(self, topic: str, text: str) -> None:
        self._client.publish(topic, text.encode())

    def await_silence(self) -> None:
        """Receive until no message arrives for a while."""
        until = time.monotonic() + 10 * ANSWER_S
        seen, quiet_since = -1, time.monotonic()
        while time.monotonic() - quiet_since < QUIET_S and time.monotonic() < until:
            self.receive(0.5)
            if len(self.received.by_number) != seen:
                seen, quiet_since = len(self.received.by_number), time.monotonic()

    def await_decision(self) -> None:
        """Send until the daemon decides."""
        until, before = time.monotonic() + ANSWER_S, len(self.received.by_number)
        while len(self.received.by_number) == before:
            assert time.monotonic() < until, "the daemon does not come back"
            self.run_load(0.02)
            self.receive(0.1)

    def is_receiving(self) -> bool:
        """Send until the daemon decides; False if no message arrives for `SILENT_S`."""
        until, before = time.monotonic() + SILENT_S, len(self.received.by_number)
        while len(self.received.by_number) == before and time.monotonic() < until:
            self.run_load(0.02)
            self.receive(0.1)
        return len(self.received.by_number) > before

    def close(self) -> None:
        """Disconnect."""
        self._client.stop(1.0)
        self._client.close()
