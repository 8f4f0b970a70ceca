"""Traces in files: a search for the forgotten items, and for hashed names where nobody has them."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import hdc

from ..core import Fact
from ..storage import Store
from .findings import Figure, Finding
from .keyed_traces import UNNAMED, UNREAD, ForgottenNames, scan_names
from .needles import Needle, fact_needles, name_needles
from .traces import Search, Trace, scan

NEEDLE_FACTS: Final = 1_000
"""Forgotten facts whose features and codes are looked for: bounds the memory of the search."""

PLACES_SHOWN: Final = 8
"""Places named in a finding: as many as fit a few lines."""


def search_items(
    folder: Path,
    forgotten: Collection[Fact],
    retained: Collection[Fact],
    geometry: hdc.Geometry,
    listed: Mapping[str, str],
) -> Finding:
    """Search every file of a folder for forgotten facts: ids, names, features, codes, projections.

    geometry: under which they may have been coded.  listed: files that the receipt names as still
    holding traces, with what to do.
    """
    found = scan(folder, tuple(needles_of(forgotten, retained, geometry)))
    unread = tuple(one for one in found if one.kind == "unread")
    traces = tuple(one for one in found if one.kind != "unread")
    named = tuple(one for one in traces if one.path.split("!")[0] in listed)
    silent = tuple(one for one in traces if one not in named)
    if silent:
        text = f"Traces were found in {_places(silent)}."
    elif named:
        text = f"Traces were found only in files that the receipt names: {_places(named)}."
    elif unread:
        text = f"No trace was found; these files could not be searched: {_places(unread)}."
    else:
        text = (
            "No id, name, features, codes or projection of a forgotten fact was found in any file."
        )
    todo = "; ".join(dict.fromkeys(listed[one.path.split("!")[0]] for one in named))
    return Finding(
        key="traces",
        title="Forgotten items in files",
        evidence="tested",
        outcome="fails" if silent else "open" if named or unread else "holds",
        text=text,
        todo="Remove these files, or what they hold." if silent else todo,
        figures=(
            Figure(name="places", value=len(traces)),
            Figure(name="files named in the receipt", value=len({one.path for one in named})),
        ),
    )


def search_names(store: Store, folder: Path, listed: Mapping[str, str]) -> Finding:
    """Search every file of a folder for ids and names that a knowledge file has forgotten, by their
    keyed hashes.  listed: as for `search_items`."""
    names = ForgottenNames(store)
    found = scan_names(folder, names)
    unread = {one.path for one in found if one.where == UNREAD}
    traces = tuple(one for one in found if one.where != UNREAD)
    named = {one.path for one in traces} & listed.keys()
    silent = [(one.path, one.where) for one in traces if one.path not in listed]
    unread = unread - listed.keys()
    if silent:
        text = f"Forgotten ids or names stand in {_listed(silent)}."
    elif named:
        shown = ((one.path, one.where) for one in traces)
        text = (
            f"Forgotten ids or names stand only in files that the receipt names: {_listed(shown)}."
        )
    else:
        text = (
            f"None of {len(names)} forgotten ids and names, known by their keyed hashes, stands in"
            f" any file; {names.looked_at} different texts were looked up."
        )
    text += f" These files could not be searched: {', '.join(sorted(unread))}." if unread else ""
    todo = "; ".join(dict.fromkeys(listed[one] for one in sorted(named)))
    return Finding(
        key="keyed_traces",
        title="Forgotten ids and names in files",
        evidence="tested",
        outcome="fails" if silent else "open" if named or unread else "holds",
        text=text,
        todo="Remove these files, or the texts in them." if silent or unread else todo,
        figures=(Figure(name="places", value=len(traces)),),
    )


def needles_of(
    forgotten: Collection[Fact], retained: Collection[Fact], geometry: hdc.Geometry
) -> Iterator[Needle]:
    """Yield what to look for: names that no retained fact has, and patterns that none holds."""
    few = tuple(forgotten)[:NEEDLE_FACTS]
    kept = {name for fact in retained for name in (fact.subject, fact.recording)}
    names = {name for fact in forgotten for name in (fact.subject, fact.recording)} - kept
    shared = {fact.features for fact in retained}
    alone = (fact for fact in few if fact.features not in shared)
    yield from _distinct(fact_needles(alone, geometry), retained)
    yield from name_needles((), sorted(names - {""}))


def _distinct(needles: Iterable[Needle], retained: Collection[Fact]) -> Iterator[Needle]:
    """Yield needles without the patterns that features of retained facts hold, too."""
    given = tuple(needles)
    single = [Needle(one.kind, one.name, (pattern,)) for one in given for pattern in one.patterns]
    search = Search(single)
    shared = {needle.patterns[0] for fact in retained for _, needle in search.find(fact.features)}
    for one in given:
        left = tuple(pattern for pattern in one.patterns if pattern not in shared)
        if left or one.words:
            yield Needle(one.kind, one.name, left, one.words)


def receipt_files(files: Iterable[Any]) -> dict[str, str]:
    """Return the files that a receipt names as kept, with what to do about each."""
    made = {}
    for one in files:
        path, outcome, hint = (
            (one["path"], one["outcome"], one["hint"])
            if isinstance(one, dict)
            else (one.path, one.outcome, one.hint)
        )
        if outcome == "kept":
            made[path] = hint or f"Remove {path}."
    return made


def _places(traces: Collection[Trace]) -> str:
    """Return where traces are, by file, without what they are of."""
    found: dict[str, set[str]] = {}
    speaking = {one.path for one in traces if one.part == "the file's name"}
    for one in traces:
        place = UNNAMED if one.path in speaking else one.path
        found.setdefault(place, set()).add(one.kind)
    return _listed((path, ", ".join(sorted(kinds))) for path, kinds in found.items())


def _listed(places: Iterable[tuple[str, str]]) -> str:
    """Return the first of these places, each with what is there, and how many more there are."""
    texts = [f"{path} ({what})" for path, what in sorted(places)]
    more = len(texts) - PLACES_SHOWN
    return ", ".join(texts[:PLACES_SHOWN]) + (f" and {more} more" if more > 0 else "")
