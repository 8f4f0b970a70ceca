"""How the answers that were served did, once their labels came."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from .. import limits


@dataclass(frozen=True, slots=True)
class ServedAnswer:
    """Of a domain's newest labelled observations: how many were answered, and how many rightly."""

    count: int
    right: int

    @property
    def accuracy(self) -> float:
        """Share of right answers; 0 without any."""
        return self.right / self.count if self.count else 0.0


class ServedAccuracy:
    """Right and wrong answers of the newest labelled observations, over all domains, bounded."""

    def __init__(self, size: int = limits.WINDOW_OBSERVATIONS_MAX) -> None:
        self._size = size
        self._found: OrderedDict[str, tuple[str, bool]] = OrderedDict()

    def put(self, observation_id: str, domain: str, *, right: bool) -> None:
        """Take note of an answer, the newest version of its label, the oldest making room."""
        self._found.pop(observation_id, None)
        self._found[observation_id] = domain, right
        if len(self._found) > self._size:
            self._found.popitem(last=False)

    def of(self, domain: str) -> ServedAnswer:
        """Return how answers in a domain did."""
        found = [right for name, right in self._found.values() if name == domain]
        return ServedAnswer(len(found), sum(found))

    def rename(self, old: str, new: str) -> None:
        """Count one domain's answers for another."""
        for key, (domain, right) in self._found.items():
            if domain == old:
                self._found[key] = new, right

    def drop(self, observation_ids: Iterable[str]) -> None:
        """Forget observations."""
        for observation_id in observation_ids:
            self._found.pop(observation_id, None)
