"""A comparison of strategies in the terminal and as JSON."""

from typing import Any, Final

from ...sim.strategies import ComparedStream, StrategyReport, figure_row, ranking_rows
from . import common as views

FIGURES: Final = ("strategy", "right at the end, %", "forgetting", "CPU s", "µs", "KiB")
"""Heads of the table of figures."""
RANKING: Final = ("rank", "strategy", "error, %", "CPU s", "frontier")
"""Heads of the ranking."""


def show_strategies(report: StrategyReport) -> None:
    """Show two tables for each stream: the figures of each strategy, and the ranking by error and
    compute."""
    for stream in report.streams:
        _show_stream(stream)
    for remark in report.remarks:
        views.say(remark)
    if report.resumed:
        views.say(f"{report.resumed} of {len(report.outcomes)} outcomes come from an earlier run")
    views.say(f"report {report.page}")


def strategies_as_data(report: StrategyReport) -> dict[str, Any]:
    """Return the figures of each strategy on each stream as plain data."""
    return {
        "file": str(report.file),
        "page": str(report.page),
        "resumed": report.resumed,
        "remarks": report.remarks,
        "streams": [
            {
                "world": stream.world,
                "variant": stream.variant,
                "strategies": {
                    line.strategy: {
                        "final": line.final,
                        "sd": line.spread,
                        "forgetting": line.forgetting,
                        "error": line.error,
                        "compute_s": line.compute_s,
                        "answer_us": line.answer_us,
                        "nbytes": line.nbytes,
                        "frontier": line.frontier,
                    }
                    for line in stream.lines
                },
                "left_out": dict(stream.failures),
            }
            for stream in report.streams
        ],
    }


def _show_stream(stream: ComparedStream) -> None:
    seeds = len(stream.seeds)
    counted = f"{len(stream.tasks)} tasks, {seeds} {'seed' if seeds == 1 else 'seeds'}"
    views.say(f"\n{stream.world}, {stream.variant}: {counted}")
    views.say(f"tasks: {' > '.join(stream.tasks)}")
    if stream.lines:
        views.show_table(FIGURES, [figure_row(line) for line in stream.lines])
    for strategy, reason in stream.failures:
        views.say(f"left out: {strategy}: {reason}")
    if stream.lines:
        views.say("\nby error right after each task, and compute, as in NEVIS'22")
        views.show_table(RANKING, ranking_rows(stream))
