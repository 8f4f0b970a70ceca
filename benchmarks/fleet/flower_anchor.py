"""Flower's own FedAvg as the anchor of the comparison: its strategy aggregates its records; its
engine, which needs Ray, does not run, and devices answer in this process."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from edge import EdgeError
from edge.federation import (
    AdaptorTask,
    LocalPlan,
    require_flower,
    unpack_record,
    work_locally,
)

Arrays = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FlowerReply:
    """A reply as Flower's strategies read it."""

    content: Any

    def has_error(self) -> bool:
        """No device fails here."""
        return False


def flower_available() -> bool:
    """Return whether Flower is installed."""
    try:
        require_flower()
    except EdgeError:
        return False
    return True


def flower_fedavg(
    tasks: Mapping[str, AdaptorTask],
    start: Arrays,
    rounds: int,
    plan: LocalPlan,
    observe: Callable[[int, Arrays], None],
) -> Arrays:
    """Train with `flwr.serverapp.strategy.FedAvg`; return the final model.

    plan: of every round; its number is set.  Devices draw the same batches as with our FedAvg.
    """
    from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict
    from flwr.serverapp.strategy import FedAvg

    strategy, model = FedAvg(), start
    for number in range(1, rounds + 1):
        replies = []
        for name in sorted(tasks):
            made = work_locally(name, tasks[name], replace(plan, number=number), model, {})
            arrays = ArrayRecord({key: Array(value) for key, value in made.arrays.items()})
            metrics = MetricRecord({"num-examples": made.examples})
            replies.append(FlowerReply(RecordDict({"arrays": arrays, "metrics": metrics})))
        model = unpack_record(strategy.aggregate_train(number, replies)[0])
        observe(number, model)
    return model
