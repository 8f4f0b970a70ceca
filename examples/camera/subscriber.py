"""Subscribes to a device, prints its messages, and accounts for every sequence number.

    python examples/camera/subscriber.py --port 1883 --device gate

Each message carries the device's sequence number.  A receiver that drops repeated numbers, and
records the reported gaps, always knows whether a message is missing.
"""

from __future__ import annotations

import argparse
import json
import signal
import threading
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion


class SequenceLog:
    """The sequence numbers that arrived, that were reported lost, and that are missing."""

    def __init__(self) -> None:
        self.seen: set[int] = set()
        self.reported_lost: set[int] = set()
        self.repeated = 0

    def add(self, message: dict[str, Any], kind: str) -> bool:
        """Record a message; False if it arrived before."""
        number = message["sequence"]
        if number in self.seen:
            self.repeated += 1
            return False
        self.seen.add(number)
        if kind == "gap":
            self.reported_lost.update(range(message["first"], message["last"] + 1))
        return True

    @property
    def missing(self) -> int:
        """Numbers between the first and the last that neither arrived nor were reported lost."""
        if not self.seen:
            return 0
        expected = set(range(min(self.seen), max(self.seen) + 1))
        return len(expected - self.seen - self.reported_lost)


def describe(kind: str, body: dict[str, Any]) -> str:
    """Return a message as a line of text."""
    if kind == "decision":
        known = {True: "known", False: "NEW", None: "?"}[body["known"]]
        return f"{body['stream']:10} {known:6} {body['domain'] or '-':12} {body['label'] or '-'}"
    if kind == "alarm":
        change = "has left the known domains" if body["raised"] else "is in a known domain again"
        return f"{body['stream']:10} ALARM  {change}"
    if kind == "label-request":
        return (
            f"{body['stream']:10} requests labels for {len(body['observation_ids'])} observations"
        )
    return f"{kind}: {json.dumps(body)[:120]}"


def main() -> None:
    """Print messages until stopped, then the summary."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, default=1883)
    options.add_argument("--device", default="gate")
    options.add_argument("--quiet", action="store_true", help="print only the summary")
    given = options.parse_args()

    sequences, counts, stopped = SequenceLog(), dict[str, int](), threading.Event()

    def receive(_client: Client, _data: object, message: MQTTMessage) -> None:
        kind = message.topic.split("/")[3]
        body = json.loads(message.payload)
        if "sequence" not in body or not sequences.add(body, kind):
            return
        counts[kind] = counts.get(kind, 0) + 1
        if not given.quiet:
            print(f"{body['sequence']:6} {describe(kind, body)}", flush=True)

    def subscribe(*_: object) -> None:
        client.subscribe(f"auricle/v1/{given.device}/#", 1)

    client = Client(
        CallbackAPIVersion.VERSION2,
        f"subscriber-{given.device}",
        protocol=MQTTProtocolVersion.MQTTv5,
    )
    client.on_message = receive
    client.on_connect = subscribe
    client.connect(given.host, given.port)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    client.loop_start()
    print("listening", flush=True)
    stopped.wait()
    client.loop_stop()
    received = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    repeated, missing = sequences.repeated, sequences.missing
    print(f"received {received or 'nothing'}; {repeated} repeated, {missing} missing")


if __name__ == "__main__":
    main()
