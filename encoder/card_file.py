"""Cards on disk: read whole, written atomically, always beside the model that they describe."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from .card import Card
from .card_text import card_text, parse_card
from .errors import CardError
from .onnx_file import model_digest, model_files

# One scale and zero per column of the widest card possible stays below this.
CARD_BYTES_MAX = 1 << 26


def load_card(path: str | os.PathLike[str]) -> Card:
    """The card in the TOML file `path`, checked.  Raises CardError if it is missing, not TOML,
    of another format, has unknown or missing keys, or contradicts itself.  Loads no model."""
    place = Path(path)
    try:
        with place.open("rb") as file:
            data = file.read(CARD_BYTES_MAX + 1)
        if len(data) > CARD_BYTES_MAX:
            raise CardError(f"reading card {place}: it is no card, too long", "give a card.toml")
        return parse_card(data.decode("utf-8"), f"card {place}", str(place.resolve().parent))
    except UnicodeDecodeError as error:
        raise CardError(
            f"reading card {place}: expected TOML, found other bytes",
            "give the card.toml, not the model",
        ) from error
    except OSError as error:
        raise CardError(
            f"reading card {place}: {error.strerror}",
            "give the path of a card.toml, or a builtin name such as efficientnet_lite0",
        ) from error


def save_card(card: Card, path: str | os.PathLike[str]) -> None:
    """Write `card` to the TOML file `path`, replacing it in one step.  The model file belongs
    beside its card: where it is not there yet it is copied; a different model there is refused
    with CardError, and nothing is written."""
    place = Path(path)
    _bring_model(card, place.resolve().parent)
    temporary = place.with_name(place.name + ".part")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(card_text(card))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(place)
    except OSError as error:
        raise CardError(
            f"writing card {place}: {error.strerror}", "choose a folder that exists and is writable"
        ) from error


def _bring_model(card: Card, folder: Path) -> None:
    if card.file is None:
        return
    target = folder / card.file
    if not target.exists():
        _copy_model(card, target)
    if model_digest(target) != card.sha256:
        raise CardError(
            f"writing card {card.name!r}: {target} is not the model that the card describes",
            "choose another folder, or describe that model anew",
        )


def _copy_model(card: Card, target: Path) -> None:
    if card.file is None or card.folder is None:
        raise CardError(
            f"writing card {card.name!r}: its model is not at {target}",
            "put the model beside the card first",
        )
    source = Path(card.folder, card.file).resolve()
    for old in model_files(source):
        new = target if old == source else target.parent / old.relative_to(source.parent)
        try:
            new.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(old, new)
        except OSError as error:
            raise CardError(
                f"copying {old} to {new}: {error.strerror}", "put the model beside the card by hand"
            ) from error
