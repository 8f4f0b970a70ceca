"""Training over devices with Flower: strategies, the Flower app, and the way of results back to
devices.

Never loaded by a serving process; torch loads on the devices that train, Flower where it runs.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .adaptor_task import AdaptorTask, DeviceFacts, label_accuracy, plan_adaptor
    from .arrays import add_scaled, byte_count, difference
    from .bounds import RoundResults
    from .devices import (
        AdaptorDevice,
        ForecasterDevice,
        InProcessFleet,
        TrainingSubject,
        device_names,
        lowrank_blueprint,
        open_home_device,
        open_recording_device,
    )
    from .engine import simulate_fleet
    from .fleet_training import TrainedFleet, TrainingOrder, train_fleet
    from .flower_app import (
        make_client_app,
        make_server_app,
        open_node,
        require_flower,
        unpack_record,
    )
    from .local_training import LocalPlan, LocalResult, work_locally
    from .return_path import FleetBundle, export_trained, leave_fleet
    from .rounds import InProcessExchange, run_rounds
    from .strategies.kinds import FEDERATED_STRATEGIES
    from .strategies.strategy import FederatedSettings
    from .trained_file import LeaveReceipt, write_trained
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "adaptor_task": ("AdaptorTask", "DeviceFacts", "label_accuracy", "plan_adaptor"),
            "arrays": ("add_scaled", "byte_count", "difference"),
            "bounds": ("RoundResults",),
            "devices": (
                "AdaptorDevice",
                "ForecasterDevice",
                "InProcessFleet",
                "TrainingSubject",
                "device_names",
                "lowrank_blueprint",
                "open_home_device",
                "open_recording_device",
            ),
            "engine": ("simulate_fleet",),
            "fleet_training": ("TrainedFleet", "TrainingOrder", "train_fleet"),
            "flower_app": (
                "make_client_app",
                "make_server_app",
                "open_node",
                "require_flower",
                "unpack_record",
            ),
            "local_training": ("LocalPlan", "LocalResult", "work_locally"),
            "return_path": ("FleetBundle", "export_trained", "leave_fleet"),
            "rounds": ("InProcessExchange", "run_rounds"),
            "strategies.kinds": ("FEDERATED_STRATEGIES",),
            "strategies.strategy": ("FederatedSettings",),
            "trained_file": ("LeaveReceipt", "write_trained"),
        },
    )

__all__ = [
    "FEDERATED_STRATEGIES",
    "AdaptorDevice",
    "AdaptorTask",
    "DeviceFacts",
    "FederatedSettings",
    "FleetBundle",
    "ForecasterDevice",
    "InProcessExchange",
    "InProcessFleet",
    "LeaveReceipt",
    "LocalPlan",
    "LocalResult",
    "RoundResults",
    "TrainedFleet",
    "TrainingOrder",
    "TrainingSubject",
    "add_scaled",
    "byte_count",
    "device_names",
    "difference",
    "export_trained",
    "label_accuracy",
    "leave_fleet",
    "lowrank_blueprint",
    "make_client_app",
    "make_server_app",
    "open_home_device",
    "open_node",
    "open_recording_device",
    "plan_adaptor",
    "require_flower",
    "run_rounds",
    "simulate_fleet",
    "train_fleet",
    "unpack_record",
    "work_locally",
    "write_trained",
]
