"""The cost of imports and the public names of `edge`, in a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

# Packages that are heavy or that serving never needs.
HEAVY = frozenset(
    {
        "PIL",
        "click",
        "joblib",
        "matplotlib",
        "onnxruntime",
        "paho",
        "pandas",
        "rich",
        "scipy",
        "serial",
        "sklearn",
        "torch",
    }
)
PUBLIC = {
    "Config",
    "Decision",
    "EdgeError",
    "ForgetRequest",
    "Label",
    "Observation",
    "Receipt",
    "Runtime",
    "Selector",
    "Store",
    "simulate",
}


def loaded_after(statement: str) -> set[str]:
    """The top-level modules that a fresh interpreter holds after one statement."""
    code = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=True, text=True, timeout=60
    )
    return {name.split(".")[0] for name in json.loads(done.stdout)}


@pytest.mark.parametrize("package", ["edge", "encoder", "firmware_bridge", "hdc", "nas"])
def test_importing_a_room_loads_nothing_heavy(package: str) -> None:
    """`import package` loads no package that only some of its work needs."""
    assert loaded_after(f"import {package}") & HEAVY == set()


def test_serving_loads_neither_training_nor_simulation() -> None:
    """The names that a program serves with load no training, simulation or terminal package."""
    names = ", ".join(sorted(PUBLIC - {"simulate"}))
    assert loaded_after(f"from edge import {names}") & HEAVY == set()


def test_a_heavy_import_would_be_seen() -> None:
    """The check above sees a package that is loaded."""
    assert "PIL" in loaded_after("import PIL")


def test_the_program_knows_its_version(source: Path) -> None:
    """`edge.__version__` is the version of the distribution."""
    import edge

    project = tomllib.loads((source / "pyproject.toml").read_text("utf-8"))["project"]
    assert edge.__version__ == project["version"]


def test_the_front_door_exports_the_documented_names() -> None:
    """`edge` exports exactly its public names, and each of them exists."""
    import edge

    assert set(edge.__all__) == PUBLIC
    assert all(getattr(edge, name) is not None for name in edge.__all__)
