"""Attacks on answers: each finds a model that never forgot, and none accuses a twin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from edge.audit.answers import AuditedModel, label_margins, model_of
from edge.audit.findings import Finding
from edge.audit.intervals import area, compare_areas
from edge.audit.membership import attack_membership, membership_findings
from edge.audit.parameters import parametric_finding
from edge.audit.probes import probe
from edge.audit.relearning import relearning_finding, squared_loss
from edge.audit.shadows import (
    LikeHome,
    Pool,
    Shadows,
    join,
    make_pool,
    margins_unseen,
    train_shadows,
)
from edge.core.facts import FactBatch, select_rows
from tests.audits import digit_rows


@dataclass(frozen=True)
class Models:
    """Models of digits: one that never forgot, one that never saw the forgotten ones."""

    forgotten: FactBatch
    retained: FactBatch
    leaky: AuditedModel
    twin: AuditedModel
    pool: Pool
    shadows: Shadows
    unseen: np.ndarray

    def findings(self, served: AuditedModel) -> dict[str, Finding]:
        """The findings of all attacks on a model."""
        pair = served, self.twin
        result = attack_membership(self.pool, self.shadows, pair, self.unseen, 1)
        rows = self.pool.forgotten_rows
        found = (
            *membership_findings(result, len(rows)),
            *probe(pair, self.forgotten, self.retained, 1),
            relearning_finding(*pair, rows, squared_loss(self.leaky, rows)),
            parametric_finding(*pair, self.leaky),
        )
        return {one.key: one for one in found}


@pytest.fixture(scope="module")
def models() -> Models:
    """Models of 300 digits, 60 of which are forgotten."""
    rows = np.random.default_rng(3).permutation(1700)[:300]
    forgotten, retained = digit_rows(rows[:60]), digit_rows(rows[60:])
    solve = LikeHome({}, ((0, 64),))
    pool = make_pool(forgotten, retained)
    return Models(
        forgotten=forgotten,
        retained=retained,
        leaky=model_of(join(forgotten, retained), solve),
        twin=model_of(retained, solve),
        pool=pool,
        shadows=train_shadows(pool, solve, 1, lambda *_: None),
        unseen=margins_unseen(pool, solve),
    )


ATTACKS = (
    "confidence_attack",
    "lira",
    "direct_probes",
    "perturbed_probes",
    "adversarial_probes",
    "relearn_time",
    "parametric_traces",
)


def test_a_model_that_never_forgot_is_found_by_every_attack(models: Models) -> None:
    """Each attack tells a model that still holds the forgotten facts from the twin."""
    found = models.findings(models.leaky)
    assert {key: found[key].outcome for key in ATTACKS} == dict.fromkeys(ATTACKS, "fails")


def test_a_twin_is_accused_by_no_attack(models: Models) -> None:
    """A model equal to the twin passes every attack, with differences of exactly zero."""
    found = models.findings(models.twin)
    assert {one.outcome for one in found.values()} == {"holds"}
    difference = next(one for one in found["lira"].figures if one.name == "difference")
    assert (difference.value, difference.low, difference.high) == (0.0, 0.0, 0.0)


def test_lira_beats_the_confidence_attack_on_a_model_that_never_forgot(models: Models) -> None:
    """Shadow models make the attack stronger: members are found more often."""
    pair = models.leaky, models.twin
    made = attack_membership(models.pool, models.shadows, pair, models.unseen, 1)
    assert made.lira.served.value > made.confidence.served.value > 0.5
    assert made.lira.twin.low < 0.5 < made.lira.twin.high
    assert made.privacy_leakage == pytest.approx(made.lira.difference.value / made.lira.twin.value)


def test_every_fact_is_in_half_of_the_shadow_models(models: Models) -> None:
    """Each fact of the pool was learned by exactly half of the shadow models."""
    assert set(models.shadows.keep.sum(axis=0)) == {len(models.shadows.keep) // 2}


@pytest.mark.parametrize(
    ("members", "others", "expected"),
    [
        ([2.0, 3.0], [0.0, 1.0], 1.0),
        ([0.0, 1.0], [2.0, 3.0], 0.0),
        ([1.0, 1.0], [1.0, 1.0], 0.5),
        ([0.0, 2.0], [1.0, 3.0], 0.25),
    ],
)
def test_the_area_counts_pairs(members: list[float], others: list[float], expected: float) -> None:
    """The area is the share of pairs in which the member scores higher, ties counted half."""
    assert area(np.array(members), np.array(others)) == expected


def test_an_interval_widens_with_fewer_items() -> None:
    """The bootstrap interval of few items is wider than that of many."""
    random = np.random.default_rng(0)
    widths = []
    for count in (10, 200):
        served, others = random.normal(0.5, 1, count), random.normal(0, 1, count)
        made = compare_areas(served, served - 0.1, others, 1).served
        widths.append(made.high - made.low)
    assert widths[0] > 2 * widths[1]


def test_the_margin_of_a_label_that_a_model_lacks_counts_from_zero() -> None:
    """A label without facts scores 0, like a class that no fact has."""
    scores = np.array([[0.7, 0.2], [0.1, 0.3]], np.float32)
    made = label_margins(scores, ("a", "b"), ("c", "b"))
    assert made == pytest.approx([-0.7, 0.2])


def test_unseen_facts_resemble_the_forgotten_ones() -> None:
    """The non-members of the attacks are of the forgotten facts' concepts while these last."""
    rows = digit_rows(np.arange(400))
    zeros = np.flatnonzero(np.array(rows.labels) == "0")
    rest = np.setdiff1d(np.arange(400), zeros[:10])
    pool = make_pool(select_rows(rows, zeros[:10]), select_rows(rows, rest))
    labels = [pool.rows.labels[row] for row in pool.unseen]
    assert labels.count("0") == len(zeros) - 10
