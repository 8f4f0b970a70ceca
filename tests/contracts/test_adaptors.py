"""What every kind of adaptor promises."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load, save

import nas
from edge.core.adaptors.adaptor import fit_adaptor, standardising_arrays
from edge.core.adaptors.kernel import tune_kernel
from edge.core.adaptors.kinds import KINDS
from edge.core.adaptors.record import AdaptorRecord
from edge.core.adaptors.standardisation import standardise
from edge.core.adaptors.transform import build_transform, transform_shapes
from edge.core.errors import ModelMismatchError, StateCorruptError
from edge.core.facts import Fact, FactBatch, stack_facts
from tests.worlds import clouds

SPANS = ((0, 8), (8, 12), (12, 16))
WIDTH = SPANS[-1][1]
LABELS = ("a", "b", "c")
BLUEPRINTS = {
    "none": nas.Blueprint(kind="none", taps=(0, 1, 2)),
    "linear": nas.Blueprint(kind="linear", taps=(0, 2), width=6),
    "lowrank": nas.Blueprint(kind="lowrank", taps=(0, 1, 2), rank=3, activation="relu", depth=2),
    "bottleneck": nas.Blueprint(
        kind="bottleneck", taps=(0, 1, 2), width=24, rank=12, activation="tanh", depth=2
    ),
    "fusion": nas.Blueprint(kind="fusion", taps=(0, 1, 2), width=12, rank=4, activation="none"),
    "random": nas.Blueprint(kind="random", taps=(0, 1, 2), width=40, activation="relu", depth=2),
    "kernel": nas.Blueprint(kind="kernel", taps=(0, 1, 2), width=24),
}


def facts(domain: str, seed: int, count: int = 12, labels: tuple[str, ...] = LABELS) -> list[Fact]:
    """`count` facts a label, each label around its own centre."""
    rows = clouds(range(len(labels)), count, seed=seed, width=WIDTH)
    return [
        Fact(f"{domain}{row}", "s", domain, labels[row // count], row, values.tobytes())
        for row, values in enumerate(rows)
    ]


OWN, OTHERS = facts("home", 1), facts("away", 2)
NOTHING = stack_facts([])


def record(kind: str) -> AdaptorRecord:
    """A record of a kind with drawn parameters, as if it had been trained."""
    blueprint = BLUEPRINTS[kind]
    random = np.random.default_rng(5)
    standard = standardise(stack_facts(OWN), stack_facts(OTHERS), SPANS)
    if kind == "kernel":
        arrays = tune_kernel(blueprint, stack_facts(OWN), standard, SPANS)
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
    """Each kind in turn, then no record at all: the head alone."""
    return None if request.param == "head alone" else record(request.param)


@pytest.fixture(params=sorted(KINDS))
def kind(request) -> str:
    """Each kind in turn."""
    return str(request.param)


def right(adaptor, rows: FactBatch) -> float:
    """Share of rows whose best label is theirs."""
    best = adaptor.answer(rows.features).argmax(axis=1)
    return float(np.mean([adaptor.labels[i] == w for i, w in zip(best, rows.labels, strict=True)]))


def test_it_answers_what_it_was_taught(served):
    """Its best label is the right one for samples like its facts, one row or many."""
    adaptor = fit_adaptor(stack_facts(OWN), stack_facts(OTHERS), served, SPANS)
    batch = stack_facts(facts("home", 3))
    scores = adaptor.answer(batch.features)
    assert right(adaptor, batch) > 0.85
    assert scores.shape == (len(batch), len(LABELS))
    assert scores.dtype == np.float32


def test_one_row_gets_the_scores_it_gets_among_many(served):
    """A batch is a loop, up to the last bits of a float."""
    adaptor = fit_adaptor(stack_facts(OWN), NOTHING, served, SPANS)
    features = stack_facts(OWN).features
    for row, scores in zip(features[:4], adaptor.answer(features)[:4], strict=True):
        np.testing.assert_allclose(adaptor.answer(row), scores, rtol=1e-4, atol=1e-5)


def test_the_same_facts_give_the_same_adaptor(served):
    """Fitted twice, in whatever order the facts came, it answers bit for bit alike."""
    one = fit_adaptor(stack_facts(OWN), stack_facts(OTHERS), served, SPANS)
    other = fit_adaptor(stack_facts(OWN[::-1]), stack_facts(OTHERS[::-1]), served, SPANS)
    features = stack_facts(OWN).features
    np.testing.assert_array_equal(one.answer(features), other.answer(features))
    assert one.labels == other.labels


def test_learning_then_forgetting_equals_never_having_learned(served):
    """The head follows the set of facts alone, whatever was in it before."""
    extra = facts("home", 4, labels=("d",))
    fit_adaptor(stack_facts([*OWN, *extra]), stack_facts(OTHERS), served, SPANS)
    left = [fact for fact in [*OWN, *extra] if fact.label != "d"]
    after = fit_adaptor(stack_facts(left), stack_facts(OTHERS), served, SPANS)
    never = fit_adaptor(stack_facts(OWN), stack_facts(OTHERS), served, SPANS)
    features = stack_facts(OWN).features
    np.testing.assert_array_equal(after.answer(features), never.answer(features))


def test_its_inputs_are_unharmed(served):
    """Fitting and answering change no feature and no parameter."""
    own, others = stack_facts(OWN), stack_facts(OTHERS)
    before = own.features.copy(), others.features.copy(), served and served.digest
    fit_adaptor(own, others, served, SPANS).answer(own.features)
    np.testing.assert_array_equal(own.features, before[0])
    np.testing.assert_array_equal(others.features, before[1])
    assert (served and served.digest) == before[2]


def test_a_new_label_becomes_a_new_column(served):
    """The transform stays, the head grows."""
    extra = facts("home", 1, labels=(*LABELS, "d"))[-12:]
    adaptor = fit_adaptor(stack_facts([*OWN, *extra]), stack_facts(OTHERS), served, SPANS)
    assert adaptor.labels == (*LABELS, "d")


def test_its_labels_are_sorted_and_from_the_facts(served):
    """It can answer every label of its own facts and nothing nobody taught."""
    adaptor = fit_adaptor(
        stack_facts(facts("home", 1, labels=("b", "a"))), stack_facts(OTHERS), served, SPANS
    )
    assert list(adaptor.labels) == sorted(adaptor.labels)
    assert {"a", "b"} <= set(adaptor.labels) <= set(LABELS)


def test_it_obeys_its_declared_cost(kind):
    """Bytes and multiply-adds of the built adaptor are those the search counted beforehand."""
    adaptor = fit_adaptor(stack_facts(OWN), NOTHING, record(kind), SPANS)
    shape = nas.AdaptorShape(tuple(stop - start for start, stop in SPANS), len(LABELS))
    counted = nas.count_cost(BLUEPRINTS[kind], shape)
    assert (adaptor.nbytes, adaptor.operations) == (counted.nbytes, counted.operations)


@pytest.mark.parametrize("count", [1, 2, 40])
def test_it_takes_few_facts_and_many(served, count):
    """One fact a label is enough to answer, and more facts than columns are no trouble."""
    rows = stack_facts(facts("home", 1, count))
    adaptor = fit_adaptor(rows, NOTHING, served, SPANS)
    assert np.isfinite(adaptor.answer(rows.features)).all()
    assert right(adaptor, rows) > 0.85


def test_one_label_is_answered(served):
    """With a single label there is only one answer."""
    adaptor = fit_adaptor(stack_facts(facts("home", 1, labels=("only",))), NOTHING, served, SPANS)
    assert adaptor.labels == ("only",)
    assert adaptor.answer(np.zeros(WIDTH, np.uint8)).shape == (1,)


@pytest.mark.parametrize("level", [0, 255])
def test_columns_that_never_move_do_no_harm(served, level):
    """Constant features give finite scores, also when all columns are constant."""
    features = np.full((4, WIDTH), level, np.uint8)
    batch = FactBatch(("1", "2", "3", "4"), ("d",) * 4, ("a", "b", "a", "b"), features)
    assert np.isfinite(fit_adaptor(batch, NOTHING, served, SPANS).answer(features)).all()


def test_its_arrays_survive_safetensors(kind):
    """Packed and unpacked, it transforms bit for bit alike."""
    made = record(kind)
    again = load(save(dict(made.arrays)))
    features = stack_facts(OWN).features
    expected = build_transform(made, SPANS)(features)
    np.testing.assert_array_equal(
        build_transform((made.blueprint, again), SPANS)(features), expected
    )


def test_wrong_features_are_refused(kind):
    """Another width or dtype is a mismatch of models, said before anything is computed."""
    transform = build_transform(record(kind), SPANS)
    for wrong in (np.zeros(WIDTH - 1, np.uint8), np.zeros(WIDTH, np.float32), np.uint8(1)):
        with pytest.raises(ModelMismatchError, match="adapting features"):
            transform(np.asarray(wrong))


def test_arrays_that_do_not_fit_are_refused(kind):
    """A missing, extra or misshapen array is damage, and no adaptor is built on it."""
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
