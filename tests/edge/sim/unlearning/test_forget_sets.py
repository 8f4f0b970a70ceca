"""The requests on which methods of unlearning are compared."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

from edge.sim.unlearning import cut_series, make_requests  # noqa: E402 - needs torch
from edge.sim.unlearning.forget_sets import (  # noqa: E402 - needs torch
    disturb_values,
    poison_labels,
)
from tests.edge.sim.unlearning.digit_sets import LEARNED, draw_digits  # noqa: E402 - needs torch

DATA = draw_digits(1)
MEMORISED = np.random.default_rng(1).random(LEARNED)
REQUESTS = {one.name: one for one in make_requests(DATA, MEMORISED)}


def test_every_kind_of_request_is_made():
    """Random shares, a class, a subject, a domain and the worst case, with their sizes."""
    sizes = {name: len(one.forget) for name, one in REQUESTS.items()}
    assert list(sizes)[:3] == ["random 1 %", "random 5 %", "random 10 %"]
    assert [sizes[f"random {share} %"] for share in (1, 5, 10)] == [2, 10, 20]
    assert {"class", "subject", "domain", "worst case"} < set(sizes)
    assert sizes["worst case"] == 10


def test_requests_are_sorted_rows_without_repetition():
    """Rows of a request are distinct and in order, and the same on each call."""
    again = {one.name: one for one in make_requests(DATA, MEMORISED)}
    for name, one in REQUESTS.items():
        assert np.array_equal(one.forget, np.unique(one.forget))
        assert np.array_equal(one.forget, again[name].forget)
        assert np.array_equal(one.identified, one.forget)


def test_a_class_is_forgotten_whole_and_its_mates_do_not_count_as_utility():
    """The class request has every row of one label; held-out rows of it are alike, not counted."""
    one = REQUESTS["class"]
    labels = set(DATA.targets[torch.from_numpy(one.forget)].tolist())
    assert len(labels) == 1
    assert len(one.forget) == int((DATA.targets == min(labels)).sum())
    assert np.array_equal(one.alike, ~one.counted)
    assert set(DATA.test_targets[torch.from_numpy(one.alike)].tolist()) == labels


def test_the_worst_case_has_the_most_memorised_rows():
    """No row outside the worst case is memorised more than one inside."""
    inside = MEMORISED[REQUESTS["worst case"].forget]
    assert inside.min() >= np.delete(MEMORISED, REQUESTS["worst case"].forget).max()


def test_poison_changes_labels_of_its_rows_alone_and_names_a_part():
    """Only poisoned rows change their label, all to one; the identified rows are some of them."""
    poisoned, requests = poison_labels(DATA)
    changed = np.flatnonzero((poisoned.targets != DATA.targets).numpy())
    assert np.array_equal(changed, requests[0].forget)
    assert len(set(poisoned.targets[torch.from_numpy(changed)].tolist())) == 1
    few, half = requests
    assert set(few.identified) < set(few.forget)
    assert len(few.identified) < len(half.identified) < len(half.forget)


def test_held_out_windows_share_no_value_with_learned_ones():
    """The first held-out window of a series begins after the last learned target."""
    values = np.sin(np.arange(900) / 7) * 3 + 5
    data = cut_series("wave", values)
    mean, spread = values[59 : 59 + len(data.rows)].mean(), values[59 : 59 + len(data.rows)].std()
    first = float(data.test_rows[0, 0]) * spread + mean
    at = int(np.argmin(np.abs(values[len(data.rows) :] - first))) + len(data.rows)
    assert at >= len(data.rows) + 60
    assert abs(float(data.targets.mean())) < 1e-3
    assert float(data.targets.std()) == pytest.approx(1, abs=0.01)


def test_a_series_has_an_odd_and_a_plain_stretch():
    """The odd stretch is shifted, the plain one is the series as it is."""
    data = cut_series("wave", np.sin(np.arange(900) / 7))
    (odd, one), (plain, other) = disturb_values(data)
    at = torch.from_numpy(one.forget)
    assert torch.allclose(odd.targets[at] - data.targets[at], torch.tensor(2.0))
    assert torch.equal(plain.targets, data.targets)
    assert np.array_equal(one.forget, other.forget)
