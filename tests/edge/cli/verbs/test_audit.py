"""`auricle audit` as people call it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.audits import PERSON, digits_home
from tests.homes import run

SMALL = 80


def test_a_rehearsal_writes_a_page_and_shows_the_questions(tmp_path: Path) -> None:
    """A selection is rehearsed: the page says so, nothing is found, the home keeps its facts."""
    made = digits_home(tmp_path, facts=SMALL, forget=False)
    page = tmp_path / "audit.html"
    result = run("audit", "--home", made.folder, "--subject", PERSON, "--page", page)
    assert result.exit_code == 0, result.output
    assert "Nothing of the forgotten facts was found" in result.output
    text = page.read_text("utf-8")
    assert "Rehearsal on a copy: 24 facts forgotten, 56 remain." in text
    assert PERSON not in text
    assert "even" in run("inspect", "--home", made.folder).output


def test_a_trace_gives_exit_status_one_and_is_in_the_json(tmp_path: Path) -> None:
    """After a forget, a file that still names the person fails the audit."""
    made = digits_home(tmp_path, facts=SMALL)
    (made.folder / "notes.txt").write_text(f"called {PERSON} today\n", "utf-8")
    result = run("audit", "--home", made.folder, "--json")
    assert result.exit_code == 1
    (line,) = result.stdout.splitlines()
    data = json.loads(line)
    failed = [one["key"] for one in data["findings"] if one["outcome"] == "fails"]
    assert failed == ["keyed_traces"]
    assert data["mode"] == "receipt"


def test_a_selection_and_a_receipt_together_are_refused(tmp_path: Path) -> None:
    """A rehearsal has no receipt yet; the error says what to give."""
    made = digits_home(tmp_path, facts=SMALL, forget=False)
    result = run("audit", "--home", made.folder, "--subject", PERSON, "--receipt", "request-1")
    assert result.exit_code == 1
    assert "give either a selection" in result.output
