"""docs/methods lists every paper with its code, its tests, its figure and its verdict."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

PAPERS = 64


@pytest.fixture(scope="module")
def writer(source: Path) -> ModuleType:
    """The script that writes the page."""
    spec = importlib.util.spec_from_file_location(
        "write_methods", source / "scripts/write_methods.py"
    )
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


@pytest.fixture(scope="module")
def papers(source: Path, writer: ModuleType) -> list[dict[str, Any]]:
    """The rows of docs/methods/papers.toml."""
    found: list[dict[str, Any]] = writer.load_papers(source)
    return found


def defined(path: Path) -> set[str]:
    """The names that a file defines at its top level."""
    nodes = ast.parse(path.read_text("utf-8")).body
    made = {node.name for node in nodes if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    targets = [node.target for node in nodes if isinstance(node, ast.AnnAssign)]
    return made | {one.id for one in targets if isinstance(one, ast.Name)}


def test_the_page_is_up_to_date(source, writer):
    """index.md holds the output of `python scripts/write_methods.py`."""
    page = source / writer.FOLDER / "index.md"
    assert page.read_text("utf-8") == writer.write_page(source)


def test_every_paper_has_one_row(papers):
    """The list is complete, and no paper comes twice."""
    assert len({paper["title"] for paper in papers}) == len(papers) == PAPERS


def test_every_row_has_code_and_tests(source, papers):
    """Files and names exist, and each test file has tests."""
    for paper in papers:
        assert paper["code"], paper["title"]
        for place in paper["code"]:
            file, _, name = place.partition(":")
            assert (source / file).is_file(), place
            assert not name or name in defined(source / file), place
        assert paper["tests"], paper["title"]
        for file in paper["tests"]:
            assert "def test_" in (source / file).read_text("utf-8"), file


def test_entries_are_in_their_tables_and_lead_to_the_code(source, papers, writer):
    """A row names the class that the table's entry runs."""
    tables = writer.method_tables()
    for paper in papers:
        names = {place.rpartition(":")[2] for place in paper["code"] if ":" in place}
        for entry in paper.get("entry", ()):
            table, _, key = entry.partition(": ")
            assert key in tables[table], entry
            assert writer.entry_name(tables[table][key]) in {*names, None}, entry


def test_every_row_has_a_verdict_and_a_figure(source, papers, writer):
    """Each figure is in its report, or a note says what was measured; each page exists."""
    for paper in papers:
        assert paper["verdict"] in writer.VERDICTS, paper["title"]
        assert (source / writer.FOLDER / paper["page"]).is_file(), paper["page"]
        assert ("figures" in paper) != ("note" in paper), paper["title"]
        for figure in paper.get("figures", ()):
            assert writer.read_figure(source, figure) is not None, figure


def test_sections_are_those_that_the_code_cites(source, papers):
    """A row cites a section only where one of its files does."""
    for paper in papers:
        assert re.fullmatch(r"section [\d.]+|code|abstract", paper["read"]), paper["title"]
        if paper["read"].startswith("section"):
            files = [place.partition(":")[0] for place in paper["code"]]
            texts = [" ".join((source / file).read_text("utf-8").split()) for file in files]
            assert any(paper["read"] in text for text in texts), paper["title"]


def test_every_entry_of_every_table_is_on_the_page(source, writer):
    """A method that is added to a table appears, by its paper or by itself."""
    page = (source / writer.FOLDER / "index.md").read_text("utf-8")
    for table, entries in writer.method_tables().items():
        for key, value in entries.items():
            assert f"`{table}: {key}`" in page
            assert writer.entry_name(value) is None or inspect.getdoc(writer.described(value)), key
