"""Trainings that were measured before, so that a benchmark that was cut off goes on from there.

The folder is AURICLE_CACHE, else one in the temporary folder.  A result counts only for the very
same code of strategies, devices and data.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import edge.federation
import edge.growth
from edge.sim import write_file


def cached(key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
    """Return the result of `make` as JSON decodes it, from the cache folder if it is there.  key:
    everything that determines the result, except for the code."""
    folder = Path(os.environ.get("AURICLE_CACHE", Path(tempfile.gettempdir()) / "auricle-cache"))
    name = hashlib.sha256(repr((code_digest(), key)).encode()).hexdigest()[:32]
    path = folder / f"fleet-{name}.json"
    if path.is_file():
        return json.loads(path.read_text("utf-8"))
    made = make()
    folder.mkdir(parents=True, exist_ok=True)
    write_file(path, json.dumps(made).encode())
    return made


@cache
def code_digest() -> str:
    """Return the hex SHA-256 of the code that trains, and of that which divides the data."""
    state = hashlib.sha256()
    here = Path(__file__).parent
    files = [here / "federated_data.py", here / "hostile_training.py", here / "federated.py"]
    for package in (edge.federation, edge.growth):
        files += sorted(Path(str(package.__file__)).parent.rglob("*.py"))
    for path in files:
        state.update(path.read_bytes())
    return state.hexdigest()
