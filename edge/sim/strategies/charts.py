"""Plots of a comparison: accuracy over the tasks, and against cumulative compute."""

from collections.abc import Mapping, Sequence
from typing import Final

from ...plots import ALARM, FAINT, GOOD, INK, KNOWN, NEW, open_figure, render_svg
from .summary import ComparedStream, StrategyLine

MARKED: Final = ("auricle", "joint", "naive")
"""Strategies that always have a colour: the product's own, the upper and the lower bound."""
COLOURS: Final = (GOOD, INK, KNOWN, NEW, ALARM)
"""Colours of the marked strategies and of the best others; the rest is grey."""
SIZE: Final = (10.4, 4.0)
"""Inches of a plot: as wide as the page's text."""
NAMED_TASKS_MAX: Final = 12
"""Most tasks whose names fit below a plot; more are numbered."""
NAME_CHARS: Final = 16
"""Characters of a task's name below a plot."""


def draw_tasks(stream: ComparedStream, name: str) -> str:
    """Draw the mean accuracy over the tasks learned so far, one line for each strategy, as SVG.
    name: makes the ids of the SVG unique on its page."""
    colours = colour_lines(stream.lines)
    numbers = range(1, len(stream.tasks) + 1)
    with open_figure(SIZE, 1) as (figure, (axes,)):
        for line in _grey_first(stream.lines, colours):
            axes.plot(numbers, line.curve, **_style(line.strategy, colours), marker="o", ms=3)
        axes.set_xticks(list(numbers))
        if len(stream.tasks) <= NAMED_TASKS_MAX:
            axes.set_xticklabels([_short(task) for task in stream.tasks], rotation=20, ha="right")
        axes.set_xlabel("learned up to")
        axes.set_ylabel("right, %")
        axes.set_title("Accuracy, mean over the tasks learned so far")
        figure.legend(loc="outside right center")
        return render_svg(figure, f"{name}-tasks")


def draw_compute(stream: ComparedStream, name: str) -> str:
    """Draw that accuracy against the CPU seconds of learning so far, as SVG.  A ring marks the
    strategies that no other beats in both error and compute."""
    colours = colour_lines(stream.lines)
    with open_figure(SIZE, 1) as (figure, (axes,)):
        for line in _grey_first(stream.lines, colours):
            style = _style(line.strategy, colours)
            axes.plot(line.compute, line.curve, **style, marker="o", ms=3)
            if line.frontier:
                end = (line.compute[-1:], line.curve[-1:])
                axes.plot(*end, "o", ms=9, mfc="none", mec=style["color"])
        axes.set_xscale("log")
        axes.set_xlabel("CPU seconds of learning so far, logarithmic")
        axes.set_ylabel("right, %")
        axes.set_title("Accuracy against cumulative compute")
        figure.legend(loc="outside right center")
        return render_svg(figure, f"{name}-compute")


def colour_lines(lines: Sequence[StrategyLine]) -> dict[str, str]:
    """Return the strategies with a colour of their own: the marked ones, then the best others."""
    names = [line.strategy for line in lines]
    best = [line.strategy for line in sorted(lines, key=lambda line: -line.final)]
    chosen = dict.fromkeys([*(name for name in MARKED if name in names), *best])
    return dict(zip(chosen, COLOURS, strict=False))


def _grey_first(lines: Sequence[StrategyLine], colours: Mapping[str, str]) -> list[StrategyLine]:
    """Return lines in the order of drawing: coloured ones on top, in the order of the legend."""
    order = list(colours)
    return sorted(
        lines, key=lambda line: order.index(line.strategy) if line.strategy in colours else -1
    )


def _style(name: str, colours: Mapping[str, str]) -> dict[str, object]:
    known = name in colours
    return {
        "color": colours.get(name, FAINT),
        "linewidth": 2.0 if known else 0.8,
        "alpha": 1.0 if known else 0.6,
        "label": name if known else None,
    }


def _short(name: str) -> str:
    return name if len(name) <= NAME_CHARS else f"{name[: NAME_CHARS - 1]}…"
