from __future__ import annotations

import numpy as np

from benchmarks.trust.answers import OURS, equal_answers, quantiser_cost, three_scanners, unbalanced


def ours(rows) -> dict[str, float]:
    """The figures of the estimator."""
    return {row.metric: row.value for row in rows if row.method == OURS}


def test_the_estimator_answers_as_a_runtime_of_its_own():
    """A runtime that learned the same facts gives the same answers, novel samples included."""
    found = ours(equal_answers())
    assert found["estimator_equals_runtime"] == 1
    assert found["novel_among_them"] > 0.1


def test_new_classes_with_few_samples_are_found():
    """100 samples of two new classes after 1,000 of eight: the targets are reached."""
    found = ours(unbalanced())
    assert found["unbalanced_new"] >= 0.85
    assert found["unbalanced_all"] >= 0.91


def test_a_later_domain_may_exceed_the_range_of_the_first():
    """Pixels share a range that has room for twice the light, so that the first scanner's serves a
    brighter one; with a range for each column alone it costs accuracy."""
    values, label, scanner = three_scanners()
    faint, bright = values[scanner == 2], scanner == 0
    costs = [quantiser_cost(faint, values[bright], label[bright], draw) for draw in range(4)]
    kept, alone, renewed = (sum(one) / 4 for one in zip(*costs, strict=True))
    assert kept <= 0.003
    assert renewed <= kept < alone


def test_a_renewed_quantiser_costs_less_than_a_frozen_one():
    """Where columns of different units exceed the first domain's ranges, freezing wider ones
    pays."""
    values, label, scanner = three_scanners()
    gains = np.random.default_rng(4).uniform(0.5, 2, size=(1, 64))
    values *= gains.astype(np.float32)
    faint, bright = values[scanner == 2], scanner == 0
    costs = [quantiser_cost(faint, values[bright], label[bright], draw) for draw in range(4)]
    kept, _, renewed = (sum(one) / 4 for one in zip(*costs, strict=True))
    assert renewed < kept
