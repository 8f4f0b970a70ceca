"""Sums of concepts kept in the ledger, so that opening it does not derive them from every fact.

Kept sums are of exactly the facts and the geometry that their key names.  Those of other facts, or
damaged, are left out: they are derived again.
"""

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import hdc

from ..facts import Concept, Derived, Ledger
from .contributions import shrink_sums

NAME: Final = "sums"
VERSION: Final = 1
"""Part of the key: raise it when the same facts and geometry give other sums or other arrays."""

FACTS_MIN: Final = 16
"""Fewest facts of a concept whose sums are kept: sums take 5 to 25 KB, as much as so many facts of
the shipped encoder, and as long to read as these take to derive."""


class SavedSums:
    """The sums of a geometry that a ledger keeps.  Tracks which of them are current."""

    def __init__(self, ledger: Ledger, geometry: hdc.Geometry) -> None:
        self._ledger, self._geometry = ledger, geometry
        self._kept: dict[Concept, str] = {}

    def __contains__(self, concept: Concept) -> bool:
        return concept in self._kept

    def load(self, without: AbstractSet[Concept]) -> hdc.Memory:
        """Return the concepts that are kept for the ledger's facts, but for some.  Cost: one read
        per concept."""
        counts, found = self._ledger.concepts(), dict[Concept, Mapping[str, NDArray[Any]]]()
        for concept, content in self._ledger.contents().items():
            if counts[concept] < FACTS_MIN or concept in without:
                continue
            domain, label = concept
            arrays = self._ledger.derived(NAME, self._key(content), domain=domain, label=label)
            if arrays is not None and _count(arrays) == counts[concept]:
                found[concept] = arrays
                self._kept[concept] = content
        try:
            return hdc.Memory.unpack(self._geometry, _stacked(found))
        except (hdc.HdcError, LookupError):
            self._kept.clear()
            return hdc.Memory(self._geometry)

    def changed(self, own: hdc.Memory) -> Iterator[Derived]:
        """Yield the sums to keep that are not kept yet.  own: of exactly the ledger's facts."""
        counts = self._ledger.concepts()
        due: dict[str, list[Concept]] = {}
        for concept, content in self._ledger.contents().items():
            if counts[concept] >= FACTS_MIN and self._kept.get(concept) != content:
                due.setdefault(concept[0], []).append(concept)
        for domain, concepts in due.items():
            part = own.part(domain)
            packed, places = part.pack(), {key: at for at, key in enumerate(part.keys)}
            for concept in concepts:
                yield self._entry(concept, packed, places[concept])

    def _entry(self, concept: Concept, packed: Mapping[str, NDArray[Any]], at: int) -> Derived:
        content = self._ledger.contents()[concept]
        self._kept[concept] = content
        domain, label = concept
        arrays = {name: shrink_sums(packed[name][at]) for name in ("counts", "ones", "sums")}
        return Derived(name=NAME, key=self._key(content), domain=domain, label=label, arrays=arrays)

    def _key(self, content: str) -> str:
        return f"{VERSION} {self._geometry.fingerprint} {content}"


def _count(arrays: Mapping[str, NDArray[Any]]) -> int:
    """Return the number of facts that kept arrays name, 0 if they do not."""
    counts = arrays.get("counts")
    return int(counts.item()) if counts is not None and counts.size == 1 else 0


def _stacked(found: Mapping[Concept, Mapping[str, NDArray[Any]]]) -> dict[str, Any]:
    """Return kept arrays in the form that `hdc.Memory.unpack` reads."""
    return {
        "domains": np.array([domain for domain, _ in found], np.str_),
        "labels": np.array([label for _, label in found], np.str_),
        "counts": np.array([_count(one) for one in found.values()], np.int64),
        **{name: [one[name] for one in found.values()] for name in ("ones", "sums")},
    }
