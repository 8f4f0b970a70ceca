"""How the suite runs: its announcement, its order, and the smoke set."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import suite

TESTS = Path(__file__).parent


def collect(*words: str) -> list[str]:
    """The tests that pytest would run, in order."""
    run = (sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", *words)
    done = subprocess.run(run, cwd=TESTS.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return [line for line in done.stdout.splitlines() if "::" in line]


@pytest.mark.parametrize("entry", [*suite.SMOKE, *suite.SLOW])
def test_every_entry_of_the_tables_exists(entry: str):
    """Every entry names an existing file and test."""
    name, _, function = entry.partition("::")
    text = (TESTS / name).read_text("utf-8")
    assert re.search(rf"^def {function}\(" if function else r"^def test_", text, re.MULTILINE)


def test_fast_files_run_first():
    """Whatever the order of the files on the command line, slow ones go last."""
    slow = suite.SLOW[-1]
    found = collect(str(TESTS / slow), str(TESTS / "hdc/test_kinds.py"), str(TESTS / "hdc"))
    assert slow not in found[0]
    assert slow in found[-1]


def test_the_smoke_set_crosses_every_room():
    """`-m smoke` takes tests of each package, and one that starts a daemon."""
    files = dict.fromkeys(str(TESTS / entry.partition("::")[0]) for entry in suite.SMOKE)
    found = collect("-m", "smoke", *files)
    for package in ("edge/core", "edge/daemon", "encoder", "hdc", "nas", "firmware_bridge"):
        assert any(f"tests/{package}/" in test for test in found), package
    assert any("test_lines_go_in_and_come_out_of_a_process" in test for test in found)
    assert len(found) < 400


@pytest.mark.parametrize("words", [(), ("-q",)])
def test_a_full_run_announces_its_duration(words: tuple[str, ...], tmp_path: Path):
    """Before the first test, with -q too; a run of one file says nothing."""
    (tmp_path / "tests").mkdir()
    for name in ("conftest.py", "suite.py", "__init__.py"):
        (tmp_path / "tests" / name).write_text((TESTS / name).read_text("utf-8"))
    (tmp_path / "pyproject.toml").write_text((TESTS.parent / "pyproject.toml").read_text("utf-8"))
    (tmp_path / "tests/test_one.py").write_text("def test_one(): pass\n")
    run = (sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *words)
    result = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, check=False).stdout
    assert f"up to {suite.MINUTES} minutes" in result
    assert "pytest -m smoke" in result
    assert result.index("minutes") < result.index("100%")
    one = (*run, "tests/test_one.py")
    result = subprocess.run(one, cwd=tmp_path, capture_output=True, text=True, check=False).stdout
    assert "minutes" not in result
