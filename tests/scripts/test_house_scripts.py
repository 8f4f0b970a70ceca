"""The scripts that measure the house."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def printed(source: Path, *words: str) -> list[str]:
    """The lines that a script prints."""
    done = subprocess.run(
        [sys.executable, source / "scripts" / words[0], *words[1:]],
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout.splitlines()


def cells(lines: list[str]) -> dict[str, list[int]]:
    """A table's rows of numbers, by their first cell."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    return {row[0]: [int(cell) for cell in row[1:]] for row in rows}


def test_walks_are_counted(source: Path) -> None:
    """Each datum of five kinds calls functions in some files, and calls count at least once."""
    walks = cells(printed(source, "count_walk.py"))
    assert list(walks) == [
        "observation",
        "label",
        "forget one fact of 400",
        "series sample",
        "firmware frame",
    ]
    for calls, functions, files, switches in walks.values():
        assert calls >= functions >= files > 1
        assert calls > switches >= files - 1
    assert walks["firmware frame"][2] < walks["observation"][2]


def test_constants_are_counted(source: Path) -> None:
    """The folders add up to all, and as many are listed as the table counts without a reason."""
    rows = cells(printed(source, "count_constants.py"))
    everything = rows.pop("all")
    assert everything == [sum(column) for column in zip(*rows.values(), strict=True)]
    listed = printed(source, "count_constants.py", "--list", "hdc")
    assert len(listed) == rows["hdc"][1]


def test_findings_are_reported(source: Path) -> None:
    """The table counts the findings of a rule, in all folders and in one."""
    table = printed(source, "house_report.py")
    folders = [cell.strip() for cell in table[0].strip("|").split("|")][1:]
    rows = cells(table)
    found = printed(source, "house_report.py", "positional_calls")
    counts = dict(zip(folders, rows["positional_calls"], strict=True))
    assert counts["all"] == len(found)
    assert counts.get("hdc", 0) == sum(line.startswith("hdc/") for line in found)
    assert rows["folder_cycles"][0] == len(printed(source, "house_report.py", "folder_cycles"))
