"""Verbs of bundles: `auricle bundle export`, `import`, `confirm` and `revert`."""

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..core import ConfigError
from . import views
from .cli_options import HERE, HomeOption, JsonOption

if TYPE_CHECKING:
    from .home import Home

bundle = typer.Typer(no_args_is_help=True, help="Move what was learned, signed, on trial first.")


@bundle.command("export")
def export_file(
    file: Annotated[Path, typer.Argument(help="The new file.")],
    key: Annotated[Path, typer.Option(help="The publisher's private key.")],
    publisher: Annotated[
        str, typer.Option(help="The key's name in [bundles.keys]; its file's name.")
    ] = "",
    counter: Annotated[
        int, typer.Option(help="Higher than in every bundle before; seconds since 1970.")
    ] = 0,
    home: HomeOption = HERE,
) -> None:
    """Write geometry, sums and serving adaptors into one signed file."""
    from .bundles.carrying import export_bundle
    from .commands.keys import load_key
    from .durable import write_bytes
    from .home import Home

    if file.exists():
        raise ConfigError(f"exporting to {file}: the file exists already", "choose another name")
    at_ns = time.time_ns()
    with Home(home, writable=False) as opened:
        number = counter or at_ns // 10**9
        body = export_bundle(opened, load_key(key), publisher or key.stem, number, at_ns)
    write_bytes(file, body)
    views.say(f"{file}: {len(body)} bytes, counter {number}")


@bundle.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="The bundle.")],
    home: HomeOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Take a bundle on trial: it serves at once, and is taken back where it does badly."""
    from .bundles.carrying import FOLDER, import_bundle
    from .durable import write_bytes

    place = home / FOLDER / file.name
    if not (place.exists() and place.samefile(file)):
        place.parent.mkdir(exist_ok=True)
        write_bytes(place, file.read_bytes())
    _do(home, "bundle-import", {"name": file.name}, as_json,
        lambda opened: import_bundle(opened, file.name, time.time_ns()))  # fmt: skip


@bundle.command("confirm")
def confirm(home: HomeOption = HERE, as_json: JsonOption = False) -> None:
    """Keep the bundle on trial."""
    _do(home, "bundle-confirm", {}, as_json, lambda opened: opened.confirm_trial())


@bundle.command("revert")
def revert(home: HomeOption = HERE, as_json: JsonOption = False) -> None:
    """Go back to what was before the bundle on trial."""
    _do(home, "bundle-revert", {}, as_json, lambda opened: opened.end_trial("somebody asked"))


def _do(
    folder: Path, verb: str, fields: dict[str, Any], as_json: bool, act: Callable[["Home"], Any]
) -> None:
    """Have it done by the home's daemon, or at the home where none runs; show what was said."""
    import msgspec

    from .control import ask_daemon, body_of
    from .home import Home

    answer = ask_daemon(folder, {"verb": verb, "id": secrets.token_hex(8), **fields})
    if answer is None:
        with Home(folder) as opened:
            body = msgspec.to_builtins(act(opened))
    else:
        body = body_of(answer)
    if as_json:
        views.show_json(body)
    else:
        views.say(f"{body['bundle']}: {body['state']} {body['reason']}".rstrip())
