"""The order of observations that wait for a label: the most useful label first.

Observations of a domain without labels keep the order of their label request.  Once a domain has
labels, the labelling rule orders its observations from all labels given so far: each label changes
the order.  It is computed on reading and never stored.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from ..core.labelling import (
    DEFAULT_RULE,
    LABELLING_RULES,
    LabellingPool,
    PoolSpace,
    score_candidates,
)
from .home import Home

LABELLED_MAX: Final = 128
"""Facts of a domain that count as labelled: the time grows with their square."""

ORDERED_MAX: Final = 256
"""Observations of a domain that the rule picks from."""

PICKED_MAX: Final = 16
"""Observations of a domain that the rule picks; others follow in the order of their requests.  Each
label changes the order, so more would be computed in vain: 256 take 0.1 s, for which decisions
would wait."""

OTHERS_MAX: Final = 3
"""Other domains whose answers describe the observations, those with most facts: as many as for a
label request."""


def order_waiting(home: Home, ids: Sequence[str]) -> list[str]:
    """Order waiting observations, which come in the order of their scores.

    Observations of one domain change places among each other only.  Cost: about 15 ms for each
    domain with labels and 256 observations of 2,064 columns.
    """
    index = home.store.candidate_index()
    known = home.runtime.knowledge.domains
    places: dict[str, list[int]] = {}
    for place, key in enumerate(ids):
        places.setdefault(index[key].domain, []).append(place)
    ordered = list(ids)
    for domain, at in places.items():
        if domain in known and len(at) > 1:
            some = at[:ORDERED_MAX]
            better = _ordered(home, domain, [ids[place] for place in some])
            for place, key in zip(some, better, strict=True):
                ordered[place] = key
    return ordered


def _ordered(home: Home, domain: str, ids: Sequence[str]) -> list[str]:
    facts = home.store.sample(LABELLED_MAX, [domain])
    found = home.store.lists.candidate_features(ids)
    if not len(facts) or len(found) < len(ids):
        return list(ids)
    rows = np.array([np.frombuffer(found[key], np.uint8) for key in ids], np.uint8)
    levels = np.concatenate([rows, facts.features])
    known = home.runtime.knowledge
    adaptor = known.adaptor(domain)
    column = {label: at for at, label in enumerate(adaptor.labels)}
    features = PoolSpace.of_levels(levels, known.geometry.slices)
    answers = [known.adaptor(one).answer(levels) for one in _others(home, domain)]
    pool = LabellingPool(
        features=features,
        described=PoolSpace.of(score_candidates(answers)) if answers else features,
        answers=np.asarray(adaptor.answer(levels), np.float32),
        labelled=tuple(range(len(ids), len(levels))),
        given=tuple(column.get(label, -1) for label in facts.labels),
    )
    picked = LABELLING_RULES[DEFAULT_RULE](0).choose(pool, min(len(ids), PICKED_MAX))
    return [ids[row] for row in dict.fromkeys((*picked, *range(len(ids))))]


def _others(home: Home, domain: str) -> Iterator[str]:
    """Yield the other domains with most facts."""
    counts: dict[str, int] = {}
    for (name, _), count in home.store.concepts().items():
        if name != domain:
            counts[name] = counts.get(name, 0) + count
    yield from sorted(counts, key=lambda name: (-counts[name], name))[:OTHERS_MAX]
