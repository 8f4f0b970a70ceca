"""The features of recent observations, kept until their labels arrive or room runs out."""

from collections import OrderedDict
from dataclasses import dataclass, field, replace

from .. import limits


@dataclass(frozen=True, slots=True, kw_only=True)
class BufferedObservation:
    """An observation that may still be labelled.  `domain`: where a label without one puts it.
    `guess`, `p_value`: of the decision that was served."""

    stream: str
    subject: str
    captured_at_ns: int
    domain: str
    features: bytes = field(repr=False)
    guess: str = ""
    p_value: float = 1.0


class LabelBuffer:
    """A bounded first-in, first-out map from observation id to what was seen."""

    def __init__(self, size: int = limits.WINDOW_OBSERVATIONS_MAX) -> None:
        self._size = size
        self._seen: OrderedDict[str, BufferedObservation] = OrderedDict()

    def put(self, observation_id: str, seen: BufferedObservation) -> None:
        """Keep an observation, the newest version of it, dropping the oldest beyond the bound."""
        self._seen.pop(observation_id, None)
        self._seen[observation_id] = seen
        if len(self._seen) > self._size:
            self._seen.popitem(last=False)

    def get(self, observation_id: str) -> BufferedObservation | None:
        """Return what was seen, or None where it has gone."""
        return self._seen.get(observation_id)

    def move(self, observation_id: str, domain: str) -> None:
        """Let an observation that is still kept belong to another domain."""
        seen = self._seen.get(observation_id)
        if seen is not None and seen.domain != domain:
            self._seen[observation_id] = replace(seen, domain=domain)

    def drop(self, observation_ids: frozenset[str] | set[str]) -> None:
        """Forget observations (a forget request reaches the window too)."""
        for observation_id in observation_ids:
            self._seen.pop(observation_id, None)

    def rename(self, old: str, new: str) -> bool:
        """Let what waits for a domain wait for another; True where something did."""
        moved = [key for key, seen in self._seen.items() if seen.domain == old]
        for key in moved:
            self._seen[key] = replace(self._seen[key], domain=new)
        return bool(moved)

    def items(self) -> tuple[tuple[str, BufferedObservation], ...]:
        """Return all kept observations, oldest first."""
        return tuple(self._seen.items())

    def __len__(self) -> int:
        return len(self._seen)
