"""The README's Python snippet runs as a reader would run it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import encoder

LINES_MAX = 30
"""Lines that fit on a screen with the text around them."""


def snippet(source: Path) -> str:
    """The one Python block of the README."""
    page = (source / "README.md").read_text("utf-8")
    (found,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    return str(found)


def printed(code: str, folder: Path) -> list[str]:
    """The output of the snippet, run in a folder by a separate interpreter."""
    root = str(Path(encoder.__file__).parent.parent)
    path = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_snippet_learns_finds_the_unknown_and_forgets_twice(source: Path, tmp_path: Path):
    """It is short, imports from the packages alone, and prints the same in its second run, which
    goes on with the file of the first."""
    code = snippet(source)
    assert len(code.splitlines()) <= LINES_MAX
    assert set(re.findall(r"^(?:from|import) (\S+)", code, re.MULTILINE)) == {
        "edge",
        "encoder",
        "numpy",
        "time",
    }
    expected = [
        "idle is answered as {'idle'}",
        "running is answered as {'running'}",
        "out of distribution: 20 of 20",
        "leak is answered as {'leak'}",
        "forgot 10",
    ]
    assert printed(code, tmp_path) == expected
    assert (tmp_path / "pump.db").is_file()
    assert printed(code, tmp_path) == expected
