"""Runs the policies of a scenario and writes the report: a table and one plot."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from ...core import ConfigError
from ...pages import environment
from ...plots import FAINT, GOOD, INK, KNOWN, NEW, open_figure, render_svg
from ..scenarios import PolicyScenario
from ..sweep import Backend, require_backend, write_file
from .scenario_world import choose_policies, explain_absent, plan_scenario
from .summary import SOURCE, PolicyLine, best_published, summarise_policies
from .trial import CURVE_POINTS, Advance, PolicyOutcome, run_policies

ADAPTATION_FORMAT: Final = 1
"""Version of adaptation.json; docs/explanation/policies.md describes it."""
COLUMNS_MAX: Final = 7
"""Protocols in one table of the page, so that it fits without scrolling."""
MEAN, OURS = "mean", "auto"
"""Policies with a colour of their own, beside the source and the best published one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyReport:
    """The result of a comparison.  lines: a policy each; remarks: why protocols that the scenario
    names have no stream, and which classes are left out; file, page: adaptation.json and
    report.html, None without a folder."""

    title: str
    outcomes: tuple[PolicyOutcome, ...] = field(repr=False)
    lines: tuple[PolicyLine, ...]
    remarks: tuple[str, ...] = ()
    file: Path | None = None
    page: Path | None = None


def compare_policies(
    scenario: PolicyScenario,
    seeds: Sequence[int] = (1,),
    out: Path | None = None,
    progress: Advance | None = None,
    *,
    jobs: int = 1,
    backend: Backend = "loky",
) -> PolicyReport:
    """Run every policy of a scenario on its streams; write adaptation.json and report.html.

    The source always runs, since gains count from it.  jobs: streams that run at a time, on the
    backend.  Figures other than times depend on scenario and seeds alone.  Raises ConfigError for
    names that do not exist, too few samples and an unwritable folder.
    """
    require_backend(backend)
    names = choose_policies(scenario)
    unique = tuple(dict.fromkeys(seeds))
    plan, left_out = plan_scenario(scenario)
    outcomes = run_policies([plan], names, unique, progress, jobs=jobs, backend=backend)
    absent = explain_absent(scenario, {one.protocol for one in outcomes})
    if not outcomes:
        raise ConfigError(
            f"comparing policies on {scenario.title!r}: no protocol fits the domains"
            + (f" ({absent})" if absent else ""),
            "add a second domain, or name the protocol `same iid`",
        )
    few = f"left out, too few samples in a domain: {', '.join(left_out)}" if left_out else ""
    remarks = tuple(remark for remark in (absent, few) if remark)
    report = PolicyReport(
        title=scenario.title,
        outcomes=outcomes,
        lines=summarise_policies(outcomes),
        remarks=remarks,
    )
    return report if out is None else write_policies(report, out)


def write_policies(report: PolicyReport, folder: Path) -> PolicyReport:
    """Write both files atomically; return the report with their paths."""
    lines = report.lines
    content = {
        "format": ADAPTATION_FORMAT,
        "title": report.title,
        "policies": [_plain(line) for line in lines],
        "outcomes": report.outcomes,
    }
    page = environment("edge.sim").get_template("policies.html")
    text = page.render(
        title=report.title,
        lead=_lead(report),
        plot=draw_policies(report.outcomes, lines),
        sentence=_sentence(lines),
        names=("Policy", "Mean gain", "Worst stream", "its gain", "Streams that lose", "µs", "KiB"),
        totals=[_totals(line) for line in lines],
        tables=[
            (("Policy", *shown), [_row(line, shown) for line in lines])
            for shown in split_protocols(lines)
        ],
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
    return replace(report, file=file, page=written)


def draw_policies(outcomes: Sequence[PolicyOutcome], lines: Sequence[PolicyLine]) -> str:
    """Draw the accuracy of all policies over their streams, one line each, as SVG: the source, the
    plain mean, the best published policy and the product's own in colour."""
    colours = _colours(lines)
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
                label=_named(line.policy, lines) if known else None,
            )
        axes.set_xlabel("part of the stream shown, %")
        axes.set_ylabel("right, %")
        axes.set_title("Accuracy over the streams")
        figure.legend(loc="outside right center")
        return render_svg(figure, "policies")


def _colours(lines: Sequence[PolicyLine]) -> dict[str, str]:
    """Return the policies that have a colour of their own."""
    best = best_published(lines)
    return {SOURCE: INK, MEAN: KNOWN, OURS: GOOD} | ({} if best is None else {best.policy: NEW})


def _named(policy: str, lines: Sequence[PolicyLine]) -> str:
    """Return the name of a policy in the legend."""
    best = best_published(lines)
    return f"{policy}\n(best published)" if best and best.policy == policy else policy


def _sentence(lines: Sequence[PolicyLine]) -> str:
    others = {line.policy for line in lines} - _colours(lines).keys()
    grey = "; grey ones are the other policies" if others else ""
    return f"Each line is a policy, the mean over all streams and seeds{grey}."


def format_spread(mean: float, spread: float | None) -> str:
    """Return a mean with its standard deviation over the seeds, where there are several."""
    return f"{mean:.1f}" if spread is None else f"{mean:.1f} ± {spread:.1f}"


def split_protocols(
    lines: Sequence[PolicyLine], most: int = COLUMNS_MAX
) -> tuple[tuple[str, ...], ...]:
    """Return the protocols in parts of about one size that fit a table."""
    names = tuple(lines[0].accuracies)
    parts = np.array_split(np.arange(len(names)), -(-len(names) // most))
    return tuple(tuple(names[at] for at in part) for part in parts)


def _row(line: PolicyLine, protocols: Sequence[str]) -> tuple[str, ...]:
    spread = (format_spread(line.accuracies[name], line.spreads[name]) for name in protocols)
    return line.policy, *spread


def _totals(line: PolicyLine) -> tuple[str, ...]:
    return (
        line.policy,
        format_spread(line.gain, line.gain_spread),
        line.worst_stream,
        f"{line.worst:.1f}",
        f"{line.lost} of {len(line.gains)}",
        f"{line.us:.0f}",
        f"{line.nbytes / 1024:.0f}",
    )


def _lead(report: PolicyReport) -> str:
    streams = len(report.lines[0].gains)
    seeds = len({one.seed for one in report.outcomes})
    lead = (
        f"Percent right on {streams} unlabelled {'stream' if streams == 1 else 'streams'},"
        f" {seeds} {'seed' if seeds == 1 else 'seeds'}; gains in points over the source."
    )
    return " ".join([lead, *(f"{one[:1].upper()}{one[1:]}." for one in report.remarks)])


def _plain(line: PolicyLine) -> dict[str, Any]:
    """Return a line as plain data, its gains as a list: JSON has no tuples as keys."""
    plain = {name: getattr(line, name) for name in line.__dataclass_fields__ if name != "gains"}
    gains = [
        {"world": world, "stream": stream, "protocol": protocol, "points": points}
        for (world, stream, protocol), points in line.gains.items()
    ]
    return plain | {"gains": gains}
