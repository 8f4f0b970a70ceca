"""The charts of growth: jobs and adaptors over time, the search, and routing."""

from collections.abc import Sequence
from typing import Any, Final

from ...plots import (
    ALARM,
    ALARM_MARK,
    FAINT,
    GOOD,
    INK,
    KNOWN,
    NEW,
    open_figure,
    render_svg,
    round_cell,
    shorten,
)
from ..recording import GrowthAttemptRecord, GrowthEpisode, RoutingRecord, RunRecording
from .charts import draw_changes, name_domains, shade_alarms

TEXT_SHARE: Final = 0.13
"""Share of the time axis that a caption takes; a nearer one is left out.  Chosen by hand."""

NAMED_CELLS_MAX: Final = 8
"""Columns of a matrix up to which cells have room for the usual font.  Chosen by hand."""


def draw_growth(recording: RunRecording, name: str) -> str:
    """Draw alarms, labels, search, training and service of each adaptor over time."""
    domains = tuple(dict.fromkeys(one.domain for one in recording.episodes))
    length = max(2, len(recording.steps))
    with open_figure((10.4, 1.7 + 0.62 * len(domains)), 1) as (figure, (axes,)):
        axes.grid(visible=False)
        shade_alarms(axes, recording.steps)
        draw_changes(axes, recording.marks)
        name_domains(axes, recording.marks, length)
        _draw_causes(axes, recording)
        for row, domain in enumerate(domains, 1):
            _draw_row(axes, row, [e for e in recording.episodes if e.domain == domain], length)
        caused = any(mark.kind in ("alarm", "labels") for mark in recording.marks)
        names = ["alarms, labels" if caused else "", *(shorten(domain) for domain in domains)]
        axes.set_yticks(range(len(names)), names)
        axes.set(xlim=(0, length - 1), xlabel="observations")
        axes.set_ylim(len(domains) + 0.55, -0.6 if caused else 0.3)
        axes.tick_params(axis="y", length=0)
        _name_lines(axes)
        return render_svg(figure, name)


def _draw_causes(axes: Any, recording: RunRecording) -> None:
    for kind, symbol, colour, size in (("labels", "|", GOOD, 9), ("alarm", ALARM_MARK, ALARM, 6)):
        places = [mark.index for mark in recording.marks if mark.kind == kind]
        axes.plot(places, [0.0] * len(places), symbol, color=colour, markersize=size, clip_on=False)


def _draw_row(axes: Any, row: int, episodes: Sequence[GrowthEpisode], length: int) -> None:
    """Draw the growths of one domain: the adaptor or head in service, and the result of each
    job."""
    axes.plot([episodes[0].asked_at, length - 1], [row, row], color=KNOWN, linewidth=1, alpha=0.6)
    free = {True: 0.0, False: 0.0}
    for one in episodes:
        end = length - 1 if one.ended_at is None else one.ended_at
        work = [one.asked_at, max(end, one.asked_at + length / 400)]
        axes.plot(work, [row, row], color=NEW, linewidth=7, solid_capstyle="butt")
        if one.state == "serving":
            served = length - 1 if one.until is None else one.until
            axes.plot([work[1], served], [row, row], color=GOOD, linewidth=4)
        if one.ended_at is not None:
            symbol, colour = ("*", GOOD) if one.state == "serving" else ("x", ALARM)
            axes.plot([work[1]], [row], symbol, color=colour, markersize=7, markeredgewidth=1.6)
        serves = one.state == "serving"
        if one.asked_at >= free[serves]:
            _annotate(axes, row, one, (work[0], work[1]), length)
            free[serves] = one.asked_at + length * TEXT_SHARE


def _annotate(
    axes: Any, row: int, one: GrowthEpisode, work: tuple[float, float], length: int
) -> None:
    """Write the caption of a growth: above its row if it serves, else below."""
    serves = one.state == "serving"
    last = one.asked_at > length * (1 - TEXT_SHARE)
    axes.annotate(
        caption(one),
        (work[1] if last else work[0], row),
        (0, 8 if serves else -8),
        textcoords="offset points",
        ha="right" if last else "left",
        va="bottom" if serves else "top",
        fontsize=8.5,
        color=INK if serves else FAINT,
    )


def caption(episode: GrowthEpisode) -> str:
    """Return the held-out accuracy before and after, or the state of the job."""
    if episode.accuracy is None or episode.incumbent is None:
        return episode.state
    change = f"{100 * episode.incumbent:.1f} → {100 * episode.accuracy:.1f} %"
    return change if episode.state == "serving" else f"{change}, {episode.state}"


def _name_lines(axes: Any) -> None:
    axes.plot([], [], color=NEW, linewidth=7, solid_capstyle="butt", label="search and training")
    axes.plot([], [], color=GOOD, linewidth=4, label="adaptor serves")
    axes.plot([], [], color=KNOWN, linewidth=1, label="head alone")
    axes.plot([], [], "x", color=ALARM, markersize=6, label="refused")
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        borderaxespad=2.6,
        ncols=4,
        handlelength=1.4,
        handletextpad=0.7,
        borderpad=0.1,
        columnspacing=1.2,
    )


def scored(episode: GrowthEpisode) -> tuple[GrowthAttemptRecord, ...]:
    """Return the blueprints that were scored and trained."""
    return tuple(t for t in episode.trials if t.score is not None and t.accuracy is not None)


def draw_search(episode: GrowthEpisode, name: str) -> str:
    """Draw held-out accuracy against proxy score for the blueprints that a search trained."""
    tried = scored(episode)
    with open_figure((5.1, 3.4), 1) as (figure, (axes,)):
        extra = tuple(t for t in tried if t.extra)
        best = tuple(t for t in tried if t.blueprint == episode.blueprint and not t.extra)
        rest = tuple(t for t in tried if t not in extra and t not in best)
        for shown, colour, size, label in (
            (extra, FAINT, 4, "for comparison"),
            (rest, KNOWN, 6, "first choices"),
            (best, GOOD, 9, "accepted"),
        ):
            if shown:
                axes.plot(
                    [t.score for t in shown],
                    [100 * (t.accuracy or 0) for t in shown],
                    "o",
                    color=colour,
                    alpha=0.8,
                    markersize=size,
                    markeredgewidth=0,
                    label=label,
                )
        if episode.incumbent is not None:
            axes.axhline(
                100 * episode.incumbent,
                color=ALARM,
                linewidth=1,
                linestyle=(0, (4, 3)),
                label="served before",
            )
        axes.set_title(f"Search for {shorten(episode.domain)}", pad=26)
        axes.set(xlabel="proxy score, before training", ylabel="held-out accuracy, %")
        axes.legend(
            loc="lower left",
            bbox_to_anchor=(-0.01, 0.99),
            ncols=4,
            borderpad=0,
            handlelength=1.0,
            handletextpad=0.4,
            columnspacing=0.9,
        )
        return render_svg(figure, name)


def draw_routing(routing: RoutingRecord, name: str, *, windows: bool) -> str:
    """Draw the shares of each true domain (rows) routed to each of the device's (columns)."""
    counts = routing.windows if windows else routing.counts
    rows, columns = len(routing.rows), len(routing.columns)
    with open_figure((5.1, max(2.6, 1.3 + 0.5 * rows)), 1) as (figure, (axes,)):
        axes.grid(visible=False)
        for row, line in enumerate(counts):
            for column, count in enumerate(line):
                share = count / max(1, sum(line))
                cell = (column - 0.48, row - 0.46)
                axes.add_patch(round_cell(cell, (0.96, 0.92), 0.08 + 0.72 * share**2))
                text = f"{100 * share:.1f}" if share else "·"
                own = routing.homes[row] == column
                axes.text(
                    column,
                    row,
                    text,
                    ha="center",
                    va="center",
                    fontsize=9.5 if columns <= NAMED_CELLS_MAX else 7,
                    fontweight="bold" if own else "normal",
                )
        what = "with the stream's window" if windows else "samples one by one"
        axes.set(
            xlim=(-0.5, max(columns, 1) - 0.5),
            ylim=(max(rows, 1) - 0.5, -0.5),
            title=f"Routing, {what}, %",
            xlabel="routed to the device's domain",
        )
        axes.set_xticks(range(columns), [shorten(text) for text in routing.columns])
        axes.set_yticks(range(rows), [shorten(text) for text in routing.rows])
        axes.tick_params(length=0)
        for spine in axes.spines.values():
            spine.set_visible(False)
        return render_svg(figure, name)
