"""Denoising: what rows teach without labels, in place of masked language modelling."""

from collections.abc import Callable
from typing import Final

import numpy as np
import torch
from torch import Tensor

MASKED: Final = 0.25
"""Share of the columns that are masked, and predicted from the others.  Chosen by hand; effect not
measured."""


def denoising_loss(transform: Callable[[Tensor], Tensor], rows: Tensor, mask: Tensor) -> Tensor:
    """Return the mean squared error of a transform of masked rows, in the masked columns.

    rows: float32 [n, read], standardised, so that a masked column is zero.  mask: bool [n, read].
    """
    given = transform(rows.masked_fill(mask, 0.0))
    return ((given - rows).square() * mask).sum() / mask.sum().clamp(min=1)


def draw_mask(random: np.random.Generator, rows: Tensor) -> Tensor:
    """Draw which columns of each row are masked: bool [n, read]."""
    return torch.from_numpy(random.random(tuple(rows.shape)) < MASKED)
