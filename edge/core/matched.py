"""What a forget request matches."""

from collections.abc import Iterable, Iterator

import msgspec

from .events import ReleaseActions
from .facts import Ledger
from .receipt import SeriesForgotten, SeriesRange
from .session import SessionState


class Matched(msgspec.Struct, frozen=True, kw_only=True):
    """What a request matches.  ids: of facts, or of the first of them.  unlabelled: of observations
    that are no facts.  released: facts that stay, but leave the records of actions.  streams: of
    all of these.  recalibrated: the streams that lose their recalibration.  series: those that lose
    samples.  ranges: times of these, which are not learned again.  contents: features of the
    observations that the ledger does not hold."""

    ids: frozenset[str]
    unlabelled: frozenset[str]
    released: frozenset[str]
    streams: frozenset[str]
    recalibrated: tuple[str, ...]
    series: tuple[SeriesForgotten, ...]
    ranges: tuple[SeriesRange, ...]
    contents: tuple[bytes, ...]

    def release(self) -> Iterator[ReleaseActions]:
        """Yield what the records of actions lose."""
        if self.released or self.recalibrated:
            yield ReleaseActions(tuple(sorted(self.released)), self.recalibrated)


def contents_of(unlabelled: Iterable[str], session: SessionState) -> tuple[bytes, ...]:
    """Return the features of buffered observations."""
    rows = map(session.label_buffer.get, sorted(unlabelled))
    return tuple(one.features for one in rows if one is not None)


def streams_of(
    ids: Iterable[str], buffered: Iterable[str], ledger: Ledger, session: SessionState
) -> frozenset[str]:
    """Return the streams of facts and of buffered observations."""
    facts = (ledger.get(key) for key in ids)
    rows = (session.label_buffer.get(key) for key in buffered)
    return frozenset(one.stream for one in (*facts, *rows) if one is not None)
