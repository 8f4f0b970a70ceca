"""How a running daemon is shown: streams, homes, outbox and broker, once or live."""

import time
from collections.abc import Callable, Iterator
from typing import Final

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .status import BrokerStatus, DaemonStatus, HomeStatus, OutboxStatus, StreamStatus
from .views import console, plain, say

STATE_STYLES: Final = {"serving": "green", "degraded": "yellow", "paused": "cyan"}
KIB, DAY_S, HOUR_S, MINUTE_S = 1024, 86_400, 3_600, 60
NUMBERS: Final = frozenset(
    {"per s", "new", "answered", "dropped", "rejected", "facts", "concepts", "to label", "gaps"}
)
NOVEL_PERCENT: Final = 50.0
"""Share of new samples in a window from which it is shown as worrying."""


def show_status(status: DaemonStatus) -> None:
    """Print one snapshot: tables in a terminal, plain lines elsewhere."""
    console.print(picture(status), soft_wrap=not console.is_terminal)


def follow(fetch: Callable[[], DaemonStatus | None], every_s: float) -> None:
    """Show a daemon live until it stops or the user does (^C)."""
    status = fetch()
    if status is None:
        return
    if not console.is_terminal:
        show_status(status)
        return
    with Live(picture(status), console=console, screen=True, auto_refresh=False) as live:
        try:
            while status is not None:
                live.update(picture(status), refresh=True)
                time.sleep(every_s)
                status = fetch()
        except KeyboardInterrupt:
            return
    say("the daemon has stopped")


def picture(status: DaemonStatus) -> RenderableType:
    """Return everything worth seeing of a snapshot."""
    return Group(*_parts(status))


def _parts(status: DaemonStatus) -> Iterator[RenderableType]:
    yield _heading(status)
    for line in status.trouble:
        yield Text(f"! {plain(line)}", style="yellow")
    if status.strays:
        yield Text(f"! {status.strays} messages came at topics that nothing takes", style="yellow")
    yield _streams(status.streams)
    yield _homes(status.homes)
    for why in dict.fromkeys(one.heads_only for one in status.homes if one.heads_only):
        yield Text(f"no adaptors are grown: {plain(why)}", style="yellow")
    yield _delivery(status.outbox, status.broker)


def _heading(status: DaemonStatus) -> Text:
    said = Text()
    said.append(plain(status.device), style="bold")
    said.append("  ")
    said.append(status.state, style=STATE_STYLES.get(status.state, "red"))
    said.append(
        f"  up {duration(status.uptime_s)}  {status.rss_mib:.0f} MiB"
        f"  {status.cpu_percent:.0f} % CPU  writes {size(status.written_bytes_day)} a day"
        f"  auricle {plain(status.version)}"
    )
    if status.clock == "unset":
        said.append("  clock not set", style="yellow")
    return said


def _streams(streams: tuple[StreamStatus, ...]) -> Table:
    table = _table("stream", "source", "per s", "new", "domain", "label", "answered", "dropped",
                   "rejected", "state")  # fmt: skip
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
    if stream.trouble:
        return _cell(stream.trouble, "red")
    if stream.rejecting:
        return _cell(stream.rejecting, "red")
    if stream.alarmed:
        return Text("off known ground", style="yellow")
    return Text("degraded", style="yellow") if stream.degraded else Text("fine", style="green")


def _homes(homes: tuple[HomeStatus, ...]) -> Table:
    table = _table("home", "encoder", "facts", "concepts", "to label", "adaptors", "state")
    for one in homes:
        serving = ", ".join(f"{a.domain} {a.kind} v{a.version}" for a in one.adaptors if a.version)
        growing = f"growing {one.growing}" if one.growing else "fine"
        table.add_row(
            _cell(one.name or "."),
            _cell(one.encoder),
            str(one.facts),
            str(one.concepts),
            str(one.candidates),
            _cell(serving or "heads alone"),
            _cell(one.trouble, "red") if one.trouble else _cell(growing),
        )
    return table


def _delivery(outbox: OutboxStatus, broker: BrokerStatus | None) -> Table:
    table = _table("delivery", "state", "since", "waiting", "oldest", "dropped", "gaps", "reasons")
    place, state, since, reasons = "no broker", Text("-"), "-", ""
    if broker is not None:
        place, since = broker.place, duration(broker.since_s)
        state = Text("online", style="green") if broker.online else Text("offline", style="red")
        reasons = ", ".join(f"{name} {n}" for name, n in sorted(broker.reasons.items()))
    trouble = outbox.trouble or outbox.refusing or (broker.trouble if broker else "")
    table.add_row(
        _cell(place),
        state,
        since,
        f"{outbox.waiting} ({size(outbox.nbytes)})",
        duration(outbox.oldest_s) if outbox.waiting else "-",
        str(outbox.dropped),
        str(outbox.gaps),
        _cell(trouble, "red") if trouble else _cell(reasons or "-"),
    )
    return table


def _cell(text: str, style: str = "") -> Text:
    """A name as it is: no markup, nothing that could steer the terminal."""
    return Text(plain(text), style=style)


def _table(*names: str) -> Table:
    table = Table(
        box=SIMPLE_HEAD,
        expand=console.is_terminal,
        show_edge=False,
        pad_edge=False,
        collapse_padding=True,
    )
    for name in names:
        # Numbers stay whole where the terminal is narrow; names and reasons are folded.
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
    """Say a time in its two largest units: 3 d 4 h, 5 min 2 s, 0.4 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    for large, small, at, below in (
        ("d", "h", DAY_S, HOUR_S), ("h", "min", HOUR_S, MINUTE_S), ("min", "s", MINUTE_S, 1),
    ):  # fmt: skip
        if whole >= at:
            return f"{whole // at} {large} {whole % at // below} {small}"
    return f"{whole} s"


def size(nbytes: float) -> str:
    """Say a number of bytes in the unit that fits."""
    for unit in ("B", "KiB", "MiB"):
        if nbytes < KIB:
            return f"{nbytes:.0f} {unit}" if unit == "B" else f"{nbytes:.1f} {unit}"
        nbytes /= KIB
    return f"{nbytes:.1f} GiB"
