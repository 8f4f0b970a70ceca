"""Comparisons of methods of unlearning: measures, trials, the file and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
metrics = pytest.importorskip("sklearn.metrics")

from edge.cli.verbs import simulate as cli_sim  # noqa: E402 - needs torch
from edge.core import ConfigError  # noqa: E402 - needs torch
from edge.extras import install_command  # noqa: E402 - needs torch
from edge.sim.unlearning import (  # noqa: E402 - needs torch
    UNLEARNERS,
    area_under_curve,
    best_peer,
    compare_unlearners,
    run_unlearning,
    summarise_methods,
)
from edge.sim.unlearning.trial import FLOOR, KNOWN_PART, UNTOUCHED  # noqa: E402 - needs torch
from tests.edge.sim.unlearning.digit_sets import draw_digits  # noqa: E402 - needs torch
from tests.homes import run  # noqa: E402 - needs torch

METHODS = ("retrain", "ssd", "fine-tune")
SCENARIO = """
title = "few digits"

[encoder]
model = "vector"

[domains.scanner]
source = "optdigits"
test = 100

[[phases]]
domain = "scanner"
enrol = {enrol}
"""
LINKS = """
title = "few links"

[links]
topology = "nsfnet"
days = 3
quiet_days = 2
"""


@pytest.fixture(scope="module")
def outcomes():
    """Three methods on every request of digits."""
    return run_unlearning(draw_digits, "memorising", (1,), METHODS)


def test_areas_equal_those_of_scikit_learn():
    """The area under the ROC curve is scikit-learn's, with ties."""
    random = np.random.default_rng(1)
    one, other = random.integers(0, 9, 40).astype(float), random.integers(2, 12, 30).astype(float)
    truth = [1] * len(one) + [0] * len(other)
    expected = metrics.roc_auc_score(truth, np.concatenate([one, other]))
    assert area_under_curve(one, other) == pytest.approx(expected)


def test_the_oracle_has_no_gap_and_another_seed_has_one(outcomes):
    """Training again is the yardstick: gap, divergence and distance are exactly zero."""
    for one in outcomes:
        if one.method == "retrain":
            assert (one.gap, one.figures.kl_forget, one.figures.distance) == (0, 0, 0)
    assert any(one.gap > 0 for one in outcomes if one.method == FLOOR)


def test_a_network_that_nothing_was_done_to_is_found_out(outcomes):
    """LiRA tells learned-by-heart rows from held-out ones, and they need no relearning."""
    untouched = [one for one in outcomes if one.method == UNTOUCHED]
    worst = next(one for one in untouched if one.request == "worst case")
    truth = next(o for o in outcomes if o.method == "retrain" and o.request == "worst case")
    assert worst.figures.lira > truth.figures.lira + 0.1
    assert all(one.figures.relearn == 0 for one in untouched)
    assert all(one.figures.distance == pytest.approx(1) for one in untouched)


def test_every_method_meets_every_request(outcomes):
    """Each method, both oracles and the untouched network are measured on all nine requests."""
    methods = {*METHODS, FLOOR, UNTOUCHED}
    requests = {one.request for one in outcomes}
    assert len(requests) == 9
    partly = {(KNOWN_PART, request) for request in requests if "poison" in request}
    assert len(partly) == 2
    assert {(one.method, one.request) for one in outcomes} == partly | {
        (method, request) for method in methods for request in requests
    }


def test_a_trial_is_reproducible(outcomes):
    """The same set and seed give the same gaps and attacks."""
    again = run_unlearning(draw_digits, "memorising", (1,), METHODS)
    assert [(one.gap, one.figures.lira) for one in again] == [
        (one.gap, one.figures.lira) for one in outcomes
    ]


def test_a_summary_keeps_poison_apart_and_names_the_best_peer(outcomes):
    """The worst gap leaves out requests of which a part is identified; an oracle is no peer."""
    lines = {line.method: line for line in summarise_methods(outcomes)}
    clean = [gap for request, gap in lines["ssd"].gaps.items() if "poison" not in request]
    assert lines["ssd"].worst == max(clean)
    assert len(clean) == 7
    best = best_peer(lines.values())
    assert best is not None
    assert best.method in {"ssd", "fine-tune"}
    assert best.worst == min(lines["ssd"].worst, lines["fine-tune"].worst)


def test_a_scenario_is_compared_and_written(tmp_path):
    """unlearning.json holds a line for each method and every outcome; missing figures are null."""
    file = tmp_path / "few.toml"
    file.write_text(SCENARIO.format(enrol=150))
    report = compare_unlearners(file, (1,), tmp_path / "out", ("retrain", "ssd"))
    assert report.file is not None
    content = json.loads(report.file.read_text())
    assert "ssd" in [one["method"] for one in content["methods"]]
    assert len(content["outcomes"]) == len(report.outcomes)
    recipes = {one["recipe"] for one in content["outcomes"]}
    assert recipes == {"growth", "memorising", "forecast"}


def test_link_loads_are_compared_as_forecasts(tmp_path):
    """A scenario of link loads compares the methods that are defined for values."""
    file = tmp_path / "links.toml"
    file.write_text(LINKS)
    report = compare_unlearners(file, methods=("retrain", "npo", "gaussian amnesiac"))
    assert {one.request for one in report.outcomes} == {"odd stretch", "plain stretch"}
    assert "npo" not in {one.method for one in report.outcomes}
    assert report.file is None


def test_too_few_samples_are_refused(tmp_path):
    """A scenario that hardly learns anything is refused with what to do."""
    file = tmp_path / "few.toml"
    file.write_text(SCENARIO.format(enrol=20))
    with pytest.raises(ConfigError, match="expected 100 samples"):
        compare_unlearners(file)


def test_the_command_shows_every_method(tmp_path, monkeypatch):
    """`simulate --unlearn` prints a line for each method and writes the file."""
    few = {name: UNLEARNERS[name] for name in METHODS}
    monkeypatch.setattr("edge.sim.unlearning.trial.UNLEARNERS", few)
    file, out = tmp_path / "few.toml", tmp_path / "out"
    file.write_text(SCENARIO.format(enrol=120))
    done = run("simulate", file, "--unlearn", "--out", out)
    assert done.exit_code == 0, done.stderr
    shown = [line.split("\t")[0] for line in done.output.splitlines()]
    assert {*METHODS, FLOOR, UNTOUCHED} <= set(shown)
    assert Path(out / "unlearning.json").is_file()


def test_without_torch_the_extra_is_named(tmp_path, monkeypatch):
    """Without torch, `simulate --unlearn` names the package to install."""
    monkeypatch.setattr(cli_sim, "find_spec", lambda name: None if name == "torch" else name)
    done = run("simulate", tmp_path / "x.toml", "--unlearn")
    assert done.exit_code == 1
    assert "torch is not installed" in done.stderr
    assert install_command("grow") in done.stderr
