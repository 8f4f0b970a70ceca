"""Guidance: the alignment of representations."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is not installed")

import torch

from edge.growth.recipes import guidance


def drawn(columns: int, seed: int = 0) -> torch.Tensor:
    """Random rows."""
    return torch.randn(20, columns, generator=torch.manual_seed(seed))


def test_alignment_is_the_linear_cka():
    """It equals the formula of the features: |Y'X|^2 / (|X'X| |Y'Y|), of centred columns."""
    one, other = drawn(5), drawn(7, 1)
    x, y = (rows - rows.mean(dim=0) for rows in (one, other))
    expected = (y.t() @ x).square().sum() / ((x.t() @ x).norm() * (y.t() @ y).norm())
    found = guidance.alignment(one, guidance.centred_products(other))
    torch.testing.assert_close(found, expected)


def test_alignment_ignores_rotation_scale_and_shift():
    """Rows that are rotated, scaled and shifted are fully aligned; others are less so."""
    rows = drawn(5)
    turned = 3 * rows @ torch.linalg.qr(drawn(5)[:5])[0] + 1
    assert guidance.alignment(turned, guidance.centred_products(rows)) == pytest.approx(1, abs=1e-4)
    assert guidance.alignment(drawn(5, 2), guidance.centred_products(rows)) < 0.9


def test_layers_are_guided_at_their_relative_depth():
    """First by first, last by last; a single layer by the last."""
    assert [guidance.guide_layer(at, 3, 3) for at in range(3)] == [0, 1, 2]
    assert [guidance.guide_layer(at, 2, 4) for at in range(2)] == [0, 3]
    assert guidance.guide_layer(0, 1, 3) == 2
