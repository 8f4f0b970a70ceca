"""Audits of forget requests: twins, attacks, traces, and a report in plain words."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .needles import Needle, fact_needles, name_needles
    from .traces import Trace, scan
else:
    __getattr__ = lazy_names(
        __name__,
        {"needles": ("Needle", "fact_needles", "name_needles"), "traces": ("Trace", "scan")},
    )

__all__ = ["Needle", "Trace", "fact_needles", "name_needles", "scan"]
