"""Charts of a recording as SVG that takes its colours and type from the page around it."""

import io
import re
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

import numpy as np

from .recording import Mark, Recording, Step

WINDOW: Final = 32
"""Observations that the running accuracy is taken over."""

DOTS_MAX: Final = 1_500
"""More dots than this are thinned out evenly: a picture, not a table."""

MARKS_NAMED_MAX: Final = 6

# Matplotlib draws in these colours, and each becomes a CSS variable of the page.
INK, FAINT, GRID, KNOWN, NEW, ALARM, GOOD, BAND, HEAT = (
    "#000001", "#000002", "#000003", "#000004", "#000005", "#000006", "#000007", "#000008",
    "#000009",
)
VARIABLES: Final = {
    INK: "ink", FAINT: "faint", GRID: "grid", KNOWN: "known", NEW: "new", ALARM: "alarm",
    GOOD: "good", BAND: "band", HEAT: "heat",
}
STYLE: Final = {
    "svg.fonttype": "none", "svg.hashsalt": "auricle", "font.size": 9.5,
    "axes.edgecolor": GRID, "axes.labelcolor": FAINT, "axes.titlecolor": INK,
    "axes.titlesize": 10.5, "axes.titlelocation": "left", "axes.titleweight": "bold",
    "axes.labelsize": 9, "xtick.color": FAINT, "ytick.color": FAINT, "text.color": INK,
    "xtick.labelsize": 8.5, "ytick.labelsize": 8.5, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "axes.grid.axis": "y", "grid.color": GRID,
    "grid.linewidth": 0.6, "legend.frameon": False, "legend.fontsize": 8.5,
    "axes.facecolor": "none", "figure.facecolor": "none", "axes.axisbelow": True,
}


def draw_stream(recording: Recording, name: str) -> str:
    """Accuracy, novelty and drift over time, with domains, alarms, labels and requests marked."""
    with _figure((10.4, 6.4), 3, heights=(5, 3, 3)) as (figure, (top, middle, bottom)):
        steps, marks = recording.steps, recording.marks
        for axes in (top, middle, bottom):
            _shade_alarms(axes, steps)
            _draw_changes(axes, marks)
        _draw_accuracy(top, steps)
        _name_domains(top, marks, len(steps))
        _draw_marks(top, marks)
        _draw_scores(middle, steps)
        _draw_window(bottom, steps, recording.rate)
        for axes in (top, middle):
            axes.tick_params(labelbottom=False)
        for axes in (top, middle, bottom):
            axes.set_xlim(0, max(1, len(steps) - 1))
        bottom.set_xlabel("observations")
        return _svg(figure, name)


def draw_scores(recording: Recording, name: str) -> str:
    """Histograms of novelty scores, known against new, and where the detector drew its line."""
    with _figure((5.1, 3.4), 1) as (figure, (axes,)):
        told = [step for step in recording.steps if step.known is not None]
        known = [step.score for step in told if step.novel is False]
        new = [step.score for step in told if step.novel is True]
        if known or new:
            bins = np.histogram_bin_edges([*known, *new], 36)
            for values, colour, label in ((known, KNOWN, "known"), (new, NEW, "new")):
                axes.hist(values, bins, color=colour, alpha=0.65, label=f"{label} ({len(values)})")
            _draw_threshold(axes, recording.steps)
            axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 0.99), ncols=3, borderpad=0,
                        handlelength=1.2, handletextpad=0.5, columnspacing=1.2)
        axes.set_title("Novelty scores", pad=26)
        axes.set(xlabel="score, higher is newer", ylabel="observations")
        return _svg(figure, name)


def draw_matrix(recording: Recording, name: str) -> str:
    """The accuracy matrix: held-out accuracy by checkpoint (rows) and domain (columns)."""
    rows, columns = len(recording.checkpoints), len(recording.domains)
    height = max(3.4, 1.1 + 0.45 * rows)
    with _figure((5.1, height), 1) as (figure, (axes,)):
        axes.grid(visible=False)
        for row, values in enumerate(recording.accuracy_matrix):
            for column, value in enumerate(values):
                cell = (column - 0.48, row - 0.46)
                axes.add_patch(_rectangle(cell, 0.96, 0.92, HEAT, 0.08 + 0.72 * value**2))
                axes.text(column, row, f"{value:.3f}", ha="center", va="center", fontsize=9.5)
        axes.set(xlim=(-0.5, max(columns, 1) - 0.5), ylim=(max(rows, 1) - 0.5, -0.5),
                 title="Accuracy on held-out sets")
        axes.set_xticks(range(columns), [_short(text) for text in recording.domains])
        axes.set_yticks(range(rows), [f"after {_short(text)}" for text in recording.checkpoints])
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        return _svg(figure, name)


def draw_latency(recording: Recording, name: str) -> str:
    """Median and 99th percentile of each stage, on a logarithmic scale."""
    timings = [timing for timing in recording.timings if timing.count]
    with _figure((5.1, 2.6), 1) as (figure, (axes,)):
        axes.grid(visible=False, axis="y")
        for place, timing in enumerate(timings):
            low, high = max(timing.p50_us, 0.1), max(timing.p99_us, 0.1)
            axes.plot([low, high], [place, place], color=KNOWN, linewidth=6, alpha=0.35,
                      solid_capstyle="round")
            axes.plot([low], [place], "o", color=KNOWN, markersize=7)
            axes.annotate(f"{_duration(low)}, {_duration(high)}", (high, place), (9, 0),
                          textcoords="offset points", va="center", fontsize=8.5)
        axes.set_yticks(range(len(timings)), [timing.stage for timing in timings])
        axes.set(ylim=(len(timings) - 0.5, -0.5), xscale="log",
                 title="Latency by stage: median to 99th percentile")
        low, high = axes.get_xlim()
        axes.set_xlim(low, high * 12)
        axes.xaxis.set_major_formatter(lambda value, _: _duration(value))
        axes.minorticks_off()
        return _svg(figure, name)


# --- the tracks of a stream ----------------------------------------------------------------------


def _draw_accuracy(axes: Any, steps: Sequence[Step]) -> None:
    right = np.array([step.guess == step.truth_label for step in steps], float)
    if len(right):
        summed = np.cumsum(np.r_[0.0, right])
        ends = np.arange(1, len(right) + 1)
        starts = np.maximum(0, ends - WINDOW)
        axes.plot(ends - 1, (summed[ends] - summed[starts]) / (ends - starts), color=KNOWN,
                  linewidth=1.8)
    axes.set(ylim=(-0.03, 1.16), ylabel=f"accuracy, last {WINDOW}")
    axes.set_yticks((0, 0.25, 0.5, 0.75, 1), ("0", "25 %", "50 %", "75 %", "100 %"))


def _draw_scores(axes: Any, steps: Sequence[Step]) -> None:
    stride = max(1, -(-len(steps) // DOTS_MAX))
    for novel, colour, label in ((False, KNOWN, "known"), (None, GOOD, "being learned"),
                                 (True, NEW, "new")):
        chosen = [step for step in steps[::stride] if step.novel is novel]
        if chosen:
            axes.plot([step.index for step in chosen], [step.score for step in chosen], "o",
                      markersize=2.2, color=colour, alpha=0.7, markeredgewidth=0, label=label)
    axes.set_ylabel("novelty score")
    if steps:
        axes.legend(loc="lower left", bbox_to_anchor=(0, 0.96), ncols=3, markerscale=2.5,
                    handletextpad=0.1, borderpad=0, columnspacing=1.2)


def _draw_window(axes: Any, steps: Sequence[Step], rate: float) -> None:
    values = np.maximum([step.window_p for step in steps], 1e-6)
    axes.plot(range(len(values)), values, color=INK, linewidth=1.1)
    axes.axhline(rate, color=ALARM, linewidth=1, linestyle=(0, (4, 3)))
    axes.annotate(f"alarm below {rate:g}", (1, rate), (-4, 4), xycoords=("axes fraction", "data"),
                  textcoords="offset points", ha="right", fontsize=8.5, color=ALARM)
    axes.set(yscale="log", ylabel="p-value of window")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.minorticks_off()


def _shade_alarms(axes: Any, steps: Sequence[Step]) -> None:
    for alarmed, run in groupby(steps, key=lambda step: step.alarm):
        stretch = list(run)
        if alarmed:
            axes.axvspan(stretch[0].index, stretch[-1].index + 1, color=ALARM, alpha=0.09,
                         linewidth=0)


def _draw_changes(axes: Any, marks: Sequence[Mark]) -> None:
    for mark in marks:
        if mark.kind == "domain" and mark.index:
            axes.axvline(mark.index, color=FAINT, linewidth=1, linestyle=(0, (2, 2)))


def _name_domains(axes: Any, marks: Sequence[Mark], length: int) -> None:
    changes = [mark for mark in marks if mark.kind == "domain"]
    ends = [mark.index for mark in changes[1:]] + [length]
    for mark, end in zip(changes, ends, strict=True):
        if end - mark.index > length / 24:
            axes.annotate(_short(mark.text), (mark.index, 1.02), (5, 0), fontsize=9.5,
                          xycoords=("data", "axes fraction"), textcoords="offset points",
                          va="bottom", fontweight="bold")


def _draw_marks(axes: Any, marks: Sequence[Mark]) -> None:
    """Ticks for labels along the floor, symbols for alarms, requests and faults along the top."""
    labels = [mark.index for mark in marks if mark.kind == "labels"]
    axes.plot(labels, [-0.01] * len(labels), "|", color=GOOD, markersize=7,
              label=f"{len(labels)} labels" if labels else None)
    for kind, symbol, colour, text in (
        ("alarm", "v", ALARM, "alarm"), ("cleared", "^", GOOD, "cleared"),
        ("forget", "X", INK, "forgotten"), ("crash", "x", FAINT, "crash"),
        ("fault", "+", FAINT, "other fault"),
    ):
        places = [mark.index for mark in marks if mark.kind == kind]
        if places:
            axes.plot(places, [1.09] * len(places), symbol, color=colour, markersize=6,
                      label=text, clip_on=False)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.11), ncols=MARKS_NAMED_MAX,
                    handletextpad=0.2, borderpad=0.1, columnspacing=1.1)


def _draw_threshold(axes: Any, steps: Sequence[Step]) -> None:
    """Shade where the line between known and new ran: it moves as the ledger grows."""
    accepted = [step.score for step in steps if step.known is True]
    refused = [step.score for step in steps if step.known is False]
    if not accepted or not refused:
        return
    low, high = sorted((max(accepted), min(refused)))
    axes.axvspan(low, high, color=ALARM, alpha=0.14, linewidth=0)
    axes.axvline((low + high) / 2, color=ALARM, linewidth=1.2, linestyle=(0, (4, 3)),
                 label="threshold, moving with the ledger")


# --- drawing -------------------------------------------------------------------------------------


class _figure:  # noqa: N801
    """A figure in the page's style, with `count` axes above each other; closed at the end."""

    def __init__(
        self, size: tuple[float, float], count: int, heights: tuple[int, ...] | None = None
    ) -> None:
        from matplotlib import rc_context
        from matplotlib.figure import Figure

        self._context = rc_context(STYLE)
        self._make = lambda: Figure(figsize=size, layout="constrained")
        self._count = count
        self._heights = heights

    def __enter__(self) -> tuple[Any, Any]:
        self._context.__enter__()
        figure = self._make()
        rows = figure.subplots(self._count, 1, squeeze=False,
                               gridspec_kw={"height_ratios": self._heights})
        return figure, tuple(rows[:, 0])

    def __exit__(self, *error: object) -> None:
        self._context.__exit__(*error)


def _rectangle(place: tuple[float, float], width: float, height: float, colour: str,
               alpha: float) -> Any:
    from matplotlib.patches import FancyBboxPatch

    return FancyBboxPatch(place, width, height, boxstyle="round,pad=0,rounding_size=0.06",
                          facecolor=colour, edgecolor="none", alpha=alpha, mutation_aspect=1)


def _svg(figure: Any, name: str) -> str:
    """Give a figure as an inline SVG.  name: makes its ids unique on the page."""
    target = io.StringIO()
    figure.savefig(target, format="svg", transparent=True, metadata={"Date": None})
    text = target.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = re.sub(r"font-family: [^;\"]*", "font-family: var(--type)", text)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    return re.sub(r'<svg [^>]*?viewBox="([^"]+)"[^>]*>',
                  r'<svg viewBox="\1" role="img" xmlns="http://www.w3.org/2000/svg"'
                  r' xmlns:xlink="http://www.w3.org/1999/xlink">', text, count=1)


def _short(text: str) -> str:
    """Shorten names that would run into each other, with matplotlib's own signs made harmless."""
    return (text if len(text) <= 18 else f"{text[:17]}…").replace("$", r"\$")


def _duration(microseconds: float) -> str:
    for size, unit in ((1e6, "s"), (1e3, "ms")):
        if microseconds >= size:
            return f"{microseconds / size:.3g} {unit}"
    return f"{microseconds:.3g} µs"


