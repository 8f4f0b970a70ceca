from dataclasses import replace

import numpy as np
import pytest

import nas
from benchmarks.nas.run import (
    BIDIRECTIONAL,
    GROWN,
    OURS,
    SearchOutcome,
    agreement,
    half_losses,
    independent_loss,
    points_lost,
    summarise,
)
from tests.blueprints import BLUEPRINTS
from tests.nas.sketches import sketch

TANGENT = "tangent"


def test_agreement_is_one_for_the_truth_and_minus_one_for_its_reverse():
    """Kendall's tau of a score with itself, turned round, and with ties."""
    truth = np.array([0.1, 0.4, 0.2, 0.9])
    assert agreement(truth, truth, TANGENT) == pytest.approx(1)
    assert agreement(-truth, truth, TANGENT) == pytest.approx(-1)
    assert agreement(np.array([0.0, 1.0, 0.0, 1.0]), truth, TANGENT) == pytest.approx(
        4 / np.sqrt(4 * 6)
    )


def test_sizes_count_in_their_better_direction():
    """A size that orders the space backwards is as good a baseline as one that does not."""
    truth = np.arange(5.0)
    assert agreement(-truth, truth, "macs") == pytest.approx(1)


@pytest.mark.parametrize("flaw", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_can_be_compared(flaw):
    """A score of infinity, or none, has a place among the others."""
    scores = np.array([flaw, 0.0, 1.0])
    assert np.isfinite(agreement(scores, np.arange(3.0), TANGENT))


def test_a_constant_score_agrees_with_nothing():
    """Ties everywhere are no order."""
    assert agreement(np.zeros(4), np.arange(4.0), TANGENT) == 0


def test_regret_is_in_points():
    """The loss of a choice is counted in hundredths of accuracy."""
    assert points_lost(np.array([0.5, 0.75]), 0) == pytest.approx(25)


def test_luck_on_the_facts_is_no_regret():
    """Of equally good blueprints none loses on other facts, though the best of them looks lucky."""
    right = np.random.default_rng(0).random((200, 1_000)) < 0.8
    assert points_lost(right.mean(axis=1), 0) > 1.5
    assert abs(independent_loss(right, 0)) < points_lost(right.mean(axis=1), 0) / 2
    worse = np.concatenate([right, np.zeros((1, 1_000), bool)])
    assert independent_loss(worse, 200) == pytest.approx(80, abs=3)


def test_luck_costs_also_the_one_that_knows_other_labels():
    """Of equally good blueprints, the best by one half loses on the other, as any other does."""
    right = np.random.default_rng(0).random((200, 1_000)) < 0.8
    own, other = half_losses(right, 0)
    assert own == pytest.approx(other, abs=2)
    assert min(own, other) > 1.5


def test_the_summary_has_its_keys_and_counts_the_best_rival():
    """The best baseline is the proxy of the highest mean, ours left out."""
    taus = dict.fromkeys(nas.PROXIES, 0.1) | {"zico": 0.4, TANGENT: 0.9, OURS: 0.8}
    regrets = dict.fromkeys(taus, 2.0) | {"halving": 1.0, OURS: 0.5, GROWN: 0.3}
    regrets |= dict.fromkeys(BIDIRECTIONAL, 3.0)
    found = summarise(
        [
            SearchOutcome(
                task="a",
                taus=taus,
                regrets=regrets,
                independent={name: value - 0.7 for name, value in regrets.items()},
                half=(1.5, 1.25),
                search_s=1.0,
                halving_s=30.0,
                fits_s=8.0,
            )
        ]
    )
    assert found["kendall_tau_mean"] == 0.8
    assert found["best_baseline_tau"] == 0.4
    assert found["regret_points"] == 0.5
    assert found["fits_regret_points"] == 0.3
    assert found["independent_regret_points"] == pytest.approx(-0.2)
    assert found["bidirectional_regret_points"] == 3.0
    assert found["fits_s"] == pytest.approx(4)  # six of the twelve that were fitted
    assert found["halving_regret_points"] == 1.0
    assert found["search_s"] == 1.0
    assert found["halving_s"] == 30.0
    assert found["tasks_above_every_rival"] == 1


@pytest.mark.parametrize("kind", nas.KINDS)
def test_networks_have_the_width_of_their_blueprint(kind):
    """Each kind's network has the width of its blueprint, and gradients reach its parameters."""
    torch = pytest.importorskip("torch")
    from benchmarks.nas.ground_truth import build_network

    example = BLUEPRINTS[kind]
    width = 6 if example.width else 0
    blueprint = replace(example, taps=(1, 3), width=width, rank=min(3, example.rank))
    network = build_network(blueprint, (4, 5), 0)
    rows = torch.from_numpy(np.random.default_rng(1).standard_normal((12, 9), np.float32))
    columns = network.forward(network.parameters, rows)
    assert columns.shape == (12, width or 9)
    if network.parameters:
        gradients = torch.autograd.grad(columns.sum(), list(network.parameters.values()))
        assert any(each.abs().sum() > 0 for each in gradients)


@pytest.mark.parametrize("kind", sorted(set(BLUEPRINTS) - {"none", "random", "kernel"}))
@pytest.mark.parametrize("proxy", ["synflow", "grad_norm"])
def test_proxies_score_the_network_of_every_kind(kind, proxy):
    """Also in double precision, in which synflow computes."""
    from benchmarks.nas.ground_truth import build_network

    (score,) = nas.PROXIES[proxy]([BLUEPRINTS[kind]], sketch(), build_network, 0)
    assert np.isfinite(score)
    assert score > 0
