from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

pytest.importorskip("torch")

from benchmarks.growth import acceptance


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (3, 0), (7, 4), (4, 7)])
def test_mcnemar_counts_discordant_facts(wins, losses):
    """The p-value equals scipy's binomial test with a fair coin; facts that both answer alike do
    not count."""
    one = np.repeat([True, False, True, False], (wins, losses, 5, 2))
    other = np.repeat([False, True, True, False], (wins, losses, 5, 2))
    found = acceptance._mcnemar(one, other)  # noqa: SLF001  the run itself takes minutes
    both = wins + losses
    expected = binomtest(wins, both, alternative="greater").pvalue if both else 1
    assert found == pytest.approx(expected)


def test_a_trial_of_each_kind_is_run(monkeypatch):
    """Without PACS the digits' trials run for both tests, and the report names the omitted ones."""
    monkeypatch.setattr(acceptance, "SIZES", (60,))
    report = acceptance.run(None, trials=1)
    assert {row.method for row in report.rows} == {acceptance.OURS, acceptance.EXACT}
    assert {row.metric for row in report.rows} >= {
        "accepted_of_noise_60",
        "accepted_of_much_alike_60",
        "accepted_and_worse_60",
        "points_gained_60",
    }
    assert "pacs_efficientnet_lite0.npz" in report.notes[0]
