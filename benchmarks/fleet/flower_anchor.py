"""Flower's own FedAvg, message by message, as the anchor of the comparison.

Flower's strategy and records run; its engine, which needs Ray, does not: messages go straight to
the devices of this process.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

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


class StraightGrid:
    """What Flower's strategies need of a grid: nodes, and a function that answers each message."""

    def __init__(self, nodes: Iterable[int], answer: Callable[[Any], Any]) -> None:
        self._nodes, self._answer = list(nodes), answer

    def get_node_ids(self) -> list[int]:
        """Return all nodes."""
        return self._nodes

    def send_and_receive(self, messages: Iterable[Any], *, timeout: float) -> list[FlowerReply]:
        """Answer all messages, in the order of nodes."""
        del timeout
        ordered = sorted(messages, key=lambda one: int(one.metadata.dst_node_id))
        return [FlowerReply(self._answer(one)) for one in ordered]


def flower_available() -> bool:
    """Return whether Flower is installed."""
    from edge import EdgeError

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
) -> dict[str, Any]:
    """Train with `flwr.serverapp.strategy.FedAvg`; return the final model.

    plan: of every round; its number is set.  Devices draw the same batches as with our FedAvg.
    """
    from dataclasses import replace

    from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict
    from flwr.serverapp.strategy import FedAvg

    names = sorted(tasks)

    def packed(arrays: Arrays) -> Any:
        return ArrayRecord({name: Array(value) for name, value in arrays.items()})

    def answer(message: Any) -> Any:
        if message.metadata.message_type != "train":
            return RecordDict({})
        name = names[int(message.metadata.dst_node_id) - 1]
        number = int(message.content["config"]["server-round"])
        model = unpack_record(message.content["arrays"])
        made = work_locally(name, tasks[name], replace(plan, number=number), model, {})
        metrics = MetricRecord({"num-examples": made.examples})
        return RecordDict({"arrays": packed(made.arrays), "metrics": metrics})

    def note(number: int, arrays: Any) -> Any:
        if number:
            observe(number, unpack_record(arrays))

    strategy = FedAvg(fraction_evaluate=0.0)
    grid = StraightGrid(range(1, len(names) + 1), answer)
    result = strategy.start(
        grid=grid, initial_arrays=packed(start), num_rounds=rounds, evaluate_fn=note
    )
    return unpack_record(result.arrays)
