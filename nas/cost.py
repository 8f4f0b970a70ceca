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

NUMBER_BYTES: Final = 4
"""Bytes of a float32."""
BLOCK_LANDMARKS: Final = 64
"""Landmarks of a kernel that are compared in one pass: BLOCK of edge/core/adaptors/kernel.py."""
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
    read = sum(shape.columns[tap] for tap in blueprint.taps)
    if blueprint.kind == "kernel":
        return _kernel_cost(blueprint.width, read, shape.classes)
    trained = count_trained(blueprint, read)
    head = (blueprint.width or read) * shape.classes
    additions, calls = read, 4
    if blueprint.kind == "random":
        additions += _hadamard_additions(blueprint, read)
        calls += 2 * blueprint.depth
    elif blueprint.kind == "fusion":
        calls += 2 * len(blueprint.taps) + 2
    elif blueprint.kind != "none":
        calls += 2 * (blueprint.depth + 1)
    nbytes = NUMBER_BYTES * (trained + 2 * read + head + shape.classes)
    return Cost(nbytes, trained + head, additions, calls)


def _kernel_cost(width: int, read: int, classes: int) -> Cost:
    """Return the cost of a kernel: landmarks at a byte per column, their lengths and sums, weights,
    scales, penalty."""
    size, head = width * read, width * classes
    nbytes = size + NUMBER_BYTES * (2 * width + head + classes + 2 * read + 1)
    return Cost(nbytes, size + head, read, 6 + 2 * -(-width // BLOCK_LANDMARKS), size)


def count_trained(blueprint: Blueprint, read: int) -> int:
    """Return the number of trained parameters of a blueprint that reads so many columns."""
    width, rank, depth, taps = blueprint.width, blueprint.rank, blueprint.depth, blueprint.taps
    if blueprint.kind == "linear":
        return read * width
    if blueprint.kind in {"lowrank", "sliced"}:
        return 2 * depth * read * rank
    if blueprint.kind == "bottleneck":
        return read * rank + rank * width + (depth - 1) * width * width
    if blueprint.kind == "fusion":
        gates = (read + len(taps)) * rank if rank else len(taps)
        return read * width + gates
    return 0


def _hadamard_additions(blueprint: Blueprint, read: int) -> int:
    """Return the additions of the Hadamard transforms of random features."""
    levels = max(1, (read - 1).bit_length())
    blocks = -(-blueprint.width // (1 << levels))
    return blueprint.depth * blocks * (1 << levels) * levels


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
