"""The label buffer: recent observations awaiting late labels, and how served answers scored.

Both are bounded and session state: a crash may lose them.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec
from msgspec.structs import replace

from .. import limits
from ..structs import FrozenStruct

RUN_SHARE: Final = 2 / 3
"""Share of a recording's observations in one domain that takes all its labels there; a recording
that moves between domains has no such share.  Chosen by hand; effect not measured."""

RUN_MAX: Final = limits.DRIFT_WINDOW_MAX
"""Observations of a recording that are filed together; a longer one may visit several domains, and
each of its observations is filed where its stream was."""


class BufferedObservation(msgspec.Struct, frozen=True, kw_only=True):
    """An observation that can still be labelled.

    domain: used for a label that names none.  features: uint8, as bytes.  guess, p_value: of the
    decision that was served.
    """

    stream: str
    subject: str
    captured_at_ns: int
    domain: str
    features: bytes
    guess: str = ""
    p_value: float = 1.0
    recording: str = ""

    def in_domain(self, domain: str) -> "BufferedObservation":
        """Return the observation assigned to another domain."""
        return replace(self, domain=domain)


class LabelBuffer:
    """A bounded first-in, first-out map from observation id to buffered observation."""

    def __init__(self, size: int = limits.WINDOW_OBSERVATIONS_MAX) -> None:
        self._size = size
        self._buffered: OrderedDict[str, BufferedObservation] = OrderedDict()

    def add(self, observation_id: str, observation: BufferedObservation) -> None:
        """Add an observation, replacing an earlier version; beyond the bound the oldest is
        dropped."""
        self._buffered.pop(observation_id, None)
        self._buffered[observation_id] = observation
        if len(self._buffered) > self._size:
            self._buffered.popitem(last=False)

    def get(self, observation_id: str) -> BufferedObservation | None:
        """Return a buffered observation, or None if it has expired."""
        return self._buffered.get(observation_id)

    def filed_domains(self, observation_ids: Iterable[str]) -> dict[str, str]:
        """Return the domain that the label of each buffered observation belongs to.

        The observations of one recording, or of one subject, that follow each other in a stream
        are filed together if they are few: where `RUN_SHARE` of them are in one domain, so is the
        label.  Cost: one pass over the buffer if a recording or a subject is known.
        """
        asked = (key for key in observation_ids if key in self._buffered)
        filed = {key: self._buffered[key].domain for key in asked}
        named = {key for key in filed if any(_run_name(self._buffered[key]))}
        for run in self._runs({self._buffered[key].stream for key in named}):
            found = named.intersection(run)
            if found and len(run) <= RUN_MAX:
                domains = Counter(self._buffered[key].domain for key in run)
                ((most, count),) = domains.most_common(1)
                if count >= RUN_SHARE * len(run):
                    filed |= dict.fromkeys(found, most)
        return filed

    def _runs(self, streams: AbstractSet[str]) -> Iterator[list[str]]:
        """Yield the observations that follow each other in a stream and are of one recording and
        subject."""
        runs: dict[str, tuple[tuple[str, str], list[str]]] = {}
        for key, one in self._buffered.items() if streams else ():
            if one.stream not in streams:
                continue
            name, (before, run) = _run_name(one), runs.get(one.stream, (("", ""), []))
            if name == before:
                run.append(key)
                continue
            yield run
            runs[one.stream] = name, [key]
        for _, run in runs.values():
            yield run

    def move(self, observation_id: str, domain: str) -> None:
        """Assign an observation, if still buffered, to another domain."""
        found = self._buffered.get(observation_id)
        if found is not None and found.domain != domain:
            self._buffered[observation_id] = found.in_domain(domain)

    def note_guess(self, observation_id: str, guess: str) -> None:
        """Note that an observation, if still buffered, was answered with another guess."""
        found = self._buffered.get(observation_id)
        if found is not None:
            self._buffered[observation_id] = replace(found, guess=guess)

    def drop(self, observation_ids: Iterable[str]) -> None:
        """Drop observations; unknown ids are ignored."""
        for observation_id in observation_ids:
            self._buffered.pop(observation_id, None)

    def rename(self, old: str, new: str) -> bool:
        """Rename a domain; True if any observation was assigned to it."""
        moved = [key for key, one in self._buffered.items() if one.domain == old]
        for key in moved:
            self._buffered[key] = self._buffered[key].in_domain(new)
        return bool(moved)

    def items(self) -> tuple[tuple[str, BufferedObservation], ...]:
        """Return all buffered observations, oldest first."""
        return tuple(self._buffered.items())

    def __contains__(self, observation_id: object) -> bool:
        return observation_id in self._buffered

    def __len__(self) -> int:
        return len(self._buffered)


def _run_name(one: BufferedObservation) -> tuple[str, str]:
    return one.recording, one.subject


class ServedAnswer(FrozenStruct, frozen=True):
    """Answers served on a domain's newest labelled observations: how many, and how many right."""

    count: int
    right: int

    @property
    def accuracy(self) -> float:
        """Share of right answers; 0 if there are none."""
        return self.right / self.count if self.count else 0.0


class ServedAccuracy:
    """Scores of the answers served on the newest labelled observations of all domains, bounded."""

    def __init__(self, size: int = limits.WINDOW_OBSERVATIONS_MAX) -> None:
        self._size = size
        self._scored: OrderedDict[str, tuple[str, bool]] = OrderedDict()

    def record(self, observation_id: str, domain: str, *, right: bool) -> None:
        """Record the score of an answer, replacing that of an earlier label; beyond the bound the
        oldest is dropped."""
        self._scored.pop(observation_id, None)
        self._scored[observation_id] = domain, right
        if len(self._scored) > self._size:
            self._scored.popitem(last=False)

    def in_domain(self, domain: str) -> ServedAnswer:
        """Return the scores in a domain."""
        found = [right for name, right in self._scored.values() if name == domain]
        return ServedAnswer(len(found), sum(found))

    def by_domain(self) -> dict[str, ServedAnswer]:
        """Return the scores of every domain."""
        count = Counter(domain for domain, _ in self._scored.values())
        right = Counter(domain for domain, good in self._scored.values() if good)
        return {name: ServedAnswer(number, right[name]) for name, number in sorted(count.items())}

    def rename(self, old: str, new: str) -> None:
        """Rename a domain."""
        for key, (domain, right) in self._scored.items():
            if domain == old:
                self._scored[key] = new, right

    def drop(self, observation_ids: Iterable[str]) -> None:
        """Drop observations; unknown ids are ignored."""
        for observation_id in observation_ids:
            self._scored.pop(observation_id, None)
