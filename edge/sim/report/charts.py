"""The charts of a recording: tracks of the stream over time, histograms, matrix, latency."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

import numpy as np

from ...plots import (
    ALARM,
    ALARM_MARK,
    CLEARED_MARK,
    FAINT,
    GOOD,
    INK,
    KNOWN,
    NEW,
    format_duration,
    open_figure,
    render_svg,
    round_cell,
    shorten,
)
from ..recording import DecisionStep, RunRecording, TimelineMark

WINDOW: Final = 32
"""Observations in the running accuracy.  Chosen by hand."""

DOTS_MAX: Final = 1_500
"""More dots are thinned out evenly; they would only overlap."""

MARKS_NAMED_MAX: Final = 7
"""Kinds of marks, each with its place in the legend."""


def draw_stream(recording: RunRecording, name: str) -> str:
    """Draw accuracy, novelty and drift over time, with domains, alarms, labels and requests."""
    with open_figure((10.4, 6.4), 3, heights=(5, 3, 3)) as (figure, (top, middle, bottom)):
        steps, marks = recording.steps, recording.marks
        for axes in (top, middle, bottom):
            shade_alarms(axes, steps)
            draw_changes(axes, marks)
        draw_accuracy(top, steps)
        name_domains(top, marks, len(steps))
        draw_marks(top, marks)
        draw_scores(middle, steps)
        draw_window(bottom, steps, recording.rate, recording.window)
        for axes in (top, middle):
            axes.tick_params(labelbottom=False)
        for axes in (top, middle, bottom):
            axes.set_xlim(0, max(1, len(steps) - 1))
        bottom.set_xlabel("observations")
        return render_svg(figure, name)


def draw_histogram(recording: RunRecording, name: str) -> str:
    """Draw histograms of novelty scores, known against new, with the detector's threshold."""
    with open_figure((5.1, 3.4), 1) as (figure, (axes,)):
        decided = [step for step in recording.steps if step.known is not None]
        known = [step.score for step in decided if step.novel is False]
        new = [step.score for step in decided if step.novel is True]
        if known or new:
            bins = np.histogram_bin_edges([*known, *new], 36)
            for values, colour, label in ((known, KNOWN, "known"), (new, NEW, "new")):
                axes.hist(values, bins, color=colour, alpha=0.65, label=f"{label} ({len(values)})")
            draw_threshold(axes, recording.steps)
            axes.legend(
                loc="lower left",
                bbox_to_anchor=(-0.01, 0.99),
                ncols=3,
                borderpad=0,
                handlelength=1.2,
                handletextpad=0.5,
                columnspacing=1.2,
            )
        axes.set_title("Novelty scores", pad=26)
        axes.set(xlabel="score, higher is more novel", ylabel="observations")
        return render_svg(figure, name)


def draw_matrix(recording: RunRecording, name: str) -> str:
    """Draw the accuracy matrix: held-out accuracy by checkpoint (rows) and domain (columns)."""
    rows, columns = len(recording.checkpoints), len(recording.domains)
    height = max(3.4, 1.1 + 0.45 * rows)
    with open_figure((5.1, height), 1) as (figure, (axes,)):
        axes.grid(visible=False)
        for row, values in enumerate(recording.accuracy_matrix):
            for column, value in enumerate(values):
                cell = (column - 0.48, row - 0.46)
                shade = 0.08 + 0.72 * (value or 0) ** 2
                axes.add_patch(round_cell(cell, (0.96, 0.92), shade))
                text = "forgotten" if value is None else f"{100 * value:.1f} %"
                axes.text(column, row, text, ha="center", va="center", fontsize=9.5)
        axes.set(
            xlim=(-0.5, max(columns, 1) - 0.5),
            ylim=(max(rows, 1) - 0.5, -0.5),
            title="Accuracy on held-out sets",
        )
        axes.set_xticks(range(columns), [shorten(text) for text in recording.domains])
        axes.set_yticks(range(rows), [_name_checkpoint(text) for text in recording.checkpoints])
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        return render_svg(figure, name)


def _name_checkpoint(text: str) -> str:
    """Return the caption of a checkpoint; those of a scenario are named after the phase before."""
    return f"after {shorten(text)}" if text[:1].isdigit() else text


def draw_latency(recording: RunRecording, name: str) -> str:
    """Draw median and 99th percentile of each stage, on a logarithmic scale."""
    timings = [timing for timing in recording.timings if timing.count]
    with open_figure((5.1, 2.6), 1) as (figure, (axes,)):
        axes.grid(visible=False, axis="y")
        for place, timing in enumerate(timings):
            low, high = max(timing.p50_us, 0.1), max(timing.p99_us, 0.1)
            axes.plot(
                [low, high],
                [place, place],
                color=KNOWN,
                linewidth=6,
                alpha=0.35,
                solid_capstyle="round",
            )
            axes.plot([low], [place], "o", color=KNOWN, markersize=7)
            axes.annotate(
                f"{format_duration(low)}, {format_duration(high)}",
                (high, place),
                (9, 0),
                textcoords="offset points",
                va="center",
                fontsize=8.5,
            )
        axes.set_yticks(range(len(timings)), [timing.stage for timing in timings])
        axes.set(
            ylim=(len(timings) - 0.5, -0.5),
            xscale="log",
            title="Latency by stage: median to 99th percentile",
        )
        low, high = axes.get_xlim()
        axes.set_xlim(low, high * 12)
        axes.xaxis.set_major_formatter(lambda value, _: format_duration(value))
        axes.minorticks_off()
        return render_svg(figure, name)


def draw_accuracy(axes: Any, steps: Sequence[DecisionStep]) -> None:
    """Draw the running accuracy of the best guess, abstentions included."""
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
    """Draw novelty scores as dots, coloured by truth."""
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
    """Draw the window's p-value and the chosen rate: an alarm needs more than `window` p-values in
    a row below it (0: unknown)."""
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
    """Draw a vertical line where the world changes."""
    for mark in marks:
        if mark.kind == "domain" and mark.index:
            axes.axvline(mark.index, color=FAINT, linewidth=1, linestyle=(0, (2, 2)))


def name_domains(axes: Any, marks: Sequence[TimelineMark], length: int) -> None:
    """Name each stretch that is wide enough."""
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
    """Draw ticks for labels along the bottom, symbols for alarms, requests and faults at the
    top."""
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
        ("cleared", CLEARED_MARK, GOOD, "alarm cleared"),
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
    """Shade the range of the threshold between known and new: it moves as the ledger grows."""
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
