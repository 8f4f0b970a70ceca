"""The rounds of a federated training, whoever carries the messages."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from ..core import EdgeError
from .arrays import Arrays, are_finite
from .local_training import FederatedTask, LocalPlan, LocalResult, work_locally
from .strategies.strategy import FederatedStrategy

Observe = Callable[[int, Arrays, Sequence[LocalResult]], None]
"""Called after each round with its number, the fleet's model and the devices' results."""


class Exchange(Protocol):
    """Carries a round's work to the devices and their results back."""

    @property
    def devices(self) -> tuple[str, ...]:
        """Names of all devices, sorted."""

    def work(
        self, devices: Sequence[str], plan: LocalPlan, arrays: Arrays, direction: Arrays
    ) -> list[LocalResult]:
        """Let these devices do a plan's work; return their results in any order."""


class InProcessExchange:
    """Devices of this process, one after the other: for tests and comparisons."""

    def __init__(self, tasks: Mapping[str, FederatedTask]) -> None:
        self._tasks = dict(tasks)

    @property
    def devices(self) -> tuple[str, ...]:
        """Names of all devices, sorted."""
        return tuple(sorted(self._tasks))

    def work(
        self, devices: Sequence[str], plan: LocalPlan, arrays: Arrays, direction: Arrays
    ) -> list[LocalResult]:
        """See `Exchange`."""
        return [work_locally(one, self._tasks[one], plan, arrays, direction) for one in devices]


def run_rounds(
    strategy: FederatedStrategy,
    start: Arrays,
    exchange: Exchange,
    rounds: int,
    observe: Observe | None = None,
) -> Arrays:
    """Train over the devices; return the fleet's model.

    A round's results are used in the order of the devices' names, so that neither their arrival nor
    the engine changes a bit.  Results that are not finite are left out.  Ends early if the strategy
    is done.  Raises EdgeError without devices, and for a result that does not fit the model.
    """
    if not exchange.devices:
        raise EdgeError("training over devices: there is no device", "name at least one")
    arrays = start
    for number in range(1, rounds + 1):
        chosen = choose_devices(exchange.devices, strategy.share, strategy.seed, number)
        plan = strategy.plan(number, len(chosen))
        found = exchange.work(chosen, plan, arrays, strategy.direction)
        results = sorted(found, key=lambda one: one.device)
        if plan.work == "train":
            for one in results:
                require_fit(one, arrays)
        usable = [one for one in results if one.examples > 0 and are_finite(one.arrays)]
        if usable:
            arrays = strategy.aggregate(arrays, usable)
        if observe is not None:
            observe(number, arrays, results)
        if strategy.done:
            break
    return arrays


def choose_devices(devices: Sequence[str], share: float, seed: int, number: int) -> tuple[str, ...]:
    """Return the devices that take part in a round, sorted: those with the smallest hashes of seed,
    round and name."""
    count = max(1, math.ceil(share * len(devices)))
    by_hash = sorted(
        devices,
        key=lambda one: hashlib.sha256(f"{seed}\n{number}\n{one}\nchosen".encode()).digest(),
    )
    return tuple(sorted(by_hash[:count]))


def require_fit(result: LocalResult, arrays: Arrays) -> None:
    """Raise EdgeError for a result with other names, shapes or types than the fleet's model."""
    expected = {name: (value.shape, value.dtype.str) for name, value in arrays.items()}
    found = {name: (value.shape, value.dtype.str) for name, value in result.arrays.items()}
    if expected != found:
        raise EdgeError(
            f"training over devices: the model of {result.device} does not fit the fleet's: "
            f"expected {expected}, found {found}",
            "let all devices run the same release with the same settings",
        )
