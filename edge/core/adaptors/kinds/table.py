"""The table of the kinds of adaptor, for serving."""

from collections.abc import Mapping
from typing import Final

from .branches import DirectTapAdaptor, HydraAdaptor, ParallelTapAdaptor, TapAdaptor
from .classic import (
    BottleneckAdaptor,
    FusionAdaptor,
    IdentityAdaptor,
    KernelAdaptor,
    LinearAdaptor,
    LowRankAdaptor,
    RandomFeatureAdaptor,
    SlicedAdaptor,
)
from .kind import AdaptorKind
from .pools import MixtureAdaptor, PoolAdaptor, RoutedAdaptor
from .sparse import SparseAdaptor

KINDS: Final[Mapping[str, AdaptorKind]] = {
    "none": IdentityAdaptor(),
    "linear": LinearAdaptor(),
    "lowrank": LowRankAdaptor(),
    "sliced": SlicedAdaptor(),
    "bottleneck": BottleneckAdaptor(),
    "fusion": FusionAdaptor(),
    "random": RandomFeatureAdaptor(),
    "kernel": KernelAdaptor(),
    "hydra": HydraAdaptor(),
    "adapter": TapAdaptor(),
    "adapter_parallel": ParallelTapAdaptor(),
    "adapter_direct": DirectTapAdaptor(),
    "sparse": SparseAdaptor(),
    "pool": PoolAdaptor(),
    "mhr": RoutedAdaptor(),
    "mhr_z": RoutedAdaptor(),
    "mhr_mu": RoutedAdaptor(),
    "mixture": MixtureAdaptor(),
}
"""Kinds by name; to add one, one class here, one in `nas`, one in `edge/growth` and, to be exported
as ONNX, one function in `edge/export`."""
