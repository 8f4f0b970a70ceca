"""AdamW, as torch has it (Loshchilov & Hutter 2019, algorithm 2), bit for bit.

`torch.optim` loads torch's compiler with its first step, at 1.5 s and 100 MiB: more than a whole
training takes here.
"""

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

FADE: Final = 0.9
FADE_SQUARED: Final = 0.999
LEAST: Final = 1e-8


class AdamW:
    """Moves leaves in place.  rate: a step's size; decay: share of a value lost a step, over it."""

    def __init__(self, leaves: Sequence[Tensor], rate: float, decay: float) -> None:
        self._leaves, self._rate, self._decay = leaves, rate, decay
        self._means = [torch.zeros_like(leaf) for leaf in leaves]
        self._squares = [torch.zeros_like(leaf) for leaf in leaves]
        self._taken = 0

    @torch.no_grad()
    def take(self, gradients: Sequence[Tensor]) -> None:
        """Take one step down the gradients, one a leaf."""
        self._taken += 1
        size = self._rate / (1 - FADE**self._taken)
        root = (1 - FADE_SQUARED**self._taken) ** 0.5
        kept = zip(self._leaves, self._means, self._squares, gradients, strict=True)
        for leaf, mean, square, slope in kept:
            leaf.mul_(1 - self._rate * self._decay)
            mean.lerp_(slope, 1 - FADE)
            square.mul_(FADE_SQUARED).addcmul_(slope, slope, value=1 - FADE_SQUARED)
            leaf.addcdiv_(mean, (square.sqrt() / root).add_(LEAST), value=-size)
