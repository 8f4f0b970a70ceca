from __future__ import annotations

from benchmarks.forget.fleet import attack, fleet_rows


def test_an_observer_of_all_revisions_isolates_no_fact():
    """Of real digits that come, go and change a few at a time, no fact follows from all published
    revisions; from sums over all facts, those that changed do."""
    isolated, without_cohorts, share = attack(seed=3, changes=10)
    assert isolated == 0
    assert without_cohorts >= 10
    assert share > 0.5


def test_the_rows_name_the_figure():
    """The benchmark reports isolatable facts of the fleet, over all seeds."""
    rows = {row.metric: row.value for row in fleet_rows(seeds=(1,), changes=2)}
    assert rows["fleet_isolatable_facts"] == 0
    assert rows["isolatable_without_cohorts"] > 0
    assert 0 < rows["published_share"] <= 1
