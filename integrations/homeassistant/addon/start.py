"""Starts Auricle as a Home Assistant add-on.

The first start makes a home in /config from the options and the broker that the supervisor names.
From then on /config/auricle.toml belongs to the user and the web console: only the broker's
password is taken from the supervisor at each start.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

PLACES = {"topic": "topic", "folder": "path", "camera": "device", "sound": "path"}
"""The key of a stream that its place is written to, by source."""
TIMEOUT_S = 30.0
"""Seconds that the supervisor may take to answer."""
PROGRAM = (sys.executable, "-c", "from edge.cli.entry import main; main()")


def ask(supervisor: str, path: str, token: str) -> dict[str, Any]:
    """Return the answer of the supervisor for a path."""
    request = urllib.request.Request(supervisor + path)  # noqa: S310 - the supervisor's address
    request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - as above
        data: dict[str, Any] = json.load(answer)["data"]
        return data


def settings(options: dict[str, Any], broker: dict[str, Any], slug: str) -> str:
    """Return the settings that follow the template of a new home.  JSON strings are TOML's, too."""
    lines = [
        "",
        "[device]",
        f"name = {json.dumps(options['device'])}",
        "",
        "[mqtt]",
        f"host = {json.dumps(broker['host'])}",
        f"port = {int(broker['port'])}",
        f"username = {json.dumps(broker.get('username') or '')}",
    ]
    if broker.get("username"):
        lines += ['password_env = "AURICLE_MQTT_PASSWORD"']
    if broker.get("ssl"):
        lines += ["[mqtt.tls]"]
    lines += [
        "",
        "[mqtt.homeassistant]",
        f"controls = {json.dumps(bool(options['controls']))}",
        f"images = {json.dumps(bool(options['images']))}",
        f"console = {json.dumps(f'homeassistant://hassio/ingress/{slug}')}",
        "",
        "[web]",
        "enabled = true",
        'host = "0.0.0.0"     # only the supervisor reaches it',
        "port = 9465",
        'ingress = "owner"    # Home Assistant lets administrators in',
    ]
    for stream in options["streams"]:
        lines += ["", f"[streams.{json.dumps(stream['name'])}]"]
        lines += [f"source = {json.dumps(stream['source'])}"]
        if stream.get("place"):
            lines += [f"{PLACES[stream['source']]} = {json.dumps(stream['place'])}"]
        if stream["source"] == "topic" and options["encoder"] != "log_mel":
            lines += ['format = "image"']
    return "\n".join(lines) + "\n"


def prepare(data: Path, home: Path, supervisor: str, token: str) -> dict[str, str]:
    """Make the home where there is none; returns the variables that the daemon needs."""
    broker = ask(supervisor, "/services/mqtt", token)
    if not (home / "auricle.toml").exists():
        options = json.loads((data / "options.json").read_text("utf-8"))
        slug = ask(supervisor, "/addons/self/info", token)["slug"]
        made = [*PROGRAM, "init", str(home), "--encoder", options["encoder"]]
        subprocess.run(made, check=True)  # noqa: S603 - this program itself
        with (home / "auricle.toml").open("a", encoding="utf-8") as file:
            file.write(settings(options, broker, slug))
    return {"AURICLE_MQTT_PASSWORD": broker.get("password") or ""}


def main() -> None:
    """Prepare, then become the daemon."""
    variables = prepare(
        Path("/data"), Path("/config"), "http://supervisor", os.environ["SUPERVISOR_TOKEN"]
    )
    os.execvpe(PROGRAM[0], [*PROGRAM, "run", "/config"], os.environ | variables)  # noqa: S606 - no shell


if __name__ == "__main__":
    main()
