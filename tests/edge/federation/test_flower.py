"""Flower itself, where it is installed: its averaging, its messages, its engine."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from edge.core.errors import EdgeError
from edge.extras import install_command
from edge.federation import (
    InProcessFleet,
    open_home_device,
    require_flower,
    simulate_fleet,
    train_fleet,
)
from edge.federation.flower_app import open_node, order_from, pack_result, unpack_result
from edge.federation.local_training import LocalResult
from edge.federation.strategies.strategy import FederatedSettings
from edge.home.home import Home
from tests.federations import ORDER, SUBJECT, forget, teach_homes


def test_a_missing_flower_names_the_extra(monkeypatch):
    """Nothing of ours takes its place."""
    import sys

    monkeypatch.setitem(sys.modules, "flwr", None)
    monkeypatch.setitem(sys.modules, "flwr.app", None)
    with pytest.raises(EdgeError) as caught:
        simulate_fleet([], ORDER)
    assert install_command("fleet") in caught.value.hint


def test_a_runs_configuration_is_an_order():
    """The names of [tool.flwr.app.config], with hyphens; wrong values are refused."""
    order = order_from(
        {"domain": "hall", "strategy": "fedhyper", "rounds": 5, "rate": 0.5, "server-rate": 0.2}
    )
    assert (order.subject.domain, order.strategy, order.rounds) == ("hall", "fedhyper", 5)
    assert (order.settings.rate, order.settings.server_rate) == (0.5, 0.2)
    with pytest.raises(EdgeError, match="rounds"):
        order_from({"domain": "hall", "rounds": "many"})


def test_a_node_without_a_home_says_what_to_pass():
    """A deployed node names its home, or its recording."""
    with pytest.raises(EdgeError, match="no 'home'"):
        open_node({}, SUBJECT)


def test_flowers_averages_are_ours():
    """Equal within float32's rounding: Flower sums in float32, we in float64."""
    pytest.importorskip("flwr")
    require_flower()
    from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict
    from flwr.serverapp.strategy import FedAvg, FedTrimmedAvg
    from flwr.serverapp.strategy import FedMedian as TheirMedian

    from edge.federation.local_training import LocalResult
    from edge.federation.strategies.averaging import average
    from edge.federation.strategies.robust import FedMedian, FedTrimmedMean

    random = np.random.default_rng(0)
    results = [
        LocalResult(
            device=str(number),
            examples=number + 1,
            arrays={"w": random.normal(size=(7, 3)).astype(np.float32)},
        )
        for number in range(5)
    ]

    def reply(one: LocalResult) -> SimpleNamespace:
        """A device's reply, anew for each strategy: some take the arrays out of it."""
        content = RecordDict(
            {
                "arrays": ArrayRecord({"w": Array(one.arrays["w"])}),
                "metrics": MetricRecord({"num-examples": one.examples}),
            }
        )
        return SimpleNamespace(content=content, has_error=lambda: False)

    trimmed = FedTrimmedMean(FederatedSettings(trim=0.2))
    for ours, theirs in (
        (average(results), FedAvg()),
        (FedMedian(FederatedSettings()).aggregate({}, results), TheirMedian()),
        (trimmed.aggregate({}, results), FedTrimmedAvg(beta=0.2)),
    ):
        found, _ = theirs.aggregate_train(1, [reply(one) for one in results])
        assert np.allclose(ours["w"], found["w"].numpy(), rtol=1e-6, atol=1e-6)


def test_flowers_engine_gives_the_bits_of_one_process(tmp_path: Path):
    """Virtual nodes in Flower's simulation on Ray, client-side hypergradients included."""
    pytest.importorskip("flwr")
    ray = pytest.importorskip("ray")
    pytest.importorskip("torch")
    paths = teach_homes(tmp_path)
    order = msgspec.structs.replace(ORDER, strategy="fedhyper")
    here = train_fleet(InProcessFleet([open_home_device(one, SUBJECT) for one in paths]), order)
    made = simulate_fleet(paths, order, cpus=1)
    assert made.digest == here.digest
    assert made.members == here.members
    assert [one.sent_bytes for one in made.rounds] == [one.sent_bytes for one in here.rounds]
    assert not ray.is_initialized()


def test_facts_that_change_meanwhile_end_the_training(tmp_path: Path):
    """A node remembers the digest of its facts in Flower's context; after a forget it refuses."""
    pytest.importorskip("flwr")
    require_flower()
    from flwr.app import RecordDict

    from edge.federation.flower_app import _remember, _remembered

    (path,) = teach_homes(tmp_path, ("north",))
    context = SimpleNamespace(state=RecordDict())
    assert _remembered(context) == ""
    _remember(context, open_home_device(path, SUBJECT).digest)
    assert _remembered(context) == open_home_device(path, SUBJECT).digest
    with Home(path) as home:
        forget(home, "north-3")
    assert _remembered(context) != open_home_device(path, SUBJECT).digest


@pytest.mark.parametrize("loss", [0.1, float("inf"), float("nan")])
def test_a_loss_that_is_not_finite_reaches_the_server(loss: float):
    """A model that diverges has one; JSON has no such numbers."""
    made = LocalResult(device="north", examples=9, arrays={}, loss=loss, rate=0.3)
    found = unpack_result(pack_result(made), {})
    assert (found.device, found.examples, found.rate) == ("north", 9, 0.3)
    np.testing.assert_equal(found.loss, loss)


def test_an_answer_that_cannot_be_read_is_an_error():
    """With what to do."""
    with pytest.raises(EdgeError, match="cannot be read"):
        unpack_result('["north", 9, "loud", "0x1p0"]', {})
