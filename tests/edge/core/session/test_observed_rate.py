"""What counts of a stream say about its false-alarm rate."""

from __future__ import annotations

from edge.core.session.observed_rate import (
    AlarmCounts,
    effective_count,
    observed_rate,
    wilson_interval,
)


def test_alarms_in_runs_count_as_fewer():
    """The interval widens when alarms come in runs."""
    single, runs = AlarmCounts(), AlarmCounts()
    for at in range(400):
        single.add(novel=at % 20 == 0)
        runs.add(novel=at % 200 < 10)
    assert single.alarms == runs.alarms == 20
    assert effective_count(runs) < effective_count(single) / 3
    narrow, wide = (wilson_interval(0.05, effective_count(one)) for one in (single, runs))
    assert wide[1] - wide[0] > narrow[1] - narrow[0]


def test_a_rate_states_what_it_follows_from():
    """The rate of counts comes with these, so that equal counts need not be computed again."""
    counts = AlarmCounts()
    for at in range(100):
        counts.add(novel=at % 50 == 0)
    follows, made = observed_rate(counts, 0.01)
    assert follows == (100, 2, counts.changes, 0.01)
    assert (made.samples, made.alarms, made.rate) == (100, 2, 0.02)
    assert made.low < made.rate < made.high
