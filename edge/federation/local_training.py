"""What one device does in a round: a few steps of gradient descent on its own facts."""

import hashlib
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from .arrays import Arrays, add_scaled, are_finite, cosine, difference, inner_product

Work = Literal["train", "sums"]
LocalRule = Literal["fixed", "hyper", "relative"]

HYPER_GROWTH_MAX: Final = 1.1
"""Most that a step multiplies a client-side rate by: the value of the authors' code."""
HYPER_GLOBAL: Final = 0.1
"""Weight of the fleet's last update in the client-side hypergradient, over the number of devices:
the value of the authors' code."""
HYPER_BOUND: Final = 10.0
"""Client-side rates stay between the initial rate over this and times this: the value of the
authors' code."""
RELATIVE_STEP: Final = 0.3
"""Change of the logarithm of a rate for two gradients in the same direction.  Chosen by
hand; effect not measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPlan:
    """What every device does in a round.

    number: of the round, from 1.  work: steps of training, or exact sums.  rate: learning rate of
    the first step.  base: the rate that bounds refer to.  steps, batch: of gradient descent.
    seed: of the run; a device's own randomness follows from it, the round and its name.  proximal:
    weight of the distance from the fleet's model (FedProx).  rule: how the rate changes between
    steps.  devices: taking part in the round.
    """

    number: int
    work: Work = "train"
    rate: float = 0.1
    base: float = 0.1
    steps: int = 10
    batch: int = 32
    seed: int = 0
    proximal: float = 0.0
    rule: LocalRule = "fixed"
    devices: int = 1


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LocalResult:
    """A device's answer.  examples: facts it trained on.  arrays: its model, or its sums.  loss:
    of the fleet's model on its first batch.  rate: of its last step."""

    device: str
    examples: int
    arrays: Arrays
    loss: float = 0.0
    rate: float = 0.0


class FederatedTask(Protocol):
    """What a device trains.  Its facts stay in it."""

    @property
    def examples(self) -> int:
        """Number of facts that it trains on."""

    def gradient(
        self, arrays: Arrays, batch: int, random: np.random.Generator
    ) -> tuple[float, dict[str, NDArray[Any]]]:
        """Return loss and gradient, float32 by the names of `arrays`, on a random batch."""

    def sums(self) -> dict[str, NDArray[Any]]:
        """Return the exact sums of its facts, integers of any width."""


def work_locally(
    device: str, task: FederatedTask, plan: LocalPlan, arrays: Arrays, direction: Arrays
) -> LocalResult:
    """Do a round's work on a device.

    arrays: the fleet's model.  direction: the fleet's last update, empty if there is none or the
    plan's rule does not read it.  Deterministic by seed, round and the device's name.  Cost:
    `steps` gradients.
    """
    if plan.work == "sums":
        return LocalResult(device=device, examples=task.examples, arrays=task.sums())
    random = np.random.default_rng(device_seed(plan.seed, plan.number, device))
    current: dict[str, NDArray[Any]] = {name: value.copy() for name, value in arrays.items()}
    rates = _Rates(plan, direction)
    loss = 0.0
    with np.errstate(over="ignore", invalid="ignore"):
        for step in range(plan.steps):
            found, gradient = task.gradient(current, plan.batch, random)
            loss = found if step == 0 else loss
            if plan.proximal:
                gradient = add_scaled(gradient, difference(current, arrays), plan.proximal)
            moved = add_scaled(current, gradient, -rates.next(gradient))
            if not are_finite(moved):
                break
            current = moved
    return LocalResult(
        device=device, examples=task.examples, arrays=current, loss=loss, rate=rates.rate
    )


def device_seed(seed: int, number: int, device: str) -> int:
    """Return the seed of a device in a round: it depends on no other device, so that a fleet
    without one trains the others as if that one had never been there."""
    digest = hashlib.sha256(f"{seed}\n{number}\n{device}".encode()).digest()
    return int.from_bytes(digest[:8], "little")


class _Rates:
    """The learning rate from step to step.

    fixed: as planned.  hyper: FedHyper's client-side rate, FedHyper-CL in the authors' code: the
    rate grows with the inner product of successive updates, and with that of an update and the
    fleet's last one.  relative: with the cosine of successive gradients in place of inner products,
    so that it does not depend on the scale of loss or parameters (after Baydin et al. 2018, "Online
    learning rate adaptation with hypergradient descent", the multiplicative rule).
    """

    def __init__(self, plan: LocalPlan, direction: Arrays) -> None:
        self._plan, self._direction = plan, direction
        self.rate = plan.rate
        self._first = True
        self._last = direction

    def next(self, gradient: Arrays) -> float:
        """Return the rate of the coming step."""
        used = self.rate
        if self._plan.rule == "hyper":
            self._follow_updates({name: -used * value for name, value in gradient.items()})
        elif self._plan.rule == "relative":
            if self._last:
                self.rate *= float(np.exp(RELATIVE_STEP * cosine(gradient, self._last)))
                used = self.rate
            self._last = gradient
        return used

    def _follow_updates(self, update: Arrays) -> None:
        """Set the rate of the step after this one, as in the authors' code: not after the first."""
        plan = self._plan
        if not self._first:
            growth = 1.0
            if self._direction:
                own = inner_product(update, self._direction)
                growth += HYPER_GLOBAL * own / plan.devices
            if self._last:
                growth += inner_product(update, self._last)
            growth = min(HYPER_GROWTH_MAX, growth)
            low, high = plan.base / HYPER_BOUND, plan.base * HYPER_BOUND
            wanted = self.rate * growth
            self.rate = min(high, max(low, wanted)) if np.isfinite(wanted) else low
            self._last = update
        self._first = False
