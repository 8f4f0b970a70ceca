"""report.html: one self-contained page without scripts, for screens and for print."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from itertools import groupby
from typing import Final, Protocol

from ...plots import embed_image
from ..recording import GrowthEpisode, RunRecording, TimelineMark
from . import charts, growth_charts

RUNS_DRAWN_MAX: Final = 6
"""Runs drawn on the page; the table holds all, and report.json every step.  Chosen by hand."""

EVENTS_MAX: Final = 200
"""Events listed for a run, with runs of labels merged.  Chosen by hand."""

EPISODES_MAX: Final = 12
"""Latest growths listed for a run; report.json holds all.  Chosen by hand."""

SHARES: Final = {
    "average_accuracy": "Average accuracy",
    "online_accuracy": "Accuracy on the stream",
    "forgetting": "Forgetting",
    "backward_transfer": "Backward transfer",
    "forward_transfer": "Forward transfer",
    "fpr95": "FPR95",
    "false_alarm_rate": "False-alarm rate, samples",
    "window_false_alarm_rate": "False-alarm rate, windows",
    "detection_rate": "New samples detected",
    "abstention": "Abstention",
    "degraded": "Answered without labels",
    "average_accuracy_heads": "Average accuracy, without adaptors",
    "held_out_gain": "Gain of an adaptor, held-out facts",
    "routing_accuracy": "Routing, samples one by one",
    "routing_accuracy_window": "Routing, with the stream's window",
}
NUMBERS: Final = {
    "auroc": "AUROC",
    "detection_delay": "Detection delay, observations",
    "changes_missed": "Changes missed",
    "labels_taken": "Labels accepted",
    "labels_wrong": "Wrong labels",
    "rejected": "Events rejected",
    "domains_opened": "Domains of the device at the end",
    "adaptors_grown": "Adaptors grown",
    "growths_refused": "Growths refused",
    "growths_abandoned": "Growths abandoned",
    "adaptor_bytes": "Bytes of the largest adaptor",
    "facts": "Facts at the end",
    "facts_forgotten": "Facts forgotten",
    "crash": "Crashes",
    "worker_killed": "Workers killed",
    "worker_late": "Workers late",
    "disk_full": "Full disks",
    "clock_jump": "Clock jumps",
    "lost": "Observations lost",
    "doubled": "Observations doubled",
    "reordered": "Observations reordered",
    "checks": "Full checks of the promises",
    "peak_memory_mib": "Peak memory, MiB",
    "bytes_written": "Bytes written",
    "wall_s": "Wall time, s",
}
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


# One sentence for each chart, for readers without statistics.
THUMBNAILS: Final = (
    "Below each image is the device's answer: a name, right (✓) or wrong (✗),"
    ' or "new" if the image resembled nothing learned so far.'
)
STREAM: Final = (
    "From left to right in time: the share of recent answers that were right, how unusual each"
    " observation looked, and how well recent observations fit the known domains; an alarm (shaded)"
    " needs a curve that stays under the dashed line, so a short dip raises none."
)
HISTOGRAM: Final = (
    "The further right a bar, the more unusual its observations looked: the less blue and orange"
    " overlap, the more reliably new samples are detected."
)
MATRIX: Final = "The share of right answers on samples that the device never learned from."
GROWTH: Final = (
    "When an adaptor was searched for, and which one has served since; the numbers are the shares"
    " of held-out examples answered right before it and with it."
)
SEARCH: Final = (
    "Each dot is a candidate: the higher, the more examples it answered right after training; the"
    " further right, the better its score before training."
)
ROUTING_ALONE: Final = (
    "For each source (row), the share of samples routed to each domain of the device (column), each"
    " sample on its own: the bold cell is the right one."
)
ROUTING_STREAM: Final = "The same with the samples of one source in a row, as in a stream."
LATENCY: Final = (
    "How long one step takes: half of the steps are faster than the dot, and one in a hundred is"
    " slower than the end of the bar."
)


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


def render_page(recordings: Sequence[RunRecording], title: str, summary: Variants) -> str:
    """Return the page.  All text of scenarios and devices is escaped."""
    style = files("edge.sim").joinpath("data", "report.css").read_text("utf-8")
    drawn = recordings[:RUNS_DRAWN_MAX]
    parts = [_header(recordings, title)]
    if len(summary) == 1:
        parts += [_tiles(next(iter(summary.values())))]
    if len(recordings) > 1:
        parts.append(_comparison(title, summary))
    parts += [
        _run(recording, f"r{at}", alone=len(recordings) == 1, opened=at == 0)
        for at, recording in enumerate(drawn)
    ]
    if len(drawn) < len(recordings):
        parts.append(
            f"<p class=note>The first {len(drawn)} of {len(recordings)} runs are drawn;"
            " report.json holds every step of all.</p>"
        )
    return (
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        f"<title>{escape(title)}</title>\n<style>{style}</style></head>\n"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


def _header(recordings: Sequence[RunRecording], title: str) -> str:
    seeds = sorted({recording.seed for recording in recordings})
    named = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {_listed(map(str, seeds))}"
    count = _counted(len(recordings), "run")
    observed = sum(len(recording.steps) for recording in recordings)
    domains = tuple(dict.fromkeys(name for one in recordings for name in one.domains))
    where = f" through {escape(_listed(domains))}" if domains else ""
    return (
        "<header><p class=brand>Auricle simulation</p>"
        f"<h1>{escape(title)}</h1><p class=lead>{count}, {escape(named)}: {observed:,}"
        f" observations{where}.</p></header>"
    )


def _tiles(figures: Mapping[str, Range]) -> str:
    tiles = []
    for name in TILES:
        if name in figures and (name in SHARES or figures[name].maximum):
            spread = figures[name]
            under = "" if spread.sd is None else f"± {format_figure(name, spread.sd)} over seeds"
            tiles.append(
                f"<div class=tile><span class=name>{_label(name)}</span><span class=value>"
                f"{format_figure(name, spread.mean)}</span><span class=under>{under}</span></div>"
            )
    return f"<section class=tiles>{''.join(tiles)}</section>"


def _comparison(title: str, summary: Variants) -> str:
    """A table of metrics by variant: mean, standard deviation and range over seeds."""
    head = "".join(
        f"<th class=number>{escape(name.removeprefix(f'{title}: '))}<br>"
        f"{_counted(max((one.runs for one in figures.values()), default=0), 'run')}</th>"
        for name, figures in summary.items()
    )
    found = tuple(summary.values())
    rows = [
        f"<tr><th scope=row>{_label(name)}</th>"
        + "".join(f"<td class=number>{_spread(name, each.get(name))}</td>" for each in found)
        + "</tr>"
        for name in (*SHARES, *NUMBERS)
        if any(name in each and (name in SHARES or each[name].maximum) for each in found)
    ]
    return (
        "<section><h2>All runs</h2><div class=scroll><table class=figures><thead><tr>"
        f"<th></th>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        "<p class=note>Means ± standard deviations, and ranges, over seeds.</p></section>"
    )


def _spread(name: str, spread: Range | None) -> str:
    if spread is None:
        return format_figure(name, None)
    mean = format_figure(name, spread.mean)
    if spread.sd is None or spread.minimum == spread.maximum:
        return mean
    ends = " to ".join(format_figure(name, end) for end in (spread.minimum, spread.maximum))
    return f"{mean} ± {format_figure(name, spread.sd)}<br><span class=note>{ends}</span>"


def _run(recording: RunRecording, name: str, *, alone: bool, opened: bool) -> str:
    body = (
        f"{_thumbnails(recording)}"
        f"{_figure_of(charts.draw_stream(recording, name + 's'), STREAM, wide=True)}"
        "<div class=pair>"
        f"{_figure_of(charts.draw_histogram(recording, name + 'h'), HISTOGRAM)}"
        f"{_matrix(recording, name)}"
        f"</div>{_growth(recording, name)}<div class=pair>{_figures(recording)}<div>"
        f"{_latency(recording, name)}{_receipts(recording)}</div></div>{_events(recording.marks)}"
    )
    if alone:
        return f"<section>{body}</section>"
    state = " open" if opened else ""
    name_and_seed = f"{escape(recording.title)}, seed {recording.seed}"
    return f"<details{state}><summary>{name_and_seed}</summary><section>{body}</section></details>"


def _figure_of(drawn: str, sentence: str, *, wide: bool = False) -> str:
    """A chart with its explanation."""
    style = " class=wide" if wide else ""
    return f"<figure{style}>{drawn}<figcaption>{escape(sentence)}</figcaption></figure>"


def _thumbnails(recording: RunRecording) -> str:
    """Images of the stream with the device's answers, a row for each group."""
    if not recording.thumbnails:
        return ""
    rows = []
    for group, images in groupby(recording.thumbnails, key=lambda one: one.group):
        cells = "".join(
            f"<span class=thumb><img src='{embed_image(one.width, one.pixels)}' alt=''>"
            f"{escape(one.answer)}</span>"
            for one in images
        )
        rows.append(f"<div class=thumbs><b>{escape(group)}</b>{cells}</div>")
    return _figure_of("".join(rows), THUMBNAILS, wide=True)


def _growth(recording: RunRecording, name: str) -> str:
    """Growth over time, the largest search, all growths, and routing."""
    routing = recording.routing
    parts = []
    if recording.episodes:
        scored = [one for one in recording.episodes if growth_charts.scored(one)]
        latest = max(scored, key=lambda one: (len(one.trials), one.asked_at), default=None)
        drawn = growth_charts.draw_search(latest, name + "p") if latest else ""
        timeline = growth_charts.draw_growth(recording, name + "g")
        parts.append(
            f"<h2>Adaptors</h2>{_figure_of(timeline, GROWTH, wide=True)}<div class=pair>"
            + (_figure_of(drawn, SEARCH) if drawn else "")
            + f"{_episodes(recording.episodes)}</div>"
        )
    if len(routing.columns) > 1:
        shown = (
            growth_charts.draw_routing(routing, f"{name}{'w' if windows else 'o'}", windows=windows)
            for windows in (False, True)
        )
        figures = "".join(
            _figure_of(one, sentence)
            for one, sentence in zip(shown, (ROUTING_ALONE, ROUTING_STREAM), strict=True)
        )
        parts.append(f"<div class=pair>{figures}</div>")
    return "".join(parts)


def _episodes(episodes: Sequence[GrowthEpisode]) -> str:
    rows = [
        f"<tr><th scope=row>{escape(one.domain)}</th><td class=number>{one.facts:,} facts</td>"
        f"<td>{_outcome(one)}</td>"
        f"<td class=number>{'' if one.seconds is None else f'{one.seconds:.1f} s'}</td></tr>"
        for one in episodes[-EPISODES_MAX:]
    ]
    return f"<table class=figures><tbody>{''.join(rows)}</tbody></table>"


def _outcome(episode: GrowthEpisode) -> str:
    """The result of a growth: accuracies if measured, else the reason."""
    result = episode.reason if episode.accuracy is None else growth_charts.caption(episode)
    what = f"<br><span class=note>{escape(episode.blueprint)}</span>" if episode.blueprint else ""
    return f"{escape(result or episode.state)}{what}"


def _matrix(recording: RunRecording, name: str) -> str:
    if not recording.accuracy_matrix:
        return ""
    left_out = f" Not evaluated: {recording.left_out}." if recording.left_out else ""
    return _figure_of(charts.draw_matrix(recording, name + "m"), MATRIX + left_out)


def _latency(recording: RunRecording, name: str) -> str:
    if not any(timing.count for timing in recording.timings):
        return ""
    return _figure_of(charts.draw_latency(recording, name + "l"), LATENCY)


def _figures(recording: RunRecording) -> str:
    rows = []
    for name in (*SHARES, *NUMBERS):
        value = _figure(recording, name)
        if value is not None and (name in SHARES or value or name in recording.costs):
            note = f" <span class=note>{_note(recording, name)}</span>"
            rows.append(
                f"<tr><th scope=row>{_label(name)}{note if _note(recording, name) else ''}</th>"
                f"<td class=number>{format_figure(name, value)}</td></tr>"
            )
    if not rows:
        return ""
    return f"<div><h2>Figures</h2><table class=figures>{''.join(rows)}</table></div>"


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


def _receipts(recording: RunRecording) -> str:
    if not recording.receipts:
        return ""
    cards = [
        f"<article class=receipt><h3>{escape(receipt.request_id)}</h3>"
        f"<p><b>{receipt.facts_forgotten:,}</b> facts forgotten, derived again:"
        f" {escape(_listed(receipt.rebuilt))}.</p>"
        f"<p class=touched>{escape(_listed(receipt.concepts_touched, 12)) or 'no concept'}</p>"
        f"<p class=digest>{escape(receipt.digest_before[:16])}… → "
        f"{escape(receipt.digest_after[:16])}…</p>"
        f"<p class=note>Not covered: {escape('; '.join(receipt.not_covered))}.</p></article>"
        for receipt in recording.receipts
    ]
    return f"<h2>Receipts</h2>{''.join(cards)}"


def _events(marks: Sequence[TimelineMark]) -> str:
    rows = [
        f"<tr><td class=number>{index:,}</td><td><span class='kind {kind}'>{KINDS[kind]}</span>"
        f"</td><td>{escape(text)}</td></tr>"
        for index, kind, text in _merged(marks)
    ]
    if not rows:
        return ""
    more = (
        f"<p class=note>{len(rows) - EVENTS_MAX} more in report.json.</p>"
        if len(rows) > EVENTS_MAX
        else ""
    )
    return (
        f"<details class=events><summary>Events, {len(rows)} entries</summary>"
        f"<div class=scroll><table><thead><tr><th>At</th><th></th><th></th></tr></thead><tbody>"
        f"{''.join(rows[:EVENTS_MAX])}</tbody></table></div>{more}</details>"
    )


def _merged(marks: Sequence[TimelineMark]) -> Iterable[tuple[int, str, str]]:
    """Yield marks as rows; consecutive labels and rejections are merged."""
    for kind, group in groupby(marks, key=lambda mark: mark.kind):
        run = list(group)
        if kind in ("labels", "rejected") and len(run) > 2:
            yield run[0].index, kind, f"{len(run)}, until {run[-1].index:,}: {run[-1].text}"
        else:
            yield from ((mark.index, kind, mark.text) for mark in run)


def format_figure(name: str, value: float | None) -> str:
    """Format a metric: shares in percent, bytes and counts with separators."""
    if value is None:
        return "–"
    if name in SHARES:
        return f"{100 * value:z.1f} %".replace("-", "−")
    if name == "auroc":
        return f"{value:.3f}"
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:.1f}"


def _figure(recording: RunRecording, name: str) -> float | None:
    return recording.metrics.get(name, recording.costs.get(name))


def _label(name: str) -> str:
    return {**SHARES, **NUMBERS}[name]


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def _listed(words: Iterable[str], most: int = 8) -> str:
    """Join words with commas; count those beyond `most`."""
    given = list(words)
    rest = f" and {len(given) - most} more" if len(given) > most else ""
    return ", ".join(given[:most]) + rest
