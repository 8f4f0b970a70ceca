"""The formulas of the adaptor kinds in torch, for the gradients of training.

To add a kind: one class, and one line in TORCH_KINDS.  A test compares each with its class in
`edge.core.adaptors.KINDS`, which serves.
"""

from collections.abc import Mapping
from typing import Final, Protocol

import torch
from torch import Tensor
from torch.nn import functional

import nas

Parameters = Mapping[str, Tensor]
Sizes = tuple[int, ...]


class TorchKind(Protocol):
    """A kind of adaptor in torch.  sizes: columns of each tap."""

    def columns(
        self, blueprint: nas.Blueprint, parameters: Parameters, sizes: Sizes, rows: Tensor
    ) -> Tensor:
        """Compute the inputs of the head: float32 [n, read] -> [n, out]."""

    def logits(
        self, blueprint: nas.Blueprint, parameters: Parameters, sizes: Sizes, rows: Tensor
    ) -> Tensor:
        """Compute columns(rows) @ top, small products first: float32 [n, read] -> [n, labels]."""


class _ByColumns:
    """Base of the kinds whose scores are computed from all columns."""

    def columns(
        self, blueprint: nas.Blueprint, parameters: Parameters, sizes: Sizes, rows: Tensor
    ) -> Tensor:
        """See `TorchKind`."""
        raise NotImplementedError

    def logits(
        self, blueprint: nas.Blueprint, parameters: Parameters, sizes: Sizes, rows: Tensor
    ) -> Tensor:
        """See `TorchKind`."""
        return self.columns(blueprint, parameters, sizes, rows) @ parameters["top"]


class TorchLinear:
    """See `LinearAdaptor`."""

    def columns(
        self, blueprint: nas.Blueprint, parameters: Parameters, sizes: Sizes, rows: Tensor
    ) -> Tensor:
        """See `TorchKind`."""
        del blueprint, sizes
        return rows @ parameters["W"]

    def logits(
        self, blueprint: nas.Blueprint, parameters: Parameters, sizes: Sizes, rows: Tensor
    ) -> Tensor:
        """See `TorchKind`."""
        del blueprint, sizes
        return _few(rows, _few(parameters["W"], parameters["top"]))


class TorchLowRank:
    """See `LowRankAdaptor`."""

    def columns(
        self, blueprint: nas.Blueprint, parameters: Parameters, sizes: Sizes, rows: Tensor
    ) -> Tensor:
        """See `TorchKind`."""
        del sizes
        for layer in range(blueprint.depth):
            inner = torch_activate(blueprint.activation, rows @ parameters[f"U{layer}"])
            rows = rows + inner @ parameters[f"V{layer}"]
        return rows

    def logits(
        self, blueprint: nas.Blueprint, parameters: Parameters, sizes: Sizes, rows: Tensor
    ) -> Tensor:
        """See `TorchKind`.

        A column is that of the row plus the additions of all layers, so that each layer reads the
        row and, through rank-sized products, the layers before it.
        """
        del sizes
        depth = range(blueprint.depth)
        readers = [*(parameters[f"U{layer}"] for layer in depth), parameters["top"]]
        widths = [one.shape[1] for one in readers]
        read = torch.split(_few(rows, torch.cat(readers, dim=1)), widths, 1)
        scores, added = read[-1], list[Tensor]()
        for raw, reader in zip(read, readers, strict=True):
            through = [one @ (parameters[f"V{at}"] @ reader) for at, one in enumerate(added)]
            scores = torch.stack([raw, *through]).sum(dim=0)
            added.append(torch_activate(blueprint.activation, scores))
        return scores


class TorchBottleneck(_ByColumns):
    """See `BottleneckAdaptor`."""

    def columns(
        self, blueprint: nas.Blueprint, parameters: Parameters, sizes: Sizes, rows: Tensor
    ) -> Tensor:
        """See `TorchKind`."""
        del sizes
        for layer in range(blueprint.depth + 1):
            rows = torch_activate(blueprint.activation, rows @ parameters[f"W{layer}"])
        return rows


class TorchFusion:
    """See `FusionAdaptor`."""

    def columns(
        self, blueprint: nas.Blueprint, parameters: Parameters, sizes: Sizes, rows: Tensor
    ) -> Tensor:
        """See `TorchKind`."""
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

    def logits(
        self, blueprint: nas.Blueprint, parameters: Parameters, sizes: Sizes, rows: Tensor
    ) -> Tensor:
        """See `TorchKind`."""
        top = parameters["top"]
        if blueprint.activation == "none":
            narrow = {f"W{tap}": _few(parameters[f"W{tap}"], top) for tap in range(len(sizes))}
            return self.columns(blueprint, {**parameters, **narrow}, sizes, rows)
        return self.columns(blueprint, parameters, sizes, rows) @ top


class TorchHydra(_ByColumns):
    """See `HydraAdaptor`."""

    def columns(
        self, blueprint: nas.Blueprint, parameters: Parameters, sizes: Sizes, rows: Tensor
    ) -> Tensor:
        """See `TorchKind`."""
        del sizes
        passed = rows @ parameters["W"] if blueprint.width else rows
        inner = torch_activate(blueprint.activation, rows @ parameters["U0"])
        return passed + inner @ parameters["V0"] + passed @ parameters["U1"] @ parameters["V1"]


class TorchTaps(_ByColumns):
    """See `TapAdaptor`; `factor` among the parameters is the scaling of the columns."""

    residual = True
    up = "V"

    def columns(
        self, blueprint: nas.Blueprint, parameters: Parameters, sizes: Sizes, rows: Tensor
    ) -> Tensor:
        """See `TorchKind`."""
        factors = torch.split(parameters["factor"], list(sizes))
        made = []
        for tap, columns in enumerate(torch.split(rows, list(sizes), dim=1)):
            passed = columns
            if blueprint.depth > 1:
                inner = (passed / factors[tap]) @ parameters[f"B{tap}"]
                added = torch_activate(blueprint.activation, inner) @ parameters[f"{self.up}b{tap}"]
                added = added * factors[tap]
                passed = passed + added if self.residual else added
            inner = torch_activate(blueprint.activation, passed @ parameters[f"U{tap}"])
            added = inner @ parameters[f"{self.up}{tap}"]
            made.append(passed + added if self.residual else added)
        return torch.cat(made, dim=1)


class TorchDirectTaps(TorchTaps):
    """See `DirectTapAdaptor`."""

    residual = False
    up = "E"


class TorchParallelTaps(_ByColumns):
    """See `ParallelTapAdaptor`; `factor` among the parameters is the scaling of the columns."""

    def columns(
        self, blueprint: nas.Blueprint, parameters: Parameters, sizes: Sizes, rows: Tensor
    ) -> Tensor:
        """See `TorchKind`."""
        factors = torch.split(parameters["factor"], list(sizes))
        made = []
        for tap, columns in enumerate(torch.split(rows, list(sizes), dim=1)):
            inner = (columns / factors[tap]) @ parameters[f"U{tap}"]
            added = torch_activate(blueprint.activation, inner) @ parameters[f"V{tap}"]
            made.append(columns + added)
        return torch.cat(made, dim=1)


class TorchSparse:
    """See `SparseAdaptor`; gradients reach the values, not the places."""

    def columns(
        self, blueprint: nas.Blueprint, parameters: Parameters, sizes: Sizes, rows: Tensor
    ) -> Tensor:
        """See `TorchKind`."""
        del blueprint, sizes
        source, target = (torch_places(parameters[n], rows.shape[1]) for n in ("row", "column"))
        return rows.index_add(1, target, rows[:, source] * parameters["value"])

    def logits(
        self, blueprint: nas.Blueprint, parameters: Parameters, sizes: Sizes, rows: Tensor
    ) -> Tensor:
        """See `TorchKind`: the deltas change the top, then one product with the rows."""
        del blueprint, sizes
        top = parameters["top"]
        source, target = (torch_places(parameters[n], rows.shape[1]) for n in ("row", "column"))
        return _few(rows, top.index_add(0, source, parameters["value"][:, None] * top[target]))


class TorchPool(_ByColumns):
    """See `PoolAdaptor`; no gradient reaches the keys through the choice."""

    def columns(
        self, blueprint: nas.Blueprint, parameters: Parameters, sizes: Sizes, rows: Tensor
    ) -> Tensor:
        """See `TorchKind`."""
        del sizes
        chosen = choose_keys(parameters["K"], rows)
        made = torch.zeros_like(rows)
        for one in range(blueprint.depth):
            at = (chosen == one).nonzero()[:, 0]
            part = rows[at]
            if blueprint.rank:
                part = part + part @ parameters[f"U{one}"] @ parameters[f"V{one}"]
            else:
                part = part * (1 + parameters[f"g{one}"])
            made = made.index_copy(0, at, part)
        return made


class TorchRouted(_ByColumns):
    """See `RoutedAdaptor`."""

    def columns(
        self, blueprint: nas.Blueprint, parameters: Parameters, sizes: Sizes, rows: Tensor
    ) -> Tensor:
        """See `TorchKind`."""
        del sizes
        inner = torch_activate(blueprint.activation, rows @ parameters["U"])
        return rows + inner @ parameters["V"]


class TorchMixture(_ByColumns):
    """See `MixtureAdaptor`."""

    def columns(
        self, blueprint: nas.Blueprint, parameters: Parameters, sizes: Sizes, rows: Tensor
    ) -> Tensor:
        """See `TorchKind`."""
        del sizes
        gates = torch.softmax(rows @ parameters["F"], dim=1)
        made = (
            rows + torch_activate(blueprint.activation, rows @ parameters["U"]) @ parameters["Vt"]
        )
        for one in range(blueprint.depth):
            inner = torch_activate(blueprint.activation, rows @ parameters[f"D{one}"])
            made = made + gates[:, one + 1, None] * (inner @ parameters[f"V{one}"])
        return made


TORCH_KINDS: Final[Mapping[str, TorchKind]] = {
    "linear": TorchLinear(),
    "lowrank": TorchLowRank(),
    "sliced": TorchLowRank(),
    "bottleneck": TorchBottleneck(),
    "fusion": TorchFusion(),
    "hydra": TorchHydra(),
    "adapter": TorchTaps(),
    "adapter_parallel": TorchParallelTaps(),
    "adapter_direct": TorchDirectTaps(),
    "sparse": TorchSparse(),
    "pool": TorchPool(),
    "mhr": TorchRouted(),
    "mhr_z": TorchRouted(),
    "mhr_mu": TorchRouted(),
    "mixture": TorchMixture(),
}
"""Every kind that is trained by gradients: all but `SOLVED_KINDS`."""


def choose_keys(keys: Tensor, rows: Tensor) -> Tensor:
    """Return the key [pool, read] with the largest cosine with each row [n, read]: int64 [n]."""
    with torch.no_grad():
        lengths = keys.square().sum(dim=1).sqrt().clamp(min=1e-12)
        return (rows @ keys.t() / lengths).argmax(dim=1)


def torch_places(numbers: Tensor, read: int) -> Tensor:
    """Return stored places as indices of columns, int64; whatever is stored stays inside."""
    return numbers.detach().round().clamp(0, read - 1).to(torch.int64)


def _few(rows: Tensor, narrow: Tensor) -> Tensor:
    """Multiply rows [n, m] by a matrix of few columns [m, k], transposed: up to four times
    faster."""
    return (narrow.t().contiguous() @ rows.t()).t()


def torch_activate(name: str, values: Tensor) -> Tensor:
    """Apply an activation as in serving."""
    if name == "relu":
        return torch.relu(values)
    if name == "tanh":
        return torch.tanh(values)
    return functional.gelu(values, approximate="tanh") if name == "gelu" else values
