"""Logit-swap self-distillation: what the teacher says."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is not installed")

import torch

from edge.growth.recipes.logit_swap import swap_logits


def test_the_target_is_on_top_and_the_probabilities_stay():
    """The swapped teacher has the same sorted probabilities, and the target is the most likely."""
    logits = torch.randn(30, 6, generator=torch.manual_seed(0))
    targets = torch.arange(30) % 6
    swapped = swap_logits(logits, targets)
    assert torch.equal(swapped.argmax(dim=1), targets)
    before, after = (one.softmax(dim=1).sort(dim=1).values for one in (logits, swapped))
    torch.testing.assert_close(before, after)


def test_a_teacher_that_is_right_stays_as_it_is():
    """Only the two labels change places, and none where the target is on top."""
    logits = torch.randn(30, 6, generator=torch.manual_seed(0))
    assert torch.equal(swap_logits(logits, logits.argmax(dim=1)), logits)
    changed = (swap_logits(logits, torch.zeros(30, dtype=torch.int64)) != logits).sum(dim=1)
    assert set(changed.tolist()) <= {0, 2}
