"""Each `__init__.py` below edge/ is the one that `scripts/write_inits.py` writes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

NAME = "scripts/write_inits.py"


def check(script: Path) -> tuple[int, str]:
    """Run the script with --check; the exit status, and the files that it lists."""
    words = [sys.executable, str(script), "--check"]
    done = subprocess.run(words, capture_output=True, check=False, text=True, timeout=300)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


def test_every_package_offers_what_other_packages_import(source: Path):
    """Each package below edge/ exports, lazily, every name that another package imports from it."""
    assert (source / "edge/storage/__init__.py").is_file()
    assert check(source / NAME) == (0, ""), f"run: python {NAME}"


@pytest.mark.skipif(find_spec("ruff") is None, reason="ruff formats what the script writes")
def test_a_package_without_a_name_is_found_and_written(source: Path, tmp_path: Path):
    """A package that lacks a name which another package imports is listed by --check and left as it
    is; without --check the script adds the name."""
    script = tmp_path / NAME
    script.parent.mkdir()
    shutil.copy(source / NAME, script)
    package = tmp_path / "edge" / "shop"
    package.mkdir(parents=True)
    (package / "prices.py").write_text("def price() -> int:\n    return 1\n", "utf-8")
    (tmp_path / "edge" / "till.py").write_text("from .shop import price\n", "utf-8")
    init = package / "__init__.py"
    init.write_text('"""Prices."""\n', "utf-8")
    assert check(script) == (1, "edge/shop/__init__.py\n")
    assert init.read_text("utf-8") == '"""Prices."""\n'
    subprocess.run([sys.executable, str(script)], capture_output=True, check=True, timeout=300)
    assert check(script) == (0, "")
    assert '    __getattr__ = lazy_names(__name__, {"prices": ("price",)})' in init.read_text(
        "utf-8"
    )
