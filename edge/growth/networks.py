"""The kinds' formulas once more, in torch, because training needs their gradients.

A test holds them against `edge.core.adaptors.KINDS`, which serves.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

import nas

Parameters = Mapping[str, Tensor]


def transform(
    blueprint: nas.Blueprint, parameters: Parameters, sizes: tuple[int, ...], rows: Tensor
) -> Tensor:
    """Compute the columns for the head: float32 [n, read] -> [n, out]."""
    if blueprint.kind == "linear":
        return rows @ parameters["W"]
    if blueprint.kind == "lowrank":
        for layer in range(blueprint.depth):
            inner = activate(blueprint.activation, rows @ parameters[f"U{layer}"])
            rows = rows + inner @ parameters[f"V{layer}"]
        return rows
    if blueprint.kind == "bottleneck":
        for layer in range(blueprint.depth + 1):
            rows = activate(blueprint.activation, rows @ parameters[f"W{layer}"])
        return rows
    return _fuse(blueprint, parameters, sizes, rows)


def _fuse(
    blueprint: nas.Blueprint, parameters: Parameters, sizes: tuple[int, ...], rows: Tensor
) -> Tensor:
    if blueprint.rank:
        raw = torch.relu(rows @ parameters["G"]) @ parameters["F"]
    else:
        raw = parameters["g"].expand(len(rows), -1)
    gates = torch.softmax(raw, dim=1)
    taps = torch.split(rows, list(sizes), dim=1)
    fused = torch.zeros(len(rows), blueprint.width)
    for tap, columns in enumerate(taps):
        fused = fused + gates[:, tap, None] * (columns @ parameters[f"W{tap}"])
    return activate(blueprint.activation, fused)


def activate(name: str, values: Tensor) -> Tensor:
    """Apply an activation as the serving side does."""
    if name == "relu":
        return torch.relu(values)
    if name == "tanh":
        return torch.tanh(values)
    return functional.gelu(values, approximate="tanh") if name == "gelu" else values
