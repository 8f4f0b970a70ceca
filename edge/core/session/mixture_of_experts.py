"""Answering for what lies in no known domain: the nearest domains together."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..knowledge import Knowledge

NEAREST: Final = 3
"""Domains that answer together."""

SPREAD: Final = 1024
"""Novelty that makes a domain's say e times smaller: one spread."""


def mix_experts(near: Mapping[str, int], features: NDArray[np.uint8], known: Knowledge) -> str:
    """Return the label that the nearest domains' adaptors agree on most.

    near: novelty of the sample to each domain that has facts, 1,024 a spread.  features: uint8
    [width].  Each domain's scores count by exp(-novelty): a softmax, as where experts are mixed
    (Jacobs et al. 1991).  Depends on knowledge and sample alone.
    """
    names = sorted(near, key=lambda name: (near[name], name))[:NEAREST]
    summed: dict[str, float] = {}
    for name in names:
        weight = float(np.exp((near[names[0]] - near[name]) / SPREAD))
        adaptor = known.adaptor(name)
        for label, score in zip(adaptor.labels, adaptor.answer(features).tolist(), strict=True):
            summed[label] = summed.get(label, 0.0) + weight * score
    return min(summed, key=lambda label: (-summed[label], label))
