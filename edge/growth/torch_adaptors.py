"""The transform of a blueprint in torch, for the gradients of training.

Its formula is that of its kind in `TORCH_KINDS`.
"""

from torch import Tensor

import nas

from .torch_kinds import TORCH_KINDS, Parameters


def torch_transform(
    blueprint: nas.Blueprint, parameters: Parameters, sizes: tuple[int, ...], rows: Tensor
) -> Tensor:
    """Compute the inputs of the head: float32 [n, read] -> [n, out]."""
    return TORCH_KINDS[blueprint.kind].columns(blueprint, parameters, sizes, rows)


def torch_logits(
    blueprint: nas.Blueprint, parameters: Parameters, sizes: tuple[int, ...], rows: Tensor
) -> Tensor:
    """Compute transform(rows) @ top: float32 [n, read] -> [n, labels], small products first.

    Matrices without an activation between them are multiplied before the rows: a few columns
    instead of hundreds, forwards and backwards.  Equal up to rounding.
    """
    return TORCH_KINDS[blueprint.kind].logits(blueprint, parameters, sizes, rows)
