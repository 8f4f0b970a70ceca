"""A Sparkplug host application on pysparkplug, an independent implementation, to test a node.

Run it with an interpreter that has pysparkplug (it needs paho-mqtt 1, the daemon needs 2): `python
scripts/check_sparkplug.py PORT`.  It comes online, receives the messages of a node of the group
"plant", requests a rebirth, and prints the decoded messages as JSON.
"""

import json
import sys
import time
from typing import Any

import pysparkplug
from paho.mqtt import client as mqtt

HOST, GROUP, NODE = "scada", "plant", "gw1"
SECONDS_MAX = 15.0
"""Generous: births and data take a few seconds."""
DATA_ENOUGH = 5
"""Messages after which sequence numbers have been seen to count up."""


class Host:
    """The received messages, decoded by pysparkplug alone."""

    def __init__(self, port: int) -> None:
        self.births = self.data = self.historical = self.gaps = 0
        self.domain = ""
        self._next: int | None = None
        self._born: dict[str, pysparkplug.DBirth] = {}
        make: Any = mqtt.Client  # of version 1, where the name comes first
        self._client = make("host")
        self._client.on_message = self._hear
        self._client.connect("127.0.0.1", port)
        self._client.subscribe(f"spBv1.0/{GROUP}/#", 1)
        self._client.loop_start()

    def say_online(self) -> None:
        """Publish the host's state, which the node waits for."""
        state = pysparkplug.State(timestamp=now_ms(), online=True)
        topic = pysparkplug.Topic(
            message_type=pysparkplug.MessageType.STATE, sparkplug_host_id=HOST
        )
        self._client.publish(str(topic), state.encode(), 1, retain=True)

    def ask_rebirth(self) -> None:
        """Publish the rebirth command."""
        metric = pysparkplug.Metric(
            timestamp=now_ms(),
            name="Node Control/Rebirth",
            datatype=pysparkplug.DataType.BOOLEAN,
            value=True,
        )
        command = pysparkplug.NCmd(timestamp=now_ms(), metrics=(metric,))
        topic = pysparkplug.Topic(
            message_type=pysparkplug.MessageType.NCMD, group_id=GROUP, edge_node_id=NODE
        )
        self._client.publish(str(topic), command.encode(include_dtypes=True))

    def _hear(self, _client: object, _userdata: object, message: mqtt.MQTTMessage) -> None:
        topic = pysparkplug.Topic.from_str(message.topic)
        kind = topic.message_type
        if kind is pysparkplug.MessageType.NBIRTH:
            birth = pysparkplug.NBirth.decode(message.payload)
            self.births += 1
            self._next = 0
            self._count(birth.seq)
        elif kind is pysparkplug.MessageType.DBIRTH:
            device = pysparkplug.DBirth.decode(message.payload)
            self._born[str(topic.device_id)] = device
            self._count(device.seq)
        elif kind is pysparkplug.MessageType.DDATA:
            self._take(pysparkplug.DData.decode(message.payload, birth=self._born[topic.device_id]))

    def _take(self, data: pysparkplug.DData) -> None:
        self._count(data.seq)
        late = any(metric.is_historical for metric in data.metrics)
        self.historical += late
        self.data += not late
        for metric in data.metrics:
            if metric.name == "domain":
                self.domain = str(metric.value)

    def _count(self, seq: int) -> None:
        if self._next is not None:
            self.gaps += seq != self._next
        self._next = (seq + 1) % 256


def now_ms() -> int:
    """Milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def main() -> int:
    """Run the host until enough messages have arrived.  Returns the exit status."""
    host = Host(int(sys.argv[1]))
    time.sleep(0.5)
    host.say_online()
    until = time.monotonic() + SECONDS_MAX
    requested = False
    while time.monotonic() < until and not (host.births >= 2 and host.data >= DATA_ENOUGH):
        time.sleep(0.05)
        if not requested and host.births and host.data:
            requested = True
            host.ask_rebirth()
    known = ("births", "data", "historical", "gaps", "domain")
    print(json.dumps({name: getattr(host, name) for name in known}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
