"""report.html: one self-contained page without scripts, for screens and for print.

This file computes what the page says; the template `simulation.html` says it.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple, Protocol

from ...pages import environment
from ...plots import embed_image
from ..recording import GrowthEpisode, RunRecording, TimelineMark
from . import charts, growth_charts
from .figures import FIGURES, NUMBERS, SHARES, count, format_figure, join_words

RUNS_DRAWN_MAX: Final = 6
"""Runs drawn on the page; the table holds all, and report.json every step.  Chosen by hand."""

EVENTS_MAX: Final = 200
"""Events listed for a run, with runs of labels merged.  Chosen by hand."""

EPISODES_MAX: Final = 12
"""Latest growths listed for a run; report.json holds all.  Chosen by hand."""

TILES: Final = (
    "average_accuracy",
    "forgetting",
    "auroc",
    "false_alarm_rate",
    "detection_delay",
    "facts_forgotten",
)
KINDS: Final = {
    "domain": "world",
    "alarm": "alarm",
    "cleared": "cleared",
    "question": "lasting alarm",
    "enrolled": "enrolled",
    "labels": "labels",
    "forget": "forget",
    "adaptor": "adaptor",
    "growth": "growth",
    "crash": "crash",
    "fault": "fault",
    "rejected": "rejected",
}


class Range(Protocol):
    """A metric over the seeds of a variant: the fields of `MetricSpread`."""

    @property
    def mean(self) -> float:
        """Mean over the runs."""

    @property
    def sd(self) -> float | None:
        """Standard deviation over the runs, None for one."""

    @property
    def minimum(self) -> float:
        """Smallest value."""

    @property
    def maximum(self) -> float:
        """Largest value."""

    @property
    def runs(self) -> int:
        """Number of runs that define the metric."""


Variants = Mapping[str, Mapping[str, Range]]
"""For each variant, by its title, each metric over its seeds."""


class TableCell(NamedTuple):
    """A cell of a table.  note: a remark in smaller type.  sentence: explains the figure."""

    text: str
    note: str = ""
    sentence: str = ""


def render_page(recordings: Sequence[RunRecording], title: str, summary: Variants) -> str:
    """Return the page.  All text of scenarios and devices is escaped."""
    alone = next(iter(summary.values())) if len(summary) == 1 else {}
    drawn = recordings[:RUNS_DRAWN_MAX]
    shown = {*alone, *(name for one in drawn for name in (*one.metrics, *one.costs))}
    page = environment("edge.sim").get_template("simulation.html")
    return page.render(
        title=title,
        lead=_lead(recordings),
        tiles=tuple(_tiles(alone)),
        comparison=_comparison(title, summary) if len(recordings) > 1 else None,
        runs=[_run(recording, f"r{at}") for at, recording in enumerate(drawn)],
        count=len(recordings),
        kinds=KINDS,
        events_max=EVENTS_MAX,
        explained=[one for name, one in FIGURES.items() if name in shown],
    )


def _lead(recordings: Sequence[RunRecording]) -> str:
    seeds = sorted({recording.seed for recording in recordings})
    named = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {join_words(map(str, seeds))}"
    observed = sum(len(recording.steps) for recording in recordings)
    domains = tuple(dict.fromkeys(name for one in recordings for name in one.domains))
    where = f" through {join_words(domains)}" if domains else ""
    return f"{count(len(recordings), 'run')}, {named}: {observed:,} observations{where}."


def _tiles(figures: Mapping[str, Range]) -> Iterable[dict[str, str]]:
    for name in TILES:
        if name in figures and (name in SHARES or figures[name].maximum):
            spread = figures[name]
            yield {
                "name": FIGURES[name].label,
                "value": format_figure(name, spread.mean),
                "under": ""
                if spread.sd is None
                else f"± {format_figure(name, spread.sd)} over seeds",
                "sentence": FIGURES[name].sentence,
            }


def _comparison(title: str, summary: Variants) -> dict[str, Any]:
    """Metrics by variant: mean, standard deviation and range over seeds."""
    found = tuple(summary.values())
    heads = [
        TableCell(
            name.removeprefix(f"{title}: "),
            count(max((one.runs for one in figures.values()), default=0), "run"),
        )
        for name, figures in summary.items()
    ]
    rows = [
        (_name_cell(name), *(_spread(name, each.get(name)) for each in found))
        for name in FIGURES
        if any(name in each and (name in SHARES or each[name].maximum) for each in found)
    ]
    return {"heads": heads, "rows": rows}


def _name_cell(name: str, note: str = "") -> TableCell:
    return TableCell(FIGURES[name].label, note, FIGURES[name].sentence)


def _spread(name: str, spread: Range | None) -> TableCell:
    if spread is None:
        return TableCell(format_figure(name, None))
    mean = format_figure(name, spread.mean)
    if spread.sd is None or spread.minimum == spread.maximum:
        return TableCell(mean)
    ends = " to ".join(format_figure(name, end) for end in (spread.minimum, spread.maximum))
    return TableCell(f"{mean} ± {format_figure(name, spread.sd)}", ends)


def _run(recording: RunRecording, name: str) -> dict[str, Any]:
    """The charts and tables of one run.  name: prefix of the ids in its charts."""
    timed = any(timing.count for timing in recording.timings)
    return {
        "title": f"{recording.title}, seed {recording.seed}",
        "thumbnails": _thumbnails(recording),
        "stream": charts.draw_stream(recording, name + "s"),
        "histogram": charts.draw_histogram(recording, name + "h"),
        "matrix": charts.draw_matrix(recording, name + "m") if recording.accuracy_matrix else "",
        "left_out": recording.left_out,
        "growth": _growth(recording, name),
        "routing": _routing(recording, name),
        "figures": tuple(_figures(recording)),
        "latency": charts.draw_latency(recording, name + "l") if timed else "",
        "receipts": [_receipt(receipt) for receipt in recording.receipts],
        "events": list(_merged(recording.marks)),
    }


def _thumbnails(recording: RunRecording) -> list[tuple[str, list[tuple[str, str]]]]:
    """Images of the stream with the device's answers, for each group."""
    return [
        (group, [(embed_image(one.width, one.pixels), one.answer) for one in images])
        for group, images in groupby(recording.thumbnails, key=lambda one: one.group)
    ]


def _growth(recording: RunRecording, name: str) -> dict[str, Any] | None:
    """Growth over time, the largest search, and the latest growths."""
    if not recording.episodes:
        return None
    scored = [one for one in recording.episodes if growth_charts.scored(one)]
    latest = max(scored, key=lambda one: (len(one.trials), one.asked_at), default=None)
    return {
        "timeline": growth_charts.draw_growth(recording, name + "g"),
        "search": growth_charts.draw_search(latest, name + "p") if latest else "",
        "rows": [
            (
                TableCell(one.domain),
                TableCell(f"{one.facts:,} facts"),
                TableCell(_outcome(one), one.blueprint),
                TableCell("" if one.seconds is None else f"{one.seconds:.1f} s"),
            )
            for one in recording.episodes[-EPISODES_MAX:]
        ],
    }


def _outcome(episode: GrowthEpisode) -> str:
    """The result of a growth: accuracies if measured, else the reason."""
    result = episode.reason if episode.accuracy is None else growth_charts.caption(episode)
    return result or episode.state


def _routing(recording: RunRecording, name: str) -> tuple[str, ...]:
    """Where samples were routed: each alone, then in a row.  Empty with a single domain."""
    if len(recording.routing.columns) <= 1:
        return ()
    return tuple(
        growth_charts.draw_routing(
            recording.routing, f"{name}{'w' if windows else 'o'}", windows=windows
        )
        for windows in (False, True)
    )


def _figures(recording: RunRecording) -> Iterable[tuple[TableCell, TableCell]]:
    for name in (*SHARES, *NUMBERS):
        value = _figure(recording, name)
        if value is not None and (name in SHARES or value or name in recording.costs):
            yield _name_cell(name, _note(recording, name)), TableCell(format_figure(name, value))


def _note(recording: RunRecording, name: str) -> str:
    """Return the chosen rate and the interval of a false-alarm rate, "" for any other figure."""
    if not name.endswith("false_alarm_rate"):
        return ""
    chosen = f"chosen: {format_figure(name, recording.rate)}"
    ends = [_figure(recording, key) for key in ("false_alarm_low", "false_alarm_high")]
    if name != "false_alarm_rate" or None in ends:
        return chosen
    low, high = (format_figure(name, end) for end in ends if end is not None)
    return f"{chosen}; 95 % interval {low} to {high}"


def _figure(recording: RunRecording, name: str) -> float | None:
    return recording.metrics.get(name, recording.costs.get(name))


def _receipt(receipt: Any) -> dict[str, Any]:
    return {
        "request": receipt.request_id,
        "facts": receipt.facts_forgotten,
        "rebuilt": join_words(receipt.rebuilt),
        "touched": join_words(receipt.concepts_touched, 12) or "no concept",
        "before": receipt.digest_before[:16],
        "after": receipt.digest_after[:16],
        "not_covered": "; ".join(receipt.not_covered),
    }


def _merged(marks: Sequence[TimelineMark]) -> Iterable[tuple[int, str, str]]:
    """Yield marks as rows; consecutive labels and rejections are merged."""
    for kind, group in groupby(marks, key=lambda mark: mark.kind):
        run = list(group)
        if kind in ("labels", "rejected") and len(run) > 2:
            yield run[0].index, kind, f"{len(run)}, until {run[-1].index:,}: {run[-1].text}"
        else:
            yield from ((mark.index, kind, mark.text) for mark in run)
