"""Facts grouped by concept."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from ..facts import Concept, Fact, FactBatch, stack_facts


def by_concept(facts: Iterable[Fact]) -> list[tuple[Concept, FactBatch]]:
    """Return facts as one batch for each concept, sorted."""
    groups: dict[Concept, list[Fact]] = {}
    for fact in facts:
        groups.setdefault((fact.domain, fact.label), []).append(fact)
    return [(concept, stack_facts(rows)) for concept, rows in sorted(groups.items())]


def concepts_of(batch: FactBatch) -> Iterator[tuple[str, str, NDArray[np.uint8]]]:
    """Yield each concept of a batch with its features."""
    pairs = list(zip(batch.domains, batch.labels, strict=True))
    for domain, label in sorted(set(pairs)):
        index = [row for row, pair in enumerate(pairs) if pair == (domain, label)]
        yield domain, label, batch.features[index]
