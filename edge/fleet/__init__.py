"""Federated learning by sums: this device's contribution to the others, theirs to this one."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .aggregator import AggregateOutcome, AggregatePlace, Aggregator
    from .contribution_message import read_contribution, write_contribution
    from .member import FleetMember, ReceivedContribution
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "aggregator": ("AggregateOutcome", "AggregatePlace", "Aggregator"),
            "contribution_message": ("read_contribution", "write_contribution"),
            "member": ("FleetMember", "ReceivedContribution"),
        },
    )

__all__ = [
    "AggregateOutcome",
    "AggregatePlace",
    "Aggregator",
    "FleetMember",
    "ReceivedContribution",
    "read_contribution",
    "write_contribution",
]
