"""The baseline of the daemon benchmark: bare paho, which answers each vector with an equally long
message.

`python -m benchmarks.daemon.peers PORT BYTES` echoes until it is killed.
"""

from __future__ import annotations

import sys
from typing import Any

from .fixture import DECISION_TOPIC, OBSERVE_TOPIC

INFLIGHT = 1_000
"""Above WINDOW of the driver: paho never holds answers back."""


def echo(port: int, size: int) -> None:
    """Publish `size` bytes for each received message, QoS 1 in and out, in paho's fastest way."""
    from paho.mqtt.client import Client, MQTTv5
    from paho.mqtt.enums import CallbackAPIVersion

    payload = b"x" * size
    client = Client(CallbackAPIVersion.VERSION2, client_id="bare", protocol=MQTTv5)
    client.max_inflight_messages_set(INFLIGHT)

    def answer(one: Client, _u: Any, _message: Any) -> None:
        one.publish(DECISION_TOPIC, payload, qos=1)

    client.on_connect = lambda one, *_: one.subscribe(OBSERVE_TOPIC, qos=1)
    client.on_message = answer
    client.connect("127.0.0.1", port)
    client.loop_forever()


if __name__ == "__main__":
    echo(int(sys.argv[1]), int(sys.argv[2]))
