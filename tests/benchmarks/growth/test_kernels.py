import numpy as np
import pytest

from benchmarks.growth.kernels import KernelTrial, count_trials, load_rows, run_trials


def trial(gain: float, grown: bool, served: bool | None = True, meaning: bool = True):
    """A trial with a standard error of half a point."""
    return KernelTrial(
        name="a", meaning=meaning, gain=gain, error=0.005, grown=grown, served=served
    )


def test_verdicts_need_half_a_point_and_two_standard_errors():
    """A difference within two standard errors is none; shuffled labels are noise."""
    found = [trial(g, True).verdict for g in (0.02, 0.009, -0.009, -0.02)]
    assert found == ["better", "alike", "alike", "worse"]
    assert trial(0.02, True, meaning=False).verdict == "noise"


def test_shares_are_of_each_verdict():
    """Accepted shares by verdict, and the worse ones among the accepted."""
    trials = [
        trial(0.1, True, None),
        trial(0.1, False, None),
        trial(-0.1, True, None),
        trial(0.0, False, None, meaning=False),
    ]
    found = dict(count_trials(trials))
    assert found["grown_better_accepted"] == 0.5
    assert found["grown_worse_accepted"] == 1
    assert found["grown_noise_accepted"] == 0
    assert found["grown_wrong_share"] == 0.5
    assert not any(name.startswith("served") for name in found)


def test_digits_are_judged():
    """A set of scikit-learn is judged with and without meaning."""
    pytest.importorskip("torch")
    sets, _ = load_rows(None)
    found = list(run_trials(sets[0], draws=1))
    assert {one.meaning for one in found} == {True, False}
    assert all(np.isfinite(one.gain) for one in found)
