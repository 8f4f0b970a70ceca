"""The contract of the kinds of adaptor, for every entry of the tables."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

import nas
from edge.core.adaptors import KINDS, SOLVED_KINDS, build_transform, fit_adaptor
from edge.core.facts import stack_facts
from edge.core.jobs import GrowthJob
from edge.core.retraining import train_again
from nas.search_kinds import SEARCH_KINDS
from tests.blueprints import BLUEPRINTS, VARIANTS
from tests.contracts.test_adaptors import LABELS, OTHERS, OWN, SPANS, facts
from tests.nas.sketches import sketch

torch = pytest.importorskip("torch")

from edge.growth import torch_adaptors, train_adaptor  # noqa: E402 - skipped without torch
from edge.growth.torch_kinds import TORCH_KINDS  # noqa: E402 - skipped without torch

SIZES = tuple(stop - start for start, stop in SPANS)
TRAINED = [one for one in (*BLUEPRINTS.values(), *VARIANTS) if one.kind not in SOLVED_KINDS]
NETWORKS = [one for one in TRAINED if one.taps == (0, 1, 2)]
OPEN = nas.AdaptorBudget(1 << 40, 1 << 40, 1e9)
FREE = nas.DeviceSpeed(0.0, 0.0, 0.0, 0.0)


def drawn(blueprint: nas.Blueprint, seed: int) -> dict[str, np.ndarray]:
    """Random parameters, places among the columns, and a scaling above zero."""
    random = np.random.default_rng(seed)
    shapes = KINDS[blueprint.kind].shapes(blueprint, SIZES)
    arrays = {n: random.standard_normal(s).astype(np.float32) for n, s in shapes.items()}
    for name in {"row", "column"} & set(arrays):
        arrays[name] = random.integers(0, sum(SIZES), arrays[name].shape).astype(np.float32)
    return arrays | {"factor": random.uniform(0.5, 2, sum(SIZES)).astype(np.float32)}


@pytest.fixture(params=TRAINED, ids=str)
def trained(request) -> nas.Blueprint:
    """Each kind that is trained, and further shapes."""
    assert isinstance(request.param, nas.Blueprint)
    return request.param


def test_every_kind_is_in_every_table():
    """A kind is named, searched, served and, unless it is solved, trained; an example is tested."""
    assert set(nas.KINDS) == set(SEARCH_KINDS) == set(KINDS) == set(BLUEPRINTS)
    assert set(TORCH_KINDS) == set(KINDS) - set(SOLVED_KINDS)


@pytest.mark.parametrize("blueprint", NETWORKS, ids=str)
def test_serving_equals_training(blueprint):
    """The formulas in torch and in numpy give the same columns, in a batch and for one row."""
    arrays = drawn(blueprint, 1)
    rows = np.random.default_rng(2).standard_normal((7, sum(SIZES))).astype(np.float32)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    given = torch_adaptors.torch_transform(blueprint, tensors, SIZES, torch.from_numpy(rows))
    served = KINDS[blueprint.kind].apply(blueprint, arrays, SIZES, rows)
    np.testing.assert_allclose(served, given.numpy(), rtol=1e-4, atol=1e-4)
    one = KINDS[blueprint.kind].apply(blueprint, arrays, SIZES, rows[3])
    np.testing.assert_allclose(one, served[3], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("blueprint", NETWORKS, ids=str)
def test_short_and_long_products_agree(blueprint):
    """Scores and gradients equal those of the columns times the top, up to rounding."""
    random = np.random.default_rng(2)
    out = blueprint.width or sum(SIZES)
    arrays = drawn(blueprint, 3) | {"top": random.standard_normal((out, 3)).astype(np.float32)}
    rows = torch.from_numpy(random.standard_normal((7, sum(SIZES))).astype(np.float32))
    found = []
    for way in (torch_adaptors.torch_logits, _long_way):
        leaves = {name: torch.tensor(array, requires_grad=True) for name, array in arrays.items()}
        scores = way(blueprint, leaves, SIZES, rows)
        slopes = torch.autograd.grad(
            scores.square().sum(), list(leaves.values()), allow_unused=True
        )
        found.append([scores.detach(), *(one for one in slopes if one is not None)])
    for short, long in zip(*found, strict=True):
        torch.testing.assert_close(short, long, rtol=1e-3, atol=1e-1)


def _long_way(blueprint, leaves, sizes, rows):
    return torch_adaptors.torch_transform(blueprint, leaves, sizes, rows) @ leaves["top"]


def test_training_is_reproducible_and_finite(trained):
    """The same facts and seed give the same bits; all numbers are finite, and some have moved."""
    own, others = stack_facts(OWN), stack_facts(OTHERS)
    first, second = (train_adaptor(trained, own, others, SPANS, 3) for _ in range(2))
    assert set(first) == set(second)
    for name, array in first.items():
        assert array.dtype == np.float32
        assert np.isfinite(array).all(), name
        np.testing.assert_array_equal(array, second[name])
    other = train_adaptor(trained, own, others, SPANS, 4)
    assert any(not np.array_equal(first[name], other[name]) for name in first)


def test_training_works_without_other_domains_and_on_few_facts(trained):
    """A home of one domain, with one fact per label, is trained on."""
    own, nothing = stack_facts(facts("home", 1, 1)), stack_facts([])
    arrays = train_adaptor(trained, own, nothing, SPANS, 3)
    columns = build_transform((trained, arrays), SPANS)(own.features)
    assert np.isfinite(columns).all()


def test_an_adaptor_is_made_again_with_the_same_bits(trained):
    """After a forget, training again equals training by a twin that never saw the facts."""
    left = [fact for fact in OWN if fact.id != "home3"]
    others = [fact for fact in OTHERS if fact.id != "away5"]
    job = GrowthJob(
        id="job",
        domain="home",
        version=1,
        seed=3,
        budget=OPEN,
        spans=SPANS,
        own=stack_facts(left),
        others=stack_facts(others),
        blueprint=trained,
    )
    twin = replace(job, own=stack_facts(left[::-1]), others=stack_facts(others[::-1]))
    again, never = (train_again(one, train_adaptor).record for one in (job, twin))
    assert again is not None
    assert never is not None
    assert again.digest == never.digest


def test_a_trained_adaptor_answers(trained):
    """Trained on all facts, an adaptor predicts new samples of its domain."""
    own, others = stack_facts(OWN), stack_facts(OTHERS)
    job = GrowthJob(
        id="job",
        domain="home",
        version=1,
        seed=3,
        budget=OPEN,
        spans=SPANS,
        own=own,
        others=others,
        blueprint=trained,
    )
    record = train_again(job, train_adaptor).record
    fitted = fit_adaptor(own, others, record, SPANS)
    fresh = stack_facts(facts("home", 3))
    best = fitted.answer(fresh.features).argmax(axis=1)
    assert np.mean([fitted.labels[i] == w for i, w in zip(best, fresh.labels, strict=True)]) > 0.85
    shape = nas.AdaptorShape(SIZES, len(LABELS))
    counted = nas.count_cost(trained, shape)
    assert (fitted.nbytes, fitted.operations) == (counted.nbytes, counted.operations)


@pytest.mark.parametrize("kind", nas.KINDS)
def test_a_kind_is_in_the_space_and_is_scored(kind):
    """Every kind has distinct shapes on all taps, a finite score, and a place in a ranking."""
    space = [one for one in nas.enumerate_space(3) if one.kind == kind]
    assert {(0, 1, 2)} <= {one.taps for one in space}
    assert len(set(SEARCH_KINDS[kind].grid)) == len(SEARCH_KINDS[kind].grid)
    scores = nas.PROXIES["tangent"](space, sketch(), None, 1)
    assert np.isfinite(scores).all()
    ranked = nas.search(sketch(), OPEN, FREE)
    assert isinstance(ranked, nas.SearchChoice)
    assert set(space) <= set(ranked.ranking)


@pytest.mark.parametrize("kind", nas.KINDS)
def test_a_kind_keeps_to_the_budget(kind):
    """A search with the bytes of a kind's smallest blueprint ranks it and nothing larger; with one
    byte less it is gone."""
    shape = sketch().shape
    costs = {one: nas.count_cost(one, shape).nbytes for one in nas.enumerate_space(3)}
    least = min(nbytes for one, nbytes in costs.items() if one.kind == kind)
    for nbytes, expected in ((least, True), (least - 1, False)):
        found = nas.search(sketch(), nas.AdaptorBudget(nbytes, 1 << 40, 1e9), FREE)
        ranking = found.ranking if isinstance(found, nas.SearchChoice) else ()
        assert all(costs[one] <= nbytes for one in ranking)
        assert any(one.kind == kind for one in ranking) == expected


def test_a_budget_that_nothing_fits_says_so():
    """No kind is left: the reason names the limit and the least that is needed."""
    found = nas.search(sketch(), nas.AdaptorBudget(1, 1 << 40, 1e9), FREE)
    assert isinstance(found, nas.NoFit)
    assert "bytes" in found.reason
