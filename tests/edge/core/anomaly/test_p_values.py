"""P-values of single samples: what a series has seen, and states without it."""

from __future__ import annotations

import numpy as np
import pytest

from edge.core.anomaly import make_scorer
from edge.core.anomaly.p_values import ScoreRanks


def test_a_series_own_past_outweighs_that_of_others():
    """A score that half of the samples reach has a p-value near a half after enough of them,
    however rare it is elsewhere."""
    ranks = ScoreRanks(1)
    first = ranks.step(50.0)
    found = [ranks.step(50.0 if number % 2 else 0.0) for number in range(40_000)]
    assert first < 0.01
    assert found[-1] == pytest.approx(0.5, abs=0.05)


def test_p_values_fall_as_scores_rise():
    """From edge to edge, up to the last."""
    ranks = ScoreRanks(1)
    for score in np.random.default_rng(0).exponential(1.0, 500):
        ranks.step(float(score))
    found = [ranks.p_value(reached) for reached in range(1, len(ranks.counts))]
    assert found == sorted(found, reverse=True)
    assert len(set(found)) > 200
    assert ranks.step(1e30) == found[-1]


def test_a_state_of_the_version_before_continues():
    """It holds no counts of samples: those of other series stand in."""
    values = np.random.default_rng(1).normal(size=(400, 1))
    one, other = make_scorer(1), make_scorer(1)
    for number, row in enumerate(values):
        one.step(row, number + 1)
    other.restore({name: array for name, array in one.state().items() if name != "ranks/counts"})
    found, expected = other.step(values[0], 401), one.step(values[0], 401)
    assert found.score == expected.score
    assert 0 < found.p_value <= 1
