"""Simulation of a scenario, and its report: report.json for programs, report.html for readers."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from ..core import ConfigError
from .harness import Progress
from .links import LinkTrial, render_links, run_link_trial, trial_as_data
from .recording import DecisionStep, RunRecording
from .report import render_page
from .scenarios import LinkScenario, Scenario, load_device_scenario
from .sweep import Backend, require_backend, run_parallel, sweep_scenario, write_file

REPORT_FORMAT: Final = 2
"""Version of report.json; docs/howto/simulate.md describes it."""


Summary = Mapping[str, Mapping[str, "MetricSpread"]]


@dataclass(frozen=True, slots=True)
class MetricSpread:
    """A metric over the seeds of one variant for which it is defined.  sd: the sample standard
    deviation (n - 1), None for one run."""

    mean: float
    sd: float | None
    minimum: float
    maximum: float
    runs: int


@dataclass(frozen=True, slots=True)
class SimulationReport:
    """The result of a simulation.  summary: each metric over the seeds, by variant title.  page:
    the HTML file, None without a folder."""

    title: str
    recordings: tuple[RunRecording | LinkTrial, ...] = field(repr=False)
    summary: Summary
    page: Path | None = None


def simulate(
    scenario: str | os.PathLike[str] | Scenario | LinkScenario,
    seeds: Sequence[int] = (1,),
    jobs: int = 1,
    out: str | os.PathLike[str] | None = None,
    backend: Backend = "loky",
    progress: Progress | None = None,
) -> SimulationReport:
    """Run a scenario, once for each variant and seed, on the production Runtime and Store.

    scenario: a TOML file (docs/howto/simulate.md), or its parsed form.  jobs: parallel runs, -1 for
    one per core.  out: a folder for report.json, report.html and
    the finished runs, from which an interrupted sweep resumes; None writes nothing.  backend:
    "loky" or "ray".  progress: called with the activity, the units done and the units in all.
    Metrics depend on scenario and seed alone.  Raises ConfigError, StateError, and
    BrokenPromiseError if a check fails.
    """
    if not seeds or jobs == 0:
        raise ConfigError(
            f"simulating with seeds {list(seeds)} and {jobs} jobs: nothing to run",
            "give at least one seed and one job",
        )
    if not isinstance(scenario, Scenario | LinkScenario):
        scenario = load_device_scenario(scenario)
    folder = None if out is None else Path(out)
    unique = tuple(dict.fromkeys(seeds))
    if isinstance(scenario, LinkScenario):
        return _simulate_links(scenario, unique, folder, progress, (jobs, backend))
    recordings = sweep_scenario(
        scenario, unique, jobs=jobs, out=folder, backend=backend, progress=progress
    )
    page = None if folder is None else write_report(recordings, folder, scenario.title)
    return SimulationReport(scenario.title, recordings, summarise(recordings), page)


def write_report(
    recordings: Sequence[RunRecording], folder: str | os.PathLike[str], title: str
) -> Path:
    """Write report.json and a self-contained report.html; returns the path of the latter.

    Each file is written atomically.  Cost: about a second per run that is drawn.
    """
    content = {
        "format": REPORT_FORMAT,
        "title": title,
        "summary": summarise(recordings),
        "runs": [_plain(recording) for recording in recordings],
    }
    page = render_page(recordings, title, summarise(recordings))
    return _write(Path(folder), content, page)


def write_link_report(
    trials: Sequence[LinkTrial], folder: str | os.PathLike[str], title: str
) -> Path:
    """Write report.json and report.html of trials on link loads, as `write_report` does."""
    spreads = _summarise_links(trials)
    runs = [trial_as_data(trial) for trial in trials]
    content = {"format": REPORT_FORMAT, "title": title, "summary": spreads, "runs": runs}
    return _write(Path(folder), content, render_links(trials, title))


def _write(folder: Path, content: Mapping[str, Any], text: str) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_file(
            folder / "report.json", msgspec.json.format(msgspec.json.encode(content), indent=1)
        )
        page = folder / "report.html"
        write_file(page, text.encode())
    except OSError as error:
        raise ConfigError(
            f"writing the report to {folder}: {error.strerror}",
            "choose a writable folder",
        ) from error
    return page


def summarise(recordings: Sequence[RunRecording]) -> dict[str, dict[str, MetricSpread]]:
    """Return mean, standard deviation and range over seeds of each metric and cost, by variant."""
    return _by_title((one.title, {**one.metrics, **one.costs}) for one in recordings)


def _summarise_links(trials: Sequence[LinkTrial]) -> dict[str, dict[str, MetricSpread]]:
    return _by_title((trial.title, trial.figures) for trial in trials)


def _by_title(
    runs: Iterable[tuple[str, Mapping[str, float | None]]],
) -> dict[str, dict[str, MetricSpread]]:
    groups: dict[str, list[Mapping[str, float | None]]] = {}
    for title, figures in runs:
        groups.setdefault(title, []).append(figures)
    return {title: _spread(figures) for title, figures in groups.items()}


def _spread(figures: Sequence[Mapping[str, float | None]]) -> dict[str, MetricSpread]:
    found: dict[str, list[float]] = {}
    for each in figures:
        for name, value in each.items():
            if value is not None:
                found.setdefault(name, []).append(value)
    return {
        name: MetricSpread(
            float(np.mean(values)),
            float(np.std(values, ddof=1)) if len(values) > 1 else None,
            min(values),
            max(values),
            len(values),
        )
        for name, values in found.items()
    }


def _simulate_links(
    scenario: LinkScenario,
    seeds: Sequence[int],
    folder: Path | None,
    progress: Progress | None,
    parallel: tuple[int, Backend],
) -> SimulationReport:
    """Run the trials of a scenario of link loads; parallel: jobs and backend."""
    jobs, backend = parallel
    require_backend(backend)
    # Steps are shown of a trial that runs in this process.
    within = jobs == 1 and backend == "loky"
    calls = [
        (scenario, seed, partial(progress, f"links, seed {seed}") if within and progress else None)
        for seed in seeds
    ]
    done: dict[int, LinkTrial] = {}
    for place, trial in run_parallel(run_link_trial, calls, jobs, backend):
        done[place] = trial
        if progress is not None and not within:
            progress("links", len(done), len(calls))
    trials = tuple(done[place] for place in range(len(calls)))
    page = None if folder is None else write_link_report(trials, folder, scenario.title)
    return SimulationReport(scenario.title, trials, _summarise_links(trials), page)


def _plain(recording: RunRecording) -> dict[str, Any]:
    """Return a recording as plain data, its steps by column: shorter, and ready for plotting."""
    content: dict[str, Any] = {
        each.name: getattr(recording, each.name)
        for each in fields(RunRecording)
        if each.name != "steps"
    }
    names = [each.name for each in fields(DecisionStep)]
    columns = {name: [getattr(step, name) for step in recording.steps] for name in names}
    return content | {"steps": columns}
