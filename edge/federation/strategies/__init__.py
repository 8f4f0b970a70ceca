"""Strategies of federated training: a table of plain classes on arrays, without any engine."""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .kinds import FEDERATED_STRATEGIES
    from .strategy import FederatedSettings, FederatedStrategy
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "kinds": ("FEDERATED_STRATEGIES",),
            "strategy": ("FederatedSettings", "FederatedStrategy"),
        },
    )

__all__ = ["FEDERATED_STRATEGIES", "FederatedSettings", "FederatedStrategy"]
