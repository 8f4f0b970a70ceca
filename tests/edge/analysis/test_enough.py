"""Whether enough is labelled: left-out errors, and the expected gain of more labels."""

from __future__ import annotations

import math

import numpy as np
import pytest

from edge.analysis.enough import (
    FACTS_MIN,
    GAIN,
    MORE_MAX,
    ExpectedGain,
    expected_gain,
    how_much_more,
)
from edge.analysis.learned import Domain, Learned
from edge.analysis.learning_curve import GAIN_LABELS, OTHERS_MAX, left_out_errors
from tests.worlds import clouds

WIDE = 16


def domain(name="hall", centres=(1, 2), each=20, noise=0.0, seed=0):
    """A domain of clouds; a share of the labels is drawn again."""
    random = np.random.default_rng(seed)
    rows = clouds(centres, each, seed=seed, width=WIDE)
    given = np.repeat(np.arange(len(centres)), each)
    given = np.where(random.random(len(given)) < noise, random.permutation(given), given)
    return Domain(
        name=name,
        ids=tuple(f"{name}{at}" for at in range(len(rows))),
        features=np.asarray(rows, np.uint8),
        labels=tuple(f"k{at}" for at in range(len(centres))),
        given=given.astype(np.intp),
        groups=np.arange(len(rows)),
    )


def part(one, rows):
    """Some facts of a domain."""
    rows = np.asarray(rows)
    labels, given = np.unique(np.array(one.labels)[one.given[rows]], return_inverse=True)
    return Domain(
        name=one.name,
        ids=tuple(one.ids[row] for row in rows),
        features=one.features[rows],
        labels=tuple(map(str, labels)),
        given=given,
        groups=np.arange(len(rows)),
    )


def answers(*domains):
    """The answer for a home of these domains."""
    return how_much_more(Learned(domains, sum(map(len, domains))))


def test_separate_clouds_are_answered_right():
    """No fact of two clouds far apart is answered wrong, and labels at random often are."""
    assert not left_out_errors(domain(), ()).any()
    noisy = left_out_errors(domain(noise=1.0), ())
    assert 0.2 < noisy.mean() < 0.8


def test_a_fact_does_not_answer_itself():
    """The only fact of a label is answered wrong when it is left out."""
    one = part(domain(), [*range(12), 30])
    wrong = left_out_errors(one, ())
    assert wrong[-1]
    assert not wrong[:-1].any()


def test_other_domains_support():
    """With the same labels known in another domain, single facts are answered right; the support
    does not depend on how many facts it has, beyond its bound."""
    few = part(domain(seed=3), [0, 1, 2, 30])
    for each in (10, OTHERS_MAX):
        wrong = left_out_errors(few, (domain("yard", each=each, seed=4),))
        assert not wrong[-1], each


def test_a_label_that_only_another_domain_has_can_be_the_answer():
    """An answer that the domain does not know counts as wrong."""
    strange = domain(centres=(1, 2), seed=5)
    other = domain("yard", centres=(1, 2), seed=6)
    renamed = Domain(
        name="yard",
        ids=other.ids,
        features=other.features,
        labels=("x0", "x1"),
        given=other.given,
        groups=other.groups,
    )
    few = part(strange, [0, 30])
    assert left_out_errors(few, (renamed,)).all()


def test_the_gain_falls_with_the_number_of_labels():
    """Of domains with the same errors, the one with more labels gains less from ten more."""
    gains = [
        answers(domain(each=each, noise=1.0, seed=1))["hall/k0"].gain for each in (10, 40, 160)
    ]
    assert gains[0] > gains[1] > gains[2] > 0


def test_unknown_labels_add_to_the_gain():
    """With the same errors, a label with a single fact raises the expected gain."""
    known = part(domain(centres=(1, 2, 3)), range(40))
    single = part(domain(centres=(1, 2, 3)), [*range(39), 40])
    none = np.zeros(40, np.bool_)
    gains = [expected_gain(one, none).after(GAIN_LABELS) for one in (known, single)]
    assert gains[1] > gains[0]


def test_the_range_holds_the_expected_gain():
    """The expected gain lies in its range, which is wider for a larger gain."""
    for rate in (0.0001, 0.01, 0.1, 0.4):
        gain = ExpectedGain(rate, 30)
        low, high = gain.range(GAIN_LABELS)
        assert low < gain.after(GAIN_LABELS) < high
    widths = [np.ptp(ExpectedGain(rate, 30).range(GAIN_LABELS)) for rate in (0.01, 0.1)]
    assert widths[0] < widths[1]


@pytest.mark.parametrize("rate", [0.001, 0.05, 0.3])
def test_labels_for_a_gain_reach_it(rate):
    """So many labels reach the gain, one fewer do not; a gain out of reach has no number."""
    gain = ExpectedGain(rate, 40)
    labels = gain.labels_for(GAIN)
    if gain.after(MORE_MAX) < GAIN:
        assert labels is None
        return
    assert labels is not None
    assert gain.after(labels) >= GAIN - 1e-9
    assert gain.after(labels - 1) < GAIN
    assert math.isclose(gain.after(0), 0)


def test_few_facts_and_single_concepts_have_no_gain():
    """A domain with one label, or with too few facts, has an advice instead of a number."""
    alone = answers(part(domain(), range(20)))["hall/k0"]
    few = answers(part(domain(), [0, 1, 30]))["hall/k0"]
    for one in (alone, few):
        assert one.gain is None
        assert one.more is None or one.more == 0
        assert "too few labels to predict" in one.outlook
    assert "second concept" in alone.advice
    assert str(FACTS_MIN) in few.advice


def test_the_outlook_names_domain_and_points():
    """Every concept of a domain has the same sentence, with the domain and the number."""
    found = answers(domain(noise=1.0), domain("yard", centres=(3, 4), noise=1.0, seed=2))
    assert found["hall/k0"].outlook == found["hall/k1"].outlook != found["yard/k0"].outlook
    one = found["yard/k0"]
    assert one.outlook.startswith("yard: the next 10 labels gain about ")
    assert f"{100 * one.gain:.1f} points" in one.outlook


def test_a_domain_without_errors_has_enough():
    """Many facts, none answered wrong: enough, and a gain below half a point."""
    one = answers(domain(each=60))["hall/k0"]
    assert one.more == 0
    assert "enough" in one.advice
    assert one.gain < GAIN / 2
