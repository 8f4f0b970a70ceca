"""The glossary names what exists and is used."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

COLUMNS = 5


def rows(text: str) -> list[list[str]]:
    """The cells of the glossary's rows: term, meaning, standard term, name in the code, room."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    return cells[2:]


@pytest.fixture(scope="module")
def glossary(source: Path) -> list[list[str]]:
    """The rows of docs/glossary.md."""
    return rows((source / "docs/glossary.md").read_text("utf-8"))


def defined(folder: Path) -> Iterator[str]:
    """The classes, functions and names that the modules of a folder define."""
    for path in folder.rglob("*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            match node:
                case ast.ClassDef() | ast.FunctionDef():
                    yield node.name
                case ast.AnnAssign(target=ast.Name(id=name)):
                    yield name
                case ast.Assign(targets=[ast.Name(id=name)]):
                    yield name


def without_code(glossary: list[list[str]], source: Path) -> list[str]:
    """The terms whose name in the code is not defined in their room."""
    rooms = {room.strip("`") for *_, room in glossary}
    names = {room: set(defined(source / room)) for room in rooms}
    return [
        term for term, _, _, name, room in glossary if name.strip("`") not in names[room.strip("`")]
    ]


def unused(glossary: list[list[str]], pages: str) -> list[str]:
    """The terms that no page uses."""
    return [row[0] for row in glossary if not re.search(rf"\b{row[0]}", pages, re.IGNORECASE)]


def test_every_row_is_complete_and_in_order(glossary: list[list[str]]):
    """Each row has all cells filled, each term appears once, in alphabetical order."""
    assert [row for row in glossary if len(row) != COLUMNS or not all(row)] == []
    terms = [row[0] for row in glossary]
    assert terms == sorted(set(terms))
    assert len(terms) > 40


def test_every_name_exists(glossary: list[list[str]], source: Path):
    """Each term's name in the code is defined in the room that the glossary names."""
    assert without_code(glossary, source) == []


def test_every_term_is_in_use(glossary: list[list[str]], source: Path):
    """Each term is used on another page of the documentation."""
    pages = "\n".join(
        path.read_text("utf-8")
        for path in (source / "docs").rglob("*.md")
        if path.name not in {"glossary.md", "renames.md"}
    )
    assert unused(glossary, pages) == []


def test_missing_names_are_found(tmp_path: Path):
    """A name that no file defines is reported, and a term that no page uses."""
    (tmp_path / "room").mkdir()
    (tmp_path / "room/part.py").write_text("class Here: ...\nLIMIT: int = 1\n", "utf-8")
    page = "| a | b | c | d | e |\n| - | - | - | - | - |\n"
    page += "| fact | x | y | `Here` | `room` |\n| tap | x | y | `Gone` | `room` |\n"
    page += "| bound | x | y | `LIMIT` | `room` |\n"
    assert without_code(rows(page), tmp_path) == ["tap"]
    assert unused(rows(page), "facts are bound") == ["tap"]
