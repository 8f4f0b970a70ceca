"""The benchmark of labelling rules and of predicted gains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.active import run as active
from benchmarks.active.gain import (
    GainCase,
    constant_share,
    fit_powers,
    gain_cases,
    remeasured_share,
)
from benchmarks.active.reach import LABELS_MAX, budgets, labels_needed, make_trial, reached
from benchmarks.active.sets import DEVELOPED, SETS, LabelSet, load_set
from edge.core.labelling import LABELLING_RULES
from tests.worlds import clouds

WIDE = 12


def made(each=120, centres=(1, 2, 3), support=False):
    """A set of clouds, with another domain of the same labels as support if wanted."""
    rows = np.asarray(clouds(centres, each, width=WIDE), np.uint8)
    label = np.repeat([f"k{one}" for one in centres], each)
    other = np.asarray(clouds(centres, 10, seed=9, width=WIDE), np.uint8)
    names = np.repeat([f"k{one}" for one in centres], 10)
    known = (other, names, np.full(len(names), "old")) if support else None
    return LabelSet(name="made", levels=rows, label=label, support=known)


def case(**changed):
    """A case of a gain."""
    plain = GainCase(
        name="made",
        labels=20,
        error=0.2,
        single=0.1,
        predicted=0.02,
        low=0.01,
        high=0.03,
        measured=0.02,
        again=0.02,
    )
    return replace(plain, **changed)


def test_bounds_of_any_prediction():
    """A set's best number is right where most of its gains lie within two points of each other; a
    second measurement within a point of the first."""
    gains = (0.0, 0.01, 0.02, 0.05)
    cases = [case(measured=one, again=one + 0.002) for one in gains]
    assert constant_share(cases) == 0.75
    assert constant_share([*cases, case(labels=50, measured=0.3)]) == 0.8
    assert remeasured_share(cases) == 1
    assert remeasured_share([*cases, case(again=0.05)]) == 0.8


def test_a_curve_reaches_between_two_counts():
    """The number of labels is interpolated, and that of a curve that never reaches is the most."""
    counts = budgets(LABELS_MAX)
    curve = np.array([0.8 if count < 10 else 1.0 for count in counts])
    assert reached([curve.tolist()]) == pytest.approx(9.5)
    assert reached([(0 * curve).tolist()]) == LABELS_MAX
    assert reached([(1 + 0 * curve).tolist()]) == 1
    assert counts == sorted(set(counts))


def test_the_mean_of_curves_counts():
    """Two pools count by their mean, and not by their better one."""
    counts = budgets(LABELS_MAX)
    early, late = ([1.0 if count >= first else 0.0 for count in counts] for first in (5, 60))
    assert reached([early, late]) == pytest.approx(reached([late]), abs=1)


def test_covering_rules_need_one_label_of_each_cloud():
    """On clouds far apart, coverage and the learned rule need three labels, chance more."""
    needed = labels_needed(made(), ("random", "coverage", "learned"), 2)
    assert needed["coverage"] <= 3
    assert needed["learned"] <= 3
    assert needed["random"] > needed["learned"]


def test_support_describes_the_pool():
    """With a known domain, its answers describe the pool, and hardly a label is needed."""
    trial = make_trial(made(support=True), 0)
    assert trial.described is not trial.features
    assert trial.first.shape == (len(trial.label), 3)
    assert trial.curve("learned", 0)[0] > 0.9 * trial.full
    assert make_trial(made(), 0).described.rows.shape[1] == WIDE


def test_the_same_seed_gives_the_same_pool():
    """A trial depends on its seed alone; pool and test rows share none."""
    first, again, other = (make_trial(made(), seed) for seed in (0, 0, 1))
    assert np.array_equal(first.pool, again.pool)
    assert not np.array_equal(first.pool, other.pool)
    own, test = made().split(np.random.default_rng(0), 60, 60)
    assert not set(own.tolist()) & set(test.tolist())


def test_rows_apart_only_test():
    """Rows that lie apart are never in the pool."""
    apart = np.arange(360) % 3 == 0
    own, test = replace(made(), apart=apart).split(np.random.default_rng(0), 60, 60)
    assert not apart[own].any()
    assert apart[test].all()


def test_powers_are_recovered():
    """Gains that follow the model exactly give back its powers."""
    random = np.random.default_rng(0)
    cases = []
    for labels in (20, 50, 100, 200):
        for _ in range(10):
            error, single = random.uniform(0, 0.4), random.uniform(0, 0.2)
            measured = (0.3 * error + 0.6 * single) * float(np.log1p(10 / labels))
            cases.append(case(labels=labels, error=error, single=single, measured=measured))
    assert fit_powers(cases) == pytest.approx((0.3, 0.6), abs=1e-6)


def test_a_case_is_right_within_a_point():
    """A point apart is right, more is not; next to nothing to gain is trivial."""
    assert case(measured=0.029).right
    assert not case(measured=0.031).right
    assert case(measured=-0.004).trivial
    assert not case(measured=0.006).trivial


def test_gains_are_measured_on_the_set():
    """Clouds far apart have nothing left to gain after fifty labels; noise leaves a lot."""
    found = {one.labels: one for one in gain_cases(made(), 1)}
    assert set(found) == {20, 50, 100}
    assert found[50].measured == 0
    assert found[50].right


def test_the_summary_leaves_developed_and_trivial_sets_out():
    """Only sets that no choice was made on, and that three random labels do not solve, count."""
    even = dict.fromkeys(LABELLING_RULES, 10.0)
    needed = {
        DEVELOPED[0]: even | {"learned": 1.0},
        "wine": even | {"learned": 5.0},
        "cifar": even | {"learned": 9.0},
        "phishing": dict.fromkeys(LABELLING_RULES, 2.0),
    }
    found = active.summarise(needed, [case(), case(measured=0.1), case(measured=0.0)])
    assert found["labels_over_random"] == pytest.approx(0.7)
    assert found["coverage_over_random"] == pytest.approx(1.0)
    assert found["enough_within_one_point"] == pytest.approx(1 / 3)
    assert found["enough_trivial_share"] == pytest.approx(1 / 3)
    assert found["enough_within_one_point_not_trivial"] == pytest.approx(1 / 2)


def test_packaged_sets_load():
    """Every set that needs no file loads; each label has rows, and features are levels."""
    for name in ("digits", "breast cancer", "wine", "segments", "phishing", "bananas"):
        found = load_set(name, None)
        assert found.name == name
        assert found.levels.dtype == np.uint8
        assert len(found.levels) == len(found.label)
        assert np.ptp(found.levels, axis=0).max() > 100
    assert set(DEVELOPED) < set(SETS)


def test_an_unknown_set_is_refused():
    """The error for a mistyped set lists the existing ones."""
    with pytest.raises(SystemExit, match="cifar"):
        active.run(None, sets=("cifarr",))
