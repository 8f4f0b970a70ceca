"""Old facts first, then new ones with a little replay."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

import nas
from edge.core.adaptors import standardise
from edge.core.facts import Fact, stack_facts
from tests.contracts.test_adaptors import OTHERS, OWN, SPANS

pytest.importorskip("torch", reason="torch is not installed")

from edge.growth import train_adaptor
from edge.growth.recipes import continual
from edge.growth.recipes.recipe import TrainingTask
from edge.growth.training_set import make_adaptor_training_set

BLUEPRINT = nas.Blueprint(kind="linear", taps=(0, 1, 2), width=6)


def task(own: list[Fact], others: list[Fact]) -> TrainingTask:
    """A training task as recipes get it."""
    mine, rest = stack_facts(own), stack_facts(others)
    facts = make_adaptor_training_set(BLUEPRINT, mine, rest, standardise(mine, rest, SPANS), SPANS)
    return TrainingTask(
        blueprint=BLUEPRINT, shapes={"W": (16, 6)}, sizes=(8, 4, 4), facts=facts, seed=1
    )


def test_other_domains_are_old():
    """The facts of other domains come first, all own facts then."""
    old, new = task(OWN, OTHERS).split()
    assert not bool(old.own.any())
    assert bool(new.own.all())
    assert (len(old.rows), len(new.rows)) == (len(OTHERS), len(OWN))


def test_without_other_domains_the_older_half_is_old():
    """Capture times decide, not names or the order of enrolment."""
    timed = [msgspec.structs.replace(one, captured_at_ns=1_000 - at) for at, one in enumerate(OWN)]
    old, new = task(timed[::-1], []).split()
    assert int(old.ages.max()) < int(new.ages.min())
    assert abs(len(old.rows) - len(new.rows)) <= 1
    standard = task(timed, []).facts
    newest = standard.rows[standard.ages.argmax()]
    ids = sorted(one.id for one in timed)
    assert np.array_equal(newest, standard.rows[ids.index(timed[0].id)])


def test_replay_has_its_share():
    """Old facts weigh REPLAY of the loss on new ones, however many there are."""
    given = task(OWN, OTHERS)
    old = given.split()[0]
    weights = continual.replayed(old, given.facts).weights
    assert float(weights.sum()) == pytest.approx(1)
    assert float(weights[~given.facts.own].sum()) == pytest.approx(continual.REPLAY)


@pytest.mark.parametrize("recipe", ["rewarm", "budget-free", "warm-start", "logit-swap"])
def test_the_time_of_capture_decides(recipe):
    """The same facts captured in the opposite order are trained otherwise."""
    one = replace(BLUEPRINT, recipe=recipe)
    turned = [
        msgspec.structs.replace(fact, captured_at_ns=1_000 - fact.captured_at_ns) for fact in OWN
    ]
    nothing = stack_facts([])
    before, after = (
        train_adaptor(one, stack_facts(own), nothing, SPANS, 1)["W"] for own in (OWN, turned)
    )
    assert not np.array_equal(before, after)
