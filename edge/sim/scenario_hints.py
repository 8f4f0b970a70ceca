"""What to do about an invalid scenario: the key or the value that was probably meant."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import inspect

GENERAL_HINT = "correct the value: docs/howto/simulate.md lists the values of each key"
"""Where nothing nearer can be said."""


def suggest(found: str, known: Iterator[str] | Mapping[str, object] | tuple[str, ...]) -> str:
    """Return a hint with the known word nearest to an unknown one."""
    words = sorted(set(known))
    nearest = difflib.get_close_matches(found, words, 1, cutoff=0)
    return f"did you mean {nearest[0]!r}?" if nearest else f"known: {', '.join(words)}"


def explain_invalid(
    text: str, kind: type[msgspec.Struct], kinds: Mapping[type[msgspec.Struct], str]
) -> str:
    """Return the hint for msgspec's message about a scenario.

    An unknown key gets the keys of its table and the nearest of them, or that it belongs elsewhere
    if another table or kind has it; an unknown value of a choice, the choices and the nearest.
    kinds: every kind of scenario, with a sentence on what makes a file one.
    """
    place = _type_at(inspect.type_info(kind), text.rpartition("at `$")[2].rstrip("`"))
    if unknown := re.search(r"unknown field `(.+?)`", text):
        known = [field.encode_name for field in place.fields] if _is_struct(place) else []
        if "at `$" in text:
            return _explain_key(unknown[1], known, "in this table", kinds)
        return _explain_kind(unknown[1], known, kind, kinds) or _explain_key(
            unknown[1], known, "at the top", kinds
        )
    if (found := re.search(r"Invalid enum value '(.*?)'", text)) and isinstance(
        place, inspect.LiteralType
    ):
        values = tuple(map(str, place.values))
        return f"{suggest(found[1], values)} known: {', '.join(values)}"
    return GENERAL_HINT


def _explain_key(
    unknown: str, known: Sequence[str], level: str, kinds: Iterable[type[msgspec.Struct]]
) -> str:
    if unknown in {key for one in kinds for key in _keys(inspect.type_info(one))}:
        return f"it belongs elsewhere; known {level}: {', '.join(known)}"
    return f"{suggest(unknown, tuple(known))} known: {', '.join(known)}"


def _explain_kind(
    unknown: str,
    known: Sequence[str],
    kind: type[msgspec.Struct],
    kinds: Mapping[type[msgspec.Struct], str],
) -> str:
    """Return the hint for a key at the top that is, or is nearest to, one of another kind; empty if
    it is not."""
    keys = {field.encode_name for one in kinds for field in msgspec.structs.fields(one)}
    near = difflib.get_close_matches(unknown, sorted(keys), 1)
    if not near or near[0] in known:
        return ""
    guess = "" if near[0] == unknown else f"did you mean {near[0]!r}? "
    return f"{guess}{kinds[kind]}; known at the top: {', '.join(known)}"


def _is_struct(place: Any) -> bool:
    return isinstance(place, inspect.StructType)


def _type_at(place: Any, path: str) -> Any:
    """Return the type at a path such as `.domains[...].corruptions[0].kind`; None where it cannot
    be told."""
    for name in re.findall(r"\.(\w+)|\[[^\]]*\]", path):
        place = next((one for one in _options(place) if _inside(one, name) is not None), None)
        place = _inside(place, name)
    return next((one for one in _options(place) if _is_named(one)), None)


def _is_named(place: Any) -> bool:
    return isinstance(place, inspect.StructType | inspect.LiteralType)


def _inside(place: Any, name: str) -> Any:
    """Return the type of a field, or of an item where the name is empty; None without one."""
    if name:
        fields = place.fields if _is_struct(place) else ()
        return next((field.type for field in fields if field.encode_name == name), None)
    return getattr(place, "value_type", getattr(place, "item_type", None))


def _options(place: Any) -> Iterator[Any]:
    """Yield a type, or those of a union, without their metadata."""
    if isinstance(place, inspect.Metadata):
        yield from _options(place.type)
    elif isinstance(place, inspect.UnionType):
        for one in place.types:
            yield from _options(one)
    else:
        yield place


def _keys(place: Any) -> Iterator[str]:
    """Yield the keys of a table and of all tables below it."""
    for one in _options(place):
        if _is_struct(one):
            for field in one.fields:
                yield field.encode_name
                yield from _keys(field.type)
        elif (inner := _inside(one, "")) is not None:
            yield from _keys(inner)
