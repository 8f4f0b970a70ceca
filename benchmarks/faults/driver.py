"""Who sends vectors and labels to a daemon through a real broker, and hears all that it tells."""

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
QUIET_S = 6.0
PUMP_S = 0.005
PACE_S = 0.005
LABEL_LAG = 39
"""What is labelled came so many vectors before: it must have been decided."""
ANSWER_S = 30.0
SILENT_S = 12.0
BASE = f"auricle/v1/{DEVICE}"


@dataclass
class Heard:
    """What the driver has heard.  conflicts: numbers that came with two meanings.  jumps: of the
    device's clock, as it told them, in seconds."""

    by_number: dict[int, dict[str, Any]] = field(default_factory=dict)
    conflicts: int = 0
    repeated: int = 0
    confirmed: dict[str, str] = field(default_factory=dict)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    decisions: int = 0
    refused: int = 0
    jumps: list[float] = field(default_factory=list)

    def take(self, told: dict[str, Any]) -> None:
        """Take a message in."""
        number = told.get("sequence", 0)
        if not number:
            return
        told.pop("historical")
        before = self.by_number.setdefault(number, told)
        if before is not told:
            self.repeated += 1
            self.conflicts += before != told
            return
        self.decisions += told["schema"].endswith("/decision")
        if told["schema"].endswith("/gap"):
            self.gaps.append((told["first"], told["last"]))
        if told["schema"].endswith("/clock-jump"):
            self.jumps.append(told["seconds"])
        if told["schema"].endswith("/response") and not told["done"]:
            self.refused += 1
        elif told["schema"].endswith("/response"):
            self.confirmed[told["id"].partition("/")[2]] = told["id"].partition("/")[0]

    def unreported(self) -> int:
        """Numbers up to the last that neither came nor lie in a gap."""
        lost = {number for first, last in self.gaps for number in range(first, last + 1)}
        return sum(
            number not in lost and number not in self.by_number
            for number in range(1, max(self.by_number, default=0))
        )


class FaultDriver:
    """Sends vectors and labels, and hears all that the device tells."""

    def __init__(self, port: int) -> None:
        self.heard = Heard()
        self.sent = 0
        self._port, self._sessions = port, 0
        self._vectors = vectors(COLUMNS, 300)
        self.sit_down()

    def sit_down(self) -> None:
        """Begin a session of a new name."""
        self._sessions += 1
        settings = MqttSettings(
            host="127.0.0.1", port=self._port, reconnect_s_min=0.05, reconnect_s_max=0.1
        )
        name = f"driver-{self._sessions}"
        self._client = Client(settings, name, self._hear, StatusPresence(name, "1"))
        kinds = ("decision/+", "alarm/+", "wanted/+", "ack", "gap", "growth", "receipt")
        others = ("rejected", "response", "event/#")
        self._client.subscribe([f"{BASE}/{kind}" for kind in (*kinds, *others)])
        self._client.start()

    def _hear(self, arrival: InboundMessage) -> None:
        self._client.acknowledge(arrival.ticket)
        self.heard.take(json.loads(arrival.payload))

    def rest(self, seconds: float) -> None:
        """Hear for a while."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self._client.pump(min(left, PUMP_S))
            self._client.acked()

    def work(self, seconds: float) -> None:
        """Send for a while: a vector each turn, and each tenth one's label."""
        until = next_at = time.monotonic()
        until += seconds
        while time.monotonic() < until:
            next_at += PACE_S
            self.rest(next_at - time.monotonic())
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
        """Hear until nothing has come for a while."""
        until = time.monotonic() + 10 * ANSWER_S
        seen, quiet_since = -1, time.monotonic()
        while time.monotonic() - quiet_since < QUIET_S and time.monotonic() < until:
            self.rest(0.5)
            if len(self.heard.by_number) != seen:
                seen, quiet_since = len(self.heard.by_number), time.monotonic()

    def await_life(self) -> None:
        """Send until the daemon decides: it is there."""
        until, before = time.monotonic() + ANSWER_S, len(self.heard.by_number)
        while len(self.heard.by_number) == before:
            assert time.monotonic() < until, "the daemon does not come back"
            self.work(0.02)
            self.rest(0.1)

    def still_hears(self) -> bool:
        """Send until the daemon decides; False where nothing is heard for `SILENT_S`."""
        until, before = time.monotonic() + SILENT_S, len(self.heard.by_number)
        while len(self.heard.by_number) == before and time.monotonic() < until:
            self.work(0.02)
            self.rest(0.1)
        return len(self.heard.by_number) > before

    def close(self) -> None:
        """Leave."""
        self._client.stop(1.0)
        self._client.close()
