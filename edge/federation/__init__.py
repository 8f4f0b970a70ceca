"""Training over devices with Flower: strategies, the Flower app, and the way of results back to
devices.

Never loaded by a serving process; torch loads on the devices that train, Flower where it runs.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .adaptor_task import AdaptorTask, LabelledFeatures, label_accuracy, plan_adaptor
    from .rounds import InProcessExchange, run_rounds
    from .strategies.kinds import FEDERATED_STRATEGIES
    from .strategies.strategy import FederatedSettings
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "adaptor_task": ("AdaptorTask", "LabelledFeatures", "label_accuracy", "plan_adaptor"),
            "rounds": ("InProcessExchange", "run_rounds"),
            "strategies.kinds": ("FEDERATED_STRATEGIES",),
            "strategies.strategy": ("FederatedSettings",),
        },
    )

__all__ = [
    "FEDERATED_STRATEGIES",
    "AdaptorTask",
    "FederatedSettings",
    "InProcessExchange",
    "LabelledFeatures",
    "label_accuracy",
    "plan_adaptor",
    "run_rounds",
]
