"""The formulas of the adaptor kinds in torch, for the gradients of training.

A test compares them with `edge.core.adaptors.KINDS`, which serves.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

import nas

Parameters = Mapping[str, Tensor]


def torch_transform(
    blueprint: nas.Blueprint, parameters: Parameters, sizes: tuple[int, ...], rows: Tensor
) -> Tensor:
    """Compute the inputs of the head: float32 [n, read] -> [n, out]."""
    if blueprint.kind == "linear":
        return rows @ parameters["W"]
    if blueprint.kind in {"lowrank", "sliced"}:
        for layer in range(blueprint.depth):
            inner = torch_activate(blueprint.activation, rows @ parameters[f"U{layer}"])
            rows = rows + inner @ parameters[f"V{layer}"]
        return rows
    if blueprint.kind == "bottleneck":
        for layer in range(blueprint.depth + 1):
            rows = torch_activate(blueprint.activation, rows @ parameters[f"W{layer}"])
        return rows
    return _fuse(blueprint, parameters, sizes, rows)


def torch_logits(
    blueprint: nas.Blueprint, parameters: Parameters, sizes: tuple[int, ...], rows: Tensor
) -> Tensor:
    """Compute transform(rows) @ top: float32 [n, read] -> [n, labels], small products first.

    Matrices without an activation between them are multiplied before the rows: a few columns
    instead of hundreds, forwards and backwards.  Equal up to rounding.
    """
    top = parameters["top"]
    if blueprint.kind == "linear":
        return _few(rows, _few(parameters["W"], top))
    if blueprint.kind in {"lowrank", "sliced"}:
        return _residual(blueprint, parameters, rows)
    if blueprint.kind == "fusion" and blueprint.activation == "none":
        narrow = {f"W{tap}": _few(parameters[f"W{tap}"], top) for tap in range(len(sizes))}
        return _fuse(blueprint, {**parameters, **narrow}, sizes, rows)
    return torch_transform(blueprint, parameters, sizes, rows) @ top


def _few(rows: Tensor, narrow: Tensor) -> Tensor:
    """Multiply rows [n, m] by a matrix of few columns [m, k], transposed: up to four times
    faster."""
    return (narrow.t().contiguous() @ rows.t()).t()


def _residual(blueprint: nas.Blueprint, parameters: Parameters, rows: Tensor) -> Tensor:
    """Score the columns of `lowrank` without computing them: a column is that of the row plus the
    additions of all layers, so that each layer reads the row and, through rank-sized products, the
    layers before it."""
    readers = [*(parameters[f"U{layer}"] for layer in range(blueprint.depth)), parameters["top"]]
    read = torch.split(_few(rows, torch.cat(readers, dim=1)), [one.shape[1] for one in readers], 1)
    scores, added = read[-1], list[Tensor]()
    for raw, reader in zip(read, readers, strict=True):
        through = [one @ (parameters[f"V{at}"] @ reader) for at, one in enumerate(added)]
        scores = torch.stack([raw, *through]).sum(dim=0)
        added.append(torch_activate(blueprint.activation, scores))
    return scores


def _fuse(
    blueprint: nas.Blueprint, parameters: Parameters, sizes: tuple[int, ...], rows: Tensor
) -> Tensor:
    if blueprint.rank:
        raw = torch.relu(rows @ parameters["G"]) @ parameters["F"]
    else:
        raw = parameters["g"].expand(len(rows), -1)
    gates = torch.softmax(raw, dim=1)
    taps = torch.split(rows, list(sizes), dim=1)
    parts = [
        gates[:, tap, None] * _few(columns, parameters[f"W{tap}"])
        for tap, columns in enumerate(taps)
    ]
    return torch_activate(blueprint.activation, torch.stack(parts).sum(dim=0))


def torch_activate(name: str, values: Tensor) -> Tensor:
    """Apply an activation as in serving."""
    if name == "relu":
        return torch.relu(values)
    if name == "tanh":
        return torch.tanh(values)
    return functional.gelu(values, approximate="tanh") if name == "gelu" else values
