"""The cost of an adaptor with its head, from its blueprint: bytes, multiply-adds, milliseconds.

Bytes and multiply-adds equal those that the fitted adaptor declares.  Milliseconds depend on the
device: the worker times a few adaptors there and passes the measurements; nothing here reads a
clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from .blueprint import AdaptorBudget, Blueprint
from .errors import NasError
from .search_kinds import SEARCH_KINDS

NUMBER_BYTES: Final = 4
"""Bytes of a float32."""
CALLS: Final = 4
"""Passes over an array of any adaptor: root, centre and factor of the columns, and the head."""
TERMS: Final = 4
"""Fields of DeviceSpeed, the coefficients of a fit."""


@dataclass(frozen=True, slots=True)
class AdaptorShape:
    """The dimensions of a task.  columns: of each tap of the encoder.  classes: number of
    labels."""

    columns: tuple[int, ...]
    classes: int


@dataclass(frozen=True, slots=True)
class Cost:
    """The cost of an adaptor with its head, per sample.

    nbytes: of parameters, column scales included.  products: multiply-adds of matrix products.
    additions: of Hadamard transforms and scaling.  calls: passes over an array.  conversions: bytes
    converted to floats before a product.
    """

    nbytes: int
    products: int
    additions: int
    calls: int
    conversions: int = 0

    @property
    def operations(self) -> int:
        """Multiply-adds per sample; an addition counts as one."""
        return self.products + self.additions


@dataclass(frozen=True, slots=True)
class DeviceSpeed:
    """Milliseconds per pass over an array, and per million multiply-adds, additions and
    conversions."""

    call_ms: float
    product_ms: float
    addition_ms: float
    conversion_ms: float

    def latency_ms(self, cost: Cost) -> float:
        """Return the milliseconds of one sample."""
        work = self.product_ms * cost.products + self.addition_ms * cost.additions
        work += self.conversion_ms * cost.conversions
        return self.call_ms * cost.calls + work / 1e6


def count_cost(blueprint: Blueprint, shape: AdaptorShape) -> Cost:
    """Return the cost of a blueprint on a task of this shape."""
    sizes = tuple(shape.columns[tap] for tap in blueprint.taps)
    read = sum(sizes)
    work = SEARCH_KINDS[blueprint.kind].work(blueprint, sizes)
    head = (blueprint.width or read) * shape.classes
    numbers = work.numbers + 2 * read + head + shape.classes
    return Cost(
        nbytes=NUMBER_BYTES * numbers + work.nbytes,
        products=work.products + head,
        additions=work.additions + read,
        calls=work.calls + CALLS,
        conversions=work.conversions,
    )


def budget_excess(cost: Cost, budget: AdaptorBudget, device: DeviceSpeed) -> str | None:
    """Return the name of the first exceeded limit, or None for a cost within the budget."""
    if cost.nbytes > budget.nbytes:
        return "bytes"
    if cost.operations > budget.operations:
        return "operations"
    return "milliseconds" if device.latency_ms(cost) > budget.latency_ms else None


def probe_blueprints(taps: int) -> tuple[Blueprint, ...]:
    """Return blueprints to time on a device, which together determine every field of
    `DeviceSpeed`."""
    every = tuple(range(taps))
    return (
        Blueprint(kind="none", taps=every),
        Blueprint(kind="none", taps=(0,)),
        Blueprint(kind="linear", taps=every, width=256),
        Blueprint(kind="linear", taps=(0,), width=16),
        Blueprint(kind="lowrank", taps=every, rank=32, activation="relu", depth=2),
        Blueprint(kind="bottleneck", taps=every, width=256, rank=64, activation="relu", depth=2),
        Blueprint(kind="random", taps=every, width=4_096, activation="relu"),
        Blueprint(kind="random", taps=every, width=512, activation="relu"),
        Blueprint(kind="random", taps=(0,), width=4_096, activation="relu", depth=3),
        Blueprint(kind="kernel", taps=every, width=2_048),
        Blueprint(kind="kernel", taps=(0,), width=512),
    )


def fit_device(measured: Sequence[tuple[Cost, float]]) -> DeviceSpeed:
    """Fit the speed of a device to (cost, milliseconds) of adaptors timed on it.

    Non-negative least squares of the relative errors.  Raises NasError for fewer than four
    measurements, or one that is not positive.
    """
    times = np.array([time for _, time in measured])
    if len(times) < TERMS or not np.all(times > 0):
        raise NasError(
            f"fitting a device's speed: expected {TERMS} timings above 0, found {times.tolist()}",
            "time the adaptors of `probe_blueprints` on the device",
        )
    terms = np.array([_terms(cost) for cost, _ in measured])
    scaled = terms / times[:, None]
    best, found = np.inf, np.zeros(TERMS)
    for used in (list(c) for size in range(TERMS) for c in combinations(range(TERMS), size + 1)):
        part = np.linalg.lstsq(scaled[:, used], np.ones(len(times)), rcond=None)[0]
        error = float(np.square(scaled[:, used] @ part - 1).sum())
        if np.all(part >= 0) and error < best:
            best, found = error, np.zeros(TERMS)
            found[used] = part
    return DeviceSpeed(*map(float, found))


def _terms(cost: Cost) -> tuple[float, float, float, float]:
    """Return the terms of a cost in the order of the fields of `DeviceSpeed`."""
    return cost.calls, cost.products / 1e6, cost.additions / 1e6, cost.conversions / 1e6
