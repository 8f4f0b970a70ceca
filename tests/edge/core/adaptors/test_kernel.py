from __future__ import annotations

import hashlib

import numpy as np
import pytest

import nas
from edge.core.adaptors import kernel as kernel_module
from edge.core.adaptors.crossfit import cross_scores
from edge.core.adaptors.head import build_transform
from edge.core.adaptors.kernel import TunedKernels, solve_kernel, tune_kernel
from edge.core.adaptors.standardisation import standardise
from edge.core.adaptors.weighting import class_weights, lowest_hashes
from edge.core.facts import FactBatch, hash_rank, select_rows, untimed_batch

SPANS = ((0, 6), (6, 10))
EVERY = (0, 1)
NOTHING = untimed_batch((), (), (), np.zeros((0, 10), np.uint8))


def batch(count: int, seed: int = 1) -> FactBatch:
    """Facts of two labels, inside and outside a ball."""
    rows = np.random.default_rng(seed).standard_normal((count, 10))
    inside = np.square(rows[:, :3]).sum(axis=1) < 2.4
    levels = np.clip(np.square(11 + 2 * rows), 0, 255).astype(np.uint8)
    labels = tuple("in" if one else "out" for one in inside)
    return untimed_batch(tuple(f"{i:04}" for i in range(count)), ("d",) * count, labels, levels)


def machine(rows: FactBatch, width: int = 3_840):
    """A kernel machine tuned and solved on facts."""
    blueprint = nas.Blueprint(kind="kernel", taps=EVERY, width=width)
    arrays, _ = tune_kernel(blueprint, rows, standardise(rows, NOTHING, SPANS), SPANS)
    return solve_kernel(build_transform((blueprint, arrays), SPANS), rows)


def accuracy(made, rows: FactBatch) -> float:
    """Share of facts predicted with their label."""
    best = made.answer(rows.features).argmax(axis=1)
    return float(np.mean([made.labels[i] == w for i, w in zip(best, rows.labels, strict=True)]))


def test_it_is_kernel_ridge_regression():
    """The scores equal those of kernel ridge regression in double precision."""
    rows, fresh = batch(60), batch(20, 2)
    made = machine(rows)
    arrays = made.landmarks.transform.arrays

    def scaled(features):
        return (np.rint(16 * np.sqrt(features)) / 16 - arrays["centre"]) * arrays["factor"]

    def near(one, other):
        return np.exp(-np.square(one[:, None] - other[None]).sum(axis=2))

    own, queries = scaled(rows.features), scaled(fresh.features)
    targets = np.eye(2)[[made.labels.index(label) for label in rows.labels]]
    weights = class_weights(rows.labels)
    level = weights @ targets / weights.sum()
    inner = near(own, own) + np.diag(arrays["penalty"][0] / weights)
    expected = near(queries, own) @ np.linalg.solve(inner, targets - level)
    np.testing.assert_allclose(made.answer(fresh.features), expected + level, atol=0.02)


def scales(deviations: tuple[float, ...], seed: int) -> np.ndarray:
    """The factors of the first tap's six columns, over the first, where only the first two columns
    say whether a fact is inside, and columns have these deviations."""
    random = np.random.default_rng(seed)
    rows = random.standard_normal((400, 10))
    inside = np.square(rows[:, :2]).sum(axis=1) < 1.4
    spread = np.array([*deviations, *[0.5] * 4])
    levels = np.clip(np.rint(np.square(8 + spread * rows)), 0, 255).astype(np.uint8)
    labels = tuple("in" if one else "out" for one in inside)
    own = untimed_batch(tuple(f"{i:04}" for i in range(400)), ("d",) * 400, labels, levels)
    blueprint = nas.Blueprint(kind="kernel", taps=(0,), width=400)
    arrays, _ = tune_kernel(blueprint, own, standardise(own, NOTHING, SPANS), SPANS)
    return np.asarray(arrays["factor"] / arrays["factor"][0])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_columns_that_hardly_vary_may_count_less(seed):
    """Where columns of small deviation say nothing, they keep it; where they say what those of
    large deviation do not, all count alike."""
    assert scales((2, 2, 0.4, 0.4, 0.4, 0.4), seed)[2:] == pytest.approx(1.0)
    assert scales((0.4, 0.4, 2, 2, 2, 2), seed)[2:].max() < 0.4


def test_all_facts_count_also_with_few_landmarks():
    """A fifth of the facts as landmarks, solved from all facts, beats these facts alone."""
    rows, fresh = batch(600), batch(600, 2)
    few = machine(rows, 120)
    places = few.landmarks.codes
    assert len(places) == 120
    chosen = np.array([int(one) for one in rows.ids])[:120]
    alone = machine(
        untimed_batch(rows.ids[:120], rows.domains[:120], rows.labels[:120], rows.features[chosen])
    )
    assert accuracy(few, fresh) > accuracy(alone, fresh)


def test_landmarks_are_the_facts_with_the_lowest_hashes():
    """The chosen facts have the lowest hashes of their ids, in their original order."""
    ids = tuple(f"{number:03}" for number in range(50))
    hashes = {one: hashlib.blake2b(one.encode(), digest_size=8).hexdigest() for one in ids}
    lowest_ids = sorted(sorted(ids, key=hashes.__getitem__)[:7])
    facts = untimed_batch(ids, ("a",) * 50, ("b",) * 50, np.zeros((50, 1), np.uint8))
    assert [ids[place] for place in lowest_hashes(facts, 7)] == lowest_ids
    assert lowest_hashes(facts, 99).tolist() == list(range(50))
    made = machine(batch(50), 7)
    assert len(made.landmarks.codes) == 7


def tuned_without(gone: int, tuned: TunedKernels | None) -> list[bytes]:
    """What a kernel is tuned to, as bytes, without one fact of 900."""
    rows = batch(900)
    own = select_rows(rows, np.delete(np.arange(900), gone))
    others = batch(60, 3 + gone)
    standard = standardise(own, others, SPANS)
    blueprint = nas.Blueprint(kind="kernel", taps=EVERY, width=len(own))
    arrays, scores = tune_kernel(blueprint, own, standard, SPANS, tuned)
    return [one.tobytes() for one in (*arrays.values(), scores)]


def test_a_kernel_is_not_tuned_again_for_facts_that_it_is_not_tuned_on(monkeypatch):
    """Where a domain has more facts than a kernel is tuned on, other facts of it and of other
    domains change no bit of the result, which is kept; one that it is tuned on does."""
    judges = lowest_hashes(batch(900))
    beyond = np.setdiff1d(np.arange(900), judges).tolist()
    kept = TunedKernels()
    first = tuned_without(beyond[0], kept)
    assert first == tuned_without(beyond[1], None)
    calls: list[int] = []
    tunes = kernel_module._choose_kernel  # noqa: SLF001  counted

    def counted(*given):
        calls.append(1)
        return tunes(*given)

    monkeypatch.setattr(kernel_module, "_choose_kernel", counted)
    assert tuned_without(beyond[1], kept) == first
    assert not calls
    assert tuned_without(int(judges[0]), kept) == tuned_without(int(judges[0]), None) != first
    assert len(calls) == 2
    assert tuned_without(beyond[0], kept.without((), {})) == first
    assert len(calls) == 3


def test_a_tuned_kernel_goes_with_a_fact_that_it_is_tuned_on():
    """The last rank of the facts that were tuned on decides; a fit at work keeps its own."""
    kept = TunedKernels()
    tuned_without(0, kept)
    own = select_rows(batch(900), np.delete(np.arange(900), 0))
    domain, ranks = own.domains[0], sorted(map(hash_rank, own.ids))
    last = ranks[len(lowest_hashes(own)) - 1]
    assert kept.without((domain,), {domain: ranks[-1], "other": ranks[0]}).kept(domain)
    assert kept.without((domain,), {domain: last}).kept(domain) is None
    assert kept.without(("other",), {}).kept(domain) is None
    assert kept.kept(domain)


@pytest.mark.parametrize("count", [60, 768])
def test_a_tuned_kernel_of_few_facts_goes_with_a_fact_of_another_domain(count):
    """The other domains have a part in its columns' centres and factors."""
    kept, own = TunedKernels(), batch(count)
    blueprint = nas.Blueprint(kind="kernel", taps=EVERY, width=count)
    tune_kernel(blueprint, own, standardise(own, batch(60, 3), SPANS), SPANS, kept)
    domain = own.domains[0]
    assert kept.without((domain,), {}).kept(domain)
    assert kept.without((domain,), {"other": hash_rank("far")}).kept(domain) is None


def test_a_tuned_kernel_that_serves_again_goes_with_the_facts_that_it_serves_now():
    """Of facts with the same features under other ids, those of today decide."""
    kept, rows = TunedKernels(), batch(900)
    blueprint, domain = nas.Blueprint(kind="kernel", taps=EVERY, width=900), rows.domains[0]
    judges = set(lowest_hashes(rows).tolist())
    ranks = [hash_rank(one) for one in rows.ids]
    last = max(judges, key=ranks.__getitem__)
    beyond = min(ranks[row] for row in range(900) if row not in judges)
    # Another id of a later rank that is still among those tuned on.
    names = (f"{rows.ids[last]}-{number}" for number in range(100_000))
    later = next(one for one in names if ranks[last] < hash_rank(one) < beyond)
    for name in (rows.ids[last], later):
        ids = (*rows.ids[:last], name, *rows.ids[last + 1 :])
        own = untimed_batch(ids, rows.domains, rows.labels, rows.features)
        tune_kernel(blueprint, own, standardise(own, NOTHING, SPANS), SPANS, kept)
        assert kept.without((domain,), {domain: hash_rank(name)}).kept(domain) is None


def test_exact_and_nystroem_solutions_agree():
    """With one landmark less than facts, the scores hardly differ from the exact ones."""
    rows, fresh = batch(200), batch(100, 2)
    exact, through = machine(rows, 200), machine(rows, 199)
    np.testing.assert_allclose(
        exact.answer(fresh.features), through.answer(fresh.features), atol=0.05
    )


def test_held_out_scores_equal_those_without_the_fold():
    """Held-out scores equal those of a kernel machine without the fold."""
    rows = batch(80)
    fold = np.arange(80) % 4
    made = machine(rows)
    labels, scores = cross_scores(
        made.landmarks.transform, rows, NOTHING, standardise(rows, NOTHING, SPANS), fold
    )
    kept = [i for i in range(80) if fold[i] != 2]
    left = select_rows(rows, np.array(kept))
    never = solve_kernel(made.landmarks.transform, left)
    assert labels == never.labels
    np.testing.assert_array_equal(scores[fold == 2], never.answer(rows.features[fold == 2]))


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_facts_are_tuned(count):
    """A kernel with no or one measurable distance has finite scores."""
    assert np.isfinite(machine(batch(count)).answer(batch(4).features)).all()
