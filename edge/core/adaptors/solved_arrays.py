"""Parameters of the kinds of adaptor that are solved in closed form, `record.SOLVED_KINDS`.

They are derived again in the serving process within a fraction of a second; all other kinds are
trained in the worker process.
"""

import numpy as np
from numpy.typing import NDArray

from nas import Blueprint

from ..facts import FactBatch, select_rows
from .adaptor import standardising_arrays
from .kernel import KIND, tune_kernel
from .standardisation import Spans, standardise


def solve_arrays(
    blueprint: Blueprint, own: FactBatch, others: FactBatch, spans: Spans
) -> dict[str, NDArray[np.float32]]:
    """Return the arrays of the transform of a solved kind, for a domain with these facts, at least
    one.  The result depends on the set of facts alone.  Cost: one pass over the facts, and for a
    kernel `tune_kernel`."""
    standard = standardise(own, others, spans)
    if blueprint.kind == KIND:
        return tune_kernel(blueprint, own, standard, spans)[0]
    return standardising_arrays(blueprint, standard, spans)


def consistent_facts(own: FactBatch) -> FactBatch:
    """Return the facts whose features have a single label; adaptors are trained on these."""
    labels: dict[bytes, set[str]] = {}
    keys = [row.tobytes() for row in own.features]
    for key, label in zip(keys, own.labels, strict=True):
        labels.setdefault(key, set()).add(label)
    at = np.array([row for row, key in enumerate(keys) if len(labels[key]) == 1], np.intp)
    return select_rows(own, at)
