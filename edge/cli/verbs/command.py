"""Verbs for operators: `auricle keygen` and `auricle command`."""

import json
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...core import ConfigError
from ..options import PATH, Number, home_option
from ..views import common as views

if TYPE_CHECKING:
    from ...config import MqttSettings

SIGNED_FOR_S = 3600.0
"""An hour: a signed command waits out a short loss of the network, and an intercepted one soon
expires.  Chosen by hand; effect not measured."""
NS = 10**9  # nanoseconds in a second


@click.command
@click.argument("file", type=PATH, help="File for the private key (mode 0600).")
def keygen(*, file: Path) -> None:
    """Make a key for signing commands and bundles.

    Prints the public key for auricle.toml.
    """
    from ...signing import make_key

    public = make_key(file)
    views.say(f'{file.stem} = "{public}"')


@click.command
@click.argument("verb", help="The command; see docs/reference/commands.md.")
@click.option(
    "--set",
    "fields",
    multiple=True,
    help="A field as NAME=VALUE, VALUE as JSON or text; repeatable.",
)
@click.option("--device", default="", help="Receiving device; default: the home's own.")
@click.option("--key", type=PATH, help="Sign the command with this private key.")
@click.option(
    "--key-name", default="", help="Name of the key in [commands.keys]; default: its file name."
)
@click.option(
    "--id", "name", default="", help="Its id; commands with the same id are executed once."
)
@click.option(
    "--expires-s",
    type=Number(min=0),
    help="Seconds until the command expires; default: 3600 if signed.",
)
@click.option("--broker", default="", help="HOST or HOST:PORT; default: [mqtt] of the home.")
@click.option(
    "--wait-s",
    type=Number(min=0),
    default=15.0,
    show_default=True,
    help="Seconds to wait for the answer.",
)
@click.option("--out", type=PATH, help="Write the command to this file instead of sending it.")
@home_option
def command(
    *,
    verb: str,
    fields: tuple[str, ...],
    device: str,
    key: Path | None,
    key_name: str,
    name: str,
    expires_s: float | None,
    broker: str,
    wait_s: float,
    out: Path | None,
    home: Path,
) -> None:
    """Send a command to a daemon and print its answer; sign it with --key."""
    from ...commands import make_command, send_command, send_to_daemon, sign_command
    from ...signing import load_key

    local = not (device or broker or out)
    device = device or _own_device(home, local=local)
    seconds = expires_s or (SIGNED_FOR_S if key else 0.0)
    defaults = {
        "id": name or secrets.token_hex(8),
        "device": device,
        "expires_at_ns": time.time_ns() + int(seconds * NS) if seconds else 0,
    }
    payload = make_command(verb, fields, defaults)
    request: Any = json.loads(payload)
    answer = send_to_daemon(home, request, wait_s) if local else None
    if answer is None:
        if key is not None:
            payload = sign_command(payload, load_key(key), key_name or key.stem)
        if out is not None:
            out.write_bytes(payload)
            views.say(f"wrote {out}")
            return
        answer = send_command(_broker(broker, home), device, verb, payload, wait_s)
    views.show_json(answer)
    for one in (answer.get("body") or {}).get("warnings", ()):
        views.show_warning(str(one))
    if not answer.get("done"):
        raise SystemExit(1)


def _own_device(home: Path, *, local: bool) -> str:
    """Return the name of a home's device.

    local: the home's own socket needs no name, so that settings which cannot be read do not keep a
    user from a running daemon; the name is then empty.
    """
    from ...config import read_settings

    try:
        return read_settings(home).device.known_as
    except ConfigError as error:
        if local:
            return ""
        raise ConfigError(
            f"sending a command: the device is unknown: {error.message}",
            f"{error.hint}; or give --device",
        ) from error


def _broker(named: str, home: Path) -> "MqttSettings":
    """Return the settings of the broker that --broker names, or of the home."""
    from ...config import MqttSettings, read_settings
    from ...daemon import resolve_paths

    if named:
        host, _, port = named.partition(":")
        return MqttSettings(host=host, port=int(port) if port.isdigit() else 0)
    settings = read_settings(home).mqtt
    if settings is None:
        raise ConfigError(
            f"sending a command: {home} has no [mqtt], and no daemon runs there", "give --broker"
        )
    return resolve_paths(settings, home)
