"""Selections of facts in words, and the names in them that no fact of a home has."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from ..core import Selector
from ..storage import Store
from .typos import likely_typo

IDS_SHOWN: Final = 3
"""Ids of a selection that are named.  Chosen by hand."""

NAMES_SHOWN: Final = 8
"""Most names in use that are listed where one is not among them.  Chosen by hand."""

NAMED: Final = ("subject", "stream", "recording", "domain", "label")
"""The fields of a selector that hold a name."""

MOMENTS: Final = {"from_ns": "since", "until_ns": "until"}
"""How the limits of a time range are called at the command line."""


def describe_selector(selector: Selector) -> str:
    """Describe a selector in a line: its given fields, and the first few of many ids."""
    given = {name: getattr(selector, name) for name in Selector.__struct_fields__}
    if selector.ids is not None:
        given["ids"] = _few(sorted(selector.ids))
    for name, word in MOMENTS.items():
        moment = given.pop(name)
        given[word] = None if moment is None else _moment(moment)
    return ", ".join(f"{name} {value}" for name, value in given.items() if value is not None)


def missing_names(store: Store, selector: Selector) -> Iterator[str]:
    """Yield a sentence for each name of a selector that no fact has, most often a mistyped one, and
    for ids that no fact has.  Cost: a look-up each, and a pass over the facts for a name that none
    has."""
    for field in NAMED:
        name = getattr(selector, field)
        if name is not None and not store.select(Selector(**{field: name}), 1):
            yield f"no fact has the {field} {name!r}{_instead(name, store.lists.names(field))}"
    ids = sorted(selector.ids or ())
    missing = sorted(set(ids) - store.lists.learned(ids))
    forgotten = [one for one in missing if store.was_forgotten(one)]
    unknown = sorted({*missing} - {*forgotten})
    if forgotten:
        yield f"already forgotten: {_few(forgotten)} ({len(forgotten)} of {len(ids)} ids)"
    if unknown:
        yield f"no fact has the id {_few(unknown)} ({len(unknown)} of {len(ids)} ids)"


def _instead(name: str, known: list[str]) -> str:
    """Return what may have been meant: the most similar name, or all names if they are few."""
    near = likely_typo(name, known)
    if near:
        return f"; did you mean {near!r}?"
    few = known and len(known) <= NAMES_SHOWN
    return f"; there are {', '.join(map(repr, known))}" if few else ""


def _few(names: list[str]) -> str:
    more = ["..."] if len(names) > IDS_SHOWN else []
    return ", ".join(names[:IDS_SHOWN] + more)


def _moment(at_ns: int) -> str:
    """Return a time in UTC, with the nanoseconds below a second only where there are any."""
    seconds, rest = divmod(at_ns, 10**9)
    whole = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{rest:09}Z" if rest else f"{whole}Z"
