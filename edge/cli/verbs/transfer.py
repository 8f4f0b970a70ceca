"""Verbs that copy and combine knowledge: `auricle backup`, `restore`, `export`, `merge`."""

from pathlib import Path

import click

from ...config import read_settings
from ...home import Home, transfer
from ...storage import Store
from ..options import PATH, home_option, json_option
from ..views import common as views


@click.command
@click.argument("target", type=PATH, help="The new file.")
@home_option
@json_option
def backup(*, target: Path, home: Path, as_json: bool) -> None:
    """Write a consistent copy of the knowledge file."""
    with _store(home) as store:
        store.backup(target)
    if as_json:
        views.show_json({"file": str(target), "file_bytes": target.stat().st_size})
    else:
        views.say(f"wrote {target}, {target.stat().st_size} bytes")


@click.command
@click.argument("source", type=PATH, help="A file written by `auricle backup`.")
@home_option
@json_option
def restore(*, source: Path, home: Path, as_json: bool) -> None:
    """Replace the knowledge file with a backup; the old file is kept."""
    done = transfer.restore_home(home, source)
    views.show_json(done) if as_json else views.show_restored(done)


@click.command
@click.argument("target", type=PATH, help="The new .npz file.")
@home_option
@json_option
def export(*, target: Path, home: Path, as_json: bool) -> None:
    """Write all facts with their quantised features to an .npz."""
    with _store(home) as store:
        count = transfer.export_facts(store, target)
    if as_json:
        views.show_json({"file": str(target), "count": count})
    else:
        views.say(f"wrote {count} facts to {target}")


@click.command
@click.argument("other", type=PATH, help="Another knowledge file with the same encoder.")
@home_option
@json_option
def merge(*, other: Path, home: Path, as_json: bool) -> None:
    """Add the facts of another knowledge file; what either forgot stays forgotten."""
    with Home(home) as opened, Store.open(other, writable=False) as store:
        done = transfer.merge_store(opened, store)
    views.show_json(done) if as_json else views.show_merged(done)


def _store(home: Path) -> Store:
    return Store.open(home / read_settings(home).knowledge.file, writable=False)
