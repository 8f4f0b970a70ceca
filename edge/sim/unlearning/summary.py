"""What a comparison of methods says: one line for each method, the summary, and the file."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from ...core import ConfigError
from ..harness import Progress
from ..scenarios import LinkScenario, LinkSpec, Scenario, load_device_scenario
from ..sweep import write_file
from .measures import UnlearningFigures, mean_figures
from .scenario_rows import read_scenario
from .trial import (
    FLOOR,
    KNOWN_PART,
    ORACLE,
    UNTOUCHED,
    UnlearningOutcome,
    run_unlearning,
)

UNLEARNING_FORMAT: Final = 1
"""Version of unlearning.json; docs/explanation/unlearning.md describes it."""
POISON: Final = "poison"
"""How the names of requests begin that identify a part only: no method that forgets just what it is
given can reach their oracle, and they are summarised apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodLine:
    """A method over all requests.  gaps: by request, mean over seeds, in points; worst: the largest
    but for poison; figures: means; lira_difference: mean absolute difference to the
    oracle, but for poison."""

    method: str
    gaps: Mapping[str, float]
    worst: float
    figures: UnlearningFigures
    lira_difference: float


@dataclass(frozen=True, slots=True)
class UnlearningReport:
    """The result of a comparison.  file: unlearning.json, None without a folder."""

    title: str
    outcomes: tuple[UnlearningOutcome, ...] = field(repr=False)
    lines: tuple[MethodLine, ...]
    file: Path | None = None


def compare_unlearners(
    scenario: str | Path | Scenario | LinkScenario,
    seeds: Sequence[int] = (1,),
    out: Path | None = None,
    methods: Sequence[str] = (),
    progress: Progress | None = None,
) -> UnlearningReport:
    """Compare all methods on the data of a scenario; write unlearning.json to `out`.

    Samples are learned once by the recipe of growth and once until they are learned by heart.
    Forecasts are learned on the scenario's link loads, or beside samples on those of the default
    backbone.  Raises ConfigError for an unreadable scenario, too few
    samples and an unwritable folder.
    """
    if not isinstance(scenario, Scenario | LinkScenario):
        scenario = load_device_scenario(scenario)
    parts: tuple[tuple[Scenario | LinkScenario, str], ...]
    if isinstance(scenario, LinkScenario):
        parts = ((scenario, "forecast"),)
    else:
        links = LinkScenario("link loads", LinkSpec())
        parts = ((scenario, "growth"), (scenario, "memorising"), (links, "forecast"))
    unique = tuple(dict.fromkeys(seeds))
    outcomes = tuple(
        one
        for part, recipe in parts
        for one in run_unlearning(read_scenario(part), recipe, unique, methods, progress)
    )
    lines = summarise_methods(outcomes)
    file = None if out is None else write_unlearning(outcomes, lines, out, scenario.title)
    return UnlearningReport(scenario.title, outcomes, lines, file)


def summarise_methods(outcomes: Iterable[UnlearningOutcome]) -> tuple[MethodLine, ...]:
    """Return a line for each method, in the order of the table."""
    everything = tuple(outcomes)
    truth = {_place(one): one.figures.lira for one in everything if one.method == ORACLE}
    lines = []
    for method in dict.fromkeys(one.method for one in everything):
        own = [one for one in everything if one.method == method]
        by_request: dict[str, list[float]] = {}
        for one in own:
            by_request.setdefault(f"{one.data}, {one.recipe}: {one.request}", []).append(one.gap)
        gaps = {request: float(np.mean(found)) for request, found in by_request.items()}
        clean = [gap for request, gap in gaps.items() if POISON not in request]
        attacked = [
            abs(one.figures.lira - truth[_place(one)]) for one in own if POISON not in one.request
        ]
        lines.append(
            MethodLine(
                method=method,
                gaps=gaps,
                worst=max(clean, default=float("nan")),
                figures=mean_figures([one.figures for one in own]),
                lira_difference=float(np.mean(attacked)) if attacked else float("nan"),
            )
        )
    return tuple(lines)


def peers_of(lines: Iterable[MethodLine]) -> tuple[MethodLine, ...]:
    """Return the lines of published methods other than training again."""
    references = (ORACLE, FLOOR, UNTOUCHED, KNOWN_PART)
    return tuple(one for one in lines if one.method not in references)


def best_peer(lines: Iterable[MethodLine]) -> MethodLine | None:
    """Return the published method with the smallest worst gap among those that are defined for most
    requests."""
    others = peers_of(lines)
    most = max((len(one.gaps) for one in others), default=0)
    fitting = [one for one in others if 2 * len(one.gaps) > most]
    return min(fitting, key=lambda one: one.worst, default=None)


def write_unlearning(
    outcomes: Sequence[UnlearningOutcome], lines: Sequence[MethodLine], folder: Path, title: str
) -> Path:
    """Write unlearning.json atomically; figures that are not defined are null."""
    content = {
        "format": UNLEARNING_FORMAT,
        "title": title,
        "methods": lines,
        "outcomes": outcomes,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "unlearning.json"
        write_file(file, msgspec.json.format(msgspec.json.encode(content), indent=1))
    except OSError as error:
        raise ConfigError(
            f"writing the comparison to {folder}: {error.strerror}", "choose a writable folder"
        ) from error
    return file


def _place(one: UnlearningOutcome) -> tuple[str, str, int, str]:
    return one.data, one.recipe, one.seed, one.request
