"""The architecture page maps every folder of `edge` and every file of its core."""

from __future__ import annotations

import re
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def page(source: Path) -> str:
    """docs/explanation/architecture.md."""
    return (source / "docs/explanation/architecture.md").read_text("utf-8")


def test_every_folder_is_on_the_map(page: str, source: Path):
    """Each package below edge/ has a row, and no row names a folder that does not exist."""
    folders = {f"edge/{path.parent.name}" for path in (source / "edge").glob("*/__init__.py")}
    assert set(re.findall(r"^\| `(edge/\w+)` \|", page, re.MULTILINE)) == folders


def test_every_file_of_the_core_is_on_the_map(page: str, source: Path):
    """Each file of edge/core has a row below its folder, and no row names another file."""
    core = source / "edge/core"
    files = {path.relative_to(core) for path in core.rglob("*.py") if path.name != "__init__.py"}
    part = page.partition("### Files of `edge/core`")[2].partition("\n## ")[0]
    listed, folder = set(), Path()
    for line in part.splitlines():
        if heading := re.match(r"`edge/core/([\w/]+)`:", line):
            folder = Path(heading.group(1))
        elif row := re.match(r"\| `(\w+\.py)` \|", line):
            listed.add(folder / row.group(1))
    assert listed == files
