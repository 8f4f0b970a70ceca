from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from edge import EdgeError
from edge.sim.scenarios import parse_scenario
from edge.sim.world import (
    DelayedLabel,
    EnrolSamples,
    EvaluateNow,
    ForgetAction,
    ObserveSample,
    build_world,
)

PLAIN = {"source": "optdigits", "test": 50}
NOISY = PLAIN | {"corruptions": [{"kind": "drift", "severity": 1.0, "ramp": 20}]}


def world(phases, seed: int = 1, **changes):
    """A world of two domains that share their samples, one drifting."""
    content = {
        "title": "t",
        "encoder": {"model": "vector"},
        "domains": {"a": PLAIN, "b": NOISY},
        "phases": phases,
    }
    return build_world(parse_scenario(content | changes), seed)


def of_kind(found, kind):
    """The actions of a kind, in order."""
    return [action for action in found.actions if isinstance(action, kind)]


def test_a_seed_lays_out_the_same_world_again() -> None:
    """The same seed gives the same measurements, another seed others."""
    phases = [{"domain": "a", "enrol": 5}, {"domain": "b", "observations": 10}]
    first, same, other = (
        [sample.read().tobytes() for sample in world(phases, seed).samples] for seed in (1, 1, 2)
    )
    assert first == same
    assert first != other


def test_no_sample_is_used_twice() -> None:
    """Enrolled, shown and held-out rows are apart, also between domains that share a source."""
    found = world(
        [
            {"domain": "a", "enrol": 300, "observations": 200},
            {"domain": "b", "enrol": 300, "observations": 200},
        ],
        domains={"a": PLAIN, "b": PLAIN | {"corruptions": [{"kind": "drift", "severity": 0.0}]}},
    )
    used = [s.read().tobytes() for teach in of_kind(found, EnrolSamples) for s in teach.samples]
    used += [show.sample.read().tobytes() for show in of_kind(found, ObserveSample)]
    held_out = {sample.read().tobytes() for sample in found.tests["a"]}
    assert len(set(used)) == len(used) == 1000
    assert not held_out & set(used)
    assert held_out == {sample.read().tobytes() for sample in found.tests["b"]}


def test_a_drift_grows_over_its_ramp_and_is_whole_in_the_held_out_set() -> None:
    """The first observation is untouched, later ones move further, held-out ones furthest."""
    found = world([{"domain": "b", "observations": 10}, {"domain": "b", "observations": 30}])
    clean = world(
        [{"domain": "b", "observations": 10}, {"domain": "b", "observations": 30}],
        domains={"b": PLAIN},
    )
    pairs = zip(of_kind(found, ObserveSample), of_kind(clean, ObserveSample), strict=True)
    moved = [float(np.abs(a.sample.read() - b.sample.read()).sum()) for a, b in pairs]
    assert moved[0] == 0
    assert moved[:21] == sorted(moved[:21])
    assert moved[-1] == pytest.approx(moved[20], rel=1e-4)
    last = np.abs(found.tests["b"][0].read() - clean.tests["b"][0].read()).sum()
    assert last == pytest.approx(moved[-1], rel=1e-4)


def test_labels_come_late_and_the_rest_at_the_end() -> None:
    """A label comes `label_delay` observations after its own, at the latest before the last
    checkpoint."""
    phase = {"domain": "a", "observations": 10, "label_fraction": 1.0, "label_delay": 3}
    found = world([phase])
    order = [a for a in found.actions if isinstance(a, ObserveSample | DelayedLabel | EvaluateNow)]
    shown = [a.id for a in order if isinstance(a, ObserveSample)]
    for event in of_kind(found, DelayedLabel):
        before = sum(isinstance(a, ObserveSample) for a in order[: order.index(event)])
        assert before == min(10, shown.index(event.id) + 4)
    assert isinstance(order[-1], EvaluateNow)
    assert len(of_kind(found, DelayedLabel)) == 10


def test_requests_come_at_their_place() -> None:
    """A request comes before its observation; one beyond the end comes at the end."""
    found = world(
        [{"domain": "a", "observations": 5}],
        forget=[{"at": 99, "label": "1"}, {"at": 2, "label": "0"}],
    )
    kinds = [type(action) for action in found.actions[1:]]
    assert kinds == [
        ObserveSample,
        ObserveSample,
        ForgetAction,
        ObserveSample,
        ObserveSample,
        ObserveSample,
        ForgetAction,
        EvaluateNow,
    ]


def test_classes_can_be_ordered() -> None:
    """A stream by class follows the order given."""
    phase = {"domain": "a", "observations": 40, "classes": ["7", "2"], "order": "by_class"}
    labels = [show.sample.label for show in of_kind(world([phase]), ObserveSample)]
    assert labels == sorted(labels, reverse=True)
    assert set(labels) == {"2", "7"}


def test_wrong_labels_are_other_classes_and_leave_the_rest_alone() -> None:
    """The share of errors is kept, each names another class, and the same samples are labelled."""
    phase = {"domain": "a", "observations": 400, "label_fraction": 0.5}
    clean, poisoned = world([phase]), world([phase | {"label_noise": 0.2}])
    pairs = list(zip(of_kind(clean, DelayedLabel), of_kind(poisoned, DelayedLabel), strict=True))
    assert [right.id for right, _ in pairs] == [noisy.id for _, noisy in pairs]
    wrong = [noisy for right, noisy in pairs if noisy.label != right.label]
    assert all(noisy.wrong for noisy in wrong)
    assert sum(noisy.wrong for _, noisy in pairs) == len(wrong)
    assert 0.1 < len(wrong) / len(pairs) < 0.3
    assert {noisy.label for _, noisy in pairs} <= set("0123456789")


def test_a_single_class_cannot_be_mistaken() -> None:
    """Where a phase shows one class there is no other to name."""
    phase = {"domain": "a", "observations": 20, "label_fraction": 1.0, "label_noise": 1.0}
    assert not any(
        event.wrong for event in of_kind(world([phase | {"classes": ["3"]}]), DelayedLabel)
    )


def test_labels_stop_where_a_class_has_enough() -> None:
    """No class gets more labels in a phase than it may."""
    phase = {"domain": "a", "observations": 400, "label_fraction": 1.0, "labels_per_class": 3}
    counts = Counter(event.label for event in of_kind(world([phase]), DelayedLabel))
    assert set(counts.values()) == {3}
    assert len(counts) == 10


@pytest.mark.parametrize(("given", "named"), [(False, ""), (True, "a"), ("line", "line")])
def test_labels_name_a_domain_where_they_should(given: bool | str, named: str) -> None:
    """Labels name no domain, the true one, or the one that the scenario says."""
    phase = {"domain": "a", "observations": 5, "label_fraction": 1.0, "label_domain": given}
    assert {event.domain for event in of_kind(world([phase]), DelayedLabel)} == {named}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"phases": [{"domain": "a", "enrol": 5_000}]}, "left"),
        ({"domains": {"a": PLAIN, "b": PLAIN | {"corruptions": [{"kind": "blur"}]}}}, "blur"),
    ],
)
def test_a_world_that_cannot_be_is_refused(changes, word: str) -> None:
    """Too few samples, and corruptions that do not fit, are reported before anything runs."""
    with pytest.raises(EdgeError, match=word):
        world(**({"phases": [{"domain": "a"}]} | changes))
