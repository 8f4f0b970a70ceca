"""Which domain a run of observations is in, kept up to date as observations come and go."""

from collections.abc import Mapping
from typing import Final

OWN_WEIGHT: Final = 8
"""How many of its neighbours an observation outweighs when its domain is decided."""


class DomainVotes:
    """The domain that a run of observations is nearest to as a whole, as `streams.rank` has it.

    What a domain lies before the farthest one is added up, in whole numbers, so that what goes
    leaves no trace.  An observation that was not compared with a domain puts it with the farthest,
    which adds nothing.
    """

    def __init__(self) -> None:
        self._ahead: dict[str, int] = {}
        self._count: dict[str, int] = {}
        self._first = ""

    def add(self, near: Mapping[str, int]) -> None:
        """Count an observation in.  near: novelty to each domain it was compared with."""
        far, ahead, count = max(near.values()), self._ahead, self._count
        self._first = ""
        for name, novelty in near.items():
            ahead[name] = ahead.get(name, 0) + far - novelty
            count[name] = count.get(name, 0) + 1

    def remove(self, near: Mapping[str, int]) -> None:
        """Count an observation that was added out again."""
        far, ahead, count = max(near.values()), self._ahead, self._count
        self._first = ""
        for name, novelty in near.items():
            ahead[name] -= far - novelty
            count[name] -= 1
            if not count[name]:
                del ahead[name], count[name]

    def first(self, one: Mapping[str, int] | None = None) -> str:
        """Return the nearest domain, `one` observation of them counting more; of several equally
        near ones the first by name."""
        ahead = self._ahead
        if len(ahead) == 1:
            return next(iter(ahead))
        if one:
            far = max(one.values())
            own = {name: OWN_WEIGHT * (far - novelty) for name, novelty in one.items()}
            return _foremost({name: found + own.get(name, 0) for name, found in ahead.items()})
        if not self._first:
            self._first = _foremost(ahead)
        return self._first


def _foremost(ahead: Mapping[str, int]) -> str:
    most = max(ahead.values())
    return min([name for name, found in ahead.items() if found == most])
