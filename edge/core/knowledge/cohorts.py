"""Cohorts: facts that are published, and withdrawn, only together.

A contribution is a sum, and whoever sees two of them sees their difference.  So facts are published
in cohorts.  A cohort never changes: while all its facts are in one concept of the ledger it may be
published, otherwise it is left out whole.  A new cohort holds at least `COHORT_FRESH_MIN` facts
whose contents were never published before, in any concept.

What follows: no combination of revisions, whatever their number and weights, is a sum over fewer
than `COHORT_FRESH_MIN` contents.  Each revision is a sum of cohorts.  In a combination of cohorts
that is not zero, take the newest with a weight: its fresh contents are in no older cohort, so each
of them has that weight.

Contents are known here by keyed digests alone, so what is remembered names no fact.  It says
nothing against someone who knows the other facts of a cohort, or who taught them.
"""

import hmac
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from ..facts import Concept, FactBatch
from ..limits import COHORT_FRESH_MIN
from ..structs import FrozenStruct

COHORT_FACTS_MAX: Final = 64
"""Facts in a cohort, at most: one forgotten fact withdraws as many.  Chosen by hand; effect not
measured."""

DEPARTED_MAX: Final = 65_536
"""Digests remembered in cohorts that are no longer published: 1 MiB.  Beyond it, the oldest cohort
is dropped, and contents of it that come back count as never published."""

DIGEST_BYTES: Final = 16
"""Length of a digest: two of 2^32 contents are equal with a probability of 2^-65."""

Members = tuple[bytes, ...]


class Published(FrozenStruct, frozen=True, kw_only=True):
    """What a device remembers of its contributions.

    key: of the digests.  cohorts: digests of the contents of each cohort ever published, by
    number, oldest first; one that is there twice counts twice.
    """

    key: bytes = b""
    cohorts: Mapping[int, Members]


NOTHING_PUBLISHED: Final = Published(cohorts={})
"""Of a device that has published nothing; for programs that publish once and keep no record."""


class Cohort(FrozenStruct, frozen=True):
    """Facts of one concept, by their ids, that are published together."""

    concept: Concept
    ids: tuple[str, ...]


class CohortPlan(FrozenStruct, frozen=True, kw_only=True):
    """What may be published next.

    current: all cohorts.  kept: numbers of those that were published before.  added: digests of
    the cohorts that are new.  dropped: numbers of those that no longer need to be remembered.
    """

    current: tuple[Cohort, ...]
    kept: tuple[int, ...]
    added: tuple[Members, ...]
    dropped: tuple[int, ...]


class _Row(FrozenStruct, frozen=True):
    """A fact: its place in time, its id, the digest of its content, its concept."""

    captured_at_ns: int
    id: str
    digest: bytes
    concept: Concept

    @property
    def order(self) -> tuple[int, str]:
        """Facts of one recording, hour or subject lie together, and those that a full concept
        evicts first: forgetting them ends few cohorts."""
        return self.captured_at_ns, self.id


def digest_content(features: bytes, key: bytes) -> bytes:
    """Return the keyed digest of a fact's content, its features."""
    return hmac.digest(key, features, "sha256")[:DIGEST_BYTES]


def may_be_exported(members: Iterable[bytes], earlier: Iterable[Iterable[bytes]]) -> bool:
    """Return whether something that follows from these contents, and from no others, may leave the
    device: enough of them had no part in anything of its kind that left before.

    members: digests.  earlier: those of each thing of the kind.  What was exported as it is may
    always be exported again.
    """
    fresh = set(members).difference(*earlier)
    return len(fresh) >= COHORT_FRESH_MIN


def plan_cohorts(batches: Iterable[FactBatch], published: Published) -> CohortPlan:
    """Return the cohorts that may be published, of all facts.  Cost: one digest a fact."""
    free: dict[bytes, list[_Row]] = {}
    for batch in batches:
        for row in _rows(batch, published.key):
            free.setdefault(row.digest, []).append(row)
    for rows in free.values():
        rows.sort(key=lambda row: row.order)
    current, kept, departed = [], [], []
    for number in sorted(published.cohorts, reverse=True):
        found = _claim(published.cohorts[number], free)
        if found is None:
            departed.append(number)
        else:
            kept.append(number)
            current.append(_cohort(found))
    seen = {digest for members in published.cohorts.values() for digest in members}
    added = []
    for rows in _by_concept(free):
        for cohort in _new_cohorts(rows, seen):
            current.append(_cohort(cohort))
            added.append(tuple(sorted(row.digest for row in cohort)))
            seen.update(row.digest for row in cohort)
    dropped = _overflow([(number, len(published.cohorts[number])) for number in departed])
    return CohortPlan(current=tuple(current), kept=tuple(kept), added=tuple(added), dropped=dropped)


def _cohort(rows: Sequence[_Row]) -> Cohort:
    return Cohort(rows[0].concept, tuple(row.id for row in rows))


def _rows(batch: FactBatch, key: bytes) -> Iterable[_Row]:
    concepts = zip(batch.domains, batch.labels, strict=True)
    columns = zip(batch.captured_at_ns.tolist(), batch.ids, batch.features, concepts, strict=True)
    for captured_at_ns, name, features, concept in columns:
        yield _Row(captured_at_ns, name, digest_content(features.tobytes(), key), concept)


def _claim(members: Members, free: dict[bytes, list[_Row]]) -> list[_Row] | None:
    """Take the facts of a cohort out of those that are free; None if they are not all in one
    concept."""
    needed = Counter(members)
    for concept in dict.fromkeys(row.concept for row in free.get(members[0], ())):
        taken = []
        for digest, count in needed.items():
            rows = [row for row in free.get(digest, ()) if row.concept == concept]
            taken += rows[:count] if len(rows) >= count else []
        if len(taken) == len(members):
            for row in taken:
                free[row.digest].remove(row)
            return taken
    return None


def _by_concept(free: Mapping[bytes, Sequence[_Row]]) -> list[list[_Row]]:
    """Return the facts that are in no cohort, of one concept after the other, in their order."""
    groups: dict[Concept, list[_Row]] = {}
    for rows in free.values():
        for row in rows:
            groups.setdefault(row.concept, []).append(row)
    return [sorted(rows, key=lambda row: row.order) for _, rows in sorted(groups.items())]


def _new_cohorts(rows: Sequence[_Row], seen: AbstractSet[bytes]) -> list[list[_Row]]:
    """Divide facts of a concept into cohorts in their order; those that are left over wait."""
    fresh: dict[bytes, _Row] = {}
    others = []
    for row in rows:
        if row.digest in seen or row.digest in fresh:
            others.append(row)
        else:
            fresh[row.digest] = row
    new = list(fresh.values())
    count = len(new) // COHORT_FRESH_MIN
    if not count:
        return []
    starts = [place * COHORT_FRESH_MIN for place in range(count)]
    made = [new[start:stop] for start, stop in zip(starts, [*starts[1:], None], strict=True)]
    begins = [cohort[0].order for cohort in made]
    for row in others:
        cohort = made[max(0, bisect_right(begins, row.order) - 1)]
        if len(cohort) < COHORT_FACTS_MAX:
            cohort.append(row)
    return made


def _overflow(departed: Sequence[tuple[int, int]]) -> tuple[int, ...]:
    """Return the numbers of the oldest cohorts beyond the limit.  departed: number and size,
    newest first."""
    total, dropped = 0, []
    for number, size in departed:
        total += size
        if total > DEPARTED_MAX:
            dropped.append(number)
    return tuple(dropped)
