"""Runs two devices that share their learning and their forgetting.

    python examples/fleet/fleet.py

Device north learns the handwritten digits 0 to 4 and gives its geometry to device south in a signed
bundle.  Both daemons then exchange contributions over mosquitto.  South recognises a 3 that only
north has learned.  After north forgets all of its threes, south does not recognise them either.
"""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from sklearn.datasets import load_digits

sys.path.append(str(Path(__file__).parent.parent / "camera"))

from run import SBIN, auricle, broker_command, free_port, running, wait_for_port

WAIT_S = 60.0
"""Longest that a step may take: both daemons start and exchange sums within seconds."""
FORGOTTEN = "3"

SETTINGS = """
[device]
name = "{device}"

[bundles.keys]
maker = "{maker}"

[mqtt]
host = "127.0.0.1"
port = {port}

[fleet]
name = "example"
devices = ["{other}"]
publish_after_s = 1

[streams.digits]
source = "topic"
format = "json"
"""


def main() -> int:
    """Run the example; return the exit status."""
    mosquitto = shutil.which("mosquitto", path=SBIN)
    if mosquitto is None:
        print("this example needs mosquitto; on Debian: apt-get install mosquitto", file=sys.stderr)
        return 1
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = free_port()
        digits = load_digits()
        labels = [str(label) for label in digits.target]
        make_homes(folder, digits.data, labels, port)
        stack.enter_context(running(broker_command(mosquitto, folder, port)))
        wait_for_port(port)
        for device in ("north", "south"):
            stack.enter_context(running(auricle("run", folder / device)))
        three = digits.data[labels.index(FORGOTTEN)]
        return show(folder, SouthClient(port), [float(value) for value in three])


def make_homes(folder: Path, rows: Any, labels: list[str], port: int) -> None:
    """Create two homes with one card; north learns, south imports its bundle."""
    write_csv(folder / "all.csv", rows, labels)
    few = [at for at, label in enumerate(labels) if label < "5"][:400]
    write_csv(folder / "north.csv", rows[few], [labels[at] for at in few])
    maker = run_command("keygen", folder / "maker.key").split('"')[1]
    for device, other in (("north", "south"), ("south", "north")):
        run_command("init", folder / device, "--vectors", folder / "all.csv")
        with (folder / device / "auricle.toml").open("a", encoding="utf-8") as settings:
            settings.write(SETTINGS.format(device=device, other=other, maker=maker, port=port))
    print(
        run_command("learn", folder / "north.csv", "--home", folder / "north", "--domain", "hall")
    )
    bundle = folder / "hall.bundle"
    key = ("--key", folder / "maker.key", "--home", folder / "north")
    print(run_command("bundle", "export", bundle, *key))
    print(run_command("bundle", "import", bundle, "--home", folder / "south"))
    print(run_command("bundle", "confirm", "--home", folder / "south"))


def show(folder: Path, south: SouthClient, three: list[float]) -> int:
    """Query south, make north forget, query south again."""
    first = until(lambda: south.decide(three), lambda one: one["guess"] == FORGOTTEN)
    print(f"south, which has no facts, recognises a {first['guess']} in {first['domain']}")
    forget = ("--set", f'select.label="{FORGOTTEN}"')
    receipt = json.loads(run_command("command", "forget", "--home", folder / "north", *forget))[
        "body"
    ]
    # While answers are derived again, the answer says how far the request is.
    forgotten = receipt.get("facts") or receipt["facts_forgotten"]
    print(f"north forgets {forgotten} facts")
    after = until(lambda: south.decide(three), lambda one: one["guess"] != FORGOTTEN)
    print(f"south now guesses {after['guess']}, known: {after['known']}")
    return 0


class SouthClient:
    """Sends observations to south, and receives its decisions."""

    def __init__(self, port: int) -> None:
        self._decisions: dict[str, dict[str, Any]] = {}
        self._count = 0
        self._client = Client(
            CallbackAPIVersion.VERSION2, "example", protocol=MQTTProtocolVersion.MQTTv5
        )
        self._client.on_message = self._receive
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("auricle/v1/south/decision/digits", qos=1)
        self._client.loop_start()

    def decide(self, values: list[float]) -> dict[str, Any] | None:
        """Send a digit and return the decision; None if there is none yet."""
        self._count += 1
        name = f"digit-{self._count}"
        body = json.dumps({"id": name, "values": values})
        self._client.publish("auricle/v1/south/observe/digits", body, qos=1)
        end = time.monotonic() + 1.0
        while name not in self._decisions and time.monotonic() < end:
            time.sleep(0.02)
        return self._decisions.get(name)

    def _receive(self, _client: Client, _data: Any, message: MQTTMessage) -> None:
        decision = json.loads(message.payload)
        self._decisions[decision["observation_id"]] = decision


def until(query: Any, accept: Any) -> dict[str, Any]:
    """Repeat a query until its result is accepted."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        found: dict[str, Any] | None = query()
        if found is not None and accept(found):
            return found
        time.sleep(0.2)
    raise SystemExit("south does not give the expected decision")


def run_command(*words: object) -> str:
    """Run an auricle command and return its output."""
    done = subprocess.run(auricle(*words), check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def write_csv(path: Path, rows: Any, labels: Iterable[str]) -> None:
    """Write vectors with their labels as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["label", *(f"x{column}" for column in range(np.shape(rows)[1]))])
        table.writerows([label, *row] for label, row in zip(labels, rows.tolist(), strict=True))


if __name__ == "__main__":
    raise SystemExit(main())
