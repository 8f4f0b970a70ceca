"""Which facts may enter the ledger, and which leave to make room.

Per concept the newest N by (captured_at_ns, id) stay, so the outcome of additions does not depend
on their order.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from . import limits
from .facts import Fact, Ledger


@dataclass(frozen=True, slots=True)
class Admission:
    """Facts that enter, facts (older versions or the oldest) that leave, and a count of refusals."""

    entering: tuple[Fact, ...]
    replaced: tuple[Fact, ...]
    evicted: tuple[Fact, ...]
    unchanged: int
    forgotten: int
    too_old: int

    @property
    def detail(self) -> str:
        """Say in words what was not simply added."""
        parts = (
            (len(self.replaced), "replaced an older version"),
            (len(self.evicted), "oldest evicted"),
            (self.unchanged, "already known"),
            (self.forgotten, "forgotten before and not relearned"),
            (self.too_old, "older than a full concept keeps"),
        )
        return ", ".join(f"{count} {what}" for count, what in parts if count)


def admit(ledger: Ledger, facts: Iterable[Fact], capacity: int) -> Admission:
    """Decide what enters.  capacity: facts per concept.  Cost: one look-up a fact."""
    newest: dict[str, Fact] = {}
    for fact in facts:
        if fact.id not in newest or fact.supersedes(newest[fact.id]):
            newest[fact.id] = fact
    entering: list[Fact] = []
    replaced: list[Fact] = []
    unchanged = forgotten = 0
    for fact in newest.values():
        before = ledger.get(fact.id)
        if ledger.buried(fact.id):
            forgotten += 1
        elif before is not None and not fact.supersedes(before):
            unchanged += 1
        else:
            entering.append(fact)
            replaced += [before] if before is not None else []
    out = _overflow(ledger, entering, replaced, capacity)
    kept = tuple(fact for fact in entering if fact.id not in out)
    evicted = tuple(fact for fact in out.values() if fact not in entering)
    gone = {fact.id for fact in evicted}
    left = tuple(fact for fact in replaced if fact.id not in gone)
    dropped = len(entering) - len(kept)
    return Admission(kept, left, evicted, unchanged, forgotten, dropped)


def _overflow(
    ledger: Ledger, entering: list[Fact], replaced: list[Fact], capacity: int
) -> dict[str, Fact]:
    """Return the facts beyond each concept's capacity, by id: stored ones or entering ones."""
    leaving = {fact.id for fact in replaced}
    counts = dict(ledger.concepts())
    for fact in replaced:
        counts[fact.domain, fact.label] -= 1
    out: dict[str, Fact] = {}
    for concept in sorted({(fact.domain, fact.label) for fact in entering}):
        rows = [fact for fact in entering if (fact.domain, fact.label) == concept]
        excess = counts.get(concept, 0) + len(rows) - capacity
        if excess <= 0:
            continue
        ids = ledger.oldest(*concept, excess + len(leaving))
        stored = [ledger.get(fact_id) for fact_id in ids if fact_id not in leaving]
        pool = [*rows, *(fact for fact in stored if fact is not None)]
        pool.sort(key=lambda fact: (fact.captured_at_ns, fact.id))
        out.update({fact.id: fact for fact in pool[:excess]})
    return out


def flaw(fact: Fact, width: int) -> str:
    """Say what is wrong with a fact, or nothing.  width: columns of the encoder's features."""
    for name in ("id", "domain", "label"):
        text = getattr(fact, name)
        if not text.strip() or not text.isprintable() or len(text) > limits.TEXT_CHARS_MAX:
            return f"{name} must be 1 to {limits.TEXT_CHARS_MAX} printable characters, found {text!r}"
    if len(fact.features) != width:
        return f"features must be {width} bytes, found {len(fact.features)}"
    if not 0 <= fact.captured_at_ns < 2**63:
        return f"captured_at_ns must be 0 to 2^63 - 1, found {fact.captured_at_ns}"
    return ""
