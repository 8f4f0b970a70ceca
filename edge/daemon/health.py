"""How the daemon is: one snapshot, for the health topic, the metrics and whoever asks."""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, Literal

from ..core import EdgeError
from ..home import Home
from ..mqtt import AdaptorStatus, BrokerStatus, DaemonStatus, HomeStatus, OutboxStatus
from ..outbox import Outbox
from .homes import HomeSlot
from .loop import Loop

COUNT_AGAIN_S: Final = 10.0
"""Seconds that a count of a home's facts may be old: counting reads an index of all of them."""

STARTING_S: Final = 5.0
"""Seconds in which what is not there yet may still come."""

DAY_S: Final = 86_400
RATE_S_MIN: Final = 600.0
"""Opening files must not count as if it went on all day."""

KIB: Final = 1 << 10
State = Literal["starting", "serving", "degraded", "paused", "stopping"]


class HealthReport:
    """Takes snapshots.  settings: which settings hold, and what is wrong with newer ones."""

    def __init__(self, device: str, version: str) -> None:
        self.settings = ""
        self.stopping = False
        self._device, self._version = device, version
        self._started_s = time.monotonic()
        self._seen: tuple[float, float] = (time.monotonic(), time.process_time())
        self._cpu_percent = 0.0
        self._homes: tuple[HomeStatus, ...] = ()
        self._unread: dict[str, str] = {}
        self._counted_s = -COUNT_AGAIN_S

    def status(
        self, loop: Loop, broker: BrokerStatus | None, more: Iterable[str] = ()
    ) -> DaemonStatus:
        """Return a snapshot.  more: troubles that no part of it tells."""
        now = time.monotonic()
        if now - self._counted_s >= COUNT_AGAIN_S:
            self._counted_s = now
            self._homes = tuple(map(self._look_at, loop.homes.values()))
        outbox = outbox_status(loop.teller.outbox)
        troubles = tuple(_troubles(loop, self._unread, broker, outbox, more))
        return DaemonStatus(
            device=self._device,
            version=self._version,
            state=self._state(loop, troubles),
            run=loop.teller.outbox.run,
            uptime_s=round(now - self._started_s, 1),
            rss_mib=round(rss_bytes() / KIB / KIB, 1),
            cpu_percent=self._cpu(now),
            written_bytes_day=int(written_bytes() / max(now - self._started_s, RATE_S_MIN) * DAY_S),
            clock=loop.clock.state,
            settings=self.settings,
            streams=tuple(stream.status() for stream in loop.intake.streams.values()),
            homes=self._homes,
            outbox=outbox,
            broker=broker,
            problems=troubles,
            unrouted=loop.strays,
        )

    def _look_at(self, slot: HomeSlot) -> HomeStatus:
        """Return a snapshot of a home; of one whose file cannot be read, why not."""
        self._unread.pop(slot.name, None)
        try:
            return home_status(slot)
        except EdgeError as error:
            self._unread[slot.name] = error.message
            return HomeStatus(name=slot.name, problem=error.message)

    def _state(self, loop: Loop, troubles: tuple[str, ...]) -> State:
        if self.stopping:
            return "stopping"
        if loop.paused:
            return "paused"
        if troubles and time.monotonic() - self._started_s < STARTING_S:
            return "starting"
        return "degraded" if troubles else "serving"

    def _cpu(self, now: float) -> float:
        before, used = self._seen
        if now - before >= 1.0:
            self._seen = now, time.process_time()
            self._cpu_percent = round(100 * (self._seen[1] - used) / (now - before), 1)
        return self._cpu_percent


def home_status(slot: HomeSlot) -> HomeStatus:
    """Return a snapshot of a home."""
    home = slot.home
    if home is None:
        return HomeStatus(name=slot.name, problem=slot.trouble)
    concepts = home.store.concepts()
    return HomeStatus(
        name=slot.name,
        encoder=home.model.card.name,
        facts=sum(concepts.values()),
        concepts=len(concepts),
        candidates=len(home.store.candidates()),
        adaptors=tuple(_adaptors(home, concepts)),
        growing=home.growing,
        problem=slot.trouble,
        growth_unavailable=home.heads_only,
    )


def _adaptors(home: Home, concepts: Mapping[tuple[str, str], int]) -> Iterable[AdaptorStatus]:
    kept = home.store.adaptors()
    for domain in home.runtime.knowledge.domains:
        facts = sum(count for (name, _), count in concepts.items() if name == domain)
        versions = kept.get(domain)
        kind = versions[0].blueprint.kind if versions else "head"
        yield AdaptorStatus(domain, versions[0].version if versions else 0, kind, facts)


def outbox_status(outbox: Outbox) -> OutboxStatus:
    """Return a snapshot of the outbox."""
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


def _troubles(
    loop: Loop,
    unread: Mapping[str, str],
    broker: BrokerStatus | None,
    outbox: OutboxStatus,
    more: Iterable[str],
) -> Iterable[str]:
    for slot in loop.homes.values():
        trouble = slot.trouble or unread.get(slot.name)
        if trouble:
            yield f"home {slot.name}: {trouble}" if slot.name else trouble
    for stream in loop.intake.streams.values():
        if stream.trouble or stream.rejecting:
            yield f"stream {stream.name}: {stream.trouble or stream.rejecting}"
    if outbox.problem:
        yield f"outbox: {outbox.problem}"
    if broker is not None and (broker.problem or not broker.online):
        yield f"broker: {broker.problem or 'not connected'}"
    yield from more


def brief_status(status: DaemonStatus) -> str:
    """Say a snapshot in a line."""
    answered = sum(stream.decided + stream.forecasts for stream in status.streams)
    rate = sum(stream.per_second for stream in status.streams)
    trouble = f"; {status.problems[0]}" if status.problems else ""
    waiting = f"{status.outbox.waiting} waiting"
    return f"{status.state}: {answered} answered, {rate:.0f} a second, {waiting}{trouble}"


def rss_bytes() -> int:
    """Return the resident memory of this process; 0 where the system does not tell."""
    return _read("/proc/self/statm", lambda text: int(text.split()[1]) * os.sysconf("SC_PAGESIZE"))


def written_bytes() -> int:
    """Return what this process has written to disks; 0 where the system does not tell."""
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
