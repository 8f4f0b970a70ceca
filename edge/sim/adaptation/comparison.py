"""Runs the policies of a scenario and writes the report: a table and one plot."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from ...core import ConfigError
from ...pages import environment
from ...plots import FAINT, GOOD, INK, KNOWN, NEW, open_figure, render_svg
from ..scenarios import PolicyScenario
from ..sweep import write_file
from .scenario_world import choose_policies, plan_scenario
from .summary import SOURCE, PolicyLine, best_published, summarise_policies
from .trial import CURVE_POINTS, Advance, PolicyOutcome, run_policies

ADAPTATION_FORMAT: Final = 1
"""Version of adaptation.json; docs/explanation/policies.md describes it."""
MEAN, OURS = "mean", "auto"
"""Policies with a colour of their own, beside the source and the best published one."""


@dataclass(frozen=True, slots=True)
class PolicyReport:
    """The result of a comparison.  lines: a variant of the scenario each; file, page:
    adaptation.json and report.html, None without a folder."""

    title: str
    outcomes: tuple[PolicyOutcome, ...] = field(repr=False)
    lines: tuple[PolicyLine, ...]
    file: Path | None = None
    page: Path | None = None


def compare_policies(
    scenario: PolicyScenario,
    seeds: Sequence[int] = (1,),
    out: Path | None = None,
    progress: Advance | None = None,
) -> PolicyReport:
    """Run every policy of a scenario on its streams; write adaptation.json and report.html.

    The source always runs, since gains count from it.  Figures other than times depend on scenario
    and seeds alone.  Raises ConfigError for names that do not exist, too few samples and an
    unwritable folder.
    """
    names = choose_policies(scenario)
    unique = tuple(dict.fromkeys(seeds))
    outcomes = run_policies([plan_scenario(scenario)], names, unique, progress)
    if not outcomes:
        raise ConfigError(
            f"comparing policies on {scenario.title!r}: no protocol fits the domains",
            "add a second domain, or name the protocol `same iid`",
        )
    lines = summarise_policies(outcomes)
    file = page = None
    if out is not None:
        file, page = write_policies(outcomes, lines, out, scenario.title)
    return PolicyReport(scenario.title, outcomes, lines, file, page)


def write_policies(
    outcomes: Sequence[PolicyOutcome], lines: Sequence[PolicyLine], folder: Path, title: str
) -> tuple[Path, Path]:
    """Write both files atomically; return their paths."""
    content = {
        "format": ADAPTATION_FORMAT,
        "title": title,
        "policies": [_plain(line) for line in lines],
        "outcomes": outcomes,
    }
    page = environment("edge.sim").get_template("policies.html")
    text = page.render(
        title=title,
        lead=_lead(outcomes),
        plot=draw_policies(outcomes, lines),
        names=("Policy", *_protocols(lines), "Gain", "Worst stream", "Lost", "µs", "KiB"),
        rows=[_row(line, _protocols(lines)) for line in lines],
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file, written = folder / "adaptation.json", folder / "report.html"
        write_file(file, msgspec.json.format(msgspec.json.encode(content), indent=1))
        write_file(written, text.encode())
    except OSError as error:
        raise ConfigError(
            f"writing the comparison to {folder}: {error.strerror}", "choose a writable folder"
        ) from error
    return file, written


def draw_policies(outcomes: Sequence[PolicyOutcome], lines: Sequence[PolicyLine]) -> str:
    """Draw the accuracy of all policies over their streams, one line each, as SVG: the source, the
    plain mean, the best published policy and the product's own in colour."""
    best = best_published(lines)
    colours = {SOURCE: INK, MEAN: KNOWN, OURS: GOOD}
    if best is not None:
        colours[best.policy] = NEW
    at = (np.arange(CURVE_POINTS) + 0.5) * 100 / CURVE_POINTS
    with open_figure((10.4, 4.2), 1) as (figure, (axes,)):
        for line in sorted(lines, key=lambda one: one.policy in colours):
            own = [one.curve for one in outcomes if one.policy == line.policy]
            known = line.policy in colours
            axes.plot(
                at,
                np.mean(own, axis=0),
                color=colours.get(line.policy, FAINT),
                linewidth=2.0 if known else 0.8,
                alpha=1.0 if known else 0.6,
                label=line.policy if known else None,
            )
        axes.set_xlabel("part of the stream shown, %")
        axes.set_ylabel("right, %")
        axes.set_title("Accuracy over the streams")
        axes.legend(loc="lower right")
        return render_svg(figure, "policies")


def format_spread(mean: float, spread: float | None) -> str:
    """Return a mean with its standard deviation over the seeds, where there are several."""
    return f"{mean:.1f}" if spread is None else f"{mean:.1f} ± {spread:.1f}"


def _protocols(lines: Sequence[PolicyLine]) -> tuple[str, ...]:
    return tuple(lines[0].accuracies)


def _row(line: PolicyLine, protocols: Sequence[str]) -> tuple[str, ...]:
    return (
        line.policy,
        *(format_spread(line.accuracies[name], line.spreads[name]) for name in protocols),
        format_spread(line.gain, line.gain_spread),
        f"{line.worst:.1f}",
        f"{line.lost}",
        f"{line.us:.0f}",
        f"{line.nbytes / 1024:.0f}",
    )


def _lead(outcomes: Sequence[PolicyOutcome]) -> str:
    streams = len({(one.stream, one.protocol) for one in outcomes})
    seeds = len({one.seed for one in outcomes})
    return (
        f"Percent right on {streams} unlabelled streams, {seeds}"
        f" {'seed' if seeds == 1 else 'seeds'}; gains in points over the source."
    )


def _plain(line: PolicyLine) -> dict[str, Any]:
    """Return a line as plain data, its gains as a list: JSON has no tuples as keys."""
    plain = {name: getattr(line, name) for name in line.__dataclass_fields__ if name != "gains"}
    gains = [
        {"world": world, "stream": stream, "protocol": protocol, "points": points}
        for (world, stream, protocol), points in line.gains.items()
    ]
    return plain | {"gains": gains}
