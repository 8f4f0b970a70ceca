"""The benchmark of exact unlearning and published methods."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
load_digits = pytest.importorskip("sklearn.datasets").load_digits

import encoder  # noqa: E402 - needs torch
from benchmarks.continual.data import ContinualSamples  # noqa: E402 - needs torch
from benchmarks.unlearn.ours import (  # noqa: E402 - needs torch
    blueprints_of,
    count_different_bits,
    derive_adaptor,
    measure_exact,
)
from benchmarks.unlearn.run import EXACT, run, summarise_comparison  # noqa: E402 - needs torch
from benchmarks.unlearn.sets import comparison_sets  # noqa: E402 - needs torch
from edge.sim.unlearning import run_unlearning, summarise_methods  # noqa: E402 - needs torch
from tests.edge.sim.unlearning.digit_sets import draw_digits  # noqa: E402 - needs torch


def digit_samples() -> ContinualSamples:
    """Digits as the samples of a benchmark."""
    digits = load_digits()
    features = np.rint(digits.data * 15).astype(np.uint8)
    rows = np.arange(len(features))
    card = encoder.vector_card(64)
    return ContinualSamples(
        features=features,
        label=digits.target.astype(np.int64),
        domain=np.zeros(len(features), np.int64),
        train=rows,
        held=rows,
        spans=((0, 64),),
        quantiser=encoder.freeze_quantiser(digits.data, card.slices, "tap"),
    )


def test_without_data_every_part_is_named_as_missing():
    """Without files nothing is measured, and each part says which file it needs."""
    report = run(None)
    assert report.rows == ()
    assert report.summary == {}
    assert [note.split(":")[0] for note in report.notes] == [
        *(one.name for one in comparison_sets(None)),
        EXACT,
    ]


def test_exact_unlearning_has_the_bits_of_a_twin():
    """Adaptors derived again differ from a twin's in no bit, on every request and kind."""
    seed = 1
    at = np.random.default_rng(seed).permutation(1_797)[:350]
    found = list(measure_exact(draw_digits(seed), digit_samples(), at))
    assert {one.kind for one in found} == {"bottleneck", "kernel"}
    assert len(found) == 14
    assert all((one.bits, one.gap, one.lira_difference) == (0, 0, 0) for one in found)


def test_an_adaptor_that_kept_a_fact_is_told_from_the_twin():
    """One fact more changes bits: the comparison can fail."""
    samples = digit_samples()
    for blueprint in blueprints_of(1):
        whole, less = (derive_adaptor(samples, np.arange(count), blueprint) for count in (120, 119))
        assert count_different_bits(whole, less, samples.features[:150]) > 0


def test_a_summary_has_the_figures_of_the_comparison():
    """The floor, the best peer and the number of methods come from the lines of the methods."""
    lines = summarise_methods(
        run_unlearning(draw_digits, "memorising", (1,), ("retrain", "ssd", "l1"))
    )
    found = summarise_comparison(lines, ())
    worst = {line.method: line.worst for line in lines}
    assert found["best_peer_gap_worst"] == min(worst["ssd"], worst["l1"])
    assert found["methods"] == 3
    assert found["oracle_floor_gap"] > 0
    assert found["best_peer_gap_poisoned"] > 0
