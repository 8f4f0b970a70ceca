from __future__ import annotations

import numpy as np
import pytest

import encoder
from benchmarks.adapt.pictures import PICTURES
from benchmarks.continual import classes, domains
from benchmarks.continual import closed_form as cl_closed
from benchmarks.continual import gradient as cl_sgd
from benchmarks.continual.accuracy import accuracies, marks
from benchmarks.continual.data import ContinualSamples, ContinualView, views
from benchmarks.continual.domains_stream import stream_of
from benchmarks.continual.ours import answer_rows, derive, routing_cost, window_accuracy
from benchmarks.report import BenchmarkRow

WIDTH = 10
SPANS = ((0, 6), (6, WIDTH))


@pytest.fixture(scope="module")
def samples() -> ContinualSamples:
    """Two domains that shift all columns, and two classes that the first column separates."""
    random = np.random.default_rng(0)
    count = 240
    label, domain = np.arange(count) % 2, np.arange(count) // 2 % 2
    rows = random.normal(100, 6, (count, WIDTH)) + 40 * domain[:, None]
    rows[:, 0] += 50 * label
    quantiser = encoder.Quantiser(np.ones(WIDTH, np.float32), np.zeros(WIDTH, np.int32))
    held = np.flatnonzero(np.arange(count) // 4 % 4 == 0)
    train = np.setdiff1d(np.arange(count), held)
    features = rows.clip(0, 255).astype(np.uint8)
    return ContinualSamples(
        features=features,
        label=label,
        domain=domain,
        train=train,
        held=held,
        spans=SPANS,
        quantiser=quantiser,
    )


@pytest.fixture
def view(samples) -> ContinualView:
    """All taps, standardised."""
    return views(samples)["all standard"]


def test_marks_by_sets():
    """Accuracy is that after the last task; forgetting is the loss since the best earlier value."""
    table = {
        frozenset({0}): {0: 0.9},
        frozenset({1}): {1: 0.6},
        frozenset({0, 1}): {0: 0.8, 1: 0.7},
    }
    accuracy, forgotten = marks(table, [(0, 1), (1, 0)], ordered=False)
    assert accuracy == pytest.approx(0.75)
    assert forgotten == pytest.approx((0.1 - 0.1) / 2)


def test_marks_by_orders():
    """Where order matters, each prefix has accuracies of its own."""
    table = {(0,): {0: 1.0}, (0, 1): {0: 0.4, 1: 0.8}}
    assert marks(table, [(0, 1)], ordered=True) == pytest.approx((0.6, 0.6))


def test_accuracies_by_group():
    """Each group counts its own rows."""
    right = np.array([True, False, True, True])
    assert accuracies(np.array([0, 0, 1, 1]), right, [0, 1]) == {0: 0.5, 1: 1.0}


@pytest.mark.parametrize("name", sorted(cl_closed.PEERS))
def test_a_closed_peer_learns(name, samples, view):
    """Every peer tells two plain classes apart, whatever the order of its rows."""
    peer = cl_closed.choose(name, views(samples), *cl_closed.folds(samples.train), (0,))
    chosen = views(samples)[peer.way]
    scores = peer.learners[0](chosen, samples.train, samples.held)
    assert (scores.argmax(axis=1) == view.label[samples.held]).mean() > 0.9
    shuffled = peer.learners[0](chosen, samples.train[::-1], samples.held)
    assert (shuffled.argmax(axis=1) == scores.argmax(axis=1)).mean() > 0.95


def test_a_class_that_was_never_learned_is_not_answered(samples, view):
    """Scores of unseen classes lie below all others."""
    only = samples.train[samples.label[samples.train] == 1]
    for learner in (cl_closed.nearest_mean, cl_closed.slda, cl_closed.ridge):
        assert (learner(view, only, samples.held, 0.1).argmax(axis=1) == 1).all()


def test_chances_of_a_random_peer_are_counted(samples):
    """A peer with random features has a learner a seed; the others have one."""
    split = cl_closed.folds(samples.train)
    assert len(cl_closed.choose("RanPAC", views(samples), *split, (0, 1)).learners) == 2
    assert len(cl_closed.choose("SLDA", views(samples), *split, (0, 1)).learners) == 1


@pytest.mark.parametrize("name", sorted(cl_sgd.PEERS))
def test_a_gradual_peer_learns_each_prefix_once(name, samples, view):
    """Orders that begin alike share their first task, and the last state knows the last task."""
    tasks = {one: samples.train[samples.domain[samples.train] == one] for one in (0, 1)}
    peer = cl_sgd.PEERS[name]
    made = dict(cl_sgd.states([(0, 1), (1, 0), (0, 1)], tasks, view, peer, 0.03, 0))
    assert sorted(made) == [(0,), (0, 1), (1,), (1, 0)]
    assert made[0, 1].accuracies_by_task(view, {1: tasks[1]})[1] > 0.9


def test_a_memory_is_bounded(samples, view):
    """A replay memory keeps its bound, and only shown samples."""
    peer = cl_sgd.Gradual(20)
    tasks = {0: samples.train[:50], 1: samples.train[50:100]}
    *_, (_, state) = cl_sgd.states([(0, 1)], tasks, view, peer, 0.03, 0)
    kept = state.memory.rows
    assert len(kept) == len(set(kept)) == 20
    assert set(kept) <= set(samples.train[:100].tolist())


def test_the_runtime_routes_and_answers(samples):
    """Knowledge derived from facts finds domain and class of held-out rows."""
    outcome = answer_rows(derive(samples, samples.train, 0), samples, samples.held)
    domain, label = samples.domain[samples.held], samples.label[samples.held]
    assert (outcome.routed == domain).mean() > 0.95
    assert (outcome.answered == label).mean() > 0.9
    assert (outcome.with_domain == label).mean() > 0.9
    still, mixed, alone = window_accuracy(outcome, domain, 0)
    assert still >= 0.99
    assert mixed >= alone - 0.01


def test_one_domain_can_hold_all(samples):
    """Facts filed in one domain leave nothing to route."""
    known = derive(samples, samples.train, 0, "domain-0")
    assert known.domains == ("domain-0",)
    assert (answer_rows(known, samples, samples.held).routed == 0).all()


def test_the_cost_of_routing_is_measured(samples):
    """Time and memory are given for so many domains."""
    found = routing_cost(samples, 3)
    assert set(found) == {"route_us_3", "router_fit_s_3", "router_mib_3"}
    assert all(value > 0 for value in found.values())


@pytest.mark.parametrize(
    ("benchmark", "file"), [(domains, PICTURES), (classes, "pacs_efficientnet_lite0.npz")]
)
def test_without_data_it_is_skipped(benchmark, file):
    """A benchmark without its data is skipped, with the names of the files."""
    report = benchmark.run(None)
    assert not report.rows
    assert file in report.notes[0]


def test_parts_of_domains_are_chosen(monkeypatch, tmp_path, samples):
    """Chosen parts run beside ours, and the others are named; an unknown part is an error."""
    (tmp_path / PICTURES).write_bytes(b"")
    rows = [BenchmarkRow(domains.OURS, name, 0.9) for name in ("average_accuracy", "forgetting")]
    rows.append(BenchmarkRow(domains.ORACLE, "average_accuracy", 0.9))
    monkeypatch.setattr(domains, "ours", lambda _course: (list(rows), {}))
    monkeypatch.setattr(domains, "pacs_samples", lambda _card, _data: samples)
    monkeypatch.setattr(cl_closed, "PEERS", {"NCM": cl_closed.PEERS["NCM"]})
    report = domains.run(tmp_path, sets=["ours", "closed"])
    assert report.summary["best_peer_accuracy"] > 0.5
    assert report.notes == ("parts left out: gradual, streams",)
    alone = domains.run(tmp_path, quick=True)
    assert alone.notes == ("parts left out: closed, gradual, streams",)
    with pytest.raises(ValueError, match="expected parts among ours"):
        domains.run(tmp_path, sets=["peers"])


def test_samples_become_a_stream(samples):
    """A stream has the rows, the quantiser and the held-out part of the samples."""
    names = {"one": SPANS[0][1], "two": WIDTH - SPANS[0][1]}
    card = encoder.vector_card(WIDTH, "toy", samples.quantiser, names)
    stream = stream_of(samples, card)
    assert np.flatnonzero(stream.held).tolist() == samples.held.tolist()
    assert stream.levels is samples.features
    assert [tap.name for tap in stream.card.taps] == ["one", "two"]


def test_the_summary_of_domains_compares():
    """The best peer is neither ours nor one that sees everything at once."""
    rows = [
        BenchmarkRow("auricle", "average_accuracy", 0.9),
        BenchmarkRow("auricle", "forgetting", 0.0),
        BenchmarkRow("true domain (oracle)", "average_accuracy", 0.95),
        BenchmarkRow("joint training (all standard)", "average_accuracy", 0.94),
        BenchmarkRow("RanPAC (all raw)", "average_accuracy", 0.8),
        BenchmarkRow("NCM (final raw)", "average_accuracy", 0.7),
    ]
    found = domains.own_figures(rows) | domains.peer_figures(rows)
    assert found["average_accuracy"] == 0.9
    assert found["oracle_accuracy"] == 0.95
    assert found["best_peer_accuracy"] == 0.8
    assert found["joint_accuracy"] == 0.94


def test_courses_cut_orders_into_tasks(samples):
    """A course knows its tasks in every order and each set of classes once."""
    course = classes.course("cifar", samples, 1, views(samples))
    assert course.orders[:2] == (((0,), (1,)), ((1,), (0,)))
    assert set(course.sets) == {frozenset({0}), frozenset({1}), frozenset({0, 1})}


def test_a_course_is_run(samples):
    """Ours and the peers give their marks for every way of cutting the classes."""
    courses = [classes.course("cifar", samples, size, views(samples)) for size in (1, 2)]
    mine = {row.metric: row.value for row in classes.ours(courses, "auricle")}
    assert mine["cifar_final_accuracy"] > 0.9
    assert set(mine) == {"cifar_final_accuracy", "cifar_2x1_forgetting", "cifar_1x2_forgetting"}
    peer = {row.metric for row in classes.closed(courses, "NCM")}
    assert peer == set(mine)
