from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

pytest.importorskip("jinja2")
pytest.importorskip("matplotlib")

from edge import EdgeError
from edge.sim import StrategyScenario, load_scenario
from edge.sim.strategies import compare_strategies, comparison, write_strategies
from edge.sim.strategies.saved_outcomes import digest_stream
from edge.sim.strategies.streams import STREAMS
from tests.edge.sim.strategies.strategy_scenarios import load_own, write_scenario
from tests.edge.sim.strategies.tiny_strategies import (
    TINY,
    NotANumber,
    Prototypes,
    blob_source,
)


class Counting(Prototypes):
    """Counts how many streams it begins to learn."""

    begun = 0

    def learn(self, part, ended=frozenset()) -> None:
        """Count where nothing was learned before."""
        type(self).begun += not self.counts.any()
        super().learn(part, ended)


def figures(report):
    """All figures of a report that do not depend on time."""
    return [(one.strategy, one.variant, one.seed, one.matrix) for one in report.outcomes]


def test_a_scenario_compares_strategies_on_own_features(tmp_path) -> None:
    """Each stream has a line for each strategy, with mean and spread over the seeds."""
    report = compare_strategies(load_own(tmp_path, "orders = 2"), (1, 2, 3), kinds=TINY)
    assert [(one.variant, one.seeds) for one in report.streams] == [
        ("order 1", (1, 2, 3)),
        ("order 2", (1, 2, 3)),
    ]
    for stream in report.streams:
        assert [line.strategy for line in stream.lines] == ["prototypes", "newest"]
        for line in stream.lines:
            own = [
                one.final
                for one in report.outcomes
                if (one.strategy, one.variant) == (line.strategy, stream.variant)
            ]
            assert line.final == pytest.approx(np.mean(own))
            assert line.spread == pytest.approx(np.std(own, ddof=1))
    assert report.streams[0].lines != report.streams[1].lines


def test_the_ranking_is_by_error_and_marks_who_is_not_beaten(tmp_path) -> None:
    """The smallest error comes first; the frontier holds whoever nobody beats in both error and
    compute."""
    (stream,) = compare_strategies(load_own(tmp_path), kinds=TINY).streams
    errors = [line.error for line in stream.ranking]
    assert errors == sorted(errors)
    for line in stream.lines:
        beaten = any(
            other.error <= line.error and other.compute_s < line.compute_s
            for other in stream.lines
            if other is not line
        )
        assert line.frontier != beaten
    assert any(line.frontier for line in stream.lines)


def test_jobs_change_no_figure(tmp_path) -> None:
    """Two processes give what one gives, in the same order."""
    scenario = load_own(tmp_path, 'stream = "classes"')
    one, two = (compare_strategies(scenario, (1, 2), jobs=jobs, kinds=TINY) for jobs in (1, 2))
    assert figures(one) == figures(two)


def test_a_strategy_that_diverges_is_left_out_and_the_others_go_on(tmp_path) -> None:
    """The stream names it with its reason and seed; its figures are nowhere."""
    kinds = {"prototypes": Prototypes, "bad": NotANumber}
    report = compare_strategies(load_own(tmp_path), (4,), kinds=kinds)
    (stream,) = report.streams
    assert [line.strategy for line in stream.lines] == ["prototypes"]
    assert stream.failures == (("bad", "diverged: scores that are no finite numbers (seed 4)"),)
    written = write_strategies(report, tmp_path / "out")
    assert written.page is not None
    page = written.page.read_text("utf-8")
    assert "bad: diverged: scores that are no finite numbers" in page


def test_a_stream_on_which_every_strategy_diverges_has_a_report(tmp_path) -> None:
    """The page names the reasons and draws nothing."""
    report = compare_strategies(load_own(tmp_path), kinds={"bad": NotANumber})
    assert report.streams[0].lines == ()
    written = write_strategies(report, tmp_path / "out")
    assert written.page is not None
    page = written.page.read_text("utf-8")
    assert "Left out: bad: diverged" in page
    assert "<svg" not in page


def test_what_this_installation_lacks_is_named_and_not_stored(tmp_path, monkeypatch) -> None:
    """A strategy without torch is left out with the command that installs it; with torch, the same
    comparison runs it."""
    reason = "torch is not installed: pip install torch"
    monkeypatch.setattr(comparison, "left_out", lambda: {"newest": reason})
    scenario, out = load_own(tmp_path), tmp_path / "out"
    (stream,) = compare_strategies(scenario, (1, 2), out, kinds=TINY).streams
    assert stream.failures == (("newest", f"{reason} (seed 1)"),)
    monkeypatch.undo()
    report = compare_strategies(scenario, (1, 2), out, kinds=TINY)
    assert report.streams[0].failures == ()
    assert report.resumed == 2


def test_a_misspelt_strategy_names_its_nearest(tmp_path) -> None:
    """The error lists what is known and what was meant."""
    scenario = load_own(tmp_path, 'names = ["prototyps"]')
    with pytest.raises(EdgeError, match="'prototyps'") as caught:
        compare_strategies(scenario, kinds=TINY)
    assert caught.value.hint == "did you mean 'prototypes'?"


def test_finished_outcomes_are_not_run_again(tmp_path) -> None:
    """The same comparison runs nothing; a new seed or strategy runs alone; other data run all."""
    kinds: dict[str, Any] = {"counting": Counting}
    scenario, out = load_own(tmp_path), tmp_path / "out"
    Counting.begun = 0
    first = compare_strategies(scenario, (1, 2), out, kinds=kinds)
    again = compare_strategies(scenario, (1, 2), out, kinds=kinds)
    assert Counting.begun == 2
    assert (first.resumed, again.resumed) == (0, 2)
    assert again.outcomes == first.outcomes
    more = compare_strategies(scenario, (1, 2, 3), out, kinds=kinds | TINY)
    assert Counting.begun == 3
    assert more.resumed == 2
    orders = load_own(tmp_path, "orders = 2")
    assert compare_strategies(orders, (1, 2), out, kinds=kinds).resumed == 2
    assert Counting.begun == 5
    with np.load(tmp_path / "own.npz") as held:
        arrays = dict(held)
    arrays["features"][7] += 90
    np.savez(tmp_path / "own.npz", **arrays)
    from edge.sim import samples

    samples._read.cache_clear()  # noqa: SLF001 - another process would read the file again
    assert compare_strategies(scenario, (1, 2), out, kinds=kinds).resumed == 0


@pytest.mark.parametrize("content", [b"", b'{"strategy": "counting"', b"\xff\xfe", b"[]"])
def test_a_damaged_outcome_is_reported_and_run_again(tmp_path, content) -> None:
    """An empty, cut off or foreign file costs one run, and the report names it."""
    kinds = {"counting": Counting}
    scenario, out = load_own(tmp_path), tmp_path / "out"
    first = compare_strategies(scenario, (1, 2), out, kinds=kinds)
    damaged = min((out / "outcomes").iterdir())
    damaged.write_bytes(content)
    Counting.begun = 0
    again = compare_strategies(scenario, (1, 2), out, kinds=kinds)
    assert Counting.begun == 1
    assert again.remarks == (f"ran again, its stored outcome was damaged: {damaged}",)
    assert figures(again) == figures(first)
    assert compare_strategies(scenario, (1, 2), out, kinds=kinds).remarks == ()


def test_the_key_of_an_outcome_depends_on_all_that_a_strategy_sees() -> None:
    """Other features, order, split or meaning of labels give another digest; the same stream the
    same."""
    made = [
        digest_stream(STREAMS[name](blob_source(order, seed)))
        for name in STREAMS
        for order in (0, 1)
        for seed in (1, 2)
    ]
    assert len(set(made)) == len(made)
    assert digest_stream(STREAMS["releases"](blob_source(1, 2))) in made


def test_the_files_hold_every_figure(tmp_path) -> None:
    """strategies.json has figures, matrices and outcomes; the page two plots for each stream, the
    ranking and the matrices."""
    report = compare_strategies(load_own(tmp_path, 'stream = "releases"'), (1, 2), kinds=TINY)
    written = write_strategies(report, tmp_path / "out")
    assert written.file is not None
    assert written.page is not None
    held = json.loads(written.file.read_text("utf-8"))
    assert held["format"] == 1
    (stream,) = held["streams"]
    assert stream["tasks"][0] == "release 1"
    assert [one["strategy"] for one in stream["strategies"]] == ["prototypes", "newest"]
    assert stream["strategies"][0]["matrix"][0][1] is None
    assert len(held["outcomes"]) == 4
    page = written.page.read_text("utf-8")
    assert page.count("<svg") == 2
    assert page.count('class="figures matrix"') == 2
    assert "NEVIS" in page
    assert "±" in page


def test_an_unwritable_folder_is_an_error_with_a_hint(tmp_path) -> None:
    """A file where the folder should be costs no trace back."""
    (tmp_path / "out").write_text("taken", "utf-8")
    with pytest.raises(EdgeError, match="writing outcomes") as caught:
        compare_strategies(load_own(tmp_path), out=tmp_path / "out", kinds=TINY)
    assert caught.value.hint == "choose a writable folder"


@pytest.mark.parametrize(
    ("text", "error", "hint"),
    [
        ('stream = "nevis"\norders = 2', "its own data", "leave out"),
        ('stream = "domain"', "Invalid enum value 'domain'", "did you mean 'domains'?"),
        ("orderz = 2", "orderz", "did you mean 'orders'?"),
        ("held_out = 0.9", "held_out", "docs/howto/simulate.md"),
        ('stream = "domains"', "needs 2 domains", r"add [domains.NAME]"),
    ],
)
def test_a_scenario_that_cannot_run_is_refused(tmp_path, text, error, hint) -> None:
    """Contradictions, unknown keys and values out of range are named."""
    path = tmp_path / "bad.toml"
    path.write_text(f'title = "x"\n[strategies]\n{text}\n', "utf-8")
    with pytest.raises(EdgeError) as caught:
        load_scenario(path)
    assert error in str(caught.value)
    assert hint in caught.value.hint


def test_sources_are_found_in_the_folder_of_data(tmp_path) -> None:
    """A relative source is looked up beside the scenario, then in the folder of data."""
    (tmp_path / "data").mkdir()
    path = write_scenario(tmp_path)
    (tmp_path / "own.npz").rename(tmp_path / "data" / "own.npz")
    scenario = load_scenario(path, tmp_path / "data")
    assert isinstance(scenario, StrategyScenario)
    assert scenario.domains["first"].source == str(tmp_path / "data" / "own.npz")
    assert len(compare_strategies(scenario, kinds=TINY).streams) == 1
