"""A warm-up with a frozen model, after which old facts take no part."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed")

import torch

from edge.growth.recipes import warm_start
from edge.growth.training_steps import TOP, descend
from tests.contracts.test_adaptors import OTHERS, OWN
from tests.edge.growth.recipes.test_continual import task


def test_the_warm_up_moves_the_classifier_alone():
    """Frozen parameters keep their bits; the classifier on top follows the facts."""
    given = task(OWN, OTHERS)
    start = given.start()
    made = descend(start, given.loss(), (1.0,) * 4, frozen=frozenset(given.shapes))
    assert torch.equal(made["W"], start["W"])
    assert not torch.equal(made[TOP], start[TOP])


def test_training_goes_through_the_phases(monkeypatch):
    """All parameters on old facts, the classifier on new ones, all parameters on new ones alone."""
    seen = []

    def watched(start, loss, rates, frozen=frozenset()):
        seen.append((len(rates), sorted(set(start) - frozen)))
        return descend(start, loss, rates, frozen)

    monkeypatch.setattr(warm_start, "descend", watched)
    arrays = warm_start.WarmStartRecipe().train(task(OWN, OTHERS))
    assert seen[0] == (warm_start.WARM_STEPS, [TOP])
    assert seen[1][1] == ["W", TOP]
    assert np.isfinite(arrays["W"]).all()
