"""The rounds of a federated training, whoever carries the messages."""

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

import numpy as np

from ..core import EdgeError, limits
from .arrays import Arrays, are_finite
from .bounds import RoundResults, bound_results
from .local_training import FederatedTask, LocalPlan, LocalResult, work_locally
from .strategies.strategy import FederatedStrategy

SUMS: Final = frozenset({"counts", "features", "gram"})
"""Names of the sums of a device: facts and levels of each concept, and products of columns."""

Observe = Callable[[int, Arrays, RoundResults], None]
"""Called after each round with its number, the fleet's model and what the devices sent."""


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
    the engine changes a bit.  Results that no device can mean are left out, long updates shortened
    (`bound_results`), and a next model that is not finite is not used.  Ends early if the strategy
    is done.  Raises EdgeError without devices, for a result that does not fit the model or the
    other sums, and unless each chosen device answers once.
    """
    if not exchange.devices:
        raise EdgeError("training over devices: there is no device", "name at least one")
    arrays = start
    for number in range(1, rounds + 1):
        chosen = choose_devices(exchange.devices, strategy.share, strategy.seed, number)
        plan = strategy.plan(number, len(chosen))
        found = exchange.work(chosen, plan, arrays, strategy.direction)
        results = sorted(found, key=lambda one: one.device)
        require_answers(results, chosen)
        for one in results:
            if plan.work == "train":
                require_fit(one, arrays)
            else:
                require_sums(one, results[0])
        used = RoundResults(results=tuple(results))
        if plan.work == "train":
            used = bound_results(arrays, results, strategy.bound)
        if used.results:
            made = strategy.aggregate(arrays, used.results)
            arrays = made if are_finite(made) else arrays
        if observe is not None:
            observe(number, arrays, used)
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


def require_answers(results: Sequence[LocalResult], chosen: Sequence[str]) -> None:
    """Raise EdgeError unless each chosen device has answered once, under its own name."""
    found = [one.device for one in results]
    if found != sorted(chosen):
        raise EdgeError(
            f"training over devices: expected one answer of each of {', '.join(chosen)}, found "
            f"{', '.join(found) or 'none'}",
            "find the node that answers under another device's name",
        )


def require_sums(result: LocalResult, first: LocalResult) -> None:
    """Raise EdgeError for sums with other names or shapes than another device's, or that no facts
    sum up to: whole numbers of at least 0, at most 255 a fact and column, its square for products,
    so that no sum of devices overflows."""
    expected = {name: value.shape for name, value in first.arrays.items()}
    found = {name: value.shape for name, value in result.arrays.items()}
    whole = all(
        value.dtype.kind in "iu" and np.can_cast(value.dtype, np.int64) and (value >= 0).all()
        for value in result.arrays.values()
    )
    named = expected.keys() == SUMS and expected["features"][:1] == expected["counts"]
    if expected != found or not whole or not named:
        raise EdgeError(
            f"training over devices: the sums of {result.device} do not fit those of "
            f"{first.device}: expected whole numbers of shapes {expected}, found {found}; of "
            f"{', '.join(sorted(SUMS))}",
            "let all devices run the same release with the same settings",
        )
    counts = result.arrays["counts"].astype(np.int64)
    facts = int(min(counts.sum(), limits.CONTRIBUTED_SAMPLES_MAX + 1))
    most = {
        "counts": limits.CONTRIBUTED_SAMPLES_MAX,
        "features": 255 * counts[:, None],
        "gram": 255 * 255 * facts,
    }
    if facts > limits.CONTRIBUTED_SAMPLES_MAX or any(
        (value > most[name]).any() for name, value in result.arrays.items()
    ):
        raise EdgeError(
            f"training over devices: no {facts} facts sum up to the sums of {result.device}",
            "leave the device out",
        )


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
