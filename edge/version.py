"""The version of the distribution; `pyproject.toml` holds the same."""

from typing import Final

__version__: Final = "0.1.0"
