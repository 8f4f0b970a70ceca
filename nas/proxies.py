"""Zero-shot proxies by name: a higher score predicts a higher accuracy after training.

Each proxy scores many blueprints on one sketch.  Those of the literature build a network with
random weights and a random linear top, and evaluate it once; `tangent` is ours and builds none.
Only functions that need gradients import torch, in the worker process."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from . import tangent
from .blueprint import Blueprint
from .cost import count_cost
from .errors import NasError
from .sketch import TaskSketch, sample

if TYPE_CHECKING:
    from torch import Tensor

Scores = NDArray[np.float64]

BATCH_FACTS: Final = 32
"""Facts in the batch of a network: enough for the ranks of its matrices.  Chosen by hand; effect
not measured."""
TANGENT_FACTS: Final = 12
"""Facts in an empirical tangent kernel, at one backward pass each.  Chosen by hand; effect not
measured."""

# Keeps logarithms and divisors finite: the constant of jacob_cov's authors.
_TINY: Final = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class ProxyNetwork:
    """A transform in torch.  parameters: leaves by name, float32; forward: a function of parameters
    and standardised rows [n, read] that returns the inputs of the head [n, out]."""

    parameters: "dict[str, Tensor]"
    forward: "Callable[[dict[str, Tensor], Tensor], Tensor]"


class BuildNetwork(Protocol):
    """Builds the network of a blueprint with random weights.  sizes: columns of each tap read."""

    def __call__(self, blueprint: Blueprint, sizes: tuple[int, ...], seed: int) -> ProxyNetwork:
        """Build the network from a seed."""


class Proxy(Protocol):
    """A zero-shot score."""

    def __call__(
        self,
        blueprints: Sequence[Blueprint],
        sketch: TaskSketch,
        build: BuildNetwork | None,
        seed: int,
    ) -> Scores:
        """Score blueprints on a task: float64 [n], higher is better; the sketch is not modified.

        Raises NasError if the proxy needs networks and `build` is None.
        """


@dataclass(frozen=True, slots=True, eq=False)
class ProxyBatch:
    """A network, its linear top, and a batch of facts: rows [n, read], targets [n]."""

    network: ProxyNetwork
    top: "Tensor"
    rows: "Tensor"
    targets: "Tensor"

    @property
    def leaves(self) -> "list[Tensor]":
        """The parameters, those of the top last."""
        return [*self.network.parameters.values(), self.top]

    def columns(self, rows: "Tensor") -> "Tensor":
        """Compute the inputs of the top."""
        return self.network.forward(self.network.parameters, rows)

    def scores(self, rows: "Tensor") -> "Tensor":
        """Compute the scores of all labels."""
        return self.columns(rows) @ self.top

    def loss_gradients(self, part: slice) -> "list[Tensor]":
        """Return the gradients of the cross-entropy of some facts, one array per leaf."""
        import torch

        loss = torch.nn.functional.cross_entropy(self.scores(self.rows[part]), self.targets[part])
        return list(torch.autograd.grad(loss, self.leaves))


def count_parameters(
    blueprints: Sequence[Blueprint], sketch: TaskSketch, build: BuildNetwork | None, seed: int
) -> Scores:
    """Score by the bytes of the adaptor with its head, the baseline (Li et al. 2023, section 1)."""
    del build, seed
    return np.array([count_cost(one, sketch.shape).nbytes for one in blueprints], np.float64)


def count_operations(
    blueprints: Sequence[Blueprint], sketch: TaskSketch, build: BuildNetwork | None, seed: int
) -> Scores:
    """Score by the multiply-adds per sample."""
    del build, seed
    return np.array([count_cost(one, sketch.shape).operations for one in blueprints], np.float64)


def draw_weights(
    blueprints: Sequence[Blueprint], sketch: TaskSketch, build: BuildNetwork | None, seed: int
) -> Scores:
    """Score at random."""
    del sketch, build
    return np.random.default_rng(seed).random(len(blueprints))


def score_tangent(
    blueprints: Sequence[Blueprint], sketch: TaskSketch, build: BuildNetwork | None, seed: int
) -> Scores:
    """Score by the leave-one-out error with the tangent kernel, in closed form: see `tangent`."""
    del build
    return tangent.score(blueprints, sketch, seed)


def score_smoothed(
    blueprints: Sequence[Blueprint], sketch: TaskSketch, build: BuildNetwork | None, seed: int
) -> Scores:
    """Score by three measures of leave-one-out predictions in two draws, smoothed over designs: see
    `tangent.score_smoothed`."""
    del build
    return tangent.score_smoothed(blueprints, sketch, seed)[0]


def _of_network(evaluate: Callable[[ProxyBatch], float]) -> Proxy:
    """Make a proxy from a function of one network."""

    def proxy(
        blueprints: Sequence[Blueprint], sketch: TaskSketch, build: BuildNetwork | None, seed: int
    ) -> Scores:
        if build is None:
            raise NasError(
                "scoring networks: expected a function that builds them, found None",
                "pass `build`, or use smoothed, tangent, parameters, macs or random",
            )
        few = sample(sketch, BATCH_FACTS, 0, seed)
        return np.array([evaluate(_batch(one, few, build, seed)) for one in blueprints], np.float64)

    return proxy


def _batch(blueprint: Blueprint, sketch: TaskSketch, build: BuildNetwork, seed: int) -> ProxyBatch:
    import torch

    rows = torch.from_numpy(sketch.read(blueprint.taps))
    sizes = tuple(sketch.shape.columns[tap] for tap in blueprint.taps)
    network = build(blueprint, sizes, seed)
    with torch.no_grad():
        out = network.forward(network.parameters, rows[:1]).shape[1]
    drawn = np.random.default_rng(seed).standard_normal((out, sketch.shape.classes)) / np.sqrt(out)
    top = torch.from_numpy(drawn.astype(np.float32)).requires_grad_()
    return ProxyBatch(network, top, rows, torch.from_numpy(sketch.targets))


def norm_gradients(batch: ProxyBatch) -> float:
    """grad_norm: the sum of the layers' gradient norms (Abdelfattah et al. 2021, section 3.2)."""
    return float(sum(each.norm() for each in batch.loss_gradients(slice(None))))


def weigh_connections(batch: ProxyBatch) -> float:
    """Snip: sum of |weight * gradient| (Lee, Ajanthan & Torr 2019, section 4.1)."""
    return _saliency(batch.leaves, batch.loss_gradients(slice(None)))


def _saliency(leaves: "Sequence[Tensor]", gradients: "Sequence[Tensor]") -> float:
    """Return the sum of |weight * gradient|."""
    pairs = zip(leaves, gradients, strict=True)
    return float(sum((leaf.detach() * each).abs().sum() for leaf, each in pairs))


def trace_flow(batch: ProxyBatch) -> float:
    """Synflow: the flow from ones to the scores through absolute weights, in double precision
    (Tanaka et al. 2020, section 5)."""
    import torch

    positive = {
        name: leaf.detach().abs().double().requires_grad_()
        for name, leaf in batch.network.parameters.items()
    }
    top = batch.top.detach().abs().double().requires_grad_()
    ones = torch.ones(1, batch.rows.shape[1], dtype=torch.float64)
    flow = (batch.network.forward(positive, ones) @ top).sum()
    leaves = [*positive.values(), top]
    return _saliency(leaves, torch.autograd.grad(flow, leaves))


def correlate_jacobians(batch: ProxyBatch) -> float:
    """jacob_cov: dissimilarity of the input gradients of facts (Mellor et al. 2020, version 1)."""
    import torch

    rows = batch.rows.clone().requires_grad_()
    (found,) = torch.autograd.grad(batch.scores(rows).sum(), rows)
    values = np.linalg.eigvalsh(_correlations(found.double().numpy()))
    return float(-np.sum(np.log(values + _TINY) + 1 / (values + _TINY)))


def _correlations(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = rows - rows.mean(axis=1, keepdims=True)
    unit = centred / np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-12)
    return np.asarray(unit @ unit.T)


def count_regions(batch: ProxyBatch) -> float:
    """NASWOT: log-determinant of the agreement of activation codes, here of the inputs of the head
    (Mellor et al. 2021, section 3)."""
    import torch

    with torch.no_grad():
        codes = (batch.columns(batch.rows) > 0).double().numpy()
    agreement = codes @ codes.T + (1 - codes) @ (1 - codes).T
    return float(np.linalg.slogdet(agreement + _TINY * np.eye(len(agreement)))[1])


def steady_gradients(batch: ProxyBatch) -> float:
    """ZiCo: log of the sum over a layer of the mean to the standard deviation of gradients over two
    halves of the facts, summed over layers (Li et al. 2023, section 4)."""
    import torch

    half = len(batch.rows) // 2
    halves = [batch.loss_gradients(slice(0, half)), batch.loss_gradients(slice(half, None))]
    total = 0.0
    for pair in zip(*halves, strict=True):
        both = torch.stack(pair)
        deviation = both.std(dim=0)
        ratio = both.abs().mean(dim=0)[deviation > 0] / deviation[deviation > 0]
        total += float(torch.log(ratio.sum() + _TINY))
    return total


def condition_tangent(batch: ProxyBatch) -> float:
    """NTK: minus the condition number of the empirical tangent kernel (Chen et al. 2021, TE-NAS,
    section 3.1.1)."""
    import torch

    rows = []
    for fact in range(min(TANGENT_FACTS, len(batch.rows))):
        total = batch.scores(batch.rows[fact : fact + 1]).sum()
        found = torch.autograd.grad(total, batch.leaves)
        rows.append(torch.cat([each.flatten() for each in found]))
    stacked = torch.stack(rows).double()
    values = np.linalg.eigvalsh((stacked @ stacked.T).numpy())
    return float(-values[-1] / max(values[0], 1e-12 * abs(values[-1]), 1e-300))


def measure_spectrum(batch: ProxyBatch) -> float:
    """Spectral: effective rank of the Gram matrix of the inputs of the head, the exponential of the
    entropy of its spectrum (Roy & Vetterli 2007).  It replaces the spectral score of arXiv
    2308.02084, section 3.3, whose formula was not available."""
    import torch

    with torch.no_grad():
        columns = batch.columns(batch.rows).double().numpy()
    columns = columns - columns.mean(axis=0)
    values = np.maximum(np.linalg.eigvalsh(columns @ columns.T), 0)
    shares = values[values > 0] / max(values.sum(), 1e-300)
    return float(np.exp(-np.sum(shares * np.log(shares))))


PROXIES: Final[dict[str, Proxy]] = {
    "random": draw_weights,
    "parameters": count_parameters,
    "macs": count_operations,
    "grad_norm": _of_network(norm_gradients),
    "snip": _of_network(weigh_connections),
    "synflow": _of_network(trace_flow),
    "jacob_cov": _of_network(correlate_jacobians),
    "naswot": _of_network(count_regions),
    "zico": _of_network(steady_gradients),
    "ntk_condition": _of_network(condition_tangent),
    "spectral": _of_network(measure_spectrum),
    "tangent": score_tangent,
    "smoothed": score_smoothed,
}
"""Zero-shot proxies by name."""
