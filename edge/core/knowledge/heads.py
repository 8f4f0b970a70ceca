"""Solved adaptors by domain, and the last ones from before new facts arrived."""

from collections.abc import Iterator

from .. import limits
from ..adaptors import Adaptor
from ..facts import Rank
from .refits import Scopes


class SolvedHeads:
    """Cache of adaptors by domain.  A fact that changes an adaptor's inputs outdates it: it may
    serve on until it is solved again, or facts are forgotten."""

    def __init__(self) -> None:
        self._solved: dict[str, tuple[Adaptor, Scopes]] = {}
        self._outdated: dict[str, tuple[Adaptor, Scopes]] = {}
        self._used: dict[str, None] = {}

    def get(self, domain: str, *, may_wait: bool = False) -> Adaptor | None:
        """Return a domain's adaptor if it is solved, and record its use.  may_wait: the last one
        does, too."""
        found = self._solved.get(domain)
        if found is None and may_wait:
            found = self._outdated.get(domain)
        if found is None:
            return None
        self.use(domain)
        return found[0]

    def is_outdated(self, domain: str) -> bool:
        """Return whether only the last adaptor of a domain is left."""
        return domain not in self._solved and domain in self._outdated

    def use(self, domain: str) -> None:
        """Record that a domain's adaptor was needed."""
        self._used.pop(domain, None)
        self._used[domain] = None

    def store(self, domain: str, adaptor: Adaptor, scopes: Scopes) -> None:
        """Store an adaptor that was solved for use."""
        self._solved[domain] = adaptor, scopes
        self._outdated.pop(domain, None)
        self._used[domain] = None
        self._bound()

    @property
    def in_use(self) -> bool:
        """True if an adaptor has answered."""
        return bool(self._used)

    def missing(self) -> Iterator[str]:
        """Yield the domains whose adaptors were used and must be solved again, the most recently
        used first."""
        return (domain for domain in reversed(self._used) if domain not in self._solved)

    def accept(
        self, domain: str, adaptor: Adaptor | None, scopes: Scopes, *, current: bool
    ) -> None:
        """Store an adaptor solved in the background unless one is stored; None if that failed.
        current: its facts have not changed.  A domain whose adaptor is current, or failed, is
        solved in the background again only after its next use."""
        if domain in self._solved:
            return
        if adaptor is not None and not current:
            self._outdated[domain] = adaptor, scopes
            return
        self._used.pop(domain, None)
        self._outdated.pop(domain, None)
        if adaptor is not None:
            self._solved[domain] = adaptor, scopes
            self._bound()

    def _bound(self) -> None:
        """Drop the adaptors not used for longest beyond `limits.HEADS_BYTES_MAX`, all but one."""
        held = [*self._solved.values(), *self._outdated.values()]
        excess = sum(adaptor.nbytes for adaptor, _ in held) - limits.HEADS_BYTES_MAX
        if excess <= 0:
            return
        for domain in [*self._outdated, *self._in_order()][:-1]:
            dropped = self._outdated.pop(domain, None) or self._solved.pop(domain, None)
            self._used.pop(domain, None)
            excess -= dropped[0].nbytes if dropped is not None else 0
            if excess <= 0:
                return

    def _in_order(self) -> list[str]:
        """Return the domains with a current adaptor, the one not used for longest first."""
        idle = [domain for domain in self._solved if domain not in self._used]
        return idle + [domain for domain in self._used if domain in self._solved]

    def current(self) -> Iterator[tuple[str, tuple[Adaptor, Scopes]]]:
        """Yield the domains whose adaptors are current, with them and their scopes."""
        return iter(self._solved.items())

    def change(self, domain: str, rank: Rank) -> None:
        """Outdate the adaptors that a fact of this domain and rank, added or removed, changes."""
        for name, (adaptor, scopes) in tuple(self._solved.items()):
            if scopes[name != domain].changes(rank):
                del self._solved[name]
                self._outdated[name] = adaptor, scopes

    def outdate_all(self) -> None:
        """Outdate every adaptor."""
        self._outdated, self._solved = self._solved | self._outdated, {}

    def drop_outdated(self) -> tuple[str, ...]:
        """Drop all outdated adaptors: a fact that is forgotten may have been in another domain when
        they were solved.  Returns their domains."""
        gone = tuple(self._outdated)
        self._outdated.clear()
        return gone

    def drop(self, domain: str) -> None:
        """Drop a domain's adaptor."""
        self._solved.pop(domain, None)
        self._outdated.pop(domain, None)

    def clear(self) -> None:
        """Drop all adaptors."""
        self._solved.clear()
        self._outdated.clear()
