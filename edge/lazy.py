"""Lazy imports for packages: a name's file is loaded on first use (PEP 562).

Most processes use a part of each package; a daemon must not load the command line's tables, nor an
import of `edge` the MQTT client.  `scripts/write_inits.py` writes each package's table.
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, files: Mapping[str, tuple[str, ...]]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package.  files: the names that each file below it provides."""
    places = {name: file for file, names in files.items() for name in names}

    def load(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{places[name]}"), name)

    return load
