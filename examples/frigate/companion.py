"""Sends Frigate's snapshots to an Auricle daemon, and Auricle's answers to Frigate as sub labels.

    python examples/frigate/companion.py --device gate --stream yard --frigate http://localhost:5000

Frigate publishes a JPEG of a tracked object at `frigate/<camera>/<object>/snapshot`, without the
object's id, and the state of each tracked object at `frigate/events`.  The companion pairs the two,
and publishes the picture as an observation whose id begins with Frigate's id.  A decision with a
label sets the sub label of that object through Frigate's HTTP API.  A decision on an unknown
picture sets none.  All pictures of one object have its id as their recording, since they are not
independent examples.
"""

from __future__ import annotations

import argparse
import json
import queue
import signal
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections import OrderedDict
from typing import Any, Final

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

OBJECTS_MAX: Final = 512
"""Tracked objects that are remembered: those of hours at a busy camera.  Chosen by hand."""

WAITING_MAX: Final = 256
"""Sub labels that wait for Frigate; beyond it the newest is dropped and reported."""

SUB_LABEL_CHARS: Final = 100
"""Longest sub label that Frigate accepts (its API's EventsSubLabelBody)."""

ATTEMPTS: Final = 5
"""Attempts to set a sub label, a second apart, then two, four, ...: 15 s, a restart of Frigate."""


class TrackedObjects:
    """Frigate's tracked objects: the newest of each camera and object type, and what each was
    called.  At most `OBJECTS_MAX` are kept; the oldest are dropped first."""

    def __init__(self) -> None:
        self._newest: OrderedDict[tuple[str, str], str] = OrderedDict()
        self._pictures: OrderedDict[str, int] = OrderedDict()
        self._named: dict[str, str] = {}

    def follow(self, event: dict[str, Any]) -> None:
        """Take in a message of `frigate/events`."""
        after = event["after"]
        if not after.get("false_positive"):
            self._newest[str(after["camera"]), str(after["label"])] = str(after["id"])
            self._newest.move_to_end((str(after["camera"]), str(after["label"])))
            if len(self._newest) > OBJECTS_MAX:
                self._newest.popitem(last=False)

    def observation(self, camera: str, kind: str) -> tuple[str, str] | None:
        """Return the id of an observation for a new snapshot, and that of its object; None if no
        tracked object is known there."""
        found = self._newest.get((camera, kind))
        if found is None:
            return None
        self._pictures[found] = number = self._pictures.pop(found, 0) + 1
        if len(self._pictures) > OBJECTS_MAX:
            dropped, _ = self._pictures.popitem(last=False)
            self._named.pop(dropped, None)
        return f"{found}/{number}", found

    def rename(self, observation_id: str, label: str) -> str:
        """Return the object whose sub label changes to `label`; empty if none does."""
        found = observation_id.rpartition("/")[0]
        if found not in self._pictures or self._named.get(found) == label:
            return ""
        self._named[found] = label
        return found


class SubLabels:
    """Sets sub labels in Frigate from a thread of its own, in order."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")
        self._waiting: queue.Queue[tuple[str, str]] = queue.Queue(WAITING_MAX)
        threading.Thread(target=self._work, daemon=True).start()

    def put(self, tracked: str, label: str) -> None:
        """Queue a sub label."""
        try:
            self._waiting.put_nowait((tracked, label))
        except queue.Full:
            say(f"{tracked}: the sub label {label!r} is dropped: Frigate does not answer")

    def _work(self) -> None:
        while True:
            tracked, label = self._waiting.get()
            for attempt in range(ATTEMPTS):
                problem = self._post(tracked, label)
                if not problem:
                    say(f"{tracked}: sub label {label!r}")
                    break
                if attempt == ATTEMPTS - 1 or problem.startswith("404"):
                    say(f"{tracked}: the sub label {label!r} is not set: {problem}")
                    break
                time.sleep(2**attempt)

    def _post(self, tracked: str, label: str) -> str:
        """Return why Frigate did not take a sub label; empty if it did."""
        name = urllib.parse.quote(tracked, safe="")
        request = urllib.request.Request(  # noqa: S310 - the address is the user's own
            f"{self._url}/api/events/{name}/sub_label",
            json.dumps({"subLabel": label[:SUB_LABEL_CHARS]}).encode(),
            {"Content-Type": "application/json"},
            method="POST",
        )
        try:
            with urllib.request.urlopen(request, timeout=10):  # noqa: S310 - as above
                return ""
        except urllib.error.HTTPError as error:
            return f"{error.code} {error.reason}"
        except OSError as error:
            return str(error)


class Companion:
    """The connection to the broker.  prefix: of Frigate's topics."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._objects, self._sub_labels = TrackedObjects(), SubLabels(options.frigate)
        self._observe = f"auricle/v1/{options.device}/observe/{options.stream}"
        self._decisions = f"auricle/v1/{options.device}/decision/{options.stream}"
        self.client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"frigate-companion-{options.device}-{options.stream}",
            protocol=MQTTProtocolVersion.MQTTv5,
        )
        if options.username:
            self.client.username_pw_set(options.username, sys.stdin.readline().rstrip("\n"))
        self.client.on_connect = self._subscribe
        self.client.on_message = self._receive

    def _subscribe(self, client: Client, *_rest: object) -> None:
        prefix = self._options.prefix
        topics = (f"{prefix}/events", f"{prefix}/+/+/snapshot", self._decisions)
        client.subscribe([(topic, 1) for topic in topics])
        say(f"connected; waiting for snapshots below {prefix}/")

    def _receive(self, _client: Client, _data: object, message: MQTTMessage) -> None:
        try:
            if message.topic == self._decisions:
                self._decided(json.loads(message.payload))
            elif message.topic == f"{self._options.prefix}/events":
                self._objects.follow(json.loads(message.payload))
            elif not message.retain:  # a retained snapshot is an old one
                self._forward(message)
        except (ValueError, KeyError, TypeError) as error:
            say(f"{message.topic}: a message that cannot be read: {error!r}")

    def _forward(self, message: MQTTMessage) -> None:
        *_, camera, kind, _snapshot = message.topic.split("/")
        wanted = self._options.objects
        found = self._objects.observation(camera, kind) if not wanted or kind in wanted else None
        if found is None:
            return
        properties = Properties(PacketTypes.PUBLISH)
        properties.UserProperty = [("id", found[0]), ("recording", found[1])]
        self.client.publish(self._observe, message.payload, 1, properties=properties)

    def _decided(self, decision: dict[str, Any]) -> None:
        label = decision["label"]
        if not decision["known"] or not label or decision["historical"]:
            return
        tracked = self._objects.rename(decision["observation_id"], label)
        if tracked:
            self._sub_labels.put(tracked, label)


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def parse_options() -> argparse.Namespace:
    """Return the options of the command line."""
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--broker", default="127.0.0.1", help="host of the MQTT broker")
    options.add_argument("--port", type=int, default=1883)
    options.add_argument("--username", default="", help="the password is read from standard input")
    options.add_argument("--frigate", default="http://127.0.0.1:5000", help="address of Frigate")
    options.add_argument("--prefix", default="frigate", help="topic_prefix of Frigate")
    options.add_argument("--device", required=True, help="name of the Auricle device")
    options.add_argument("--stream", required=True, help="its stream for the snapshots")
    options.add_argument("--objects", nargs="*", default=[], help="types of objects; default: all")
    return options.parse_args()


def main() -> None:
    """Connect, and serve until SIGINT or SIGTERM."""
    options = parse_options()
    companion = Companion(options)
    signal.signal(signal.SIGTERM, lambda *_: companion.client.disconnect())
    companion.client.connect_async(options.broker, options.port)
    try:
        companion.client.loop_forever(retry_first_connection=True)
    except KeyboardInterrupt:
        companion.client.disconnect()


if __name__ == "__main__":
    main()
