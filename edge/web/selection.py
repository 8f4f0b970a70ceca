"""A selector of facts as a person types it into a form: its meaning, and likely typos."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any, Final

from ..pages import number, plural

NAME_CHARS_MAX: Final = 200
"""Longest name in a selector: that of the core's `TEXT_CHARS_MAX`."""

IDS_MAX: Final = 1_000
"""Ids in one selector, as in edge/commands/requests.py."""

SIMILAR: Final = 0.6
"""Similarity from which a known name is suggested: the default of `difflib.get_close_matches`."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

NAMES: Final = {
    "domain": "Domain",
    "label": "Label",
    "stream": "Stream",
    "subject": "Subject",
    "recording": "Recording",
}
"""Fields that hold one name."""

TIMES: Final = {"from": "from_ns", "until": "until_ns"}
FIELDS: Final = (*NAMES, *TIMES, "ids")


@dataclass(frozen=True, kw_only=True)
class Selection:
    """given: the texts of the form by field; select: what the daemon takes; problems: what is
    wrong, by field, and under "all" what concerns none."""

    given: Mapping[str, str]
    select: Mapping[str, Any]
    problems: Mapping[str, str]

    @property
    def text(self) -> str:
        """The selector in words."""
        return describe(self.select)


def read_selection(form: Mapping[str, Any]) -> Selection:
    """Return the selector that a form describes.  Times are in UTC, as facts keep them."""
    given = {name: str(form.get(name, "")).strip() for name in FIELDS}
    select: dict[str, Any] = {}
    problems: dict[str, str] = {}
    for name in NAMES:
        if len(given[name]) > NAME_CHARS_MAX:
            problems[name] = (
                f"A name has at most {NAME_CHARS_MAX} characters; this one has"
                f" {number(len(given[name]))}."
            )
        elif given[name]:
            select[name] = given[name]
    _read_times(given, select, problems)
    ids = list(dict.fromkeys(filter(None, (line.strip() for line in given["ids"].splitlines()))))
    if len(ids) > IDS_MAX:
        problems["ids"] = f"At most {number(IDS_MAX)} ids at once; these are {number(len(ids))}."
    elif any(len(one) > NAME_CHARS_MAX for one in ids):
        problems["ids"] = f"An id has at most {NAME_CHARS_MAX} characters."
    elif ids:
        select["ids"] = ids
    if not select and not problems:
        problems["all"] = "Fill in at least one field. An empty form would select every example."
    return Selection(given=given, select=select, problems=problems)


def _read_times(given: Mapping[str, str], select: dict[str, Any], problems: dict[str, str]) -> None:
    for name, key in TIMES.items():
        if given[name]:
            try:
                select[key] = _nanoseconds(given[name])
            except ValueError:
                problems[name] = "Enter a date and time after 1970, such as 2026-03-31T18:00."
    if {"from_ns", "until_ns"} <= select.keys() and select["from_ns"] >= select["until_ns"]:
        problems["until"] = "The end must be after the start."


def _nanoseconds(text: str) -> int:
    """Return a moment in UTC as nanoseconds since 1970; raises ValueError."""
    moment = datetime.fromisoformat(text)
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    since = moment - EPOCH
    if since < timedelta(0):
        raise ValueError(text)
    return since // timedelta(microseconds=1) * 1_000


def describe(select: Mapping[str, Any]) -> str:
    """Return a selector in words: its fields in the order of the form."""
    parts = [f"{name} {select[name]}" for name in NAMES if select.get(name)]
    parts += [
        f"{word} {_moment(select[key])}"
        for word, key in (("captured from", "from_ns"), ("until", "until_ns"))
        if select.get(key) is not None
    ]
    ids = select.get("ids")
    if ids:
        parts.append(plural(len(ids), "id"))
    return ", ".join(parts) or "everything"


def _moment(at_ns: int) -> str:
    moment = EPOCH + timedelta(microseconds=at_ns // 1_000)
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def unknown_names(
    select: Mapping[str, Any], known: Mapping[str, Iterable[str]]
) -> dict[str, tuple[str, ...]]:
    """Return the fields whose name is not known, each with the known names most like it.

    known: the names that exist, by field; a field that is missing there is not judged.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name, names in known.items():
        text, there = select.get(name), list(dict.fromkeys(names))
        if text and text not in there:
            folded = {one.casefold(): one for one in reversed(there)}
            close = get_close_matches(text.casefold(), list(folded), 3, SIMILAR)
            found[name] = tuple(folded[one] for one in close)
    return found
