"""The files of a comparison: strategies.json for programs, report.html for readers."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from ...core import ConfigError
from ...pages import environment
from ..sweep import write_file
from .charts import colour_lines, draw_compute, draw_tasks
from .comparison import StrategyReport
from .summary import ComparedStream, StrategyLine

STRATEGIES_FORMAT: Final = 1
"""Version of strategies.json; docs/howto/simulate.md describes it."""
NAMES: Final = ("Strategy", "Right at the end, %", "Forgetting", "CPU s", "µs", "KiB")
"""Heads of the table of figures."""
RANKING_NAMES: Final = ("Rank", "Strategy", "Error, %", "CPU s", "Frontier")
"""Heads of the ranking."""
COMPUTE_SENTENCE: Final = (
    "Each line is a strategy, each point a task. Rings: no other strategy has both less error and"
    " less compute. CPU seconds of learning alone, measured on this machine."
)
RANKING_SENTENCE: Final = (
    "As in NEVIS’22: error is the mean of each task right after it was learned, so forgetting does"
    " not count; compute is that of learning all tasks. NEVIS’22 counts floating-point operations,"
    " this table CPU seconds. Frontier: no other strategy has both less error and less compute."
)


def write_strategies(report: StrategyReport, folder: Path) -> StrategyReport:
    """Write both files atomically; return the report with their paths."""
    content = {
        "format": STRATEGIES_FORMAT,
        "title": report.title,
        "remarks": report.remarks,
        "streams": [_plain(stream) for stream in report.streams],
        "outcomes": report.outcomes,
    }
    page = environment("edge.sim").get_template("strategies.html")
    text = page.render(
        title=report.title,
        lead=_lead(report),
        streams=[
            _shown(stream, f"stream{at}", several=len(report.streams) > 1)
            for at, stream in enumerate(report.streams)
        ],
        names=NAMES,
        ranking_names=RANKING_NAMES,
        compute_sentence=COMPUTE_SENTENCE,
        ranking_sentence=RANKING_SENTENCE,
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file, written = folder / "strategies.json", folder / "report.html"
        write_file(file, msgspec.json.format(msgspec.json.encode(content), indent=1))
        write_file(written, text.encode())
    except OSError as error:
        raise ConfigError(
            f"writing the comparison to {folder}: {error.strerror}", "choose a writable folder"
        ) from error
    return replace(report, file=file, page=written)


def format_spread(mean: float, spread: float | None) -> str:
    """Return a mean with its standard deviation over the seeds, where there are several."""
    return f"{mean:.1f}" if spread is None else f"{mean:.1f} ± {spread:.1f}"


def figure_row(line: StrategyLine) -> tuple[str, ...]:
    """Return the cells of a strategy in the table of figures."""
    return (
        line.strategy,
        format_spread(line.final, line.spread),
        "-" if line.forgetting is None else f"{line.forgetting:.1f}",
        f"{line.compute_s:.3g}",
        f"{line.answer_us:.3g}",
        f"{line.nbytes / 1024:.0f}",
    )


def ranking_rows(stream: ComparedStream) -> list[tuple[str, ...]]:
    """Return the rows of the ranking by error and compute."""
    return [
        (
            str(at),
            line.strategy,
            f"{line.error:.1f}",
            f"{line.compute_s:.3g}",
            "●" if line.frontier else "",
        )
        for at, line in enumerate(stream.ranking, 1)
    ]


def _shown(stream: ComparedStream, name: str, *, several: bool) -> dict[str, Any]:
    """Return what the page shows of a stream."""
    grey = len(stream.lines) > len(colour_lines(stream.lines))
    return {
        "heading": f"{stream.world}, {stream.variant}" if several else "",
        "sentence": f"Tasks in this order: {', '.join(stream.tasks)}.",
        "left_out": [f"Left out: {strategy}: {reason}" for strategy, reason in stream.failures],
        "lines": stream.lines,
        "names": stream.tasks,
        "tasks_plot": draw_tasks(stream, name) if stream.lines else "",
        "compute_plot": draw_compute(stream, name) if stream.lines else "",
        "tasks_sentence": "Each line is a strategy, the mean over the seeds"
        + ("; grey ones are the other strategies." if grey else "."),
        "rows": [figure_row(line) for line in stream.lines],
        "ranking": ranking_rows(stream),
    }


def _lead(report: StrategyReport) -> str:
    streams, seeds = len(report.streams), len(report.streams[0].seeds)
    lead = (
        f"{_counted(streams, 'stream')}, {_counted(seeds, 'seed')}: percent right of held-out"
        " samples, mean ± standard deviation over the seeds, never over streams."
    )
    return " ".join([lead, *(f"{one[:1].upper()}{one[1:]}." for one in report.remarks)])


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _plain(stream: ComparedStream) -> dict[str, Any]:
    """Return a stream as plain data."""
    return {
        "world": stream.world,
        "variant": stream.variant,
        "tasks": stream.tasks,
        "seeds": stream.seeds,
        "strategies": [
            {each.name: getattr(line, each.name) for each in fields(StrategyLine)}
            for line in stream.lines
        ],
        "ranking": [line.strategy for line in stream.ranking],
        "left_out": [
            {"strategy": strategy, "reason": reason} for strategy, reason in stream.failures
        ],
    }
