"""An aggregator in a home: its file beside the knowledge file, its geometry that of the home."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, get_args

import msgspec

import hdc

from ..config import AggregateSettings, Settings, read_settings
from ..core import ConfigError, EdgeError
from ..home import Home
from ..logs import log
from ..signing import public_key
from ..storage import (
    AggregateFile,
    ChildPage,
    ChildRow,
    ChildState,
    OutlierRow,
    RefusalRow,
    Store,
    has_aggregate,
)
from .aggregator import AggregatePlace, Aggregator, LastSum

FILE: Final = "aggregate.db"

SHOWN_REFUSALS: Final = 50
"""Refusals in a view, the newest.  Chosen by hand."""

LOOK_S: Final = 5.0
"""Seconds between two looks at the home's geometry.  Chosen by hand."""

STATES: Final[tuple[ChildState, ...]] = get_args(ChildState)

ALL: Final = ChildPage()
"""Every child, up to more than the largest fleet that was simulated."""


class AggregateView(msgspec.Struct, frozen=True, kw_only=True):
    """What an aggregator holds, without any sums.  states: how many children are in each.
    waiting: children with a message that waits for their rate, and since when.  waiting_count,
    far_count: how many children wait, and are far from the others: the lists may be cut.  listed:
    how many children match what was asked for; offset: so many of them before the first shown;
    limit: most that are shown."""

    name: str
    fleet: str
    parent: str
    revision: int
    samples: int
    devices: int
    concepts: int
    states: dict[str, int]
    children: tuple[ChildRow, ...]
    waiting: tuple[tuple[str, int], ...]
    refusals: tuple[RefusalRow, ...]
    outliers: tuple[OutlierRow, ...]
    waiting_count: int
    far_count: int
    listed: int
    offset: int
    limit: int


def aggregate_path(home: Path) -> Path:
    """Return the path of a home's aggregator file."""
    return home / FILE


def describe_aggregate(home: Path, page: ChildPage = ALL) -> AggregateView | None:
    """Return what a home's aggregator holds; None if it has none.

    page: the children that are listed; its limit is that of those that wait and of outliers, too.
    Cost: one pass over the rows of the children, none over their sums.
    """
    path, settings = aggregate_path(home), read_settings(home).aggregate
    if settings is None or not has_aggregate(path):
        return None
    with AggregateFile(path, writable=False) as file:
        children, listed = file.list_children(page)
        waiting, outliers = file.waiting(), file.outliers()
        body = file.meta("published")
        last = msgspec.json.decode(body, type=LastSum) if body else LastSum()
        return AggregateView(
            name=settings.name,
            fleet=settings.fleet,
            parent=settings.parent,
            revision=last.revision,
            samples=file.sample_count(),
            devices=file.count("summed")[1],
            concepts=file.concept_count(),
            states={one: count for one in STATES if (count := file.count(one)[0])},
            children=tuple(children),
            waiting=tuple(waiting[: page.limit]),
            refusals=tuple(file.refusals(SHOWN_REFUSALS)),
            outliers=tuple(outliers[: page.limit]),
            waiting_count=len(waiting),
            far_count=len({one.device for one in outliers}),
            listed=listed,
            offset=page.offset,
            limit=page.limit,
        )


@contextmanager
def open_aggregator(home: Path) -> Iterator[Aggregator]:
    """Open a home's aggregator without its broker.  Raises StateError while another process has it
    open."""
    settings = aggregate_section(read_settings(home))
    keys = {one: public_key(text, one) for one, text in settings.keys.items()}
    with AggregateFile(aggregate_path(home), writable=True) as file:
        aggregator = Aggregator(file, read_place(home), settings, keys)
        yield aggregator
        aggregator.close()


def read_place(home: Path) -> AggregatePlace:
    """Return the card, the geometry and the columns of a home; raises ConfigError if its geometry
    is not frozen yet, since sums under another one never fit."""
    with Home(home, writable=False) as opened:
        if opened.store.geometry() is None:
            raise ConfigError(
                f"starting the aggregator in {home}: it has no frozen geometry",
                "import the bundle with the fleet's geometry: auricle bundle import",
            )
        geometry = opened.runtime.knowledge.geometry
        return AggregatePlace(geometry, opened.model.card.fingerprint, opened.store.columns())


class GeometryWatch:
    """Notices that another geometry is frozen in an aggregator's home, as an imported bundle does,
    also by a daemon.  clock: monotonic seconds.  Cost: a look at the file's times every
    `LOOK_S` seconds; a change of the file costs a read of the geometry."""

    def __init__(self, home: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path, self._clock = home / read_settings(home).knowledge.file, clock
        self._looked_s, self._times = clock(), self._read_times()
        self._geometry = self._read()

    def changed(self) -> bool:
        """Return whether another geometry is frozen than when the watch was made."""
        now = self._clock()
        if now - self._looked_s < LOOK_S:
            return False
        self._looked_s, before, self._times = now, self._times, self._read_times()
        if self._times == before:
            return False
        try:
            found = self._read()
        except EdgeError as error:
            log.warning("geometry_not_read", reason=error.message)
            # Read it again at the next look: nothing else may change by then.
            self._times = ()
            return False
        return bool(found) and found != self._geometry

    def _read_times(self) -> tuple[int, ...]:
        found = []
        for path in (self._path, self._path.with_name(f"{self._path.name}-wal")):
            with suppress(OSError):
                about = path.stat()
                found += [about.st_mtime_ns, about.st_size]
        return tuple(found)

    def _read(self) -> str:
        with Store.open(self._path, writable=False) as store:
            packed = store.geometry()
            return hdc.Geometry.unpack(dict(packed)).fingerprint if packed else ""


def aggregate_section(settings: Settings) -> AggregateSettings:
    """Return the section [aggregate]; raises ConfigError without one."""
    if settings.aggregate is None:
        raise ConfigError(
            "starting the aggregator: the settings have no [aggregate]",
            "add it with name and fleet; see docs/howto/fleet.md",
        )
    return settings.aggregate
