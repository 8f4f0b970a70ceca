from __future__ import annotations

import pytest

from edge.web.selection import IDS_MAX, NAME_CHARS_MAX, describe, read_selection, unknown_names

HOUR_NS = 3600 * 10**9


def test_a_form_becomes_a_selector() -> None:
    """Each field that is filled in counts, without spaces around it; times are UTC; ids are one a
    line, each once."""
    given = {
        "domain": " hall ",
        "label": "",
        "from": "1970-01-01T01:00",
        "until": "1970-01-01T02:00:00",
        "ids": "a\r\n\r\nb\r\na",
        "csrf": "secret",
    }
    read = read_selection(given)
    assert read.problems == {}
    assert read.select == {
        "domain": "hall",
        "from_ns": HOUR_NS,
        "until_ns": 2 * HOUR_NS,
        "ids": ["a", "b"],
    }
    assert read.text == (
        "domain hall, captured from 1970-01-01 01:00:00 UTC, until 1970-01-01 02:00:00 UTC, 2 ids"
    )


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "all"),
        ({"label": "   "}, "all"),
        ({"label": "x" * (NAME_CHARS_MAX + 1)}, "label"),
        ({"from": "yesterday"}, "from"),
        ({"until": "1969-12-31T23:59"}, "until"),
        ({"from": "2026-01-02T00:00", "until": "2026-01-02T00:00"}, "until"),
        ({"ids": "\n".join(map(str, range(IDS_MAX + 1)))}, "ids"),
        ({"ids": "x" * (NAME_CHARS_MAX + 1)}, "ids"),
    ],
)
def test_a_wrong_form_names_its_field(given: dict[str, str], field: str) -> None:
    """An empty form, long names, a wrong time, an end before its beginning, and too many ids are
    problems of one field."""
    assert set(read_selection(given).problems) == {field}


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "\u202edrawkcab", "🙂" * 50])
def test_a_hostile_name_is_a_name(name: str) -> None:
    """Markup, right-to-left marks and emoji are taken as they are."""
    assert read_selection({"label": name}).select == {"label": name}


def test_a_typo_has_suggestions() -> None:
    """A name that does not exist comes with those most like it; fields without a list of names are
    not judged."""
    known = {"domain": ["office", "hall"], "label": ["crack"]}
    found = unknown_names({"domain": "Ofice", "label": "zzz", "subject": "ann"}, known)
    assert found == {"domain": ("office",), "label": ()}
    assert unknown_names({"domain": "office"}, known) == {}


def test_a_selector_of_nothing_is_everything() -> None:
    """Words for an empty selector, as receipts of all facts have it."""
    assert describe({}) == "everything"
    assert describe({"ids": ["one"]}) == "1 id"
