from __future__ import annotations

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


def test_a_renewed_quantiser_costs_less_than_a_frozen_one():
    """Where a domain exceeds the first one's range, freezing a wider quantiser pays."""
    values, label, scanner = three_scanners()
    faint, bright = values[scanner == 2], scanner == 0
    costs = [quantiser_cost(faint, values[bright], label[bright], draw) for draw in range(4)]
    kept, renewed = (sum(one) / 4 for one in zip(*costs, strict=True))
    assert renewed < kept
