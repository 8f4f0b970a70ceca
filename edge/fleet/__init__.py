"""Federated learning by sums: this device's contribution to the others, theirs to this one."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .aggregate_home import (
        AggregateView,
        GeometryWatch,
        aggregate_path,
        aggregate_section,
        describe_aggregate,
        open_aggregator,
        read_place,
    )
    from .aggregator import AggregateOutcome, AggregatePlace, Aggregator
    from .aggregator_service import AggregatorService
    from .contribution_message import read_contribution, write_contribution
    from .fleet_view import LeftFleet, MembershipView, describe_fleet, describe_roles
    from .left_fleets import LeftFleets
    from .member import FleetMember, ReceivedContribution
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "aggregate_home": (
                "AggregateView",
                "GeometryWatch",
                "aggregate_path",
                "aggregate_section",
                "describe_aggregate",
                "open_aggregator",
                "read_place",
            ),
            "aggregator": ("AggregateOutcome", "AggregatePlace", "Aggregator"),
            "aggregator_service": ("AggregatorService",),
            "contribution_message": ("read_contribution", "write_contribution"),
            "fleet_view": ("LeftFleet", "MembershipView", "describe_fleet", "describe_roles"),
            "left_fleets": ("LeftFleets",),
            "member": ("FleetMember", "ReceivedContribution"),
        },
    )

__all__ = [
    "AggregateOutcome",
    "AggregatePlace",
    "AggregateView",
    "Aggregator",
    "AggregatorService",
    "FleetMember",
    "GeometryWatch",
    "LeftFleet",
    "LeftFleets",
    "MembershipView",
    "ReceivedContribution",
    "aggregate_path",
    "aggregate_section",
    "describe_aggregate",
    "describe_fleet",
    "describe_roles",
    "open_aggregator",
    "read_contribution",
    "read_place",
    "write_contribution",
]
