"""What saved results of this package's code depend on beside their input."""

import hashlib
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

EDGE: Final = Path(__file__).parents[1]
"""The folder of the package."""


@lru_cache(maxsize=4)
def code_version(*folders: str) -> str:
    """Return the installed version and a digest of the source in folders relative to the package
    `edge`: what was computed before a change is computed again."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted((EDGE / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    try:
        installed = version("auricle")
    except PackageNotFoundError:
        installed = ""
    return f"{installed} {digest.hexdigest()}"
