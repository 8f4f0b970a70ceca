"""Listens to a device, prints what it decides, and accounts for every sequence number.

    python examples/camera/subscriber.py --port 1883 --device gate

Each message carries the device's sequence number.  A receiver that drops numbers it has seen, and
adds up the gaps it is told of, knows at any time whether something is missing.
"""

from __future__ import annotations

import argparse
import json
import signal
import threading
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion


class Account:
    """Which sequence numbers came, which were said to be lost, and which are missing."""

    def __init__(self) -> None:
        self.seen: set[int] = set()
        self.told_lost: set[int] = set()
        self.repeated = 0

    def take(self, said: dict[str, Any], kind: str) -> bool:
        """Note a message; False where it came before."""
        number = said["sequence"]
        if number in self.seen:
            self.repeated += 1
            return False
        self.seen.add(number)
        if kind == "gap":
            self.told_lost.update(range(said["first"], said["last"] + 1))
        return True

    @property
    def missing(self) -> int:
        """Numbers between the first and the last seen that neither came nor were told as lost."""
        if not self.seen:
            return 0
        expected = set(range(min(self.seen), max(self.seen) + 1))
        return len(expected - self.seen - self.told_lost)


def describe(kind: str, said: dict[str, Any]) -> str:
    """Say a message in a line."""
    if kind == "decision":
        known = {True: "known", False: "NEW", None: "?"}[said["known"]]
        return f"{said['stream']:10} {known:6} {said['domain'] or '-':12} {said['label'] or '-'}"
    if kind == "alarm":
        change = "has left known ground" if said["raised"] else "is on known ground again"
        return f"{said['stream']:10} ALARM  {change}"
    if kind == "label-request":
        return f"{said['stream']:10} wants labels for {len(said['observation_ids'])} observations"
    return f"{kind}: {json.dumps(said)[:120]}"


def main() -> None:
    """Listen until stopped, then print the account."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--host", default="127.0.0.1")
    options.add_argument("--port", type=int, default=1883)
    options.add_argument("--device", default="gate")
    options.add_argument("--quiet", action="store_true", help="print the account alone")
    given = options.parse_args()

    account, counts, over = Account(), dict[str, int](), threading.Event()

    def hear(_client: Client, _data: object, message: MQTTMessage) -> None:
        kind = message.topic.split("/")[3]
        said = json.loads(message.payload)
        if "sequence" not in said or not account.take(said, kind):
            return
        counts[kind] = counts.get(kind, 0) + 1
        if not given.quiet:
            print(f"{said['sequence']:6} {describe(kind, said)}", flush=True)

    def subscribe(*_: object) -> None:
        client.subscribe(f"auricle/v1/{given.device}/#", 1)

    client = Client(
        CallbackAPIVersion.VERSION2,
        f"subscriber-{given.device}",
        protocol=MQTTProtocolVersion.MQTTv5,
    )
    client.on_message = hear
    client.on_connect = subscribe
    client.connect(given.host, given.port)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    client.loop_start()
    print("listening", flush=True)
    over.wait()
    client.loop_stop()
    heard = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
    print(f"heard {heard or 'nothing'}; {account.repeated} repeated, {account.missing} missing")


if __name__ == "__main__":
    main()
