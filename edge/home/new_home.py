"""A new home: its folder, settings, encoder card and empty ledger."""

import json
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import encoder

from ..config import SETTINGS, TEMPLATE, EncoderSettings, Settings
from ..core import ConfigError
from ..storage import Store, remove_file, write_text
from .input_model import VECTOR_CARD, open_encoder


def create_home(
    folder: Path, card: encoder.Card | None, named: str, columns: Sequence[str] = ()
) -> Path:
    """Create a home: settings and an empty ledger.  Returns the path of the settings.

    card: for vectors, stored in the folder; None: `named` is a shipped encoder or a path.
    columns: names of the card's columns, in order.  If it fails, it leaves no files.
    """
    path = folder / SETTINGS
    if path.exists():
        raise ConfigError(
            f"making a home in {folder}: it is one already",
            "choose another folder, or go on with `auricle learn`",
        )
    if card is None and named not in encoder.SHIPPED:
        named = str(Path(named).absolute())
    settings = Settings(encoder=EncoderSettings(VECTOR_CARD if card is not None else named))
    with ExitStack() as undo:
        _make_folder(folder, undo)
        if card is not None:
            for name in (VECTOR_CARD, f"{VECTOR_CARD}.part"):
                undo.callback((folder / name).unlink, missing_ok=True)
            encoder.save_card(card, folder / VECTOR_CARD)
        _make_knowledge(folder, settings, columns, undo)
        write_text(
            path, TEMPLATE.format(card=json.dumps(settings.encoder.card, ensure_ascii=False))
        )
        undo.pop_all()
    return path


def _make_folder(folder: Path, undo: ExitStack) -> None:
    """Create a folder and its parents; undoing removes those that are still empty."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        undo.callback(_remove_empty, one)
    folder.mkdir(parents=True, exist_ok=True)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _make_knowledge(
    folder: Path, settings: Settings, columns: Sequence[str], undo: ExitStack
) -> None:
    file = folder / settings.knowledge.file
    with open_encoder(folder, settings) as model:
        if model.card.quantiser is None:
            raise ConfigError(
                f"making a home in {folder}: the card {settings.encoder.card} has no frozen"
                " quantiser",
                "freeze one: `auricle encoder calibrate CARD DATA`",
            )
        Store.create(file, model.card, columns).close()
    undo.callback(file.with_name(file.name + ".lock").unlink, missing_ok=True)
    undo.callback(remove_file, file)
