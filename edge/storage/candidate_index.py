"""The label candidates of a knowledge file in memory, without their features: what lists, counts
and sorts them reads no rows."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from ..core import LabelCandidate
from ..core import limits as core_limits


@dataclass(frozen=True, slots=True)
class CandidateEntry:
    """A label candidate without its features.  score: its value, up to 1."""

    stream: str
    domain: str
    captured_at_ns: int
    score: float


class CandidateIndex(Mapping[str, CandidateEntry]):
    """The candidates by id, oldest first, at most `limits.CANDIDATES_MAX`."""

    def __init__(self, entries: Iterable[tuple[str, CandidateEntry]]) -> None:
        self._entries = dict(entries)
        self._shared: dict[str, str] = {}

    def __getitem__(self, observation_id: str) -> CandidateEntry:
        return self._entries[observation_id]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def overflow(self, added: Iterable[LabelCandidate]) -> tuple[str, ...]:
        """Return the oldest candidates that leave once others are added."""
        new = {one.observation_id for one in added if one.observation_id not in self._entries}
        over = len(self._entries) + len(new) - core_limits.CANDIDATES_MAX
        if over <= 0:
            return ()
        return tuple(key for key, _ in zip((*self._entries, *new), range(over), strict=False))

    def put(self, added: Iterable[LabelCandidate]) -> None:
        """Add candidates, replacing those with the same id in their place."""
        for one in added:
            self._entries[one.observation_id] = CandidateEntry(
                stream=self._text(one.stream),
                domain=self._text(one.domain),
                captured_at_ns=one.captured_at_ns,
                score=one.score,
            )

    def drop(self, ids: Iterable[str]) -> None:
        """Remove candidates; unknown ids are ignored."""
        for key in ids:
            self._entries.pop(key, None)

    def _text(self, name: str) -> str:
        """Return one object for equal names: few streams and domains have many candidates."""
        if len(self._shared) > core_limits.STREAMS_MAX:
            self._shared.clear()
        return self._shared.setdefault(name, name)
