"""Verbs that move knowledge: `auricle backup`, `restore`, `export` and `merge`."""

from pathlib import Path
from typing import Annotated

import typer

from . import transfer, views
from .cli_options import HERE, HomeOption, JsonOption
from .home import Home
from .settings import read_settings
from .store import Store


def backup(
    target: Annotated[Path, typer.Argument(help="The new file.")],
    home: HomeOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Write a consistent copy of the knowledge file."""
    with _store(home) as store:
        store.backup(target)
    if as_json:
        views.show_json({"file": str(target), "file_bytes": target.stat().st_size})
    else:
        views.say(f"wrote {target}, {target.stat().st_size} bytes")


def restore(
    source: Annotated[Path, typer.Argument(help="A file written by `auricle backup`.")],
    home: HomeOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Put a backup in the place of the knowledge file; the old one is kept beside it."""
    done = transfer.restore_home(home, source)
    views.show_json(done) if as_json else views.show_restored(done)


def export(
    target: Annotated[Path, typer.Argument(help="The new .npz file.")],
    home: HomeOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Write all facts, with their quantised features, to an .npz."""
    with _store(home) as store:
        count = transfer.export_facts(store, target)
    if as_json:
        views.show_json({"file": str(target), "count": count})
    else:
        views.say(f"wrote {count} facts to {target}")


def merge(
    other: Annotated[Path, typer.Argument(help="Another knowledge file of the same encoder.")],
    home: HomeOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Take in another ledger's facts; what either has forgotten stays forgotten."""
    with Home(home) as opened, Store.open(other, writable=False) as store:
        done = transfer.merge_store(opened, store)
    views.show_json(done) if as_json else views.show_merged(done)


def _store(home: Path) -> Store:
    return Store.open(home / read_settings(home).knowledge.file, writable=False)
