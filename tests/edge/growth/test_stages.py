"""What the kinds that are trained in stages learn from which facts."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

import nas
from edge.core.facts import Fact, stack_facts
from tests.contracts.test_adaptors import OTHERS, OWN, SPANS

torch = pytest.importorskip("torch")

from edge.growth import train_adaptor  # noqa: E402 - skipped without torch

EVERY = (0, 1, 2)
READ = SPANS[-1][1]


def trained(
    blueprint: nas.Blueprint, own: list[Fact] = OWN, others: list[Fact] = OTHERS
) -> dict[str, np.ndarray]:
    """The arrays that training gives for facts."""
    return train_adaptor(blueprint, stack_facts(own), stack_facts(others), SPANS, 3)


def relabelled(facts: list[Fact]) -> list[Fact]:
    """The same facts with their labels in another order, so that nothing else changes."""
    labels = [fact.label for fact in facts]
    return [
        msgspec.structs.replace(fact, label=label)
        for fact, label in zip(facts, labels[5:] + labels[:5], strict=True)
    ]


def entries(arrays: dict[str, np.ndarray]) -> list[tuple[float, float, float]]:
    """The entries of the deltas of a `sparse` adaptor."""
    return list(zip(*(arrays[name].tolist() for name in ("row", "column", "value")), strict=True))


def test_the_projection_of_hydra_learns_from_other_domains_and_the_branches_from_all():
    """Own labels change the branches, not the frozen projection."""
    blueprint = nas.Blueprint(kind="hydra", taps=EVERY, width=5, rank=2)
    first, second = trained(blueprint), trained(blueprint, own=relabelled(OWN))
    np.testing.assert_array_equal(first["W"], second["W"])
    assert not np.array_equal(first["V0"], second["V0"])
    assert not np.array_equal(first["V1"], second["V1"])
    third = trained(blueprint, others=relabelled(OTHERS))
    assert not np.array_equal(first["W"], third["W"])


def test_the_delta_of_the_domain_needs_no_labels():
    """At depth 2 the first half of the entries is the task's, which labels change; the second half
    is the domain's, which they do not."""
    blueprint = nas.Blueprint(kind="sparse", taps=EVERY, rank=2, depth=2)
    first, second = entries(trained(blueprint)), entries(trained(blueprint, relabelled(OWN)))
    half = 2 * READ
    assert first[:half] != second[:half]
    assert first[half:] == second[half:]


def test_deltas_add_up():
    """The task's delta alone is the first half of both deltas together: each starts anew."""
    one = nas.Blueprint(kind="sparse", taps=EVERY, rank=2, depth=1)
    alone, both = entries(trained(one)), entries(trained(replace(one, depth=2)))
    assert both[: len(alone)] == alone


def test_a_delta_has_as_many_distinct_entries_as_it_keeps():
    """The entries that moved most are listed once each; most of them move again."""
    found = entries(trained(nas.Blueprint(kind="sparse", taps=EVERY, rank=3, depth=1)))
    assert len({(row, column) for row, column, _ in found}) == 3 * READ
    assert all(0 <= row < READ and 0 <= column < READ for row, column, _ in found)
    assert np.mean([value != 0 for _, _, value in found]) > 0.9


def test_a_delta_that_may_keep_more_than_there_is_keeps_everything():
    """On 4 columns a rank of 8 has places for 32 entries, of which 16 exist."""
    found = entries(trained(nas.Blueprint(kind="sparse", taps=(1,), rank=8, depth=1)))
    assert len(found) == 32
    assert sum(value != 0 for _, _, value in found) <= 16


def test_the_adapters_of_domains_need_no_labels():
    """Labels change the task's adapter and the gate, not the domains' adapters; the last place has
    no domain, and stays at zero."""
    blueprint = nas.Blueprint(kind="mixture", taps=EVERY, rank=2, activation="gelu", depth=3)
    first, second = trained(blueprint), trained(blueprint, own=relabelled(OWN))
    for name in ("D0", "V0", "D1", "V1"):
        np.testing.assert_array_equal(first[name], second[name])
    assert np.abs(first["V0"]).max() > 0
    assert np.abs(first["V1"]).max() > 0
    assert not first["V2"].any()
    assert not np.array_equal(first["F"], second["F"])
    assert not np.array_equal(first["Vt"], second["Vt"])


def test_skills_come_from_other_domains():
    """Routing alone leaves skills of the other domains: without any movement of theirs the adapter
    is a mean of theirs.  Tuning the skills, or their mean, gives other adapters."""
    shape = nas.Blueprint(kind="mhr_z", taps=EVERY, rank=2, depth=4)
    found = [trained(replace(shape, kind=kind)) for kind in ("mhr_z", "mhr", "mhr_mu")]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not np.array_equal(found[one]["V"], found[other]["V"])
    # Other labels of other domains change what routing has to choose from.
    again = trained(shape, others=relabelled(OTHERS))
    assert not np.array_equal(found[0]["V"], again["V"])


def test_keys_of_a_pool_move_towards_the_rows_that_match_them():
    """After training, the best cosine of a row with a key is larger than at the start."""
    blueprint = nas.Blueprint(kind="pool", taps=EVERY, rank=2, depth=2)
    from edge.core.adaptors import LEVELS

    arrays = trained(blueprint)
    rows = (LEVELS[stack_facts(OWN).features] - arrays["centre"]) * arrays["factor"]
    start = np.random.default_rng(3).standard_normal((2, READ)).astype(np.float32)

    def best(keys: np.ndarray) -> float:
        cosines = rows @ keys.T / np.linalg.norm(keys, axis=1)
        return float((cosines.max(axis=1) / np.linalg.norm(rows, axis=1)).mean())

    assert best(arrays["K"]) > best(start)
