"""How many samples of a window name each concept and each domain."""

from bisect import bisect_left, insort
from collections.abc import Iterable

from .prototypes import Key


class LabelCounts:
    """Counts of keys (domain, label), updated as a window moves.

    keys: those counted, sorted.  squares: sum of the squared counts.  size: of all counts
    together.
    """

    __slots__ = ("_domains", "counts", "keys", "size", "squares")

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self.counts: dict[Key, int] = {}
        self.keys: list[Key] = []
        self._domains: dict[str, int] = {}
        self.squares = self.size = 0
        for key in keys:
            self.add(key)

    def add(self, key: Key) -> None:
        """Count a sample."""
        before, name = self.counts.get(key, 0), key[0]
        self.counts[key] = before + 1
        if not before:
            insort(self.keys, key)
        self._domains[name] = self._domains.get(name, 0) + 1
        self.squares += 2 * before + 1
        self.size += 1

    def remove(self, key: Key) -> None:
        """Take back a sample that was counted."""
        left, name = self.counts[key] - 1, key[0]
        self.squares -= 2 * left + 1
        self.size -= 1
        if left:
            self.counts[key] = left
        else:
            del self.counts[key], self.keys[bisect_left(self.keys, key)]
        if self._domains[name] == 1:
            del self._domains[name]
        else:
            self._domains[name] -= 1

    @property
    def domain(self) -> str:
        """The domain of most samples, of several the first by name; at least one is counted."""
        domains = self._domains
        if len(domains) == 1:
            return next(iter(domains))
        most = max(domains.values())
        return min([name for name, count in domains.items() if count == most])
