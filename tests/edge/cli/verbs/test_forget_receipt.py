"""The receipt of `auricle forget`: what forgotten facts had done to others."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.core.events import Label, Observation
from edge.home.home import Home
from tests.homes import new_home, run, run_json, write_csv
from tests.worlds import vector


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home whose concepts keep their ten newest facts."""
    made = new_home(tmp_path / "home")
    path = made / "auricle.toml"
    text = path.read_text("utf-8")
    assert "facts_per_concept = 1000" in text
    text = text.replace("facts_per_concept = 1000", 'facts_per_concept = 10\nkeep = "newest"')
    path.write_text(text, "utf-8")
    return made


def learn(home: Path, table: Path, subject: str, day: int) -> None:
    """Learn ten rows of one label, all of a subject and a day."""
    write_csv(table, per_label=10, labels="a", spread=day)
    head, *rows = table.read_text("utf-8").splitlines()
    cells = [row.split(",") for row in rows]
    lines = [f"{head},time"] + [
        ",".join([label, subject, *values, f"2026-01-{day:02}T00:00:{n:02}Z"])
        for n, (label, _, *values) in enumerate(cells)
    ]
    table.write_text("\n".join(lines) + "\n", "utf-8")
    result = run("learn", table, "--home", home, "--domain", "hall", "--time-column", "time")
    assert result.exit_code == 0, result.output


def test_evicted_facts_are_named_with_what_to_do(home: Path, tmp_path: Path) -> None:
    """Newcomers fill a concept and are forgotten: text, JSON and the stored receipt name the
    concept and the number of facts that they had evicted; learned again, these are back."""
    learn(home, tmp_path / "old.csv", "Ford", 1)
    learn(home, tmp_path / "new.csv", "Zaphod", 2)
    assert run("backup", tmp_path / "copy.db", "--home", home).exit_code == 0
    shown = run("forget", "--subject", "Zaphod", "--yes", "--home", home)
    assert shown.exit_code == 0, shown.output
    line = next(one for one in shown.stdout.splitlines() if one.startswith("evicted by them"))
    assert line.split() == ["evicted", "by", "them", "hall/a:", "10", "facts"]
    assert "learn them again where you have them" in shown.stdout
    (stored,) = run_json("inspect", "--home", home)["receipts"]
    assert [one["facts"] for one in stored["evictions"]] == [10]
    learn(home, tmp_path / "old.csv", "Ford", 1)
    (concept,) = run_json("inspect", "--home", home)["concepts"]
    assert (concept["label"], concept["facts"]) == ("a", 10)
    receipt = run_json("forget", "--subject", "Ford", "--yes", "--home", home)
    assert receipt["evictions"] == []


def test_facts_that_the_detector_placed_are_named_with_what_to_do(
    home: Path, tmp_path: Path
) -> None:
    """The receipt counts another person's facts that the detector placed in the forgotten domain,
    under its new name, and `relabel` moves them as the receipt says."""
    table = write_csv(tmp_path / "table.csv", per_label=10, labels="a")
    text = table.read_text("utf-8")
    for number in range(3):
        text = text.replace(f"person-{number}", "Zaphod")
    table.write_text(text, "utf-8")
    words = ("--home", home, "--domain", "gallery-of-Zaphod")
    assert run("learn", table, *words).exit_code == 0
    with Home(home) as opened:
        for number in range(4):
            seen = Observation(
                stream="door",
                sequence=number,
                captured_at_ns=number + 1,
                payload=vector(number + 50),
                subject="Ford",
                id=f"d{number}",
            )
            opened.feed(seen)
            opened.feed(Label(f"d{number}", "b"))
    shown = run("forget", "--subject", "Zaphod", "--yes", "--home", home)
    assert shown.exit_code == 0, shown.output
    (concept,) = run_json("inspect", "--home", home)["concepts"]
    name = concept["domain"]
    assert "Zaphod" not in name
    assert f"{name}: 4 facts kept, now {name}" in shown.stdout
    assert "move facts with `auricle relabel`" in shown.stdout
    moved = run("relabel", "--home", home, "--domain", name, "--to-domain", "desk")
    assert "relabelled 4 facts" in moved.stdout
