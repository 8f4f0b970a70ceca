from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas import (
    AdaptorBudget,
    AdaptorShape,
    Blueprint,
    Cost,
    DeviceSpeed,
    NasError,
    count_cost,
    fit_device,
    probe_blueprints,
)
from nas.cost import budget_excess

SHAPE = AdaptorShape((10, 6), 3)


@pytest.mark.parametrize(
    ("blueprint", "trained"),
    [
        pytest.param(Blueprint(kind="none", taps=(0, 1)), 0, id="none"),
        pytest.param(Blueprint(kind="linear", taps=(0, 1), width=5), 16 * 5, id="linear"),
        pytest.param(
            Blueprint(kind="lowrank", taps=(0, 1), rank=2, activation="relu", depth=2),
            128,
            id="lowrank",
        ),
        pytest.param(
            Blueprint(kind="sliced", taps=(0, 1), rank=2, activation="relu", depth=4),
            256,
            id="sliced",
        ),
        pytest.param(
            Blueprint(kind="bottleneck", taps=(0, 1), width=4, rank=3, activation="relu", depth=2),
            48 + 12 + 16,
            id="mlp",
        ),
        pytest.param(Blueprint(kind="fusion", taps=(0, 1), width=4), 64 + 2, id="fusion"),
        pytest.param(
            Blueprint(kind="fusion", taps=(0, 1), width=4, rank=2), 64 + 32 + 4, id="gated"
        ),
        pytest.param(
            Blueprint(kind="random", taps=(0, 1), width=40, activation="relu", depth=2),
            0,
            id="random",
        ),
    ],
)
def test_bytes_and_products_are_counted(blueprint, trained):
    """Bytes include parameters, scales, head and bias; products those of all matrices."""
    cost = count_cost(blueprint, SHAPE)
    head = (blueprint.width or 16) * 3
    assert cost.nbytes == 4 * (trained + 2 * 16 + head + 3)
    assert cost.products == trained + head
    assert cost.operations == cost.products + cost.additions


@pytest.mark.parametrize(
    ("blueprint", "numbers", "products"),
    [
        (Blueprint(kind="hydra", taps=(0, 1), rank=2), 4 * 32, 4 * 32),
        (Blueprint(kind="hydra", taps=(0, 1), width=5, rank=2), 80 + 32 + 30, 80 + 32 + 30),
        (Blueprint(kind="adapter", taps=(0, 1), rank=2, depth=2), 4 * 32, 4 * 32),
        (Blueprint(kind="adapter_parallel", taps=(0, 1), rank=2), 2 * 32, 2 * 32),
        (Blueprint(kind="sparse", taps=(0, 1), rank=2, depth=2), 3 * 64, 64),
        (Blueprint(kind="pool", taps=(0, 1), rank=2, depth=3), 48 + 3 * 64, 48 + 64),
        (Blueprint(kind="pool", taps=(0, 1), depth=3), 48 + 48, 48 + 16),
        (Blueprint(kind="mhr", taps=(0, 1), rank=2, depth=4), 64, 64),
        (Blueprint(kind="mixture", taps=(0, 1), rank=2, depth=2), 3 * 64 + 48, 3 * 64 + 48),
    ],
    ids=str,
)
def test_numbers_that_are_stored_and_those_that_are_multiplied(blueprint, numbers, products):
    """A pool stores all modulators and uses one; an entry of a sparse delta has two places."""
    cost = count_cost(blueprint, SHAPE)
    head = (blueprint.width or 16) * 3
    assert cost.nbytes == 4 * (numbers + 2 * 16 + head + 3)
    assert cost.products == products + head


def test_columns_in_their_own_units_are_divided():
    """An adapter before the scaling of its tap divides, and multiplies again, every column."""
    costs = [
        count_cost(Blueprint(kind=kind, taps=(0, 1), rank=2, depth=depth), SHAPE).additions
        for kind, depth in (("adapter", 1), ("adapter_parallel", 1), ("adapter", 2))
    ]
    assert costs == [16, 32, 48]


def test_hadamard_transforms_are_additions():
    """40 random features of 16 columns take three blocks, two rounds and four levels each."""
    cost = count_cost(
        Blueprint(kind="random", taps=(0, 1), width=40, activation="relu", depth=2), SHAPE
    )
    assert cost.additions == 16 + 2 * 3 * 16 * 4


@given(
    st.sampled_from(["linear", "bottleneck", "fusion", "random", "kernel"]),
    st.integers(1, 500),
    st.integers(1, 60),
)
def test_wider_costs_more(kind, width, rank):
    """One more input of the head never makes an adaptor cheaper."""
    rank = rank if kind == "bottleneck" else 0
    less, more = (
        count_cost(Blueprint(kind=kind, taps=(0, 1), width=w, rank=rank), SHAPE)
        for w in (width, width + 1)
    )
    assert less.nbytes < more.nbytes
    assert less.operations < more.operations


def test_a_kernel_keeps_its_landmarks_as_bytes():
    """A landmark takes a byte per column, a length, and a weight per label."""
    cost = count_cost(Blueprint(kind="kernel", taps=(0, 1), width=20), SHAPE)
    assert cost.nbytes == 20 * 16 + 4 * (20 + 20 + 20 * 3 + 1 + 2 * 16 + 3)
    assert cost.operations == 20 * 16 + 20 * 3 + 16
    assert cost.conversions == 20 * 16


@given(*[st.floats(1e-4, 10)] * 4)
def test_the_speed_of_a_device_is_recovered(call, product, addition, conversion):
    """A fit recovers the coefficients that generated the timings."""
    true = DeviceSpeed(call, product, addition, conversion)
    shape = AdaptorShape((1_280, 320, 16), 7)
    costs = [count_cost(one, shape) for one in probe_blueprints(3)]
    found = fit_device([(cost, true.latency_ms(cost)) for cost in costs])
    for cost in costs:
        assert found.latency_ms(cost) == pytest.approx(true.latency_ms(cost), rel=1e-3)


@given(st.lists(st.floats(1e-3, 1e3), min_size=4, max_size=9))
def test_no_coefficient_is_negative(times):
    """Inconsistent timings still give coefficients of zero or more."""
    costs = [
        Cost(0, 10**6 * n, 10**5 * (n % 3), n % 4 + 1, 10**5 * (n % 5)) for n in range(len(times))
    ]
    found = fit_device(list(zip(costs, times, strict=True)))
    assert min(asdict(found).values()) >= 0


@pytest.mark.parametrize(
    "times", [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 0.0], [1.0, 2.0, 3.0, float("nan")]]
)
def test_too_few_or_impossible_timings_are_refused(times):
    """Fewer than four timings, or one that is not positive, are an error."""
    with pytest.raises(NasError, match="4 timings") as caught:
        fit_device([(Cost(1, 1, 1, 1), time) for time in times])
    assert "probe_blueprints" in caught.value.hint


@pytest.mark.parametrize(
    ("budget", "limit"),
    [
        pytest.param(AdaptorBudget(99, 100, 10), "bytes", id="bytes"),
        pytest.param(AdaptorBudget(100, 99, 10), "operations", id="operations"),
        pytest.param(AdaptorBudget(100, 100, 2), "milliseconds", id="milliseconds"),
        pytest.param(AdaptorBudget(100, 100, 3), None, id="just"),
    ],
)
def test_limits_are_hard(budget, limit):
    """A cost one above a limit does not fit; one at the limit does."""
    assert budget_excess(Cost(100, 60, 40, 3), budget, DeviceSpeed(1.0, 0.0, 0.0, 0.0)) == limit


def test_timing_probes_determine_every_term():
    """The blueprints to time have independent terms, so that a fit is unique."""
    costs = [count_cost(one, AdaptorShape((1_280, 320), 7)) for one in probe_blueprints(2)]
    terms = np.array(
        [[c.calls, c.products / 1e6, c.additions / 1e6, c.conversions / 1e6] for c in costs]
    )
    assert np.linalg.matrix_rank(terms) == 4
