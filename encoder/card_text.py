"""Cards as TOML text: parsed strictly, no key is ignored, and written for people to edit."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from .card import Card, Input, Preparation, Tap
from .errors import CardError
from .quantiser import Quantiser

FORMAT = 1
R = TypeVar("R", Input, Preparation, Tap)

_HEAD = """\
# The card of an encoder: what is done to a measurement, and how features become uint8.
# All but name, licence and notes is part of the fingerprint: features made under different
# fingerprints never mix.  docs/howto/encoder.md explains every key.
"""


def parse_card(text: str, where: str, folder: str | None = None) -> Card:
    """The card that the TOML `text` says.  where: named in errors.  folder: of the card's file.
    Raises CardError if it is not TOML, has unknown, missing or mistyped keys, or contradicts
    itself."""
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
            "give a card.toml; a card of a newer format needs a newer program",
        )
    try:
        return _card(table, where, folder)
    except (TypeError, ValueError, OverflowError) as error:
        raise CardError(
            f"reading {where}: {error}", "compare it with docs/howto/encoder.md"
        ) from error


def card_text(card: Card) -> str:
    """`card` as TOML; `parse_card` gives an equal card back, every float32 bit included."""
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
    # After the widths of the taps were checked, since one number may stand for a whole tap.
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
    pairs = ((key.name, getattr(record, key.name)) for key in fields(record))
    return [f"{name} = {_toml(value)}" for name, value in pairs if value is not None]


def _per_tap(card: Card, columns: NDArray[Any]) -> str:
    parts = [columns[part].tolist() for part in card.slices]
    return _toml([part[0] if len(set(part)) == 1 else part for part in parts])


def _toml(value: object) -> str:
    # JSON's text, whole number, float and array syntax is TOML's too for printable text and finite
    # numbers, which the checks of the card guarantee.
    return json.dumps(value, ensure_ascii=False)
