"""The levels of all streams: in memory for the streams seen last, in the ledger for the others."""

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Protocol

from msgspec.structs import replace

from .. import limits
from ..actions import Action
from ..config import Config
from ..events import AlarmQuestion, StoreRecalibration
from ..facts import Selector
from ..knowledge import Knowledge
from ..recalibration import RECALIBRATION_VERSION, ObservedRate, Recalibration, may_cover
from .confirmed_alarms import rebased
from .observed_rate import AlarmCounts
from .recalibration import StreamLevel


class StoredLevels(Protocol):
    """Where the levels of streams are stored."""

    def recalibrations(self, stream: str | None = None, /) -> Mapping[str, Recalibration]:
        """Return the record of each stream that has one, or of one stream."""


class StreamLevels:
    """The level of each stream by name, bounded: the stream silent for longest leaves memory first.

    Its record stays in the ledger, is read when the stream is seen again, and is changed with the
    others.  What was observed since it was last stored is lost, as in a crash.
    """

    def __init__(self, config: Config, stored: StoredLevels | None = None) -> None:
        """Levels of no stream.  stored: the ledger; None keeps nothing beyond memory."""
        self._config = config
        self._stored = stored
        self._geometry = ""
        self._levels: OrderedDict[str, StreamLevel] = OrderedDict()
        self._dropped = False

    def restore(self, geometry: str) -> None:
        """Take over the stored records; those of another version are left out."""
        self._geometry = geometry
        for record in self._records().values():
            self._put(self._restored(record))

    def get(self, stream: str) -> StreamLevel:
        """Return a stream's level, a new one for an unknown stream."""
        found = self._levels.get(stream)
        if found is not None:
            self._levels.move_to_end(stream)
            return found
        record = self._records(stream).get(stream) if self._dropped else None
        found = StreamLevel(stream=stream, length=self._config.window)
        return self._put(found if record is None else self._restored(record))

    def _put(self, level: StreamLevel) -> StreamLevel:
        self._levels[level.stream] = level
        if len(self._levels) > limits.STREAMS_MAX:
            self._levels.popitem(last=False)
            self._dropped = True
        return level

    def _restored(self, record: Recalibration) -> StreamLevel:
        level = StreamLevel(stream=record.stream, length=self._config.window)
        level.restore(record, self._geometry)
        return level

    def _records(self, stream: str | None = None) -> dict[str, Recalibration]:
        found = self._stored.recalibrations(stream) if self._stored is not None else {}
        return {name: one for name, one in found.items() if one.version == RECALIBRATION_VERSION}

    def _all(self) -> Iterator[tuple[str, StreamLevel]]:
        """Yield every stream's level: those that have left memory as the ledger has them."""
        if self._dropped:
            for name, record in self._records().items():
                if name not in self._levels:
                    yield name, self._restored(record)
        yield from self._levels.items()

    def question(self, alarm_id: str, stream: str) -> AlarmQuestion | None:
        """Return the open question of this id on a stream, or None."""
        level = self._levels.get(stream)
        asked = level.open_question if level is not None else None
        return asked if asked is not None and asked.alarm_id == alarm_id else None

    def questions(self) -> tuple[AlarmQuestion, ...]:
        """Return all open questions."""
        found = (one.open_question for one in self._levels.values())
        return tuple(one for one in found if one is not None)

    def observed_rates(self) -> dict[str, ObservedRate]:
        """Return the observed false-alarm rate of each stream that has one."""
        rate = self._config.false_alarm_rate
        found = {name: level.observed(rate) for name, level in self._levels.items()}
        return {name: one for name, one in found.items() if one is not None}

    def matching(self, selector: Selector, streams: frozenset[str]) -> tuple[str, ...]:
        """Return the streams whose recalibration may stem from observations that a selector
        matches.  streams: see `may_cover`."""
        return tuple(
            name
            for name, level in self._all()
            if (_tracked(level) and may_cover(selector, level.record(""), streams))
            or any(may_cover(selector, one, streams) for one in level.confirmed)
        )

    def forget(
        self, selector: Selector, streams: frozenset[str], known: Knowledge
    ) -> tuple[StoreRecalibration, ...]:
        """Drop what may stem from matching observations, and all windows, since they may hold them;
        derive the rest from knowledge again.  Return what to store."""
        touched = self.matching(selector, streams)
        geometry, stored = known.geometry.fingerprint, []
        for name, level in self._all():
            level.drop_window()
            if name in touched:
                level.confirmed = tuple(
                    one for one in level.confirmed if not may_cover(selector, one, streams)
                )
                level.counts = AlarmCounts()
                level.restart()
            if name in touched or level.confirmed:
                level.confirmed = tuple(rebased(one, known) for one in level.confirmed)
                empty = not (level.confirmed or level.counts.samples)
                stored.append(StoreRecalibration(name, None if empty else level.record(geometry)))
        return tuple(stored)

    def rename(self, old: str, new: str, geometry: str) -> tuple[StoreRecalibration, ...]:
        """Rename a domain in the confirmed alarms; return what to store."""
        stored = []
        for name, level in self._all():
            if any(one.domain == old for one in level.confirmed):
                level.confirmed = tuple(
                    replace(one, domain=new) if one.domain == old else one
                    for one in level.confirmed
                )
                stored.append(StoreRecalibration(name, level.record(geometry)))
        return tuple(stored)

    def alarm_counts(self, stream: str) -> tuple[int, int, int]:
        """Return the samples, alarms and changes counted during the alarm in force."""
        level = self._levels.get(stream)
        during = level.alarm_counts if level is not None else AlarmCounts()
        return during.samples, during.alarms, during.changes

    def take_back(self, action: Action, geometry: str) -> tuple[StoreRecalibration, ...]:
        """Take back a person's answer to the question about an alarm; return what to store."""
        level = self.get(action.stream)
        if not action.harmless:
            level.reopen_question()
            return ()
        if not level.take_back(action.at_ns, action.counts):
            return ()
        empty = not (level.confirmed or level.counts.samples)
        record = None if empty else level.record(geometry)
        return (StoreRecalibration(action.stream, record),)

    def rebase(self, known: Knowledge) -> tuple[StoreRecalibration, ...]:
        """Derive the confirmed levels again, from thresholds that were missing; return what to
        store."""
        stored = []
        for name, level in self._all():
            if level.confirmed:
                level.confirmed = tuple(rebased(one, known) for one in level.confirmed)
                stored.append(StoreRecalibration(name, level.record(known.geometry.fingerprint)))
        return tuple(stored)

    def geometry_changed(self, known: Knowledge) -> tuple[StoreRecalibration, ...]:
        """Drop the offsets, which refer to the geometry before, and derive the confirmed levels
        again; return what to store."""
        stored, self._geometry = [], known.geometry.fingerprint
        for name, level in self._all():
            level.restart()
            level.confirmed = tuple(rebased(one, known) for one in level.confirmed)
            if level.confirmed or level.counts.samples:
                stored.append(StoreRecalibration(name, level.record(known.geometry.fingerprint)))
        return tuple(stored)


def _tracked(level: StreamLevel) -> bool:
    return bool(level.offset or level.counts.samples)
