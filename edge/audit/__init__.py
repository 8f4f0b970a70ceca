"""Audits of forget requests: twins, attacks, traces, and a report in plain words."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .audit import audit_receipt, rehearse
    from .findings import AuditReport
    from .needles import Needle, fact_needles, name_needles
    from .page import as_data, render_page
    from .traces import Trace, scan
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "audit": ("audit_receipt", "rehearse"),
            "findings": ("AuditReport",),
            "needles": ("Needle", "fact_needles", "name_needles"),
            "page": ("as_data", "render_page"),
            "traces": ("Trace", "scan"),
        },
    )

__all__ = [
    "AuditReport",
    "Needle",
    "Trace",
    "as_data",
    "audit_receipt",
    "fact_needles",
    "name_needles",
    "rehearse",
    "render_page",
    "scan",
]
