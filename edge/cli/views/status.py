"""Views of a running daemon: streams, homes, outbox and broker, once or live."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ...core import listed
from ...mqtt import BrokerStatus, DaemonStatus, HomeStatus, OutboxStatus, StreamStatus
from .common import COLUMNS_UNLIMITED, console, pack_lines, plain, say, table_or_lists

STATE_STYLES: Final = {"serving": "green", "degraded": "yellow", "paused": "cyan"}
# Bytes, and seconds, in the units that people read.
KIB, DAY_S, HOUR_S, MINUTE_S = 1024, 86_400, 3_600, 60
NUMBERS: Final = frozenset(
    {"per s", "new", "answered", "dropped", "rejected", "facts", "concepts", "to label", "gaps"}
)
TABLES_COLUMNS_MIN: Final = 120
"""Width below which the tables fold names; measured with names of 15 characters."""
NOVEL_PERCENT: Final = 50.0
"""Share of new samples in a window from which it is highlighted: the majority."""


def show_status(status: DaemonStatus) -> None:
    """Print one snapshot: tables in a wide terminal, lists in a narrow one; elsewhere, as in a
    pipe, tables whose lines are as long as they need to be."""
    if console.is_terminal:
        console.print(render_status(status, console.width))
        return
    wide = Console(file=console.file, width=COLUMNS_UNLIMITED)
    wide.print(render_status(status, COLUMNS_UNLIMITED))


def follow_status(fetch: Callable[[], DaemonStatus | None], every_s: float) -> None:
    """Show a daemon live until it stops or the user presses ^C."""
    status = fetch()
    if status is None:
        return
    if not console.is_terminal:
        show_status(status)
        return
    with Live(
        render_status(status, console.width), console=console, screen=True, auto_refresh=False
    ) as live:
        try:
            while status is not None:
                live.update(render_status(status, console.width), refresh=True)
                time.sleep(every_s)
                status = fetch()
        except KeyboardInterrupt:
            return
    say("the daemon has stopped")


def render_status(status: DaemonStatus, width: int) -> RenderableType:
    """Return a snapshot for a terminal of `width` columns."""
    return Group(*_parts(status, width))


def _parts(status: DaemonStatus, width: int) -> Iterator[RenderableType]:
    yield from _heading(status, width)
    for line in status.problems:
        yield Text(f"! {plain(line)}", style="yellow")
    if status.unrouted:
        noun = "message" if status.unrouted == 1 else "messages"
        yield Text(f"! {status.unrouted} {noun} on topics without a stream", style="yellow")
    for why in dict.fromkeys(
        one.growth_unavailable for one in status.homes if one.growth_unavailable
    ):
        yield Text(f"! no adaptors are grown: {plain(why)}", style="yellow")
    for line in _calibration(status.homes):
        yield Text(f"calibration: {plain(line)}", style="dim")
    tables = (
        _streams(status.streams),
        *_false_alarms(status),
        _homes(status.homes),
        _delivery(status.outbox, status.broker),
    )
    for table in tables:
        yield from table_or_lists(table, width, TABLES_COLUMNS_MIN)


def _heading(status: DaemonStatus, width: int) -> Iterator[Text]:
    yield Text.assemble(
        (plain(status.device), "bold"),
        "  ",
        (status.state, STATE_STYLES.get(status.state, "red")),
    )
    items = (
        f"up {duration(status.uptime_s)}",
        f"{status.rss_mib:.0f} MiB",
        f"{status.cpu_percent:.0f} % CPU",
        f"writes {size(status.written_bytes_day)} a day",
        f"auricle {plain(status.version)}",
    )
    yield from pack_lines([Text(item) for item in items], width, 0)
    if status.clock == "unset":
        yield Text("clock not set", style="yellow")


def _streams(streams: tuple[StreamStatus, ...]) -> Table:
    counts = ("answered", "dropped", "rejected")
    table = _table(("stream", "source", "per s", "new", "domain", "label", *counts, "state"))
    for one in streams:
        novel = "-" if one.novel_percent is None else f"{one.novel_percent:.0f} %"
        worrying = (one.novel_percent or 0) >= NOVEL_PERCENT
        table.add_row(
            _cell(one.name),
            one.source,
            f"{one.per_second:.1f}",
            Text(novel, style="yellow" if worrying else ""),
            _cell(one.domain or "-"),
            _cell(one.label or "-"),
            str(one.decided + one.forecasts),
            Text(str(one.dropped), style="yellow" if one.dropped else ""),
            Text(str(one.rejected), style="yellow" if one.rejected else ""),
            _condition(one),
        )
    return table


def _condition(stream: StreamStatus) -> Text:
    if stream.problem:
        return _cell(stream.problem, "red")
    if stream.input_problem:
        return _cell(stream.input_problem, "red")
    if stream.question_at_ns:
        return Text("lasting alarm: auricle confirm", style="yellow")
    if stream.alarmed:
        return Text("drift alarm", style="yellow")
    return Text("degraded", style="yellow") if stream.degraded else Text("ok", style="green")


def _calibration(homes: tuple[HomeStatus, ...]) -> Iterator[str]:
    """Yield what the calibration of each home does not cover."""
    for one in homes:
        place = f"home {one.name}: " if one.name else ""
        bare = [found.domain for found in one.calibration if found.exchangeable]
        if bare:
            noun = "domain" if len(bare) == 1 else "domains"
            yield (
                f"{place}{noun} {listed(bare)}: facts without usable times count as independent;"
                " the chosen false-alarm rate does not cover drift"
            )
        for found in one.calibration:
            if found.shortfall:
                yield f"{place}domain {found.domain}: {found.shortfall}"


def _false_alarms(status: DaemonStatus) -> Iterator[Table]:
    """Yield a table of the observed false-alarm rates next to the chosen ones, if there are any."""
    chosen = {home.name: home.false_alarm_rate for home in status.homes}
    table = _table(("false alarms", "chosen", "observed", "95 % interval"))
    for one in status.streams:
        if one.observed_rate is None or one.observed_low is None or one.observed_high is None:
            continue
        worrying = one.observed_low > chosen.get(one.home, 0.0)
        table.add_row(
            _cell(one.name),
            percent(chosen.get(one.home, 0.0)),
            Text(percent(one.observed_rate), style="yellow" if worrying else ""),
            f"{percent(one.observed_low)} to {percent(one.observed_high)}",
        )
    if table.row_count:
        yield table


def percent(share: float) -> str:
    """Format a share in percent: two digits after the point below 1 %, one from there."""
    return f"{100 * share:.2f} %" if share < 0.01 else f"{100 * share:.1f} %"


def _homes(homes: tuple[HomeStatus, ...]) -> Table:
    table = _table(("home", "encoder", "facts", "concepts", "to label", "adaptors", "state"))
    for one in homes:
        serving = ", ".join(f"{a.domain} {a.kind} v{a.version}" for a in one.adaptors if a.version)
        growing = f"growing {one.growing}" if one.growing else "ok"
        table.add_row(
            _cell(one.name or "."),
            _cell(one.encoder),
            str(one.facts),
            str(one.concepts),
            str(one.candidates),
            _cell(serving or "heads only"),
            _cell(one.problem, "red") if one.problem else _cell(growing),
        )
    return table


def _delivery(outbox: OutboxStatus, broker: BrokerStatus | None) -> Table:
    names = ("delivery", "state", "since", "waiting", "oldest", "dropped", "gaps", "reasons")
    table = _table(names)
    place, state, since, reasons = "no broker", Text("-"), "-", ""
    if broker is not None:
        place, since = broker.address, duration(broker.since_s)
        state = Text("online", style="green") if broker.online else Text("offline", style="red")
        reasons = ", ".join(f"{name} {n}" for name, n in sorted(broker.reasons.items()))
    problem = outbox.problem or outbox.refusal or (broker.problem if broker else "")
    table.add_row(
        _cell(place),
        state,
        since,
        f"{outbox.waiting} ({size(outbox.nbytes)})",
        duration(outbox.oldest_s) if outbox.waiting else "-",
        str(outbox.dropped),
        str(outbox.gaps),
        _cell(problem, "red") if problem else _cell(reasons or "-"),
    )
    return table


def _cell(text: str, style: str = "") -> Text:
    """Return a name verbatim: no markup and no control characters."""
    return Text(plain(text), style=style)


def _table(names: Sequence[str]) -> Table:
    table = Table(
        box=SIMPLE_HEAD,
        expand=console.is_terminal,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    for name in names:
        # Numbers are never folded; names and reasons are if the terminal is narrow.
        number = name in NUMBERS
        table.add_column(
            name,
            justify="right" if number else "left",
            min_width=len(name),
            no_wrap=number,
            overflow="fold",
        )
    return table


def duration(seconds: float) -> str:
    """Format a duration in its two largest units: 3 d 4 h, 5 min 2 s, 0.4 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    for large, small, at, below in (
        ("d", "h", DAY_S, HOUR_S),
        ("h", "min", HOUR_S, MINUTE_S),
        ("min", "s", MINUTE_S, 1),
    ):
        if whole >= at:
            return f"{whole // at} {large} {whole % at // below} {small}"
    return f"{whole} s"


def size(nbytes: float) -> str:
    """Format a number of bytes in the largest fitting unit."""
    for unit in ("B", "KiB", "MiB"):
        if nbytes < KIB:
            return f"{nbytes:.0f} {unit}" if unit == "B" else f"{nbytes:.1f} {unit}"
        nbytes /= KIB
    return f"{nbytes:.1f} GiB"
