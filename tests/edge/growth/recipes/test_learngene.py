"""Learngene: layers on a line."""

from __future__ import annotations

import numpy as np
import pytest

import nas

pytest.importorskip("torch", reason="torch is not installed")

import torch

from edge.growth.recipes import learngene


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_layers_are_linear_in_their_number(layers):
    """Layer l of L is base + (l / L) slope, for any L; the last one is base + slope."""
    base, slope = torch.randn(2, 3, 4, generator=torch.manual_seed(0))
    made = learngene.expand(base, slope, layers)
    assert len(made) == layers
    for number, layer in enumerate(made, start=1):
        torch.testing.assert_close(layer, base + number / layers * slope)
    steps = [one - other for one, other in zip(made[1:], made[:-1], strict=True)]
    for step in steps:
        torch.testing.assert_close(step, slope / layers)


def test_a_line_gives_blueprints_of_any_depth():
    """The same pair of matrices starts networks of two and of three layers."""
    line = {f"{name}_{part}": torch.ones(2, 2) for name in "UV" for part in ("base", "slope")}
    for depth in (2, 3):
        one = nas.Blueprint(kind="lowrank", taps=(0,), rank=2, depth=depth)
        made = learngene.from_line(line, one)
        assert sorted(made) == sorted(f"{name}{at}" for name in "UV" for at in range(depth))
        assert np.allclose(made[f"U{depth - 1}"], 2.0)
