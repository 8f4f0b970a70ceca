"""The contract of adaptors, for every kind and for the head alone."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load, save

import nas
from edge.core.adaptors.adaptor import fit_adaptor, standardising_arrays
from edge.core.adaptors.head import build_transform, transform_shapes
from edge.core.adaptors.kernel import tune_kernel
from edge.core.adaptors.kinds import KINDS
from edge.core.adaptors.record import AdaptorRecord
from edge.core.adaptors.standardisation import standardise
from edge.core.errors import ModelMismatchError, StateCorruptError
from edge.core.facts import Fact, FactBatch, stack_facts, untimed_batch
from tests.blueprints import BLUEPRINTS
from tests.worlds import clouds

SPANS = ((0, 8), (8, 12), (12, 16))
WIDTH = SPANS[-1][1]
LABELS = ("a", "b", "c")


def facts(domain: str, seed: int, count: int = 12, labels: tuple[str, ...] = LABELS) -> list[Fact]:
    """`count` facts per label, each label around its own centre."""
    rows = clouds(range(len(labels)), count, seed=seed, width=WIDTH)
    return [
        Fact(
            id=f"{domain}{row}",
            stream="s",
            domain=domain,
            label=labels[row // count],
            captured_at_ns=row,
            features=values.tobytes(),
        )
        for row, values in enumerate(rows)
    ]


OWN, OTHERS = facts("home", 1), facts("away", 2)
NOTHING = stack_facts([])


def record(kind: str) -> AdaptorRecord:
    """A record of a kind with random parameters in place of trained ones."""
    blueprint = BLUEPRINTS[kind]
    random = np.random.default_rng(5)
    standard = standardise(stack_facts(OWN), stack_facts(OTHERS), SPANS)
    if kind == "kernel":
        arrays, _ = tune_kernel(blueprint, stack_facts(OWN), standard, SPANS)
    else:
        arrays = standardising_arrays(blueprint, standard, SPANS)
    for name, shape in transform_shapes(blueprint, SPANS).items():
        drawn = random.standard_normal(shape) / np.sqrt(shape[0])
        arrays.setdefault(name, drawn.astype(np.float32))
    ids = tuple(fact.id for fact in OWN)
    return AdaptorRecord(
        domain="home",
        version=1,
        blueprint=blueprint,
        arrays=arrays,
        facts=ids,
        own=len(ids),
        seed=1,
        accuracy=0.9,
        incumbent=0.8,
    )


@pytest.fixture(params=[*sorted(KINDS), "head alone"])
def served(request) -> AdaptorRecord | None:
    """A record of each kind, and None: the head alone."""
    return None if request.param == "head alone" else record(request.param)


@pytest.fixture(params=sorted(KINDS))
def kind(request) -> str:
    """Each kind in turn."""
    return str(request.param)


def accuracy(adaptor, rows: FactBatch) -> float:
    """Share of rows predicted with their label."""
    best = adaptor.answer(rows.features).argmax(axis=1)
    return float(np.mean([adaptor.labels[i] == w for i, w in zip(best, rows.labels, strict=True)]))


def test_an_adaptor_predicts_its_labels(served):
    """New samples like its facts are predicted correctly, with float32 scores [n, labels]."""
    adaptor = fit_adaptor(stack_facts(OWN), stack_facts(OTHERS), served, SPANS)
    batch = stack_facts(facts("home", 3))
    scores = adaptor.answer(batch.features)
    assert accuracy(adaptor, batch) > 0.85
    assert scores.shape == (len(batch), len(LABELS))
    assert scores.dtype == np.float32


def test_a_row_has_the_same_scores_alone_and_in_a_batch(served):
    """Scores of a single row and in a batch agree up to rounding."""
    adaptor = fit_adaptor(stack_facts(OWN), NOTHING, served, SPANS)
    features = stack_facts(OWN).features
    for row, scores in zip(features[:4], adaptor.answer(features)[:4], strict=True):
        np.testing.assert_allclose(adaptor.answer(row), scores, rtol=1e-4, atol=1e-5)


def test_the_same_facts_give_the_same_adaptor(served):
    """Facts in another order give bit-equal scores."""
    one = fit_adaptor(stack_facts(OWN), stack_facts(OTHERS), served, SPANS)
    other = fit_adaptor(stack_facts(OWN[::-1]), stack_facts(OTHERS[::-1]), served, SPANS)
    features = stack_facts(OWN).features
    np.testing.assert_array_equal(one.answer(features), other.answer(features))
    assert one.labels == other.labels


def test_learning_then_forgetting_equals_never_having_learned(served):
    """Without a forgotten fact, scores are bit-equal to never having learned it."""
    extra = facts("home", 4, labels=("d",))
    fit_adaptor(stack_facts([*OWN, *extra]), stack_facts(OTHERS), served, SPANS)
    left = [fact for fact in [*OWN, *extra] if fact.label != "d"]
    after = fit_adaptor(stack_facts(left), stack_facts(OTHERS), served, SPANS)
    never = fit_adaptor(stack_facts(OWN), stack_facts(OTHERS), served, SPANS)
    features = stack_facts(OWN).features
    np.testing.assert_array_equal(after.answer(features), never.answer(features))


def test_inputs_are_not_modified(served):
    """Fitting and scoring change no feature and no parameter."""
    own, others = stack_facts(OWN), stack_facts(OTHERS)
    before = own.features.copy(), others.features.copy(), served and served.digest
    fit_adaptor(own, others, served, SPANS).answer(own.features)
    np.testing.assert_array_equal(own.features, before[0])
    np.testing.assert_array_equal(others.features, before[1])
    assert (served and served.digest) == before[2]


def test_a_new_label_becomes_a_new_column(served):
    """A fact with a new label adds that label to the adaptor."""
    extra = facts("home", 1, labels=(*LABELS, "d"))[-12:]
    adaptor = fit_adaptor(stack_facts([*OWN, *extra]), stack_facts(OTHERS), served, SPANS)
    assert adaptor.labels == (*LABELS, "d")


def test_labels_are_sorted_and_those_of_the_facts(served):
    """An adaptor has every label of its own facts, and none that no fact has."""
    adaptor = fit_adaptor(
        stack_facts(facts("home", 1, labels=("b", "a"))), stack_facts(OTHERS), served, SPANS
    )
    assert list(adaptor.labels) == sorted(adaptor.labels)
    assert {"a", "b"} <= set(adaptor.labels) <= set(LABELS)


def test_the_declared_cost_is_the_counted_one(kind):
    """Bytes and multiply-adds of a fitted adaptor equal those that the search counts."""
    adaptor = fit_adaptor(stack_facts(OWN), NOTHING, record(kind), SPANS)
    shape = nas.AdaptorShape(tuple(stop - start for start, stop in SPANS), len(LABELS))
    counted = nas.count_cost(BLUEPRINTS[kind], shape)
    assert (adaptor.nbytes, adaptor.operations) == (counted.nbytes, counted.operations)


@pytest.mark.parametrize("count", [1, 2, 40])
def test_few_and_many_facts_are_fitted(served, count):
    """One fact per label is enough, and more facts than columns work too."""
    rows = stack_facts(facts("home", 1, count))
    adaptor = fit_adaptor(rows, NOTHING, served, SPANS)
    assert np.isfinite(adaptor.answer(rows.features)).all()
    assert accuracy(adaptor, rows) > 0.85


def test_a_single_label_is_predicted(served):
    """Facts of a single label give one score."""
    adaptor = fit_adaptor(stack_facts(facts("home", 1, labels=("only",))), NOTHING, served, SPANS)
    assert adaptor.labels == ("only",)
    assert adaptor.answer(np.zeros(WIDTH, np.uint8)).shape == (1,)


@pytest.mark.parametrize("level", [0, 255])
def test_constant_columns_do_no_harm(served, level):
    """Constant features give finite scores, also when all columns are constant."""
    features = np.full((4, WIDTH), level, np.uint8)
    batch = untimed_batch(("1", "2", "3", "4"), ("d",) * 4, ("a", "b", "a", "b"), features)
    assert np.isfinite(fit_adaptor(batch, NOTHING, served, SPANS).answer(features)).all()


def test_arrays_survive_safetensors(kind):
    """Arrays that were packed and unpacked transform bit for bit the same."""
    made = record(kind)
    again = load(save(dict(made.arrays)))
    features = stack_facts(OWN).features
    expected = build_transform(made, SPANS)(features)
    np.testing.assert_array_equal(
        build_transform((made.blueprint, again), SPANS)(features), expected
    )


def test_wrong_features_are_refused(kind):
    """Another width or dtype is a ModelMismatchError."""
    transform = build_transform(record(kind), SPANS)
    for wrong in (np.zeros(WIDTH - 1, np.uint8), np.zeros(WIDTH, np.float32), np.uint8(1)):
        with pytest.raises(ModelMismatchError, match="adapting features"):
            transform(np.asarray(wrong))


def test_arrays_that_do_not_fit_are_refused(kind):
    """A missing, extra or misshapen array is a StateCorruptError."""
    made = record(kind)
    missing = {name: array for name, array in made.arrays.items() if name != "centre"}
    extra = {**made.arrays, "spare": np.zeros(1, np.float32)}
    double = {**made.arrays, "factor": made.arrays["factor"].astype(np.float64)}
    for arrays in (missing, extra, double):
        with pytest.raises(StateCorruptError, match="building an adaptor"):
            build_transform((made.blueprint, arrays), SPANS)


def test_taps_that_do_not_exist_are_refused(kind):
    """A blueprint for an encoder with more taps does not fit this one."""
    with pytest.raises(StateCorruptError, match="taps below 1"):
        build_transform(record(kind), SPANS[:1])
