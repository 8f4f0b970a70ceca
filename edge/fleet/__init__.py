"""Federated learning by sums: this device's contribution to the others, theirs to this one."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .contribution_message import write_contribution
    from .member import FleetMember, ReceivedContribution
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "contribution_message": ("write_contribution",),
            "member": ("FleetMember", "ReceivedContribution"),
        },
    )

__all__ = ["FleetMember", "ReceivedContribution", "write_contribution"]
