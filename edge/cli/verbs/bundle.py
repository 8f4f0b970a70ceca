"""Verbs of bundles: `auricle bundle export`, `import`, `confirm` and `revert`."""

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...core import ConfigError
from ..options import PATH, home_option, json_option
from ..verb_group import Verbs
from ..views import common as views

if TYPE_CHECKING:
    from ...commands import Request
    from ...home import Home


@click.group(cls=Verbs)
def bundle() -> None:
    """Move what was learned, signed, on trial first."""


@bundle.command("export")
@click.argument("file", type=PATH, help="The new file.")
@click.option("--key", type=PATH, required=True, help="The publisher's private key.")
@click.option("--publisher", default="", help="The key's name in [bundles.keys]; its file's name.")
@click.option("--counter", type=int, help="Higher than in every bundle before; seconds since 1970.")
@home_option
def export_file(*, file: Path, key: Path, publisher: str, counter: int | None, home: Path) -> None:
    """Write geometry, sums and serving adaptors into one signed file."""
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
    """Take a bundle on trial: it serves at once, and is taken back where it does badly."""
    from ...bundles import FOLDER, import_bundle
    from ...commands import BundleImportCommand
    from ...storage import write_bytes

    place = home / FOLDER / file.name
    if not (place.exists() and place.samefile(file)):
        place.parent.mkdir(exist_ok=True)
        write_bytes(place, file.read_bytes())
    request = BundleImportCommand(id=secrets.token_hex(8), name=file.name)
    _do(
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
    _do(home, request, lambda opened: opened.confirm_trial(), as_json=as_json)


@bundle.command
@home_option
@json_option
def revert(*, home: Path, as_json: bool) -> None:
    """Go back to what was before the bundle on trial."""
    from ...commands import BundleRevertCommand

    request = BundleRevertCommand(id=secrets.token_hex(8))
    _do(home, request, lambda opened: opened.end_trial("somebody asked"), as_json=as_json)


def _do(folder: Path, request: "Request", act: Callable[["Home"], Any], *, as_json: bool) -> None:
    """Have it done by the home's daemon, or at the home where none runs; show what was said."""
    import msgspec

    from ...commands import ask_daemon, body_of
    from ...home import Home

    answer = ask_daemon(folder, request)
    if answer is None:
        with Home(folder) as opened:
            body = msgspec.to_builtins(act(opened))
    else:
        body = body_of(answer)
    if as_json:
        views.show_json(body)
    else:
        views.say(f"{body['bundle']}: {body['state']} {body['reason']}".rstrip())
