from __future__ import annotations

import numpy as np

from edge.core.adaptation import OpeningAdapter, adapt
from edge.core.adaptation.groups import find_groups
from tests.edge.core.adaptation.worlds import accuracy, basis, drawn, seen


def noise(count: int, seed: int = 0) -> np.ndarray:
    """Residuals of one domain."""
    return np.random.default_rng(seed).normal(0, 1, (count, 24))


def shared(count: int) -> np.ndarray:
    """Probabilities of two classes, both in all domains."""
    return np.tile(np.eye(2), (count // 2, 1))


def test_one_domain_is_one_group():
    """Normal residuals are not split, nor are a few outliers among them."""
    rows = noise(400)
    assert not find_groups(rows, shared(400)).any()
    rows[:20] += 12
    assert not find_groups(rows, shared(400)).any()


def test_shuffled_domains_are_told_apart():
    """Residuals of three domains, shuffled, fall into three groups."""
    rows = noise(600)
    domains = np.random.default_rng(1).integers(0, 3, 600)
    rows[domains == 1, 0] += 12
    rows[domains == 2, 1] += 12
    found = find_groups(rows, shared(600))
    pairs = {(one, other) for one, other in zip(domains.tolist(), found.tolist(), strict=True)}
    assert len(pairs) == 3


def test_domains_are_told_apart_where_samples_vary_little():
    """Two domains that a direction of low variance separates are found, although directions of high
    variance hide the gap along the line between their means."""
    rows = noise(600)
    rows[:, 0] *= 5
    domains = np.random.default_rng(1).integers(0, 2, 600)
    rows[:, 1:7] *= 0.6
    rows[domains == 1, 0] += 14
    rows[domains == 1, 1:7] += 2.5
    found = find_groups(rows, shared(600))
    assert len(np.unique(found)) == 2
    assert max(np.mean(found == domains), np.mean(found != domains)) > 0.85


def test_classes_that_moved_apart_are_no_domains():
    """Two groups of a class each stay one domain."""
    rows = noise(400)
    classes = np.arange(400) % 2
    rows[classes == 1, 3] += 12
    assert not find_groups(rows, np.eye(2)[classes]).any()


def test_the_groups_do_not_depend_on_a_sign():
    """Residuals mirrored at zero are split alike."""
    rows = noise(300)
    rows[::3, 2] += 12
    one, other = find_groups(rows, shared(300)), find_groups(-rows, shared(300))
    assert np.array_equal(one, other) or np.array_equal(one, 1 - other)


def test_a_sample_goes_to_the_group_that_it_lies_in():
    """Two moved domains, shuffled, are each answered about their own centre."""
    known, classes = basis(), drawn(500, seed=5)
    there, away = seen(classes, 0.6, seed=5), seen(classes, seed=6).astype(int)
    away[:, -8:] += 60
    away = np.clip(away, 0, 255).astype(np.uint8)
    turn = np.random.default_rng(3).integers(0, 2, 500)
    rows = np.where(turn[:, None] == 0, there, away)
    made = adapt(known, known.project(rows))
    groups = [made.group_of(row[: known.directions]) for row in known.project(rows)]
    assert len(made.shifts) == 2
    assert max(np.mean(groups == turn), np.mean(groups != turn)) > 0.9
    opening, found = OpeningAdapter(known), []
    for row in rows:
        found.append(int(opening.observe(row).probabilities.argmax()))
        if opening.due:
            opening.solve()
    assert accuracy(np.array(found)[250:], classes[250:]) > 0.9
