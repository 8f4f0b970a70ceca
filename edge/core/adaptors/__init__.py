"""Adaptors: a transform of the features with a head on top, solved from the facts of a domain.

`fit_adaptor` solves a domain's adaptor from its facts.  To add a kind of transform: one class and
one line in `kinds.KINDS`.
"""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .adaptor import (
        Adaptor,
        fit_adaptor,
        fit_better_kernel,
        fit_head,
        landmarks_max,
        solve_adaptor,
        standardising_arrays,
    )
    from .crossfit import cross_scores, fold_scores
    from .head import FittedHead, Transform, build_transform, transform_shapes
    from .kernel import (
        KernelMachine,
        Landmarks,
        TunedKernel,
        TunedKernels,
        choose_landmarks,
        tune_kernel,
    )
    from .kinds.table import KINDS
    from .losses import (
        FLIPPED,
        INVERSE_TEMPERATURES,
        HoldoutScores,
        is_better,
        margins,
        tempered_losses,
    )
    from .principal import principal_directions
    from .record import SOLVED_KINDS, AdaptorRecord, PendingAdaptor, end_adaptors
    from .retrieval import LENGTH_MIN, STRENGTH, Evidence, leads
    from .solved_arrays import consistent_facts, solve_arrays
    from .standardisation import LEVELS, Spans, Standardisation, balance_weights, standardise
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "adaptor": (
                "Adaptor",
                "fit_adaptor",
                "fit_better_kernel",
                "fit_head",
                "landmarks_max",
                "solve_adaptor",
                "standardising_arrays",
            ),
            "crossfit": ("cross_scores", "fold_scores"),
            "head": ("FittedHead", "Transform", "build_transform", "transform_shapes"),
            "kernel": (
                "KernelMachine",
                "Landmarks",
                "TunedKernel",
                "TunedKernels",
                "choose_landmarks",
                "tune_kernel",
            ),
            "kinds.table": ("KINDS",),
            "losses": (
                "FLIPPED",
                "HoldoutScores",
                "INVERSE_TEMPERATURES",
                "is_better",
                "margins",
                "tempered_losses",
            ),
            "principal": ("principal_directions",),
            "record": ("AdaptorRecord", "PendingAdaptor", "SOLVED_KINDS", "end_adaptors"),
            "retrieval": ("Evidence", "LENGTH_MIN", "STRENGTH", "leads"),
            "solved_arrays": ("consistent_facts", "solve_arrays"),
            "standardisation": (
                "LEVELS",
                "Spans",
                "Standardisation",
                "balance_weights",
                "standardise",
            ),
        },
    )

__all__ = [
    "FLIPPED",
    "INVERSE_TEMPERATURES",
    "KINDS",
    "LENGTH_MIN",
    "LEVELS",
    "SOLVED_KINDS",
    "STRENGTH",
    "Adaptor",
    "AdaptorRecord",
    "Evidence",
    "FittedHead",
    "HoldoutScores",
    "KernelMachine",
    "Landmarks",
    "PendingAdaptor",
    "Spans",
    "Standardisation",
    "Transform",
    "TunedKernel",
    "TunedKernels",
    "balance_weights",
    "build_transform",
    "choose_landmarks",
    "consistent_facts",
    "cross_scores",
    "end_adaptors",
    "fit_adaptor",
    "fit_better_kernel",
    "fit_head",
    "fold_scores",
    "is_better",
    "landmarks_max",
    "leads",
    "margins",
    "principal_directions",
    "solve_adaptor",
    "solve_arrays",
    "standardise",
    "standardising_arrays",
    "tempered_losses",
    "transform_shapes",
    "tune_kernel",
]
