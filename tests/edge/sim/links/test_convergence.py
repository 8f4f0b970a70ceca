from __future__ import annotations

import numpy as np

from edge.sim.links.trial import steps_to_convergence


def test_time_to_convergence_counts_steps_until_errors_are_as_before():
    """Ten bad steps after an event are found to be ten, give or take the window's tolerance."""
    errors = np.ones(300)
    assert steps_to_convergence(errors, 100) == 0
    errors[100:110] = 9.0
    assert steps_to_convergence(errors, 100) == 10
    errors[100:] = 9.0
    assert steps_to_convergence(errors, 100) == 100


def test_an_event_without_comparison_has_no_convergence_time():
    """Without a past, or with the next event at once, there is no time to convergence."""
    errors = np.ones(300)
    assert steps_to_convergence(errors, 0) is None
    assert steps_to_convergence(errors, 100, until=103) is None
    errors[:100] = np.nan
    assert steps_to_convergence(errors, 100) is None
