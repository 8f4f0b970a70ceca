"""The security page is true: each risk names tests, and they exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@pytest.fixture(scope="module")
def page(source: Path) -> str:
    """docs/explanation/security.md."""
    return (source / "docs/explanation/security.md").read_text("utf-8")


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    table = re.search(rf"^## {heading}[\s\S]*?\n((?:\|.*\n)+)", page, re.MULTILINE)
    assert table is not None
    return [line.strip("| ").split(" | ") for line in table.group(1).splitlines()[2:]]


def missing_tests(source: Path, text: str) -> list[str]:
    """The tests that a text names but that do not exist."""
    gone = []
    for path, name in NAMED.findall(text):
        file = source / path
        tree = ast.parse(file.read_text("utf-8")) if file.exists() else ast.Module([], [])
        if name not in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}:
            gone.append(f"{path}::{name}")
    return gone


def test_every_test_that_is_named_exists(source: Path, page: str) -> None:
    """Every test that the page names exists."""
    assert missing_tests(source, page) == []
    assert len(NAMED.findall(page)) >= 25


def test_a_test_that_is_gone_is_found(source: Path) -> None:
    """The check above reports a missing test and a missing file, and not itself."""
    here = "tests/test_security.py"
    text = f"`{here}::test_a_test_that_is_gone_is_found` `{here}::test_none` `tests/no.py::test_x`"
    assert missing_tests(source, text) == [f"{here}::test_none", "tests/no.py::test_x"]


def test_every_risk_has_a_test(page: str) -> None:
    """Every risk names a test."""
    risks = rows(page, "Threats and measures")
    assert [row[0] for row in risks if not NAMED.search(row[-1])] == []
    assert len(risks) >= 10


def test_the_provisions_are_complete(page: str) -> None:
    """Every provision 5.1 to 5.13 has its row, and all but the policy of reports name a test."""
    provisions = {row[0].split()[0]: row for row in rows(page, "ETSI")}
    assert list(provisions) == [f"5.{number}" for number in range(1, 14)]
    assert [one for one, row in provisions.items() if not NAMED.search(row[-1])] == ["5.2"]
