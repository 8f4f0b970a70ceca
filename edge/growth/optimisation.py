"""Reproducible training in torch: deterministic algorithms, and AdamW without torch's compiler."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import torch
from torch import Tensor

BETA_1: Final = 0.9
"""Decay of the mean gradient: the authors' and torch's default."""
BETA_2: Final = 0.999
"""Decay of the mean squared gradient: the authors' and torch's default."""
EPSILON: Final = 1e-8
"""Added to the divisor: the authors' and torch's default."""


@contextmanager
def deterministic() -> Iterator[None]:
    """Make torch use one thread and deterministic algorithms; restore its settings afterwards."""
    threads, strict = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    torch.set_num_threads(1)
    # Not `use_deterministic_algorithms`: it also loads torch's compiler, at 1.5 s and 100 MiB.
    torch.set_deterministic_debug_mode("error")
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        torch.set_deterministic_debug_mode(strict)


class AdamW:
    """AdamW as in torch, bit for bit (Loshchilov & Hutter 2019, algorithm 2).

    `torch.optim` loads torch's compiler in its first step, at 1.5 s and 100 MiB: more than a whole
    training takes here.  Updates leaves in place.  rate: learning rate; decay: weight decay.
    """

    def __init__(self, leaves: Sequence[Tensor], rate: float, decay: float) -> None:
        self._leaves, self._rate, self._decay = leaves, rate, decay
        self._means = [torch.zeros_like(leaf) for leaf in leaves]
        self._squares = [torch.zeros_like(leaf) for leaf in leaves]
        self._steps = 0

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], scale: float = 1.0) -> None:
        """Take one step with the gradients, one per leaf.  scale: of the learning rate."""
        self._steps += 1
        rate = self._rate * scale
        size = rate / (1 - BETA_1**self._steps)
        root = (1 - BETA_2**self._steps) ** 0.5
        rows = zip(self._leaves, self._means, self._squares, gradients, strict=True)
        for leaf, mean, square, gradient in rows:
            leaf.mul_(1 - rate * self._decay)
            mean.lerp_(gradient, 1 - BETA_1)
            square.mul_(BETA_2).addcmul_(gradient, gradient, value=1 - BETA_2)
            leaf.addcdiv_(mean, (square.sqrt() / root).add_(EPSILON), value=-size)
