"""The charts of a recording."""

import numpy as np

from ..recording import RunRecording
from .drawing import KNOWN, NEW, format_duration, open_figure, render_svg, round_cell, shorten
from .timelines import (
    draw_accuracy,
    draw_changes,
    draw_marks,
    draw_scores,
    draw_threshold,
    draw_window,
    name_domains,
    shade_alarms,
)


def draw_stream(recording: RunRecording, name: str) -> str:
    """Accuracy, novelty and drift over time, with domains, alarms, labels and requests marked."""
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
    """Histograms of novelty scores, known against new, and where the detector drew its line."""
    with open_figure((5.1, 3.4), 1) as (figure, (axes,)):
        told = [step for step in recording.steps if step.known is not None]
        known = [step.score for step in told if step.novel is False]
        new = [step.score for step in told if step.novel is True]
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
        axes.set(xlabel="score, higher is newer", ylabel="observations")
        return render_svg(figure, name)


def draw_matrix(recording: RunRecording, name: str) -> str:
    """The accuracy matrix: held-out accuracy by checkpoint (rows) and domain (columns)."""
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
    """Checkpoints of a scenario are named after the phase that has just ended."""
    return f"after {shorten(text)}" if text[:1].isdigit() else text


def draw_latency(recording: RunRecording, name: str) -> str:
    """Median and 99th percentile of each stage, on a logarithmic scale."""
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
