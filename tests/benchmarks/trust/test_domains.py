"""The benchmark of similar domains: its visits and its measure of misfiled labels."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from benchmarks.trust.domain_sets import load_domain_sets
from benchmarks.trust.domains import WAYS, domains_of, misfiled_share, plan_visits


@pytest.mark.parametrize("way", WAYS)
def test_each_row_is_used_once(way: str) -> None:
    """Enrolled and visited rows are distinct, none is held out, and every domain comes again."""
    (digits,), notes = load_domain_sets(None, ("digits6",))
    assert not notes
    order = list(range(digits.domains))
    enrolled, visits = plan_visits(digits, order, way, np.random.default_rng(3))
    rows = np.concatenate([enrolled, *visits])
    assert len(set(rows.tolist())) == len(rows)
    assert not digits.held[rows].any()
    assert Counter(domains_of(digits, visits[-6:])) == dict.fromkeys(order, 1)


def test_a_label_is_misfiled_among_the_labels_of_another_domain() -> None:
    """A domain belongs to the true domain that it holds most of; the enrolled one keeps its
    name."""
    filed = Counter({(0, "domain-1"): 1, (1, "domain-1"): 4, (1, "domain-2"): 5})
    filed[2, "domain-2"] = 2
    assert misfiled_share(filed, 0) == pytest.approx(6 / 12)
