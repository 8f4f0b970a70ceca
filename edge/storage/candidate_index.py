"""The label candidates of a knowledge file in memory, without their features: what lists, counts
and sorts them reads no rows."""

from collections.abc import Iterable, Iterator, Mapping
from sys import intern

import msgspec

from ..core import LabelCandidate, Selector
from ..core import limits as core_limits


class CandidateEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A label candidate without its features.  score: its value, up to 1."""

    stream: str
    subject: str
    domain: str
    captured_at_ns: int
    score: float
    recording: str


class CandidateIndex(Mapping[str, CandidateEntry]):
    """The candidates by id, oldest first, at most `limits.CANDIDATES_MAX`.  revision: grows with
    each change."""

    def __init__(self, entries: Iterable[tuple[str, CandidateEntry]]) -> None:
        self.revision = 0
        self._entries = dict(entries)

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
        self.revision += 1
        for one in added:
            self._entries[one.observation_id] = candidate_entry(
                stream=one.stream,
                subject=one.subject,
                domain=one.domain,
                captured_at_ns=one.captured_at_ns,
                score=one.score,
                recording=one.recording,
            )

    def drop(self, ids: Iterable[str]) -> None:
        """Remove candidates; unknown ids are ignored."""
        for key in ids:
            if self._entries.pop(key, None) is not None:
                self.revision += 1

    def select(self, selector: Selector) -> tuple[str, ...]:
        """Return the candidates that a selector matches, oldest first: none if it names a label."""
        return tuple(key for key, one in self._entries.items() if selector.selects(key, one))


def candidate_entry(
    *,
    stream: str,
    subject: str,
    domain: str,
    captured_at_ns: int,
    score: float,
    recording: str,
) -> CandidateEntry:
    """Return an entry that shares its names with others: few streams have many candidates."""
    return CandidateEntry(
        stream=intern(stream),
        subject=intern(subject),
        domain=intern(domain),
        captured_at_ns=captured_at_ns,
        score=score,
        recording=intern(recording),
    )
