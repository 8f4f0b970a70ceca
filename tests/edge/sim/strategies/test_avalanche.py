"""Strategies of Avalanche on the harness, and one of them against ours as a check of both.

The comparison runs where AURICLE_AVALANCHE_PYTHON names a Python that has Avalanche.
"""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn.datasets")

from edge.sim import load_optdigits
from edge.sim.adaptation import LabelledRows
from edge.sim.strategies import (
    STRATEGIES,
    STREAMS,
    StreamSource,
    compare_strategies,
    comparison,
    run_strategy,
)
from edge.sim.strategies.avalanche_peers import AVALANCHE, PYTHON_VARIABLE
from tests.edge.sim.strategies.strategy_scenarios import load_own
from tests.edge.sim.strategies.tiny_strategies import TINY, blob_source

NAMED = os.environ.get(PYTHON_VARIABLE)
needs_avalanche = pytest.mark.skipif(
    not NAMED, reason=f"needs {PYTHON_VARIABLE}: an interpreter with Avalanche"
)
CLASSES = STREAMS["classes"](blob_source())


def digit_stream(name: str, seed: int):
    """A stream of real digits, and of digits with more contrast as a second domain."""
    digits = load_optdigits()
    pixels = digits.images.reshape(len(digits), -1)
    other = np.clip(pixels.astype(np.int64) * 2 - 64, 0, 255).astype(np.uint8)
    source = StreamSource(
        world="digits",
        domains={
            "plain": LabelledRows(pixels, digits.labels),
            "contrast": LabelledRows(other, digits.labels),
        },
        labels=tuple("0123456789"),
        spans=((0, pixels.shape[1]),),
        seed=seed,
    )
    return STREAMS[name](source)


@needs_avalanche
@pytest.mark.parametrize("stream", ["classes", "domains"])
def test_slda_of_avalanche_gives_our_accuracy_matrix(stream) -> None:
    """On real digits, each entry of the matrix differs by less than a point from ours: the harness
    shows both the same rows and measures them alike."""
    made = digit_stream(stream, 1)
    ours = run_strategy("slda", STRATEGIES["slda"], made, 1)
    theirs = run_strategy("avalanche", AVALANCHE["avalanche: slda"], made, 1)
    assert theirs.failure == ""
    entries = [
        (one, other)
        for mine, their in zip(ours.matrix, theirs.matrix, strict=True)
        for one, other in zip(mine, their, strict=True)
    ]
    assert [one is None for one, _ in entries] == [other is None for _, other in entries]
    known = np.array([pair for pair in entries if pair[0] is not None], np.float64)
    assert np.abs(known[:, 0] - known[:, 1]).max() < 1
    assert theirs.compute_s > 0
    assert theirs.nbytes > 0


@needs_avalanche
@pytest.mark.parametrize("name", ["naive", "replay"])
def test_a_trained_strategy_of_avalanche_ends_where_ours_does(name) -> None:
    """With the same rows, steps and passes, fine-tuning and replay end within a point and a half of
    ours from one domain of digits to the next: they differ in the order of rows alone."""
    made = digit_stream("domains", 2)
    ours = run_strategy(name, STRATEGIES[name], made, 2)
    theirs = run_strategy(name, AVALANCHE[f"avalanche: {name}"], made, 2)
    assert theirs.failure == ""
    assert theirs.final == pytest.approx(ours.final, abs=1.5)
    assert theirs.error == pytest.approx(ours.error, abs=1.5)


@needs_avalanche
@pytest.mark.parametrize("name", sorted(AVALANCHE))
def test_every_strategy_of_avalanche_runs(name) -> None:
    """Each learns two tasks, answers better than by chance, and reports what it spends and
    keeps."""
    made = STREAMS["domains"](blob_source())
    found = run_strategy(name, AVALANCHE[name], made, 3)
    assert found.failure == ""
    assert found.final > 50
    assert all(spent > 0 for spent in found.learn_s)
    assert found.nbytes > 10 * 12 * 4


@pytest.mark.parametrize(
    ("python", "reason"),
    [
        ("/nowhere/python", "starting /nowhere/python: No such file or directory"),
        (sys.executable, "Avalanche ended: ModuleNotFoundError: No module named 'avalanche'"),
    ],
)
def test_a_python_without_avalanche_is_a_reason_and_no_error(monkeypatch, python, reason) -> None:
    """A wrong variable leaves the strategy out with what went wrong."""
    pytest.importorskip("torch")
    monkeypatch.setenv(PYTHON_VARIABLE, python)
    found = run_strategy("avalanche: slda", AVALANCHE["avalanche: slda"], CLASSES, 0)
    assert found.failure.startswith(f"failed: {reason}")


def test_without_avalanche_a_named_strategy_is_left_out_with_what_to_do(
    tmp_path, monkeypatch
) -> None:
    """The reason names the command and the variable; the others run, and nothing is stored."""
    monkeypatch.setattr(comparison, "avalanche_python", lambda: None)
    scenario = load_own(tmp_path, 'names = ["prototypes", "avalanche: slda"]')
    (stream,) = compare_strategies(scenario, out=tmp_path / "out", kinds=TINY).streams
    assert [line.strategy for line in stream.lines] == ["prototypes"]
    ((name, reason),) = stream.failures
    assert name == "avalanche: slda"
    assert "pip install" in reason
    assert PYTHON_VARIABLE in reason
    assert len(list((tmp_path / "out" / "outcomes").iterdir())) == 1


def test_strategies_of_avalanche_run_where_they_are_named(tmp_path) -> None:
    """Without names, only the table of this project runs."""
    report = compare_strategies(load_own(tmp_path), kinds=TINY)
    assert {one.strategy for one in report.outcomes} == set(TINY)
