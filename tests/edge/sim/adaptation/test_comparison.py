from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from edge import EdgeError
from edge.sim import PolicyScenario, load_scenario
from edge.sim.adaptation import (
    POLICIES,
    StreamPlan,
    best_published,
    compare_policies,
    gain_where,
    run_policies,
    solve_source,
    split_protocols,
    summarise_policies,
)
from tests.edge.sim.adaptation.adaptation_worlds import COLUMNS, blob_world, write_scenario

HOMES = {"iid": ("home",), "same iid": ("home",)}


def outcomes(*policies: str, seeds: tuple[int, ...] = (0, 1)):
    """Outcomes of some policies on the world of blobs."""
    return run_policies([StreamPlan(blob_world, HOMES)], policies, seeds)


def test_alignment_recovers_a_shift_of_all_columns() -> None:
    """The plain mean answers a shifted domain better than the source, and the home as well."""
    lines = {line.policy: line for line in summarise_policies(outcomes("mean"))}
    assert lines["source"].gain == 0
    assert lines["mean"].accuracies["iid"] > lines["source"].accuracies["iid"] + 5
    same = gain_where(lines["mean"], ("same",))
    assert same is not None
    assert same > -2


def test_figures_depend_on_the_arguments_alone() -> None:
    """Two runs differ in times only."""
    found = [
        [(one.policy, one.stream, one.protocol, one.accuracy, one.curve) for one in outcomes("t3a")]
        for _ in range(2)
    ]
    assert found[0] == found[1]


def test_jobs_change_no_figure(tmp_path) -> None:
    """Two processes give every figure but the times that one gives, in the same order."""
    scenario = load_scenario(write_scenario(tmp_path))
    assert isinstance(scenario, PolicyScenario)
    found = [
        [
            (one.policy, one.stream, one.protocol, one.seed, one.accuracy, one.curve)
            for one in compare_policies(scenario, (1, 2), jobs=jobs).outcomes
        ]
        for jobs in (1, 2)
    ]
    assert found[0] == found[1]


def test_a_backend_that_is_missing_is_refused(tmp_path) -> None:
    """A backend that does not exist is an error before anything runs."""
    scenario = load_scenario(write_scenario(tmp_path))
    assert isinstance(scenario, PolicyScenario)
    with pytest.raises(EdgeError, match="loky or ray"):
        compare_policies(scenario, backend="thread")  # type: ignore[arg-type]


def test_a_line_counts_its_gains_against_the_source_of_the_same_seed() -> None:
    """Mean, worst stream and losses of a line follow from the outcomes."""
    made = outcomes("mean", "lame")
    line = next(one for one in summarise_policies(made) if one.policy == "lame")
    keyed = {(one.policy, one.stream, one.protocol, one.seed): one.accuracy for one in made}
    by_stream = {
        (stream, protocol): np.mean(
            [
                keyed["lame", stream, protocol, seed] - keyed["source", stream, protocol, seed]
                for seed in (0, 1)
            ]
        )
        for _, stream, protocol in line.gains
    }
    assert line.gain == pytest.approx(np.mean(list(by_stream.values())))
    assert line.worst == pytest.approx(min(by_stream.values()))
    assert line.lost == sum(gain < -0.5 for gain in by_stream.values())
    assert line.gain_spread is not None


def test_the_best_published_policy_is_neither_nothing_nor_plain_alignment() -> None:
    """It is the policy of the literature with the largest mean gain."""
    lines = summarise_policies(outcomes("mean", "lame, unaligned", "cafa"))
    best = best_published(lines)
    assert best is not None
    assert best.policy in ("lame, unaligned", "cafa")
    assert best_published(summarise_policies(outcomes("mean"))) is None


def test_a_source_of_two_domains_is_the_mean_of_their_heads() -> None:
    """Scores of the joint model equal the mean of the experts' scores."""
    world = blob_world()
    domains = {name: world.domains[name] for name in ("home", "near")}
    source = solve_source(domains, world.spans)
    features = world.domains["far"].features[:20]
    rows = source.standardise(features)
    levels = np.sqrt(features.astype(np.float32))
    each = [((levels - one.centre) * one.factor) @ one.weights + one.bias for one in source.experts]
    expected = source.sharpness * np.mean(each, axis=0)
    assert source.columns == COLUMNS
    assert np.allclose(source.logits(rows, np.zeros(20, np.float32)), expected, atol=1e-3)


def test_a_scenario_compares_policies_on_own_features(tmp_path) -> None:
    """A file with the key policy gives a table, a page with one plot, and every figure."""
    scenario = load_scenario(write_scenario(tmp_path))
    assert isinstance(scenario, PolicyScenario)
    report = compare_policies(scenario, (1, 2), tmp_path / "out")
    assert [line.policy for line in report.lines] == ["source", "mean", "tent"]
    assert set(report.lines[0].accuracies) == {"iid", "runs"}
    assert report.file is not None
    assert report.page is not None
    held = json.loads(report.file.read_text("utf-8"))
    assert held["format"] == 1
    assert [one["policy"] for one in held["policies"]] == ["source", "mean", "tent"]
    assert len(held["outcomes"]) == 3 * 2 * 2
    page = report.page.read_text("utf-8")
    assert page.count("<svg") == 1
    assert "±" in page


def test_all_policies_and_protocols_run_without_names(tmp_path) -> None:
    """`policy = "all"` takes the whole table, and protocols that do not fit are left out."""
    scenario = load_scenario(write_scenario(tmp_path, '"all"', '["same iid", "open set"]'))
    assert isinstance(scenario, PolicyScenario)
    report = compare_policies(scenario)
    assert [line.policy for line in report.lines] == list(POLICIES)
    assert set(report.lines[0].accuracies) == {"same iid", "open set"}


@pytest.mark.parametrize(
    ("protocol", "shown"), [('"all"', False), ("[]", False), ('["iid", "one class"]', True)]
)
def test_streams_of_one_class_run_where_they_are_named(tmp_path, protocol, shown) -> None:
    """They are no part of all protocols, whose mean gain they would dominate."""
    scenario = load_scenario(write_scenario(tmp_path, '"mean"', protocol))
    assert isinstance(scenario, PolicyScenario)
    found = set(compare_policies(scenario).lines[0].accuracies)
    assert ("one class" in found) == shown
    assert "iid" in found


@pytest.mark.parametrize(
    ("policy", "protocol", "hint"),
    [('"tnet"', '["iid"]', "tent"), ('"tent"', '["run"]', "runs")],
)
def test_an_unknown_name_is_refused_with_the_nearest_one(tmp_path, policy, protocol, hint) -> None:
    """A misspelt policy or protocol names the one that was meant."""
    scenario = load_scenario(write_scenario(tmp_path, policy, protocol))
    assert isinstance(scenario, PolicyScenario)
    with pytest.raises(EdgeError) as caught:
        compare_policies(scenario)
    assert f"did you mean {hint!r}" in caught.value.hint


def test_corruptions_of_vectors_are_those_that_suit_them(tmp_path) -> None:
    """Protocols of a severity change vectors by noise, brightness, contrast and drift."""
    scenario = load_scenario(write_scenario(tmp_path, '"mean"', '["severity 5 iid", "turning"]'))
    assert isinstance(scenario, PolicyScenario)
    report = compare_policies(scenario)
    kinds = {stream.partition(" > ")[2] for _, stream, _ in report.lines[0].gains}
    assert kinds == {"noise", "brightness", "contrast", "drift", "corruptions in turn"}


def test_changes_of_a_sensor_come_to_vectors(tmp_path) -> None:
    """The protocols of changes show the home's samples after a change of gain, offset, noise, place
    and contrast, and each change is another stream."""
    scenario = load_scenario(write_scenario(tmp_path, '"mean"', '"changes iid"'))
    assert isinstance(scenario, PolicyScenario)
    report = compare_policies(scenario)
    kinds = {stream.partition(" > ")[2] for _, stream, _ in report.lines[0].gains}
    assert kinds == {"gain", "offset", "noise", "shift", "invert"}
    source = [one.accuracy for one in report.outcomes if one.policy == "source"]
    assert len(set(source)) > 1


@pytest.mark.parametrize(("count", "sizes"), [(1, [1]), (5, [5]), (6, [3, 3]), (11, [4, 4, 3])])
def test_protocols_are_split_into_tables_of_about_one_size(count, sizes) -> None:
    """No table has more than five protocols, and none is left with one of six."""
    (line,) = summarise_policies(
        replace(one, protocol=f"p{at}")
        for one in outcomes("source", seeds=(0,))[:1]
        for at in range(count)
    )
    parts = split_protocols([line], 5)
    assert [len(part) for part in parts] == sizes
    assert [name for part in parts for name in part] == [f"p{at}" for at in range(count)]


def test_the_smallest_scenario_runs_every_policy(tmp_path) -> None:
    """Fifty samples of a domain are enough for all policies: none needs more facts."""
    path = write_scenario(tmp_path, '"all"', '["iid", "same iid"]')
    path.write_text(
        path.read_text("utf-8").replace("[encoder]", "samples = 50\n[encoder]"), "utf-8"
    )
    scenario = load_scenario(path)
    assert isinstance(scenario, PolicyScenario)
    report = compare_policies(scenario)
    assert len(report.lines) == len(POLICIES)


def test_domains_without_common_classes_are_refused(tmp_path) -> None:
    """Two domains that share one class cannot be compared, and the error says why."""
    path = write_scenario(tmp_path)
    text = path.read_text("utf-8").replace("{ domain = 0 }", '{ domain = 0 }\nclasses = ["1"]')
    path.write_text(text, "utf-8")
    scenario = load_scenario(path)
    assert isinstance(scenario, PolicyScenario)
    with pytest.raises(EdgeError, match="2 classes"):
        compare_policies(scenario)
