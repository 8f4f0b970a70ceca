"""The screens of the console, one file each; table.py lists them."""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .table import SCREENS
else:
    __getattr__ = lazy_names(__name__, {"table": ("SCREENS",)})

__all__ = ["SCREENS"]
