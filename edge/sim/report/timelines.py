"""The tracks of a stream over time: accuracy, novelty, drift, and what happened."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

import numpy as np

from ..recording import DecisionStep, TimelineMark
from .drawing import ALARM, ALARM_MARK, CLEARED_MARK, FAINT, GOOD, INK, KNOWN, NEW, shorten

WINDOW: Final = 32
"""Observations that the running accuracy is taken over."""

DOTS_MAX: Final = 1_500
"""More dots than this are thinned out evenly: a picture, not a table."""

MARKS_NAMED_MAX: Final = 7
"""Kinds of marks, each with its place in the legend."""


def draw_accuracy(axes: Any, steps: Sequence[DecisionStep]) -> None:
    """Running accuracy of the best answer, abstained or not."""
    right = np.array([step.guess == step.truth_label for step in steps], float)
    if len(right):
        summed = np.cumsum(np.r_[0.0, right])
        ends = np.arange(1, len(right) + 1)
        starts = np.maximum(0, ends - WINDOW)
        axes.plot(
            ends - 1, (summed[ends] - summed[starts]) / (ends - starts), color=KNOWN, linewidth=1.8
        )
    axes.set(ylim=(-0.03, 1.16), ylabel=f"accuracy, last {WINDOW}")
    axes.set_yticks((0, 0.25, 0.5, 0.75, 1), ("0", "25 %", "50 %", "75 %", "100 %"))


def draw_scores(axes: Any, steps: Sequence[DecisionStep]) -> None:
    """Novelty scores as dots, coloured by truth."""
    stride = max(1, -(-len(steps) // DOTS_MAX))
    for novel, colour, label in (
        (False, KNOWN, "known"),
        (None, GOOD, "being learned"),
        (True, NEW, "new"),
    ):
        chosen = [step for step in steps[::stride] if step.novel is novel]
        if chosen:
            axes.plot(
                [step.index for step in chosen],
                [step.score for step in chosen],
                "o",
                markersize=2.2,
                color=colour,
                alpha=0.7,
                markeredgewidth=0,
                label=label,
            )
    axes.set_ylabel("novelty score")
    if steps:
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(0, 0.96),
            ncols=3,
            markerscale=2.5,
            handletextpad=0.1,
            borderpad=0,
            columnspacing=1.2,
        )


def draw_window(axes: Any, steps: Sequence[DecisionStep], rate: float, window: int) -> None:
    """The window's p-value, with the ordered rate as the line that it has to stay below for an
    alarm: for more than `window` observations in a row (0: not known how many)."""
    values = np.maximum([step.window_p for step in steps], 1e-6)
    axes.plot(range(len(values)), values, color=INK, linewidth=1.1)
    axes.axhline(rate, color=ALARM, linewidth=1, linestyle=(0, (4, 3)))
    axes.annotate(
        f"an alarm needs more than {window} in a row below {rate:g}" if window else f"{rate:g}",
        (1, rate),
        (-4, -12),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        ha="right",
        fontsize=8.5,
        color=ALARM,
    )
    axes.set(yscale="log", ylabel="p-value of window")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.minorticks_off()


def shade_alarms(axes: Any, steps: Sequence[DecisionStep]) -> None:
    """Shade the observations that were in alarm."""
    for alarmed, run in groupby(steps, key=lambda step: step.alarm):
        stretch = list(run)
        if alarmed:
            axes.axvspan(
                stretch[0].index, stretch[-1].index + 1, color=ALARM, alpha=0.09, linewidth=0
            )


def draw_changes(axes: Any, marks: Sequence[TimelineMark]) -> None:
    """Draw an upright where the world changes."""
    for mark in marks:
        if mark.kind == "domain" and mark.index:
            axes.axvline(mark.index, color=FAINT, linewidth=1, linestyle=(0, (2, 2)))


def name_domains(axes: Any, marks: Sequence[TimelineMark], length: int) -> None:
    """Name each stretch that is wide enough for a name."""
    changes = [mark for mark in marks if mark.kind == "domain"]
    ends = [mark.index for mark in changes[1:]] + [length]
    for mark, end in zip(changes, ends, strict=True):
        if end - mark.index > length / 24:
            axes.annotate(
                shorten(mark.text),
                (mark.index, 1.02),
                (5, 0),
                fontsize=9.5,
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                va="bottom",
                fontweight="bold",
            )


def draw_marks(axes: Any, marks: Sequence[TimelineMark]) -> None:
    """Ticks for labels along the floor, symbols for alarms, requests and faults along the top."""
    labels = [mark.index for mark in marks if mark.kind == "labels"]
    axes.plot(
        labels,
        [-0.01] * len(labels),
        "|",
        color=GOOD,
        markersize=7,
        label=f"{len(labels)} labels" if labels else None,
    )
    for kind, symbol, colour, text in (
        ("alarm", ALARM_MARK, ALARM, "alarm"),
        ("cleared", CLEARED_MARK, GOOD, "alarm over"),
        ("adaptor", "*", GOOD, "adaptor"),
        ("forget", "X", INK, "forgotten"),
        ("crash", "x", FAINT, "crash"),
        ("fault", "+", FAINT, "other fault"),
    ):
        places = [mark.index for mark in marks if mark.kind == kind]
        if places:
            axes.plot(
                places,
                [1.09] * len(places),
                symbol,
                color=colour,
                markersize=6,
                label=text,
                clip_on=False,
            )
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            loc="lower right",
            bbox_to_anchor=(1.0, 1.11),
            ncols=MARKS_NAMED_MAX,
            handletextpad=0.2,
            borderpad=0.1,
            columnspacing=1.1,
        )


def draw_threshold(axes: Any, steps: Sequence[DecisionStep]) -> None:
    """Shade where the line between known and new ran: it moves as the ledger grows."""
    accepted = [step.score for step in steps if step.known is True]
    refused = [step.score for step in steps if step.known is False]
    if not accepted or not refused:
        return
    low, high = sorted((max(accepted), min(refused)))
    axes.axvspan(low, high, color=ALARM, alpha=0.14, linewidth=0)
    axes.axvline(
        (low + high) / 2,
        color=ALARM,
        linewidth=1.2,
        linestyle=(0, (4, 3)),
        label="threshold, moving with the ledger",
    )
