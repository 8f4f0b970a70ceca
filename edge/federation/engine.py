"""Flower's simulation engine: every home or recording is a virtual node of this machine, or of a
Ray cluster."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ..core import EdgeError
from ..extras import install_command
from .devices import FederatedDevice, TrainingSubject, open_home_device, open_recording_device
from .fleet_training import TrainedFleet, TrainingOrder
from .flower_app import make_client_app, make_server_app, require_flower

STORE_BYTES: Final = 128 << 20
"""Ray's shared memory on a machine that runs no cluster yet: a few models fit; Ray's default, a
third of the machine, does not suit small ones."""


def simulate_fleet(
    paths: Sequence[Path], order: TrainingOrder, cpus: int = 1, address: str = ""
) -> TrainedFleet:
    """Train over homes (or recordings, for a forecaster) in Flower's simulation engine.

    paths: one for each device.  cpus: processes on this machine.  address: of a Ray cluster to run
    on, "auto" for the one that this machine belongs to; its nodes need the same paths.  Ray's
    processes of this machine end with the training.  Raises EdgeError without Flower or Ray, and
    with the reason of a device that cannot take part.  Cost: some ten seconds to start.
    """
    require_flower()
    ray = _require_ray()
    from flwr.simulation import run_simulation

    outcome: list[TrainedFleet] = []
    given = tuple(paths)

    def open_partition(node: Mapping[str, Any], subject: TrainingSubject) -> FederatedDevice:
        path = given[int(node["partition-id"])]
        if subject.forecaster:
            return open_recording_device(path)
        return open_home_device(path, subject)

    started = not ray.is_initialized()
    if started:
        local = {"num_cpus": cpus, "object_store_memory": STORE_BYTES}
        ray.init(
            include_dashboard=False,
            log_to_driver=False,
            **({"address": address} if address else local),
        )
    try:
        run_simulation(
            server_app=make_server_app(order, outcome.append, len(given)),
            client_app=make_client_app(open_partition),
            num_supernodes=len(given),
            backend_config={"client_resources": {"num_cpus": 1, "num_gpus": 0.0}},
        )
    finally:
        if started:
            ray.shutdown()
    if not outcome:
        raise EdgeError("training over devices: Flower ended without a result", "see its log")
    return outcome[0]


def _require_ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise EdgeError(
            "training over devices: Ray, which Flower's simulation runs on, is not installed",
            f"install the extra: {install_command('fleet')}",
        ) from error
    return ray
