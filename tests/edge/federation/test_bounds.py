"""What one device can do to a round, and what it is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge.core.errors import EdgeError
from edge.federation.adaptor_task import find_impossible_statistics
from edge.federation.bounds import REFUSED_NORM, WEIGHT_MAX, RoundResults, bound_results
from edge.federation.local_training import LocalResult
from edge.federation.rounds import InProcessExchange, require_sums, run_rounds
from edge.federation.strategies.kinds import FEDERATED_STRATEGIES
from edge.federation.strategies.strategy import FederatedSettings
from tests.federations import START, BowlTask

CURRENT = {"w": np.ones(2, np.float32)}


def result(device: str, length: float, examples: int = 10) -> LocalResult:
    """An update of a length along the first axis."""
    arrays = {"w": CURRENT["w"] + np.array([length, 0], np.float32)}
    return LocalResult(device=device, examples=examples, arrays=arrays)


HONEST = [result(name, length) for name, length in (("a", 1.0), ("b", 1.1), ("c", 0.9))]


def test_honest_results_stay_as_they_are():
    """Bit for bit, the very same objects."""
    made = bound_results(CURRENT, HONEST, 2.0)
    assert all(one is given for one, given in zip(made.results, HONEST, strict=True))
    assert (made.bounded, made.refused) == ((), {})


def test_a_long_update_is_shortened_to_the_bound():
    """Its direction stays; without a bound it stays whole."""
    made = bound_results(CURRENT, [*HONEST, result("d", 50.0)], 2.0)
    assert made.bounded == ("d",)
    assert made.results[3].arrays["w"] == pytest.approx([1 + 2.0 * 1.05, 1.0])
    whole = bound_results(CURRENT, [*HONEST, result("d", 50.0)], 0.0)
    assert whole.results[3].arrays["w"][0] == 51.0


def test_a_claim_of_many_facts_is_cut_and_counts_with_the_length():
    """Three times the median of the facts at most, and the shorter for it."""
    made = bound_results(CURRENT, [*HONEST, result("d", 2.0, 10**6)], 2.0)
    (last,) = (one for one in made.results if one.device == "d")
    assert last.examples == WEIGHT_MAX * 10
    assert last.arrays["w"][0] - 1 == pytest.approx(2.0 * 1.05 / WEIGHT_MAX)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"arrays": {"w": np.array([np.nan, 1], np.float32)}}, "not finite"),
        ({"arrays": {"w": np.array([np.inf, 1], np.float32)}}, "not finite"),
        ({"arrays": {"w": np.array([3e38, 1], np.float32)}}, "times as long is accepted"),
        ({"examples": 0}, "it names 0 facts"),
        ({"examples": -3}, "it names -3 facts"),
        ({"examples": 1 << 60}, "facts, expected 1 to"),
    ],
)
def test_what_no_device_can_mean_is_left_out_with_the_reason(changes: dict[str, Any], reason: str):
    """The others go on without it."""
    bad = replace(result("bad", 1.0), **changes)
    made = bound_results(CURRENT, [*HONEST, bad], 2.0)
    assert [one.device for one in made.results] == ["a", "b", "c"]
    assert reason in made.refused["bad"]


def test_where_nobody_moves_nobody_moves_the_fleet():
    """At a minimum, or where all steps overflow, one device alone cannot pull."""
    still = [result(name, 0.0) for name in "abc"]
    made = bound_results(CURRENT, [*still, result("d", 5.0)], 2.0)
    assert "d" in made.refused
    assert REFUSED_NORM == 100.0


@pytest.mark.parametrize("name", [one for one in FEDERATED_STRATEGIES if one != "sums"])
@pytest.mark.parametrize("kind", ["reversed", "many", "loss", "rate"])
def test_a_fifth_of_liars_moves_no_strategy_far(name: str, kind: str):
    """Two of ten devices reverse their updates, claim a million facts, or lie about loss and rate:
    the model stays within the honest devices' centres."""

    class Lying(InProcessExchange):
        def work(self, devices, plan, arrays, direction):
            """Two of them lie."""
            found = super().work(devices, plan, arrays, direction)
            return [
                spoil(one, arrays, kind) if one.device in {"d3", "d7"} else one for one in found
            ]

    tasks = {f"d{n}": BowlTask(1.0 + 0.1 * n) for n in range(10)}
    settings = FederatedSettings(server_rate=0.1, proximal=0.01)
    reports: list[RoundResults] = []
    made = run_rounds(
        FEDERATED_STRATEGIES[name](settings),
        START,
        Lying(tasks),
        60,
        lambda _number, _model, used: reports.append(used),
    )
    assert np.all(np.abs(made["w"] - 1.45) < 0.8), made["w"]


def spoil(one: LocalResult, arrays: Any, kind: str) -> LocalResult:
    """What a liar sends."""
    away = {key: arrays[key] - 8 * (value - arrays[key]) for key, value in one.arrays.items()}
    match kind:
        case "loss":
            return replace(one, loss=float("nan"))
        case "rate":
            return replace(one, rate=1e-300)
        case "many":
            return replace(one, arrays=away, examples=10**6)
        case _:
            return replace(one, arrays=away)


@pytest.mark.parametrize("names", [("x",), ("counts", "features"), ("counts", "gram", "y")])
def test_sums_of_other_names_are_refused_also_from_the_first_device(names: tuple[str, ...]):
    """All others are compared with the first one's, which may lie as well."""
    sums = {name: np.ones((2, 3), np.int64) for name in names}
    lies = LocalResult(device="a", examples=1, arrays=sums)
    with pytest.raises(EdgeError, match="counts, features, gram"):
        require_sums(lies, lies)


@pytest.mark.parametrize(
    "changes", [{"levels": np.ones(4, np.int64)}, {"more": np.ones(3, np.int64)}]
)
def test_statistics_of_other_names_or_columns_are_of_no_facts(changes: dict[str, Any]):
    """They are named, where arithmetic on them would end the training without a name."""
    whole = np.ones(3, np.int64)
    good = {"count": whole[:1], "levels": whole, "roots": whole}
    assert find_impossible_statistics(good) == ""
    assert "count, levels, roots" in find_impossible_statistics(good | changes)
    assert "count, levels, roots" in find_impossible_statistics({"count": whole[:1]})
