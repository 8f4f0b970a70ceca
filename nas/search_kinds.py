"""The kinds of adaptor for the search: shapes, cost, and what training does to their kernel.

To add a kind: one class, and one line in SEARCH_KINDS.  The formulas are those of `Blueprint`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Final, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from .blueprint import ACTIVATIONS, Blueprint
from .duals import dual, normalised, root

if TYPE_CHECKING:
    from .tangent import TangentKernels

Floats = NDArray[np.float32]
Sizes = tuple[int, ...]
Shape = tuple[int, int, str, int]
Place = Literal["grid", "beside", "turns"]

BLOCK_LANDMARKS: Final = 64
"""Landmarks of a kernel that are compared in one pass: BLOCK of edge/core/adaptors/kernel.py."""

# Sizes in steps of a factor of about 1.4, up to the largest that a budget of 8 MiB allows.  Chosen
# by hand; effect not measured.
_RANKS: Final = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
# As _RANKS, for the inputs of the head.
_WIDTHS: Final = (16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
# Further widths of random features, which store no matrix.
_WIDE: Final = (768, 1_024, 1_536, 2_048, 3_072, 4_096)
# Landmarks: 1, 3 and 8 MiB of 2,064 columns, and 8 MiB of 2,688 (docs/decisions/0011).
_LANDMARKS: Final = (480, 1_536, 2_880, 3_840)
_TRAINED: Final = ACTIVATIONS[1:]
# Ranks of the kinds that take turns, three for each: within 256 KiB, 1 MiB and 2 MiB of all taps of
# the shipped encoder.
_FEW_RANKS: Final = (4, 16, 48)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a kind adds to the cost of a head on its columns, per sample.

    numbers: float32 that it stores.  products, additions, calls, conversions: as in `Cost`.
    nbytes: stored beside the numbers.
    """

    numbers: int = 0
    products: int = 0
    additions: int = 0
    calls: int = 0
    nbytes: int = 0
    conversions: int = 0


class SearchKind(Protocol):
    """A kind of adaptor in the search.

    family: kinds of one family are variants of each other; a short list holds the best of each
    family first.  grid: (width, rank, activation, depth) of its blueprints.  place: "grid" for
    kinds that fill the space, "beside" for those whose few shapes come on top of it, "turns" for
    those that share tap sets by turns, after all others.  taps_min: fewest taps that it reads.
    """

    family: str
    grid: tuple[Shape, ...]
    place: Place
    taps_min: int

    def work(self, blueprint: Blueprint, sizes: Sizes) -> Work:
        """Return what the kind adds to the cost.  sizes: columns of each tap read."""

    def kernel(self, blueprint: Blueprint, kernels: "TangentKernels") -> Floats:
        """Return the kernel after training, float32 [n, n], with a mean diagonal of 1."""


class _Modelled(Protocol):
    """What `TrainedKind` completes."""

    share: float

    def numbers(self, blueprint: Blueprint, sizes: Sizes) -> int:
        """Return the number of trained numbers."""

    def parts(self, blueprint: Blueprint, kernels: "TangentKernels") -> tuple[Floats, Floats]:
        """Return the kernel before training, and the tangent kernel."""


class TrainedKind:
    """Base of the kinds that are trained by gradients; they have the methods of `_Modelled`.

    share: of the tangent kernel in the scored one, which models how far a short training moves a
    network (docs/decisions/0006).
    """

    place: Place = "grid"
    taps_min = 1
    share = 0.2

    def work(self: _Modelled, blueprint: Blueprint, sizes: Sizes) -> Work:
        """See `SearchKind`: one multiply-add per trained number."""
        count = self.numbers(blueprint, sizes)
        return Work(numbers=count, products=count, calls=2 * (blueprint.depth + 1))

    def kernel(self: _Modelled, blueprint: Blueprint, kernels: "TangentKernels") -> Floats:
        """See `SearchKind`."""
        start, tangent = self.parts(blueprint, kernels)
        share = np.float32(self.share)
        return (1 - share) * normalised(start) + share * normalised(tangent)


class NoneKind:
    """The head alone."""

    family = "none"
    grid: tuple[Shape, ...] = ((0, 0, "none", 1),)
    place: Place = "grid"
    taps_min = 1

    def work(self, blueprint: Blueprint, sizes: Sizes) -> Work:
        """See `SearchKind`."""
        del blueprint, sizes
        return Work()

    def kernel(self, blueprint: Blueprint, kernels: "TangentKernels") -> Floats:
        """See `SearchKind`."""
        del blueprint
        return kernels.plain


class LinearKind(TrainedKind):
    """A trained projection."""

    family = "linear"
    grid = tuple(product((4, 8, *_WIDTHS), (0,), ("none",), (1,)))

    def numbers(self, blueprint: Blueprint, sizes: Sizes) -> int:
        """See `TrainedKind`."""
        return sum(sizes) * blueprint.width

    def parts(self, blueprint: Blueprint, kernels: "TangentKernels") -> tuple[Floats, Floats]:
        """See `TrainedKind`."""
        return kernels.random_features("none", blueprint.width), kernels.plain


class LowRankKind(TrainedKind):
    """Residual blocks through a narrow layer."""

    family = "lowrank"
    grid = tuple(product((0,), _RANKS, ACTIVATIONS, (1, 2, 3)))

    def numbers(self, blueprint: Blueprint, sizes: Sizes) -> int:
        """See `TrainedKind`."""
        return 2 * blueprint.depth * sum(sizes) * blueprint.rank

    def parts(self, blueprint: Blueprint, kernels: "TangentKernels") -> tuple[Floats, Floats]:
        """See `TrainedKind`."""
        features = kernels.random_features(blueprint.activation, blueprint.rank)
        return kernels.plain, blueprint.depth * features


class SlicedKind(LowRankKind):
    """Residual blocks trained on slices; few shapes, which displace none of the others."""

    family = "sliced"
    grid = tuple(product((0,), (16, 64), ("relu",), (4,)))
    place: Place = "beside"


class BottleneckKind(TrainedKind):
    """A small network with a narrow first layer."""

    family = "bottleneck"
    grid = tuple(product(_WIDTHS, _RANKS[3:], _TRAINED, (1, 2, 3)))
    share = 0.75

    def numbers(self, blueprint: Blueprint, sizes: Sizes) -> int:
        """See `TrainedKind`."""
        width, rank = blueprint.width, blueprint.rank
        return sum(sizes) * rank + rank * width + (blueprint.depth - 1) * width * width

    def parts(self, blueprint: Blueprint, kernels: "TangentKernels") -> tuple[Floats, Floats]:
        """See `TrainedKind`."""
        tangent = kernels.plain * kernels.dual(blueprint.activation)[1]
        start = kernels.random_features(blueprint.activation, blueprint.rank)
        for _ in range(blueprint.depth):
            value, slope = dual(start, blueprint.activation)
            tangent = (tangent + start) * slope
            start = kernels.sampled(root(value), blueprint.width)
        return start, tangent


class FusionKind(TrainedKind):
    """A gated sum of projected taps."""

    family = "fusion"
    grid = tuple(product(_WIDTHS, (0, 4, 16), ACTIVATIONS, (1,)))
    taps_min = 2

    def work(self, blueprint: Blueprint, sizes: Sizes) -> Work:
        """See `SearchKind`."""
        count = self.numbers(blueprint, sizes)
        return Work(numbers=count, products=count, calls=2 * len(sizes) + 2)

    def numbers(self, blueprint: Blueprint, sizes: Sizes) -> int:
        """See `TrainedKind`."""
        read, rank = sum(sizes), blueprint.rank
        gates = (read + len(sizes)) * rank if rank else len(sizes)
        return read * blueprint.width + gates

    def parts(self, blueprint: Blueprint, kernels: "TangentKernels") -> tuple[Floats, Floats]:
        """See `TrainedKind`."""
        even = kernels.even_taps()
        value, slope = dual(even, blueprint.activation)
        return kernels.sampled(root(value), blueprint.width), even * slope


class RandomKind:
    """Hadamard features, nothing trained."""

    family = "random"
    grid = tuple(product((*_WIDTHS[2:], *_WIDE), (0,), _TRAINED, (1, 2, 3)))
    place: Place = "grid"
    taps_min = 1

    def work(self, blueprint: Blueprint, sizes: Sizes) -> Work:
        """See `SearchKind`: the additions of the Hadamard transforms."""
        levels = max(1, (sum(sizes) - 1).bit_length())
        blocks = -(-blueprint.width // (1 << levels))
        additions = blueprint.depth * blocks * (1 << levels) * levels
        return Work(additions=additions, calls=2 * blueprint.depth)

    def kernel(self, blueprint: Blueprint, kernels: "TangentKernels") -> Floats:
        """See `SearchKind`."""
        return normalised(kernels.random_features(blueprint.activation, blueprint.width))


class KernelKind:
    """A comparison with the domain's facts, kept as bytes."""

    family = "kernel"
    grid = tuple(product(_LANDMARKS, (0,), ("none",), (1,)))
    place: Place = "grid"
    taps_min = 1

    def work(self, blueprint: Blueprint, sizes: Sizes) -> Work:
        """See `SearchKind`: landmarks at a byte per column, their lengths and sums, penalty."""
        width = blueprint.width
        size = width * sum(sizes)
        calls = 2 + 2 * -(-width // BLOCK_LANDMARKS)
        return Work(
            numbers=2 * width + 1, products=size, calls=calls, nbytes=size, conversions=size
        )

    def kernel(self, blueprint: Blueprint, kernels: "TangentKernels") -> Floats:
        """See `SearchKind`."""
        del blueprint
        return kernels.gaussian()


class HydraKind(TrainedKind):
    """A parallel and a sequential branch beside a frozen projection, or beside the columns."""

    family = "lowrank"
    grid = (
        *product((0,), (2, 8, 24), ("relu", "gelu"), (1,)),
        *product((16, 64, 128), (4, 16), ("none", "gelu"), (1,)),
    )
    place: Place = "turns"

    def numbers(self, blueprint: Blueprint, sizes: Sizes) -> int:
        """See `TrainedKind`."""
        read, rank = sum(sizes), blueprint.rank
        out = blueprint.width or read
        return read * blueprint.width + rank * (read + 3 * out)

    def parts(self, blueprint: Blueprint, kernels: "TangentKernels") -> tuple[Floats, Floats]:
        """See `TrainedKind`."""
        start = kernels.plain
        if blueprint.width:
            start = kernels.random_features("none", blueprint.width)
        tangent = kernels.random_features(blueprint.activation, blueprint.rank)
        return start, tangent + kernels.random_features("none", blueprint.rank)


class TapKind(TrainedKind):
    """An adapter for each tap, beside its residual."""

    family = "lowrank"
    grid = tuple(product((0,), _FEW_RANKS, ("relu", "gelu"), (1, 2)))
    place: Place = "turns"

    def work(self, blueprint: Blueprint, sizes: Sizes) -> Work:
        """See `SearchKind`: a division and a product per column for an adapter before the
        scaling."""
        count = self.numbers(blueprint, sizes)
        calls = 4 * blueprint.depth * len(sizes)
        additions = 2 * (blueprint.depth - 1) * sum(sizes)
        return Work(numbers=count, products=count, additions=additions, calls=calls)

    def numbers(self, blueprint: Blueprint, sizes: Sizes) -> int:
        """See `TrainedKind`."""
        return 2 * blueprint.depth * sum(sizes) * blueprint.rank

    def parts(self, blueprint: Blueprint, kernels: "TangentKernels") -> tuple[Floats, Floats]:
        """See `TrainedKind`."""
        features = kernels.tap_features(blueprint.activation, blueprint.rank)
        return kernels.plain, blueprint.depth * features


class ParallelTapKind(TapKind):
    """An adapter for each tap, in parallel to its scaling."""

    grid = tuple(product((0,), _FEW_RANKS, ("relu", "gelu"), (1,)))

    def work(self, blueprint: Blueprint, sizes: Sizes) -> Work:
        """See `SearchKind`: a division per column."""
        count = self.numbers(blueprint, sizes)
        return Work(numbers=count, products=count, additions=sum(sizes), calls=5 * len(sizes))


class DirectTapKind(TapKind):
    """An adapter for each tap in place of its columns."""

    family = "bottleneck"

    def parts(self, blueprint: Blueprint, kernels: "TangentKernels") -> tuple[Floats, Floats]:
        """See `TrainedKind`: after the first layer of each tap, the second is linear."""
        features = kernels.tap_features(blueprint.activation, blueprint.rank)
        return features, features + kernels.plain * kernels.dual(blueprint.activation)[1]


class SparseKind(TrainedKind):
    """Columns plus sparse deltas.  To first order a delta changes nothing that the head could not:
    its tangent kernel is that of the columns."""

    family = "lowrank"
    grid = tuple(product((0,), (1, 2, 4), ("none",), (1, 2)))
    place: Place = "turns"

    def work(self, blueprint: Blueprint, sizes: Sizes) -> Work:
        """See `SearchKind`: each entry is stored with its two places."""
        count = self.numbers(blueprint, sizes)
        return Work(numbers=count, products=count // 3, calls=12)

    def numbers(self, blueprint: Blueprint, sizes: Sizes) -> int:
        """See `TrainedKind`."""
        return 3 * blueprint.depth * blueprint.rank * sum(sizes)

    def parts(self, blueprint: Blueprint, kernels: "TangentKernels") -> tuple[Floats, Floats]:
        """See `TrainedKind`."""
        del blueprint
        return kernels.plain, kernels.plain


class PoolKind(TrainedKind):
    """A pool of modulators: two facts share a tangent where they match the same key."""

    family = "lowrank"
    grid = tuple(product((0,), (0, 4, 16), ("none",), (2, 4)))
    place: Place = "turns"

    def work(self, blueprint: Blueprint, sizes: Sizes) -> Work:
        """See `SearchKind`: all keys, and the modulator that is chosen."""
        products = sum(sizes) * (blueprint.depth + (2 * blueprint.rank or 1))
        return Work(numbers=self.numbers(blueprint, sizes), products=products, calls=12)

    def numbers(self, blueprint: Blueprint, sizes: Sizes) -> int:
        """See `TrainedKind`: a key and a modulator, so many times."""
        return sum(sizes) * blueprint.depth * (1 + (2 * blueprint.rank or 1))

    def parts(self, blueprint: Blueprint, kernels: "TangentKernels") -> tuple[Floats, Floats]:
        """See `TrainedKind`."""
        same = kernels.same_choice(blueprint.depth)
        if blueprint.rank:
            return kernels.plain, same * kernels.random_features("none", blueprint.rank)
        return kernels.plain, same * kernels.plain


class RoutedKind(TrainedKind):
    """A low-rank adapter put together from skills: as `lowrank` of one layer."""

    family = "lowrank"
    grid = tuple(product((0,), _FEW_RANKS, ("none", "relu"), (4,)))
    place: Place = "turns"

    def work(self, blueprint: Blueprint, sizes: Sizes) -> Work:
        """See `SearchKind`."""
        count = self.numbers(blueprint, sizes)
        return Work(numbers=count, products=count, calls=4)

    def numbers(self, blueprint: Blueprint, sizes: Sizes) -> int:
        """See `TrainedKind`."""
        return 2 * sum(sizes) * blueprint.rank

    def parts(self, blueprint: Blueprint, kernels: "TangentKernels") -> tuple[Floats, Floats]:
        """See `TrainedKind`."""
        return kernels.plain, kernels.random_features(blueprint.activation, blueprint.rank)


class RoutingKind(RoutedKind):
    """As `RoutedKind`, with the routing alone trained on the domain: it moves less."""

    share = 0.1


class MixtureKind(TrainedKind):
    """Adapters of several domains behind a gate, and one of the task."""

    family = "lowrank"
    grid = tuple(product((0,), (4, 16), ("relu", "gelu"), (2, 3)))
    place: Place = "turns"

    def work(self, blueprint: Blueprint, sizes: Sizes) -> Work:
        """See `SearchKind`."""
        count = self.numbers(blueprint, sizes)
        return Work(numbers=count, products=count, calls=4 * (blueprint.depth + 1) + 6)

    def numbers(self, blueprint: Blueprint, sizes: Sizes) -> int:
        """See `TrainedKind`."""
        return sum(sizes) * (blueprint.depth + 1) * (2 * blueprint.rank + 1)

    def parts(self, blueprint: Blueprint, kernels: "TangentKernels") -> tuple[Floats, Floats]:
        """See `TrainedKind`: the gate's tangent is that of the columns."""
        features = kernels.random_features(blueprint.activation, blueprint.rank)
        return kernels.plain, (blueprint.depth + 1) * features


SEARCH_KINDS: Final[Mapping[str, SearchKind]] = {
    "none": NoneKind(),
    "linear": LinearKind(),
    "lowrank": LowRankKind(),
    "sliced": SlicedKind(),
    "bottleneck": BottleneckKind(),
    "fusion": FusionKind(),
    "random": RandomKind(),
    "kernel": KernelKind(),
    "hydra": HydraKind(),
    "adapter": TapKind(),
    "adapter_parallel": ParallelTapKind(),
    "adapter_direct": DirectTapKind(),
    "sparse": SparseKind(),
    "pool": PoolKind(),
    "mhr": RoutedKind(),
    "mhr_z": RoutingKind(),
    "mhr_mu": RoutedKind(),
    "mixture": MixtureKind(),
}
"""Every kind of `KINDS`, in the order in which a tap set is combined with them."""
