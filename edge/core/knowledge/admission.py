"""Admission of facts to the ledger, bounded per concept: which enter, and which are evicted.

Per concept the newest N by (captured_at_ns, id) are kept, so the result of additions does not
depend on their order.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..facts import Fact, Ledger


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """The effect of adding facts.

    entering: added.  replaced: older versions of these.  evicted: oldest facts of full concepts.
    refused: too old for a full concept.  unchanged, forgotten: numbers of facts already known, and
    forgotten before.
    """

    entering: tuple[Fact, ...]
    replaced: tuple[Fact, ...]
    evicted: tuple[Fact, ...]
    unchanged: int
    forgotten: int
    refused: tuple[Fact, ...]

    @property
    def detail(self) -> str:
        """Describe what was not simply added, for the acknowledgement."""
        parts = (
            (len(self.replaced), "replaced an older version"),
            (len(self.evicted), "oldest evicted"),
            (self.unchanged, "already known"),
            (self.forgotten, "forgotten before and not relearned"),
            (len(self.refused), "older than a full concept keeps"),
        )
        return ", ".join(f"{count} {text}" for count, text in parts if count)


def admit(ledger: Ledger, facts: Iterable[Fact], capacity: int) -> Admission:
    """Decide which facts enter.  capacity: facts per concept.  Cost: one look-up per fact.

    A changed fact that is too old for its new concept is evicted, since its old version would
    contradict the correction.  Evicted facts leave no record, so the order of arrival can matter
    for corrections of facts in full concepts, and only for them.
    """
    entering: list[Fact] = []
    before: dict[str, Fact] = {}
    unchanged = forgotten = 0
    for fact in _newest(facts):
        stored = ledger.get(fact.id)
        if ledger.was_forgotten(fact.id):
            forgotten += 1
        elif stored is not None and not fact.supersedes(stored):
            unchanged += 1
        else:
            entering.append(fact)
            before |= {fact.id: stored} if stored is not None else {}
    out = _overflow(ledger, entering, before, capacity)
    arriving = {fact.id for fact in entering}
    kept = tuple(fact for fact in entering if fact.id not in out)
    replaced = tuple(fact for fact in before.values() if fact.id not in out)
    evicted = tuple(
        before.get(fact.id, fact)
        for fact in out.values()
        if fact.id in before or fact.id not in arriving
    )
    refused = tuple(fact for fact in entering if fact.id in out and fact.id not in before)
    return Admission(
        entering=kept,
        replaced=replaced,
        evicted=evicted,
        unchanged=unchanged,
        forgotten=forgotten,
        refused=refused,
    )


def _newest(facts: Iterable[Fact]) -> Iterable[Fact]:
    """Return the winning version of each fact."""
    newest: dict[str, Fact] = {}
    for fact in facts:
        if fact.id not in newest or fact.supersedes(newest[fact.id]):
            newest[fact.id] = fact
    return newest.values()


def _overflow(
    ledger: Ledger, entering: list[Fact], before: Mapping[str, Fact], capacity: int
) -> dict[str, Fact]:
    """Return the facts beyond each concept's capacity by id, stored or entering."""
    counts = ledger.concepts()
    moving = Counter((fact.domain, fact.label) for fact in before.values())
    arriving: dict[tuple[str, str], list[Fact]] = {}
    for fact in entering:
        arriving.setdefault((fact.domain, fact.label), []).append(fact)
    out: dict[str, Fact] = {}
    for concept, rows in arriving.items():
        excess = counts.get(concept, 0) - moving[concept] + len(rows) - capacity
        if excess <= 0:
            continue
        ids = ledger.oldest(*concept, excess + moving[concept])
        stored = [ledger.get(fact_id) for fact_id in ids if fact_id not in before]
        pool = [*rows, *(fact for fact in stored if fact is not None)]
        pool.sort(key=lambda fact: (fact.captured_at_ns, fact.id))
        out.update({fact.id: fact for fact in pool[:excess]})
    return out
