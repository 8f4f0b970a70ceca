"""The daemon's health: one status snapshot for the health topic, the metrics and `status`."""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, Literal

from ..core import EdgeError
from ..home import Home
from ..mqtt import (
    AdaptorStatus,
    BrokerStatus,
    DaemonStatus,
    HomeStatus,
    OutboxStatus,
    StreamStatus,
)
from ..outbox import Outbox
from .homes import HomeSlot
from .loop import Loop

COUNT_AGAIN_S: Final = 10.0
"""Seconds that a count of a home's facts may be old: counting reads an index of all of them, so its
cost grows with the ledger."""

STARTING_S: Final = 5.0
"""Seconds after the start in which a problem counts as starting up: a broker needs about one, slow
hosts more.  Chosen by hand; effect not measured."""

DAY_S: Final = 86_400
"""Seconds in a day."""

RATE_S_MIN: Final = 600.0
"""Shortest time, in seconds, over which writes are extrapolated to a day: the burst of writes at
the start must not be multiplied."""

MIB: Final = 1 << 20
"""Bytes in a mebibyte."""

State = Literal["starting", "serving", "degraded", "paused", "stopping"]


class HealthReport:
    """Makes status snapshots.  settings: which settings are in use, and errors of newer ones."""

    def __init__(self, device: str, version: str) -> None:
        self.settings = ""
        self.stopping = False
        self._device, self._version = device, version
        self._started_s = time.monotonic()
        self._seen: tuple[float, float] = (time.monotonic(), time.process_time())
        self._cpu_percent = 0.0
        self._homes: tuple[HomeStatus, ...] = ()
        self._unreadable: dict[str, str] = {}
        self._counted_s = -COUNT_AGAIN_S

    def status(
        self, loop: Loop, broker: BrokerStatus | None, more: Iterable[str] = ()
    ) -> DaemonStatus:
        """Return a snapshot.  more: problems that the parts do not report themselves."""
        now = time.monotonic()
        if now - self._counted_s >= COUNT_AGAIN_S:
            self._counted_s = now
            self._homes = tuple(map(self._home_status, loop.homes.values()))
        outbox = outbox_status(loop.publisher.outbox)
        problems = tuple(_problems(loop, self._unreadable, broker, outbox, more))
        return DaemonStatus(
            device=self._device,
            version=self._version,
            state=self._state(loop, problems),
            run=loop.publisher.outbox.run,
            uptime_s=round(now - self._started_s, 1),
            rss_mib=round(rss_bytes() / MIB, 1),
            cpu_percent=self._cpu(now),
            written_bytes_day=int(written_bytes() / max(now - self._started_s, RATE_S_MIN) * DAY_S),
            clock=loop.clock.state,
            settings=self.settings,
            streams=tuple(_stream_statuses(loop)),
            homes=self._homes,
            outbox=outbox,
            broker=broker,
            problems=problems,
            unrouted=loop.unrouted,
        )

    def _home_status(self, slot: HomeSlot) -> HomeStatus:
        """Return the status of a home; if its file cannot be read, with the reason."""
        self._unreadable.pop(slot.name, None)
        try:
            return home_status(slot)
        except EdgeError as error:
            self._unreadable[slot.name] = error.message
            return HomeStatus(name=slot.name, problem=error.message)

    def _state(self, loop: Loop, problems: tuple[str, ...]) -> State:
        if self.stopping:
            return "stopping"
        if loop.paused:
            return "paused"
        if problems and time.monotonic() - self._started_s < STARTING_S:
            return "starting"
        return "degraded" if problems else "serving"

    def _cpu(self, now: float) -> float:
        before, used = self._seen
        if now - before >= 1.0:
            self._seen = now, time.process_time()
            self._cpu_percent = round(100 * (self._seen[1] - used) / (now - before), 1)
        return self._cpu_percent


def home_status(slot: HomeSlot) -> HomeStatus:
    """Return the status of a home."""
    home = slot.home
    if home is None:
        return HomeStatus(name=slot.name, problem=slot.problem)
    concepts = home.store.concepts()
    return HomeStatus(
        name=slot.name,
        encoder=home.model.card.name,
        kind=home.model.card.kind,
        facts=sum(concepts.values()),
        concepts=len(concepts),
        candidates=len(home.store.candidate_index()),
        adaptors=tuple(_adaptors(home, concepts)),
        growing=home.growing,
        problem=slot.problem,
        growth_unavailable=home.heads_only,
        false_alarm_rate=home.runtime.config.false_alarm_rate,
        adaptation=home.runtime.config.adaptation,
        calibration=home.runtime.calibration_status(),
    )


def _stream_statuses(loop: Loop) -> Iterable[StreamStatus]:
    """Yield the status of each stream, with the beginning of a lasting alarm that waits for an
    answer."""
    began_ns = {
        (slot.name, one.stream): one.from_ns
        for slot in loop.homes.values()
        if slot.home is not None
        for one in slot.home.runtime.alarm_questions()
    }
    for stream in loop.inbox.streams.values():
        yield stream.status(began_ns.get((stream.settings.home, stream.name), 0))


def _adaptors(home: Home, concepts: Mapping[tuple[str, str], int]) -> Iterable[AdaptorStatus]:
    kept = home.store.adaptors()
    for domain in home.runtime.knowledge.domains:
        facts = sum(count for (name, _), count in concepts.items() if name == domain)
        versions = kept.get(domain)
        kind = versions[0].blueprint.kind if versions else "head"
        yield AdaptorStatus(domain, versions[0].version if versions else 0, kind, facts)


def outbox_status(outbox: Outbox) -> OutboxStatus:
    """Return the status of the outbox."""
    counts = outbox.counts
    lost = ("full", "age", "disk", "refused", "unnumbered dropped")
    return OutboxStatus(
        waiting=outbox.entries,
        nbytes=outbox.nbytes,
        oldest_s=round(outbox.oldest_s, 1),
        sequence=outbox.sequence,
        dropped=sum(counts[name] for name in lost),
        gaps=counts["gaps"],
        refusal=outbox.refusing,
        problem=outbox.failing,
    )


def _problems(
    loop: Loop,
    unreadable: Mapping[str, str],
    broker: BrokerStatus | None,
    outbox: OutboxStatus,
    more: Iterable[str],
) -> Iterable[str]:
    for slot in loop.homes.values():
        problem = slot.problem or unreadable.get(slot.name)
        if problem:
            yield f"home {slot.name}: {problem}" if slot.name else problem
    for stream in loop.inbox.streams.values():
        if stream.problem or stream.rejecting:
            yield f"stream {stream.name}: {stream.problem or stream.rejecting}"
    if outbox.problem:
        yield f"outbox: {outbox.problem}"
    if broker is not None and (broker.problem or not broker.online):
        yield f"broker: {broker.problem or 'not connected'}"
    yield from more


def brief_status(status: DaemonStatus) -> str:
    """Return a status as one line for systemd."""
    answered = sum(stream.decided + stream.forecasts for stream in status.streams)
    rate = sum(stream.per_second for stream in status.streams)
    problem = f"; {status.problems[0]}" if status.problems else ""
    waiting = f"{status.outbox.waiting} waiting"
    return f"{status.state}: {answered} answered, {rate:.0f} a second, {waiting}{problem}"


def rss_bytes() -> int:
    """Return the resident memory of this process; 0 if the system does not report it."""
    return _read("/proc/self/statm", lambda text: int(text.split()[1]) * os.sysconf("SC_PAGESIZE"))


def written_bytes() -> int:
    """Return the bytes that this process has written to disks; 0 if the system does not report
    them."""
    return _read(
        "/proc/self/io",
        lambda text: (
            int(text.split("write_bytes:")[1].split()[0])
            - int(text.split("cancelled_write_bytes:")[1].split()[0])
        ),
    )


def _read(path: str, number: Callable[[str], int]) -> int:
    try:
        return number(Path(path).read_text("ascii"))
    except (OSError, ValueError, IndexError):
        return 0
