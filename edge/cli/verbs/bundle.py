"""Verbs for bundles: `auricle bundle export`, `import`, `confirm` and `revert`."""

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...core import ConfigError
from ..options import PATH, VerbGroup, home_option, json_option
from ..views import common as views

if TYPE_CHECKING:
    from ...commands import Request
    from ...home import Home


@click.group(cls=VerbGroup)
def bundle() -> None:
    """Transfer knowledge to other devices as a signed file, on trial first."""


@bundle.command("export")
@click.argument("file", type=PATH, help="The new file.")
@click.option("--key", type=PATH, required=True, help="The publisher's private key.")
@click.option(
    "--publisher", default="", help="Name of the key in [bundles.keys]; default: its file name."
)
@click.option(
    "--counter", type=int, help="Above that of every earlier bundle; default: seconds since 1970."
)
@home_option
def export_file(*, file: Path, key: Path, publisher: str, counter: int | None, home: Path) -> None:
    """Write geometry, sums and serving adaptors to one signed file."""
    from ...bundles import export_bundle
    from ...home import Home
    from ...signing import load_key
    from ...storage import write_bytes

    if file.exists():
        raise ConfigError(f"exporting to {file}: the file exists already", "choose another name")
    at_ns = time.time_ns()
    with Home(home, writable=False) as opened:
        number = counter or at_ns // 10**9
        body = export_bundle(opened, load_key(key), publisher or key.stem, number, at_ns)
    write_bytes(file, body)
    views.say(f"{file}: {len(body)} bytes, counter {number}")


@bundle.command("import")
@click.argument("file", type=PATH, help="The bundle.")
@home_option
@json_option
def import_file(*, file: Path, home: Path, as_json: bool) -> None:
    """Import a bundle on trial: it serves at once and is reverted if it performs badly."""
    from ...bundles import FOLDER, import_bundle
    from ...commands import BundleImportCommand
    from ...storage import write_bytes

    target = home / FOLDER / file.name
    if not (target.exists() and target.samefile(file)):
        target.parent.mkdir(exist_ok=True)
        write_bytes(target, file.read_bytes())
    request = BundleImportCommand(id=secrets.token_hex(8), name=file.name)
    _execute(
        home,
        request,
        lambda opened: import_bundle(opened, file.name, time.time_ns()),
        as_json=as_json,
    )


@bundle.command
@home_option
@json_option
def confirm(*, home: Path, as_json: bool) -> None:
    """Keep the bundle on trial."""
    from ...commands import BundleConfirmCommand

    request = BundleConfirmCommand(id=secrets.token_hex(8))
    _execute(home, request, lambda opened: opened.confirm_trial(), as_json=as_json)


@bundle.command
@home_option
@json_option
def revert(*, home: Path, as_json: bool) -> None:
    """Restore the state before the bundle on trial."""
    from ...commands import BundleRevertCommand

    request = BundleRevertCommand(id=secrets.token_hex(8))
    _execute(home, request, lambda opened: opened.end_trial("by request"), as_json=as_json)


def _execute(
    folder: Path, request: "Request", act: Callable[["Home"], Any], *, as_json: bool
) -> None:
    """Send a request to the home's daemon, or act in the home if none runs; print the result."""
    import msgspec

    from ...commands import response_body, send_to_daemon
    from ...home import Home

    answer = send_to_daemon(folder, request)
    if answer is None:
        with Home(folder) as opened:
            body = msgspec.to_builtins(act(opened))
    else:
        body = response_body(answer)
    if as_json:
        views.show_json(body)
    else:
        views.say(f"{body['bundle']}: {body['state']} {body['reason']}".rstrip())
