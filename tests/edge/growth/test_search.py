import numpy as np
import pytest
from msgspec.structs import replace

import nas
from edge.core.adaptors import HoldoutScores
from edge.growth import grow_adaptor, record_scores, split_holdout
from edge.growth.acceptance import choose_candidate
from edge.growth.search import SearchProposal, propose_blueprints
from tests.edge.growth.jobs import DEVICE, facts, job

pytest.importorskip("torch")


def scores(likely: float, count: int = 200, seed: int = 0) -> HoldoutScores:
    """Held-out results with this mean probability of the labels."""
    spread = 0.05 * np.random.default_rng(seed).standard_normal(count)
    chance = np.clip(likely + spread, 0.01, 0.99)
    return HoldoutScores(chance > 0.5, -np.log(chance), chance)


def test_the_first_candidate_stays_unless_another_is_better():
    """A gain within chance changes nothing; of two that are better the best is chosen."""
    assert choose_candidate([scores(0.7), scores(0.7001, seed=1)]) == 0
    assert choose_candidate([scores(0.7), scores(0.8, seed=1), scores(0.9, seed=2)]) == 2
    assert choose_candidate([scores(0.7)]) == 0


def test_a_job_searches_by_the_scores_of_earlier_growths():
    """With a history the order of the search changes, the same way each time; its facts are those
    of the job."""
    made = job(facts("home", 1, 60))
    earlier = job(facts("away", 3, 80))
    known = record_scores(earlier, grow_adaptor(earlier, DEVICE))
    assert known.facts == tuple(sorted(earlier.facts))
    informed = replace(made, history=(known,))
    assert set(known.facts) <= informed.facts
    assert not set(known.facts) & set(made.own.ids)
    own = split_holdout(made.own, made.others).own
    plain, first, again = (
        propose_blueprints(one, own, DEVICE) for one in (made, informed, informed)
    )
    assert isinstance(plain, SearchProposal)
    assert isinstance(first, SearchProposal)
    assert isinstance(again, SearchProposal)
    assert first.blueprints == again.blueprints
    assert first.scores != plain.scores


def test_no_blueprint_is_trained_twice(monkeypatch):
    """A plain blueprint and the same with the recipe that growth trains its kind by are one."""
    plain = nas.Blueprint(kind="linear", taps=(0,), width=32)
    other = nas.Blueprint(kind="lowrank", taps=(0,), rank=4)
    ranking = (plain, nas.with_measured_recipe(plain), other)
    choice = nas.SearchChoice(ranking, (3.0, 2.0, 1.0), 3)
    monkeypatch.setattr(nas, "search", lambda *_: choice)
    made = job(facts("home", 1, 60))
    found = propose_blueprints(made, made.own, DEVICE)
    assert isinstance(found, SearchProposal)
    assert found.blueprints == (nas.with_measured_recipe(plain), other)
    assert found.scores == (3.0, 1.0)
