"""The doors of the packages below edge/ are those that `scripts/write_doors.py` writes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent.parent / "scripts" / "write_doors.py"


def check(script: Path) -> tuple[int, str]:
    """Run the script with --check; the exit status, and the doors that it lists."""
    words = [sys.executable, str(script), "--check"]
    done = subprocess.run(words, capture_output=True, check=False, text=True, timeout=300)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def test_every_door_exports_names_that_other_packages_import():
    """Each package below edge/ exports, lazily, every name that another package imports from it."""
    assert check(SCRIPT) == (0, ""), "run: python scripts/write_doors.py"


def test_a_door_without_a_name_is_found_and_written(tmp_path):
    """A door that lacks a name which another package imports is listed by --check and left as it
    is; without --check the script adds the name."""
    script = tmp_path / "scripts" / SCRIPT.name
    script.parent.mkdir()
    shutil.copy(SCRIPT, script)
    package = tmp_path / "edge" / "shop"
    package.mkdir(parents=True)
    (package / "prices.py").write_text("def price() -> int:\n    return 1\n", "utf-8")
    (tmp_path / "edge" / "till.py").write_text("from .shop import price\n", "utf-8")
    door = package / "__init__.py"
    door.write_text('"""Prices."""\n', "utf-8")
    assert check(script) == (1, "edge/shop/__init__.py\n")
    assert door.read_text("utf-8") == '"""Prices."""\n'
    subprocess.run([sys.executable, str(script)], capture_output=True, check=True, timeout=300)
    assert check(script) == (0, "")
    assert '    __getattr__ = lazy_names(__name__, {"prices": ("price",)})' in door.read_text(
        "utf-8"
    )
