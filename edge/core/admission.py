"""Which facts enter a ledger, and which leave a full concept for them.

A concept holds at most `facts_per_concept` facts.  `keep` names the selector that chooses them
(selection/).  By default a uniform sample of all stays, whatever the order of additions.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

import msgspec
import numpy as np
from numpy.typing import NDArray

from .facts import Concept, Fact, Ledger, Selector
from .selection import NEWEST, RANDOM, SELECTORS, FactPool, keep_rows, rank_ids


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """The effect of adding facts.

    entering: added.  replaced: older versions of these.  evicted: facts that full concepts no
    longer keep.  refused: facts that a full concept does not take.  unchanged, forgotten: numbers
    of facts already known, and forgotten before.  keep: the selector of full concepts.
    """

    entering: tuple[Fact, ...]
    replaced: tuple[Fact, ...]
    evicted: tuple[Fact, ...]
    unchanged: int
    forgotten: int
    refused: tuple[Fact, ...]
    keep: str = RANDOM

    @property
    def detail(self) -> str:
        """Describe replaced, evicted and refused facts, for the acknowledgement."""
        by_age = self.keep == NEWEST
        evicted = "oldest evicted" if by_age else f"evicted from full concepts ({self.keep})"
        refused = "older than a full concept keeps" if by_age else "not kept by a full concept"
        parts = (
            (len(self.replaced), "replaced an older version"),
            (len(self.evicted), evicted),
            (self.unchanged, "already known"),
            (self.forgotten, "forgotten before and not relearned"),
            (len(self.refused), refused),
        )
        return ", ".join(f"{count} {text}" for count, text in parts if count)


def admit(ledger: Ledger, facts: Iterable[Fact], capacity: int, keep: str = RANDOM) -> Admission:
    """Decide which facts enter.  capacity: facts per concept.  keep: the selector of full concepts.
    Cost: one look-up per fact, and for each full concept that of `overflow`.

    A changed fact that its new concept does not keep is evicted, since its old version would
    contradict the correction.  Evicted facts leave no record, so the order of arrival can matter
    for corrections of facts in full concepts, and only for them.
    """
    entering: list[Fact] = []
    before: dict[str, Fact] = {}
    unchanged = forgotten = 0
    for fact in _newest(facts):
        stored = ledger.get(fact.id)
        if ledger.was_forgotten(fact.id) or _resembles(ledger, fact, stored):
            forgotten += 1
        elif stored is not None and not fact.supersedes(stored):
            unchanged += 1
        else:
            entering.append(fact)
            before |= {fact.id: stored} if stored is not None else {}
    out = overflow(ledger, entering, before, capacity, keep)
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
        keep=keep,
    )


def _resembles(ledger: Ledger, fact: Fact, stored: Fact | None) -> bool:
    """Return whether a fact brings content that was forgotten; a stored fact keeps its own."""
    known = stored is not None and stored.features == fact.features
    return not known and ledger.resembles_forgotten(fact.features)


def _newest(facts: Iterable[Fact]) -> Iterable[Fact]:
    """Return the winning version of each fact."""
    newest: dict[str, Fact] = {}
    for fact in facts:
        if fact.id not in newest or fact.supersedes(newest[fact.id]):
            newest[fact.id] = fact
    return newest.values()


def overflow(
    ledger: Ledger,
    entering: Iterable[Fact],
    before: Mapping[str, Fact],
    capacity: int,
    keep: str = RANDOM,
) -> dict[str, Fact]:
    """Return the facts that full concepts do not keep by id, stored or entering.  before: stored
    facts that leave their concept.

    Cost: nothing for concepts with room.  By age, one look-up per fact that leaves; by rank, the
    ids of a concept; else its facts once, and their products, after which a sixteenth of the
    capacity is free again.
    """
    counts = ledger.concepts()
    moving = Counter((fact.domain, fact.label) for fact in before.values())
    arriving: dict[Concept, list[Fact]] = {}
    for fact in entering:
        arriving.setdefault((fact.domain, fact.label), []).append(fact)
    out: dict[str, Fact] = {}
    for concept, rows in arriving.items():
        excess = counts.get(concept, 0) - moving[concept] + len(rows) - capacity
        if excess <= 0:
            continue
        if keep == NEWEST:
            ids = ledger.oldest(*concept, excess + moving[concept])
            pool = [*rows, *_stored(ledger, (one for one in ids if one not in before))]
            pool.sort(key=lambda fact: (fact.captured_at_ns, fact.id))
            leaving = pool[:excess]
        else:
            leaving = _not_selected(ledger, rows, before, capacity, keep)
        out.update({fact.id: fact for fact in leaving})
    return out


def _not_selected(
    ledger: Ledger,
    rows: Sequence[Fact],
    before: Mapping[str, Fact],
    capacity: int,
    keep: str,
) -> list[Fact]:
    """Return the facts of a concept that its selector does not keep.  rows: those that enter."""
    concept = rows[0].domain, rows[0].label
    arriving = {fact.id: fact for fact in rows}
    pool = _ids if SELECTORS[keep].ranked else _contents
    ids, features = pool(ledger, concept, frozenset(before), arriving)
    kept = set(keep_rows(keep, FactPool(features, rank_ids(ids)), capacity).tolist())
    gone = [one for row, one in enumerate(ids) if row not in kept]
    stored = _stored(ledger, (one for one in gone if one not in arriving))
    return [*stored, *(arriving[one] for one in gone if one in arriving)]


def _ids(
    ledger: Ledger, concept: Concept, leaving: AbstractSet[str], arriving: Mapping[str, Fact]
) -> tuple[list[str], NDArray[np.uint8]]:
    """Return the ids of a concept's facts, and no features."""
    domain, label = concept
    stored = set(ledger.select(Selector(domain=domain, label=label))) - leaving
    ids = sorted(stored | arriving.keys())
    return ids, np.empty((len(ids), 0), np.uint8)


def _contents(
    ledger: Ledger, concept: Concept, leaving: AbstractSet[str], arriving: Mapping[str, Fact]
) -> tuple[list[str], NDArray[np.uint8]]:
    """Return the ids and features of a concept's facts, the oldest first."""
    domain, label = concept
    found = [(fact.captured_at_ns, one, fact.features) for one, fact in arriving.items()]
    for batch in ledger.batches(domain, leaving, label):
        raw = (row.tobytes() for row in batch.features)
        found += zip(batch.captured_at_ns.tolist(), batch.ids, raw, strict=True)
    found.sort(key=lambda one: one[:2])
    joined = np.frombuffer(b"".join(raw for _, _, raw in found), np.uint8)
    return [one for _, one, _ in found], joined.reshape(len(found), -1)


def _stored(ledger: Ledger, ids: Iterable[str]) -> list[Fact]:
    return [fact for fact in map(ledger.get, ids) if fact is not None]
