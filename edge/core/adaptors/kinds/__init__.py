"""The kinds of adaptor: functions from standardised columns to the inputs of the head.

The formulas are those of `nas.Blueprint`.  To add a kind: one class, and one line in `KINDS`.
"""

from typing import TYPE_CHECKING

from ....lazy import lazy_names

if TYPE_CHECKING:
    from .table import KINDS
else:
    __getattr__ = lazy_names(__name__, {"table": ("KINDS",)})

__all__ = ["KINDS"]
