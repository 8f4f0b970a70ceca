"""What earlier facts have decided about others: which were evicted for them, and whose domain the
detector chose.  A forget request reports both, and renames domains that name its subject."""

import re
from collections import Counter
from typing import Final

from .events import StoreFacts
from .facts import Fact

NAME_CHARS_MIN: Final = 3
"""Shortest subject whose name is looked for in the names of domains: numbers of one or two digits
also name machines and lines."""

_WORDS: Final = re.compile(r"[^\W_]+")


def evictors(effect: StoreFacts) -> dict[str, int]:
    """Return how many facts each new fact has evicted from its concept: newer facts first, one
    each, as far as there are any."""
    out = set(effect.evicted)
    gone = Counter(_concept(fact) for fact in effect.before if fact.id in out)
    made: Counter[str] = Counter()
    for concept, count in gone.items():
        rows = [fact for fact in effect.facts if _concept(fact) == concept]
        rows.sort(key=lambda fact: (fact.captured_at_ns, fact.id), reverse=True)
        for number in range(count if rows else 0):
            made[rows[number % len(rows)].id] += 1
    return dict(made)


def settled(effect: StoreFacts) -> tuple[str, ...]:
    """Return the ids of facts whose domain a person has chosen now, or an older choice stays."""
    before = {fact.id: fact.domain for fact in effect.before}
    placed = set(effect.placed)
    return tuple(
        fact.id
        for fact in effect.facts
        if fact.id not in placed and before.get(fact.id) != fact.domain
    )


def names_subject(domain: str, subject: str) -> bool:
    """Return whether the words of a subject's name are words of a domain's name, in order."""
    name, words = _WORDS.findall(subject.casefold()), _WORDS.findall(domain.casefold())
    if sum(map(len, name)) < NAME_CHARS_MIN:
        return False
    return any(words[at : at + len(name)] == name for at in range(len(words)))


def _concept(fact: Fact) -> tuple[str, str]:
    return fact.domain, fact.label
