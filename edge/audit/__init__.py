"""Audits of forget requests: twins, attacks, traces, and a report in plain words."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .audit import audit_receipt, rehearse
    from .findings import AuditReport
    from .page import as_data, render_page
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "audit": ("audit_receipt", "rehearse"),
            "findings": ("AuditReport",),
            "page": ("as_data", "render_page"),
        },
    )

__all__ = ["AuditReport", "as_data", "audit_receipt", "rehearse", "render_page"]
