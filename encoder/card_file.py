"""Card files: TOML for people to edit, parsed strictly and written atomically next to the model."""

from __future__ import annotations

import json
import os
import shutil
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .card import Card, Input, Preparation, Tap
from .errors import CardError
from .onnx_file import model_digest, model_files
from .quantiser import Quantiser

# The largest card has one scale and one zero per column and stays below 64 MiB.
CARD_BYTES_MAX = 1 << 26


def load_card(path: str | os.PathLike[str]) -> Card:
    """Read and check the card in the TOML file `path`.  Raises CardError if it is missing, not
    TOML, of another format, has unknown or missing keys, or is inconsistent.  Loads no model."""
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
    """Write `card` to the TOML file `path`, replacing it atomically.  The model file must be in the
    same folder and is copied if it is missing.  Raises CardError, and writes nothing, if another
    model has its name."""
    place = Path(path)
    _ensure_model(card, place.resolve().parent)
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


def _ensure_model(card: Card, folder: Path) -> None:
    if card.file is None:
        return
    target = folder / card.file
    if not target.exists():
        _copy_model(card, target)
    if model_digest(target) != card.sha256:
        raise CardError(
            f"writing card {card.name!r}: {target} is not the model that the card describes",
            "choose another folder, or describe that model with `auricle encoder card`",
        )


def _copy_model(card: Card, target: Path) -> None:
    if card.file is None or card.folder is None:
        raise CardError(
            f"writing card {card.name!r}: its model is not at {target}",
            "put the model into the card's folder first",
        )
    source = Path(card.folder, card.file).resolve()
    for old in model_files(source):
        new = target if old == source else target.parent / old.relative_to(source.parent)
        try:
            new.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(old, new)
        except OSError as error:
            raise CardError(
                f"copying {old} to {new}: {error.strerror}",
                "copy the model there by hand",
            ) from error


FORMAT = 1  # raised whenever older programs could misread a card
R = TypeVar("R", Input, Preparation, Tap)

_HEAD = """\
# The card of an encoder: the preparation of a measurement, and the quantiser of its features.
# Everything except name, licence and notes is part of the fingerprint: features with different
# fingerprints are never mixed.  docs/howto/encoder.md explains every key.
"""


def parse_card(text: str, where: str, folder: str | None = None) -> Card:
    """Parse the card in the TOML `text`.  where: its name in errors.  folder: of the card's file.
    Raises CardError if it is not TOML, has unknown, missing or mistyped keys, or is
    inconsistent."""
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise CardError(
            f"reading {where}: expected TOML, found {error}",
            "write the card again with `auricle encoder card MODEL.onnx`",
        ) from error
    if table.pop("format", None) != FORMAT:
        raise CardError(
            f"reading {where}: expected `format = {FORMAT}`",
            "give a card.toml; a newer format needs a newer version of auricle",
        )
    try:
        return _card(table, where, folder)
    except (TypeError, ValueError, OverflowError) as error:
        raise CardError(
            f"reading {where}: {error}", "compare it with docs/howto/encoder.md"
        ) from error


def card_text(card: Card) -> str:
    """Return `card` as TOML; `parse_card` restores an equal card, every float32 bit included."""
    lines = [_HEAD, f"format = {FORMAT}", f"name = {_toml(card.name)}", f'kind = "{card.kind}"']
    if card.file is not None:
        lines += [f"file = {_toml(card.file)}", f'sha256 = "{card.sha256}"']
    lines.append(f"licence = {_toml(card.licence)}")
    if card.notes:
        lines.append("notes = [\n" + "".join(f"    {_toml(n)},\n" for n in card.notes) + "]")
    lines += ["", "[input]", *_lines(card.input), "", "[preparation]", *_lines(card.preparation)]
    for tap in card.taps:
        lines += ["", "[[taps]]", *_lines(tap)]
    if card.quantiser is not None:
        lines += [
            "",
            "# q = clip(round_half_even(value / scale) + zero, 0, 255); one entry per tap, a list",
            "# where the columns of a tap differ.",
            "[quantiser]",
            f"scale = {_per_tap(card, card.quantiser.scale)}",
            f"zero = {_per_tap(card, card.quantiser.zero)}",
        ]
    return "\n".join(lines) + "\n"


def _card(table: dict[str, Any], where: str, folder: str | None) -> Card:
    taps: list[object] = _typed(table, "taps", list, where)
    card = Card(
        name=_typed(table, "name", str, where),
        kind=_typed(table, "kind", str, where),
        file=_typed(table, "file", str, where, None),
        sha256=_typed(table, "sha256", str, where, ""),
        licence=_typed(table, "licence", str, where),
        input=_record(Input, _typed(table, "input", dict, where), f"{where}, input"),
        preparation=_record(
            Preparation, _typed(table, "preparation", dict, where), f"{where}, preparation"
        ),
        taps=tuple(_record(Tap, tap, f"{where}, taps") for tap in taps),
        notes=tuple(map(_text, _typed(table, "notes", list, where, []))),
        folder=folder,
    )
    # Parsed after the taps' widths were checked, because one number may stand for a whole tap.
    quantiser = _quantiser(_typed(table, "quantiser", dict, where, None), card.taps, where)
    _require_empty(table, where)
    return replace(card, quantiser=quantiser)


def _record(kind: type[R], table: object, where: str) -> R:
    if not isinstance(table, dict):
        raise TypeError(f"expected a table, found {table!r}"[:300])
    values: dict[str, Any] = {}
    for key in fields(kind):
        default = key.default if key.default is not MISSING else ...
        found = table.pop(key.name, default)
        if found is ...:
            raise CardError(
                f"reading {where}: {key.name!r} is missing", "see docs/howto/encoder.md"
            )
        if found is not None and found is not default:
            found = _CONVERSIONS[str(key.type).removesuffix(" | None")](found)
        values[key.name] = found
    _require_empty(table, where)
    return kind(**values)


def _quantiser(table: dict[str, Any] | None, taps: Sequence[Tap], where: str) -> Quantiser | None:
    if table is None:
        return None
    scale = _columns(_typed(table, "scale", list, where), taps, np.float32)
    zero = _columns([_whole_or_list(z) for z in _typed(table, "zero", list, where)], taps, np.int64)
    _require_empty(table, f"{where}, quantiser")
    return Quantiser(scale, zero)


def _columns(parts: Sequence[Any], taps: Sequence[Tap], dtype: type[np.generic]) -> NDArray[Any]:
    if len(parts) != len(taps):
        raise ValueError(f"the quantiser has {len(parts)} entries for {len(taps)} taps")
    with np.errstate(over="ignore"):
        columns = [
            np.asarray(part if isinstance(part, list) else [part] * tap.width, dtype=dtype)
            for part, tap in zip(parts, taps, strict=True)
        ]
    return np.concatenate(columns)


def _typed(table: dict[str, Any], key: str, kind: type, where: str, default: object = ...) -> Any:
    value = table.pop(key, default)
    if value is ...:
        raise CardError(f"reading {where}: {key!r} is missing", "see docs/howto/encoder.md")
    if value is not default and not isinstance(value, kind):
        raise CardError(
            f"reading {where}: {key!r} must be a {kind.__name__}, found {value!r}"[:300],
            "see docs/howto/encoder.md",
        )
    return value


def _require_empty(table: Mapping[str, Any], where: str) -> None:
    if table:
        raise CardError(
            f"reading {where}: unknown keys {', '.join(sorted(table))}",
            "remove them, or correct their spelling after docs/howto/encoder.md",
        )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, found {value!r}"[:300])
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"expected a whole number, found {value!r}"[:300])
    return value


def _whole_or_list(value: object) -> int | list[int]:
    return [_whole(v) for v in value] if isinstance(value, list) else _whole(value)


def _wholes(value: object) -> tuple[int, ...]:
    return tuple(map(_whole, value if isinstance(value, list) else [value]))


def _pair(value: object) -> tuple[int, int]:
    height, width = _wholes(value)
    return height, width


def _float(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"expected a number, found {value!r}"[:300])
    return float(value)


def _floats(value: object) -> tuple[float, ...]:
    return tuple(map(_float, value if isinstance(value, list) else [value]))


_CONVERSIONS: Mapping[str, Callable[[Any], Any]] = {
    "str": _text,
    "int": _whole,
    "tuple[int, ...]": _wholes,
    "tuple[int, int]": _pair,
    "tuple[float, ...]": _floats,
}


def _lines(record: Input | Preparation | Tap) -> list[str]:
    held = (
        record.keys()
        if isinstance(record, Preparation)
        else {key.name: getattr(record, key.name) for key in fields(record)}
    )
    return [f"{name} = {_toml(value)}" for name, value in held.items() if value is not None]


def _per_tap(card: Card, columns: NDArray[Any]) -> str:
    parts = [columns[part].tolist() for part in card.slices]
    return _toml([part[0] if len(set(part)) == 1 else part for part in parts])


def _toml(value: object) -> str:
    # For printable text and finite numbers, which the card's checks guarantee, JSON text, numbers
    # and arrays are valid TOML.
    return json.dumps(value, ensure_ascii=False)
