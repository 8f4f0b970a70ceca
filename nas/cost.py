"""What an adaptor with its head would cost, before it exists: bytes, multiply-adds, milliseconds.

Bytes and multiply-adds follow from the blueprint and agree with what the built adaptor declares.
Milliseconds are those of one device: the worker times a few built adaptors there and hands over
the measurements; nothing here looks at a clock.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from .blueprint import AdaptorBudget, Blueprint
from .errors import NasError

NUMBER_BYTES: Final = 4
COMPARED: Final = 64
"""Landmarks of a kernel that are compared in one pass."""
TERMS: Final = 4
"""Coefficients of a device."""


@dataclass(frozen=True, slots=True)
class AdaptorShape:
    """What an adaptor must fit.  columns: of each of the encoder's taps.  classes: told apart."""

    columns: tuple[int, ...]
    classes: int


@dataclass(frozen=True, slots=True)
class Cost:
    """Of an adaptor with its head.

    nbytes: of parameters, scales of the columns read included.  products: multiply-adds of matrix
    products a sample.  additions: of Hadamard transforms and scaling.  calls: passes over an array.
    conversions: bytes that become numbers before they are multiplied.
    """

    nbytes: int
    products: int
    additions: int
    calls: int
    conversions: int = 0

    @property
    def operations(self) -> int:
        """Multiply-adds a sample; an addition counts as one."""
        return self.products + self.additions


@dataclass(frozen=True, slots=True)
class DeviceSpeed:
    """Milliseconds a pass over an array, a million multiply-adds, a million additions and a million
    conversions take."""

    call_ms: float
    product_ms: float
    addition_ms: float
    conversion_ms: float

    def latency_ms(self, cost: Cost) -> float:
        """Milliseconds of one sample."""
        work = self.product_ms * cost.products + self.addition_ms * cost.additions
        work += self.conversion_ms * cost.conversions
        return self.call_ms * cost.calls + work / 1e6


def count_cost(blueprint: Blueprint, shape: AdaptorShape) -> Cost:
    """Count what a blueprint costs on a task of this shape."""
    read = sum(shape.columns[tap] for tap in blueprint.taps)
    if blueprint.kind == "kernel":
        return _compared(blueprint.width, read, shape.classes)
    trained = count_trained(blueprint, read)
    head = (blueprint.width or read) * shape.classes
    additions, calls = read, 4
    if blueprint.kind == "random":
        additions += _mixing(blueprint, read)
        calls += 2 * blueprint.depth
    elif blueprint.kind == "fusion":
        calls += 2 * len(blueprint.taps) + 2
    elif blueprint.kind != "none":
        calls += 2 * (blueprint.depth + 1)
    nbytes = NUMBER_BYTES * (trained + 2 * read + head + shape.classes)
    return Cost(nbytes, trained + head, additions, calls)


def _compared(width: int, read: int, classes: int) -> Cost:
    """Count a kernel's landmarks, a byte a column, with their lengths, weights, scales, penalty."""
    size, head = width * read, width * classes
    nbytes = size + NUMBER_BYTES * (width + head + classes + 2 * read + 1)
    return Cost(nbytes, size + head, read, 6 + 2 * -(-width // COMPARED), size)


def count_trained(blueprint: Blueprint, read: int) -> int:
    """Count the trained numbers of a blueprint that reads so many columns."""
    width, rank, depth, taps = blueprint.width, blueprint.rank, blueprint.depth, blueprint.taps
    if blueprint.kind == "linear":
        return read * width
    if blueprint.kind == "lowrank":
        return 2 * depth * read * rank
    if blueprint.kind == "bottleneck":
        return read * rank + rank * width + (depth - 1) * width * width
    if blueprint.kind == "fusion":
        gates = (read + len(taps)) * rank if rank else len(taps)
        return read * width + gates
    return 0


def _mixing(blueprint: Blueprint, read: int) -> int:
    """Count the additions of the Hadamard transforms of random features."""
    levels = max(1, (read - 1).bit_length())
    blocks = -(-blueprint.width // (1 << levels))
    return blueprint.depth * blocks * (1 << levels) * levels


def budget_excess(cost: Cost, budget: AdaptorBudget, device: DeviceSpeed) -> str | None:
    """Name the limit that a cost exceeds, or None where it fits."""
    if cost.nbytes > budget.nbytes:
        return "bytes"
    if cost.operations > budget.operations:
        return "operations"
    return "milliseconds" if device.latency_ms(cost) > budget.latency_ms else None


def probe_blueprints(taps: int) -> tuple[Blueprint, ...]:
    """Blueprints that between them exercise every term of `Device`, to be timed on it."""
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
    """Fit a device's coefficients to (cost, milliseconds) of adaptors timed on it.

    Least squares of the relative errors, no coefficient negative.  Raises NasError for fewer than
    four measurements, or one that is not positive.
    """
    times = np.array([time for _, time in measured])
    if len(times) < TERMS or not np.all(times > 0):
        raise NasError(
            f"fitting a device's speed: expected {TERMS} timings above 0, found {times.tolist()}",
            "time the adaptors of `probes` on the device",
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
    """What a cost asks of a device, in the order of its coefficients."""
    return cost.calls, cost.products / 1e6, cost.additions / 1e6, cost.conversions / 1e6
