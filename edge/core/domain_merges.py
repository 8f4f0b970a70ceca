"""Records of merged domains: an opening that proved to be a known domain, and the facts that moved.

The runtime merges a domain that it opened itself, and named `domain-N`, when its observations no
longer differ from those of another.  Each merge with facts is recorded, so that it can be undone.
"""

import re
from typing import Final

from msgspec.structs import replace

from .facts import Fact
from .structs import FrozenStruct

OWN_NAME: Final = re.compile(r"domain-\d+")
"""Names that the runtime gives; a domain with any other name is merged by people only."""


class DomainMerge(FrozenStruct, frozen=True, kw_only=True):
    """One merge.

    id: the observation at which it happened.  source: the domain that was merged; target: into
    which.  at_ns: capture time of the observation.  fact_ids: of the facts that moved, sorted;
    forgotten and evicted ones leave it.  undone: the facts are back, and the two domains are not
    merged again.
    """

    id: str
    source: str
    target: str
    at_ns: int
    fact_ids: tuple[str, ...]
    undone: bool = False

    def __str__(self) -> str:
        """Describe the merge, for its acknowledgement."""
        return f"merged {self.source} into {self.target}; undo: auricle relabel --undo {self.id}"

    def without(self, ids: frozenset[str]) -> "DomainMerge":
        """Return the record without some facts."""
        return replace(self, fact_ids=tuple(one for one in self.fact_ids if one not in ids))


def moved(facts: tuple[Fact, ...], domain: str) -> tuple[Fact, ...]:
    """Return facts as corrected to another domain."""
    return tuple(replace(fact, domain=domain, revision=fact.revision + 1) for fact in facts)


def may_merge(source: str, target: str, merges: tuple[DomainMerge, ...]) -> bool:
    """Return whether the runtime may merge a domain with facts by itself: one that it named, unless
    a person undid that."""
    undone = {frozenset((one.source, one.target)) for one in merges if one.undone}
    return bool(OWN_NAME.fullmatch(source)) and frozenset((source, target)) not in undone
