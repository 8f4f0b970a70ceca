"""Heads of domains with few labels: unlabelled observations help, labels and forget requests count
at once, and nothing of a forgotten observation is left."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.typing import NDArray

import nas
from edge.core.adaptation.pseudo_facts import (
    UNNAMED,
    SampleClusters,
    fold_facts,
    learn_unlabelled,
)
from edge.core.adaptors.adaptor import fit_head
from edge.core.adaptors.head import FittedHead
from edge.core.adaptors.record import AdaptorRecord
from edge.core.config import Config
from edge.core.events import (
    Decision,
    ForgetRequest,
    Label,
    Observation,
    RemoveAdaptor,
    StoreAdaptor,
)
from edge.core.facts import FactBatch, Selector, select_rows, stack_facts, untimed_batch
from edge.core.knowledge import Refit
from edge.core.runtime import Runtime
from edge.core.session.few_labels import (
    COLUMN_FACTS_A_LABEL_MAX,
    FACTS_A_LABEL_MAX,
    ROWS_MIN,
    FewLabelsRefit,
    column_clusters,
)
from tests.worlds import World, fact

WIDTH = 512
SPANS = ((0, WIDTH),)
NOTHING = stack_facts([])
LABELS = "abcd"


def samples(count: int, seed: int) -> tuple[NDArray[np.uint8], list[str]]:
    """Samples of four labels: clusters that many samples show, and that few facts miss, since most
    columns are noise."""
    random = np.random.default_rng(seed)
    centres = np.random.default_rng(0).standard_normal((4, WIDTH))
    number = random.integers(4, size=count)
    strength = random.uniform(0.2, 0.5, (count, 1))
    rows = centres[number] * strength + random.standard_normal((count, WIDTH))
    levels = np.clip(np.square(11 + rows), 0, 255).astype(np.uint8)
    return levels, [LABELS[one] for one in number]


def batch(levels: NDArray[np.uint8], labels: list[str]) -> FactBatch:
    """Samples as facts of one domain."""
    ids = tuple(f"f{at:04}" for at in range(len(levels)))
    return untimed_batch(ids, ("home",) * len(ids), tuple(labels), levels)


def right(made: FittedHead, levels: NDArray[np.uint8], labels: list[str]) -> float:
    """Share of right answers."""
    best = made.answer(levels).argmax(axis=1).tolist()
    return float(np.mean([made.labels[at] == one for at, one in zip(best, labels, strict=True)]))


def test_unlabelled_samples_help():
    """With a few facts a label, hundreds of samples without any make the head better."""
    gains = []
    for seed in range(4):
        own, (fresh, labels) = batch(*samples(24, seed)), samples(400, 50 + seed)
        made = learn_unlabelled(own, NOTHING, samples(500, 90 + seed)[0], SPANS)
        alone = right(fit_head(own, NOTHING, SPANS), fresh, labels)
        gains.append(right(made, fresh, labels) - alone if made is not None else 0.0)
    assert np.mean(gains) > 0.02
    assert min(gains) > -0.04


def test_the_result_follows_from_sets():
    """A fact that was there and is gone leaves nothing, bit for bit."""
    own, rows = batch(*samples(32, 1)), samples(200, 2)[0]
    made = learn_unlabelled(select_rows(own, np.arange(31)), NOTHING, rows, SPANS)
    again = learn_unlabelled(batch(own.features[:31], list(own.labels[:31])), NOTHING, rows, SPANS)
    assert made is not None
    assert again is not None
    assert np.array_equal(made.weights, again.weights)
    assert np.array_equal(made.bias, again.bias)


def test_it_stays_off_where_it_is_worse():
    """Samples of something else altogether, which mislead left-out facts, are not learned from."""
    own = batch(*samples(80, 3))
    wrong = np.concatenate([255 - own.features, np.roll(own.features, 7, axis=1)] * 4)
    made = learn_unlabelled(own, NOTHING, wrong, SPANS)
    fresh, labels = samples(400, 60)
    if made is not None:
        assert (
            right(made, fresh, labels) > right(fit_head(own, NOTHING, SPANS), fresh, labels) - 0.03
        )


def test_one_label_is_nothing_to_learn():
    """With one label there is no head to improve."""
    own = batch(samples(20, 1)[0], ["a"] * 20)
    assert learn_unlabelled(own, NOTHING, samples(200, 2)[0], SPANS) is None


def test_folds_deal_out_every_label():
    """The facts of a label are in as many folds as possible, whatever their order."""
    own = batch(samples(20, 1)[0], list("ab" * 10))
    folds = fold_facts(own)
    for label in "ab":
        counts = np.bincount(folds[[one == label for one in own.labels]], minlength=5)
        assert counts.tolist() == [2] * 5


def test_a_cluster_has_the_name_of_all_its_facts():
    """One label names a cluster, two do not, and a fact that is left out names nothing."""
    found = SampleClusters(np.array([0, 1, 2, 3, 0]), np.array([0, 0, 1, 1, 2]))
    labels, kept = np.array([4, 4, 5, 6, 7]), np.ones(5, np.bool_)
    assert found.names(labels, kept).tolist() == [4, UNNAMED, 7, UNNAMED, 4]
    kept[[3, 4]] = False
    assert found.names(labels, kept).tolist() == [4, 5, UNNAMED, UNNAMED, 4]


def test_named_clusters_help_where_labels_are_very_few():
    """With two facts a label, clusters that these name make the head better than unlabelled samples
    alone do."""
    gains = []
    for seed in range(4):
        own, rows, (fresh, labels) = (
            batch(*samples(8, seed)),
            samples(500, 90 + seed)[0],
            samples(400, 50 + seed),
        )
        plain = learn_unlabelled(own, NOTHING, rows, SPANS)
        named = learn_unlabelled(own, NOTHING, rows, SPANS, group=column_clusters(own, rows))
        head = fit_head(own, NOTHING, SPANS)
        gains.append(right(named or head, fresh, labels) - right(plain or head, fresh, labels))
    assert np.mean(gains) > 0.05


def test_clusters_end_with_more_labels():
    """Beyond very few facts a label, clusters have no say."""
    rows, many = samples(60, 2)[0], 2 * COLUMN_FACTS_A_LABEL_MAX
    own = batch(samples(many, 1)[0], list("ab" * (many // 2)))
    assert column_clusters(own, rows) is not None
    more = batch(samples(many + 1, 1)[0], list("ab" * (many // 2) + "a"))
    assert column_clusters(more, rows) is None


def world(a_label: int = 8, policy: str = "auto") -> World:
    """A runtime that has learned so many facts of each label."""
    levels, labels = samples(8 * 4 * a_label, 1)
    facts, counts = [], dict.fromkeys(LABELS, 0)
    for at, (row, label) in enumerate(zip(levels, labels, strict=True)):
        if counts[label] < a_label:
            counts[label] += 1
            made = fact(f"fact{at:04}", label, "home", at, width=WIDTH)
            facts.append(replace(made, features=row.tobytes()))
    return World(facts, width=WIDTH, config=Config(adaptation=policy))


def unlabelled(one: World, key: str) -> int:
    """From how many unlabelled observations the head has learned that answers one of them."""
    found = one.runtime.explain(key)
    assert found is not None
    return found.unlabelled


def watch(one: World, count: int, seed: int = 5, start: int = 1) -> list[Decision]:
    """Feed samples to one stream and return the decisions."""
    found = []
    for at, row in enumerate(samples(count, seed)[0]):
        event = Observation(
            stream="cam", sequence=start + at, captured_at_ns=start + at, payload=row
        )
        found += [made for made in one.feed(event) if isinstance(made, Decision)]
    return found


def test_the_runtime_answers_with_what_it_has_seen():
    """Once enough observations were seen, the head that learned from them answers decisions, tiles
    and explanations alike."""
    one = world()
    watch(one, ROWS_MIN - 1)
    assert unlabelled(one, f"cam:{ROWS_MIN - 1}") == 0
    decisions = watch(one, 60, 6, ROWS_MIN)
    for decision in decisions[-20:]:
        found = one.runtime.explain(decision.observation_id)
        assert found is not None
        if found.known is not False and found.guess == decision.guess:
            assert found.unlabelled >= ROWS_MIN
    row = samples(1, 8)[0]
    (guess,) = one.runtime.guesses(row, ["home"])[1]
    assert guess.guess in LABELS


def test_the_runtime_answers_by_label_columns():
    """With one fact a label, the head learns from observations, too, and the clusters that the
    facts name have a say."""
    one = world(a_label=1)
    watch(one, ROWS_MIN + 20)
    assert unlabelled(one, "cam:5") >= ROWS_MIN


def test_many_labels_end_it():
    """Beyond the largest number of facts a label, the head of the facts answers."""
    one = world(FACTS_A_LABEL_MAX + 1)
    watch(one, ROWS_MIN + 20)
    assert unlabelled(one, "cam:5") == 0


def test_the_policy_off_ends_it():
    """With adaptation off, nothing is learned without a label."""
    one = world(policy="off")
    watch(one, ROWS_MIN + 20)
    assert unlabelled(one, "cam:5") == 0


def test_a_label_counts_at_once():
    """After a label the head is solved again, with it."""
    one = world()
    watch(one, ROWS_MIN + 20)
    before = unlabelled(one, "cam:5")
    assert before >= ROWS_MIN
    one.feed(Label("cam:7", "a"))
    assert unlabelled(one, "cam:5") == 0
    watch(one, ROWS_MIN, 9, ROWS_MIN + 21)
    assert unlabelled(one, "cam:150") > before


@pytest.mark.parametrize("named", ["ids", "stream"])
def test_a_forgotten_observation_leaves_nothing(named: str):
    """A forget request finds what a head has learned from without a label; after it the answers are
    those of a twin that never saw it."""
    one, twin = world(), world()
    watch(one, ROWS_MIN + 40)
    chosen = Selector(ids=frozenset(("cam:3",))) if named == "ids" else Selector(stream="cam")
    assert one.runtime.holds_traces(chosen)
    assert not one.runtime.holds_traces(Selector(stream="other"))
    assert not one.runtime.holds_traces(Selector(ids=frozenset(("cam:9999",))))
    one.feed(ForgetRequest(request_id="r", selector=chosen))
    assert not one.runtime.holds_traces(chosen)
    again = one.runtime.explain("cam:5")
    assert again is None or not again.unlabelled
    if named == "stream":
        after = [decision.guess for decision in watch(one, ROWS_MIN + 40, 7, 1_001)]
        never = [decision.guess for decision in watch(twin, ROWS_MIN + 40, 7, 1_001)]
        assert after == never


def deferred(one: World) -> World:
    """The same world, whose parts are solved beside serving."""
    one.runtime = Runtime(one.config, one.model, one.ledger, deferring=True)
    return one


def solved(refit: Refit, one: World) -> Refit:
    """A refit, computed and not yet accepted."""
    refit.gather(one.ledger)
    if one.runtime.prepare(refit):
        refit.solve()
    return refit


def being_solved(one: World) -> FewLabelsRefit:
    """The next head that learns from observations; everything before it is fitted."""
    while not isinstance(refit := one.runtime.next_refit(), FewLabelsRefit):
        assert refit is not None
        one.runtime.accept(solved(refit, one), solved=True)
    return refit


def test_a_forget_request_finds_what_is_being_solved():
    """An observation that has left the label buffer, and that a head is being solved with, can be
    forgotten; that head never serves."""
    one = deferred(world())
    watch(one, ROWS_MIN + 40)
    refit = being_solved(one)
    chosen = Selector(ids=frozenset(("cam:3",)))
    one.runtime._session.label_buffer.drop(("cam:3",))  # noqa: SLF001 (else thousands of samples)
    assert one.runtime.holds_traces(chosen)
    one.feed(ForgetRequest(request_id="r", selector=chosen))
    one.runtime.accept(solved(refit, one), solved=True)
    assert not one.runtime.holds_traces(chosen)
    assert unlabelled(one, "cam:5") == 0


def test_labels_do_not_put_off_what_is_due():
    """A label while the first head of a domain is being solved, or is due, lets it be solved with
    that label, not after as many observations again."""
    for solving in (True, False):
        one = deferred(world())
        watch(one, ROWS_MIN + 40)
        first = being_solved(one) if solving else None
        one.feed(Label("cam:7", "a"))
        watch(one, 1, 6, ROWS_MIN + 41)
        if first is not None:
            one.runtime.accept(solved(first, one), solved=True)
        again = solved(being_solved(one), one)
        assert again is not first
        one.runtime.accept(again, solved=True)
        assert unlabelled(one, "cam:5") >= ROWS_MIN


@pytest.mark.parametrize("solving", [False, True])
def test_a_trained_adaptor_takes_over_at_once(solving: bool):
    """A head that was solved before an adaptor was installed, or is being solved, serves no more;
    nor does the one on an adaptor that was removed again."""
    one = deferred(world())
    watch(one, ROWS_MIN + 40)
    refit = solved(being_solved(one), one)
    if not solving:
        one.runtime.accept(refit, solved=True)
        assert unlabelled(one, "cam:5")
    one.ledger.apply(StoreAdaptor(record(one)))
    one.runtime.knowledge.refit("home")
    if solving:
        one.runtime.accept(refit, solved=True)
    assert unlabelled(one, "cam:5") == 0
    again = being_solved(one)
    assert again.record is not None
    one.runtime.accept(solved(again, one), solved=True)
    one.ledger.apply(RemoveAdaptor("home", 1))
    one.runtime.knowledge.refit("home")
    assert unlabelled(one, "cam:5") == 0
    assert being_solved(one).record is None


def record(one: World) -> AdaptorRecord:
    """A trained adaptor of the domain."""
    return AdaptorRecord(
        domain="home",
        version=1,
        blueprint=nas.Blueprint(kind="none", taps=(0,)),
        arrays={"centre": np.zeros(WIDTH, np.float32), "factor": np.ones(WIDTH, np.float32)},
        facts=one.ledger.select(Selector(domain="home")),
        own=32,
        seed=0,
        accuracy=0.9,
        incumbent=0.8,
    )


def test_facts_of_another_device_end_it():
    """Once another device has facts of the domain, the sums of both answer, as after a restart."""
    one = world()
    watch(one, ROWS_MIN + 40)
    assert unlabelled(one, "cam:5")
    one.feed(world(9).runtime.contribute("other", 1).contribution)
    assert unlabelled(one, "cam:5") == 0
