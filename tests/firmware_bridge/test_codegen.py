"""The generated files in the repository match the table of messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware_bridge.codegen import generated, wire_page

HINT = "run python scripts/generate_wire.py"


@pytest.mark.parametrize("name", sorted(generated()))
def test_a_generated_file_is_current(name: str, source: Path) -> None:
    """Each generated file matches the table."""
    assert (source / name).read_text("utf-8") == generated()[name], HINT


def test_the_page_is_current(source: Path) -> None:
    """The generated half of docs/explanation/wire.md matches the table."""
    page = (source / "docs/explanation/wire.md").read_text("utf-8")
    assert page == wire_page(page), HINT
    assert "update_chunk" in wire_page("# Title\n")
