"""Verbs for bundles: `auricle bundle export`, `import`, `confirm`, `revert`, `list`, `remove`."""

import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ...core import ConfigError
from ..options import (
    PATH,
    VerbGroup,
    counter_option,
    home_option,
    json_option,
    key_option,
    publisher_option,
)
from ..views import common as views

if TYPE_CHECKING:
    from ...commands import Request
    from ...home import Home


@click.group(cls=VerbGroup)
def bundle() -> None:
    """Transfer knowledge to other devices as a signed file, on trial first."""


@bundle.command("export")
@click.argument("file", type=PATH, help="The new file.")
@key_option
@publisher_option
@counter_option
@home_option
def export_file(*, file: Path, key: Path, publisher: str, counter: int | None, home: Path) -> None:
    """Write geometry, sums and serving adaptors to one signed file."""
    from ...bundles import export_bundle, record_bundle, write_record
    from ...commands import BundleRecordCommand
    from ...home import BUNDLE_FOLDER, Home
    from ...signing import load_key
    from ...storage import write_bytes

    if file.exists():
        raise ConfigError(f"exporting to {file}: the file exists already", "choose another name")
    at_ns = time.time_ns()
    number = counter or at_ns // 10**9
    with Home(home, writable=False) as opened:
        made = export_bundle(opened, load_key(key), publisher or key.stem, number, at_ns)
    # What leaves the device is recorded first; a running daemon alone writes the record.
    name = write_record(home, made.record)
    request = BundleRecordCommand(id=secrets.token_hex(8), name=name)
    try:
        _answer(home, request, lambda opened: record_bundle(opened, made.record))
    finally:
        (home / BUNDLE_FOLDER / name).unlink(missing_ok=True)
    write_bytes(file, made.body)
    views.say(f"{file}: {len(made.body)} bytes, counter {number}")
    for domain in made.withheld:
        views.say(f"left out: the adaptor of {domain}, which would give single facts away")


@bundle.command("import")
@click.argument("file", type=PATH, help="The bundle.")
@home_option
@json_option
def import_file(*, file: Path, home: Path, as_json: bool) -> None:
    """Import a bundle on trial: it serves at once and is reverted if it performs badly."""
    from ...bundles import import_bundle
    from ...commands import BundleImportCommand
    from ...home import BUNDLE_FOLDER
    from ...storage import write_bytes

    target = home / BUNDLE_FOLDER / file.name
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


@bundle.command("list")
@home_option
@json_option
def list_imported(*, home: Path, as_json: bool) -> None:
    """List the bundles that were imported and are still in use."""
    import msgspec

    from ...home import Home

    with Home(home, writable=False) as opened:
        found = opened.store.trials.imported()
    if as_json:
        views.show_json(msgspec.to_builtins(found))
    for one in () if as_json else found:
        views.say(f"{one.publisher} {one.counter}: {one.name}, made by {one.device}")


@bundle.command
@click.argument("publisher", help="Name of the publisher's key.")
@click.argument("counter", type=int, help="The bundle's counter; `auricle bundle list` shows it.")
@home_option
@json_option
def remove(*, publisher: str, counter: int, home: Path, as_json: bool) -> None:
    """Remove the adaptors and sums that a bundle brought, and its file."""
    from ...commands import BundleRemoveCommand

    request = BundleRemoveCommand(id=secrets.token_hex(8), publisher=publisher, counter=counter)
    body = _answer(home, request, lambda opened: opened.remove_bundle(publisher, counter))
    views.show_json(body) if as_json else views.say(f"{body['bundle']}: removed")


def _answer(folder: Path, request: "Request", act: Callable[["Home"], Any]) -> dict[str, Any]:
    """Send a request to the home's daemon, or act in the home if none runs; return the result."""
    import msgspec

    from ...commands import response_body, send_to_daemon
    from ...home import Home

    answer = send_to_daemon(folder, request)
    if answer is not None:
        return dict(response_body(answer))
    with Home(folder) as opened:
        return dict(msgspec.to_builtins(act(opened)) or {})


def _execute(
    folder: Path, request: "Request", act: Callable[["Home"], Any], *, as_json: bool
) -> None:
    """Carry out a request as `_answer` does; print the report on the trial."""
    body = _answer(folder, request, act)
    if as_json:
        views.show_json(body)
    else:
        views.say(f"{body['bundle']}: {body['state']} {body['reason']}".rstrip())
