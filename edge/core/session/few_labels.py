"""Heads of domains with few labels, which learn from unlabelled observations too.

Session state, bounded, beside the label buffer that the observations come from: at most
`DOMAINS_MAX` heads, each solved from facts and from observations that the buffer still holds.  New
facts and forget requests drop them, and the heads of the facts alone answer until they are solved
again.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from .. import limits
from ..adaptation import Group, learn_unlabelled
from ..adaptors import Adaptor, AdaptorRecord, FittedHead, Spans
from ..facts import Concept, FactBatch, Ledger, Selector
from ..knowledge import Changes, Knowledge, training_facts
from ..structs import FrozenStruct
from .label_buffer import BufferedObservation
from .label_columns import cluster_samples
from .row_origins import RowOrigins, hashed
from .session_state import SessionState

DOMAINS_MAX: Final = 8
"""Domains with few labels whose heads are kept: as many as adaptation knows.  Chosen by hand."""

FACTS_A_LABEL_MAX: Final = 20
"""Facts for each label, on average, up to which unlabelled observations are learned from: at 5, 10
and 20 they gained 4, 2.5 and 1.7 points on art, cartoons, sketches and CIFAR-10
(docs/explanation/answers.md)."""

LABELS_MIN: Final = 2
"""Labels without which there is nothing to tell apart."""

COLUMN_FACTS_A_LABEL_MAX: Final = 4
"""Facts for each label, on average, up to which label columns have a say: with one and two random
facts they gained 1 and 1.7 points on PACS, with three none, with five they lost .8, each
over unlabelled samples alone (docs/explanation/answers.md)."""

ROWS_MIN: Final = 128
"""Fewest unlabelled observations: on PACS 128 gained .9 points, 384 1.9 and 768 2.6."""

ROWS_MAX: Final = 1_024
"""Newest unlabelled observations learned from: time grows with their square.  Chosen by hand."""

GROWN_BY: Final = 1.5
"""Observations are learned again once they are this many times as many.  Chosen by hand; effect not
measured."""

NOTHING: Final[AbstractSet[str]] = frozenset()

Rows = Mapping[str, bytes]


class FewLabelsRefit(msgspec.Struct, eq=False, kw_only=True):
    """The head of a domain with few labels, computed beside serving; see `Refit`.

    learned: all domains with facts.  record: of the domain's trained adaptor, or None.  rows:
    features of unlabelled observations by id, and their origins.  contents: of the ledger.  made:
    the result, None where unlabelled observations do not help.
    """

    domain: str
    learned: tuple[str, ...]
    record: AdaptorRecord | None
    spans: Spans
    rows: Rows
    origins: RowOrigins
    contents: Mapping[Concept, str]
    made: FittedHead | None = None
    _facts: tuple[FactBatch, FactBatch] | None = None

    @property
    def name(self) -> str:
        """See `Refit`."""
        return f"few labels of {self.domain}"

    def gather(self, ledger: Ledger, without: AbstractSet[str] = NOTHING) -> None:
        """See `Refit`."""
        if self.record is not None:
            len(self.record.arrays)
        self._facts = training_facts(ledger, self.domain, self.learned, without)

    def prepare(self, _changes: Changes, /) -> bool:
        """See `Refit`."""
        return self._facts is not None and len(self._facts[0]) > 0

    def solve(self) -> None:
        """See `Refit`.  Cost: that of `learn_unlabelled`."""
        assert self._facts is not None, "gather comes first"
        own, others = self._facts
        facts = set(own.ids)
        kept = [held for key, held in sorted(self.rows.items()) if key not in facts]
        rows = np.frombuffer(b"".join(kept), np.uint8).reshape(len(kept), -1)
        self._facts = None
        if len(rows):
            self.made = learn_unlabelled(
                own, others, rows, self.spans, self.record, group=column_clusters(own, rows)
            )

    def is_current(self, _changes: Changes) -> bool:
        """See `Refit`."""
        return True


def column_clusters(own: FactBatch, rows: NDArray[np.uint8]) -> Group | None:
    """Return what makes label columns of a domain's unlabelled rows; None where it has more than
    very few facts a label, whose own answers are better."""
    if len(own) > COLUMN_FACTS_A_LABEL_MAX * len(set(own.labels)):
        return None
    return partial(cluster_samples, rows, own)


class _Learned(FrozenStruct, frozen=True, eq=False):
    """What was last solved for a domain.  head: None where unlabelled observations do not help.
    record: of the trained adaptor that it is solved on.  ids: hashes of the observations' ids;
    origins: of the observations."""

    head: FittedHead | None
    record: AdaptorRecord | None
    ids: frozenset[bytes]
    origins: RowOrigins

    @property
    def rows(self) -> int:
        """The number of observations."""
        return len(self.ids)

    def holds(self, selector: Selector) -> bool:
        """Return whether a forget request may reach one of the observations."""
        if selector.ids is not None and self.ids.isdisjoint(map(hashed, selector.ids)):
            return False
        return self.origins.may_match(selector)


class FewLabelHeads:
    """The heads of domains with few labels.  ledger: read only.  session: holds the observations.
    version: counts changes of what they answer."""

    def __init__(self, ledger: Ledger, session: SessionState) -> None:
        self._ledger, self._session = ledger, session
        self._learned: dict[str, _Learned] = {}
        self._seen = Counter[str]()
        self._due: dict[str, None] = {}
        self._wanted: FewLabelsRefit | None = None
        self._version = -1
        self._contents: Mapping[Concept, str] = {}
        self._few: AbstractSet[str] = NOTHING
        self.version = 0

    def answer(self, domain: str, features: NDArray[np.uint8], known: Knowledge) -> str | None:
        """Answer an observation uint8 [width] of a domain and count it; None where the domain's own
        adaptor answers."""
        self._check(known)
        if domain not in self._few:
            return None
        self._seen[domain] += 1
        found = self._learned.get(domain)
        # The buffer holds this observation once it is answered.
        if self._seen[domain] > (ROWS_MIN if found is None else GROWN_BY * found.rows):
            self._solve_soon(domain, known)
            found = self._learned.get(domain)
        if found is None or found.head is None:
            return None
        return found.head.labels[int(found.head.answer(features).argmax())]

    def guesses(
        self, domain: str, rows: NDArray[np.uint8], known: Knowledge
    ) -> tuple[list[str], int] | None:
        """Answer samples uint8 [n, width] of a domain as they are answered now, with the number of
        unlabelled observations learned from; None where the domain's own adaptor answers."""
        self._check(known)
        found = self._learned.get(domain)
        if domain not in self._few or found is None or found.head is None:
            return None
        places = found.head.answer(rows).argmax(axis=1).tolist()
        return [found.head.labels[at] for at in places], found.rows

    def next_refit(self, known: Knowledge) -> FewLabelsRefit | None:
        """Return a head that is due, to be solved in the background."""
        self._check(known)
        if self._wanted is None:
            for domain in tuple(self._due):
                del self._due[domain]
                self._wanted = self._refit(domain, known)
                if self._wanted is not None:
                    break
        return self._wanted

    def accept(self, refit: FewLabelsRefit, known: Knowledge, *, solved: bool) -> None:
        """Take in a head solved in the background, if facts, adaptors and observations are still
        those."""
        self._check(known)
        if refit is not self._wanted:
            return
        self._wanted = None
        if solved:
            self._take(refit)

    def holds(self, selector: Selector) -> bool:
        """Return whether a forget request may reach an observation that a head has learned from, or
        that one is being solved with: these may have left the label buffer since."""
        solving = self._wanted is not None and _learned(self._wanted).holds(selector)
        return solving or any(one.holds(selector) for one in self._learned.values())

    def forget(self) -> None:
        """Drop everything: it may stem from forgotten facts or observations.  What is left of both
        is learned again."""
        self._learned.clear()
        self._due.clear()
        self._wanted, self._version = None, -1
        self._contents, self._few = {}, NOTHING
        self.version += 1

    def _check(self, known: Knowledge) -> None:
        """Drop what new facts, facts of other devices and trained adaptors have outdated."""
        self._drop_replaced()
        if self._version == self._session.version and not known.dropped.pending:
            return
        self._version = self._session.version
        contents = NOTHING_LEARNED if known.dropped.pending else self._ledger.contents()
        few = frozenset(_few_labels(known)) if contents else NOTHING
        if (contents, few) == (self._contents, self._few):
            return
        self._contents, self._few = dict(contents), few
        for name in self._seen.keys() - few:
            del self._seen[name]
        self._drop(frozenset((*self._learned, *self._solving)))
        self._due = {name: None for name in self._due if name in few}

    def _drop_replaced(self) -> None:
        """Drop what was solved on a trained adaptor that serves no more, or before there was
        one."""
        if not self._learned and self._wanted is None:
            return
        found = {name: one.record for name, one in self._learned.items()}
        if self._wanted is not None:
            found[self._wanted.domain] = self._wanted.record
        self._drop(
            frozenset(
                name for name, record in found.items() if _key(record) != _key(self._newest(name))
            )
        )

    def _drop(self, domains: AbstractSet[str]) -> None:
        """Drop heads, and solve them again: there are observations enough."""
        if not domains:
            return
        for name in domains:
            self._learned.pop(name, None)
        if not domains.isdisjoint(self._solving):
            self._wanted = None
        self._due |= dict.fromkeys(sorted(domains))
        self.version += 1

    @property
    def _solving(self) -> tuple[str, ...]:
        return () if self._wanted is None else (self._wanted.domain,)

    def _newest(self, domain: str) -> AdaptorRecord | None:
        """Return the trained adaptor that serves a domain."""
        versions = self._ledger.adaptors().get(domain, ())
        return versions[0] if versions else None

    def _solve_soon(self, domain: str, known: Knowledge) -> None:
        """Solve a head now where decisions wait for nothing, else in the background."""
        self._seen[domain] = 0
        if known.deferring:
            self._due[domain] = None
            return
        refit = self._refit(domain, known)
        if refit is not None and known.fit_now(refit):
            self._take(refit)

    def _refit(self, domain: str, known: Knowledge) -> FewLabelsRefit | None:
        """Return what solves the head of a domain; None with too few observations, or where a
        kernel answers, or the nearest facts revise the head."""
        adaptor = known.ready_adaptor(domain) if domain in self._few else None
        held = self._buffered(domain)
        if not _is_plain(adaptor) or len(held) < ROWS_MIN:
            return None
        origins = RowOrigins()
        for _, one in held:
            origins.add(one)
        return FewLabelsRefit(
            domain=domain,
            learned=known.learned,
            record=self._newest(domain),
            spans=known.geometry.slices,
            rows={key: one.features for key, one in held},
            origins=origins,
            contents=dict(self._ledger.contents()),
        )

    def _buffered(self, domain: str) -> list[tuple[str, BufferedObservation]]:
        """Return the newest buffered observations of a domain, `ROWS_MAX` at most."""
        held = self._session.label_buffer.items()
        return [(key, one) for key, one in held if one.domain == domain][-ROWS_MAX:]

    def _take(self, refit: FewLabelsRefit) -> None:
        self._learned.pop(refit.domain, None)
        self._learned[refit.domain] = _learned(refit)
        while len(self._learned) > DOMAINS_MAX:
            del self._learned[next(iter(self._learned))]
        self._seen[refit.domain] = len(refit.rows)
        self.version += 1


NOTHING_LEARNED: Final[Mapping[Concept, str]] = {}
"""The contents of a ledger while a forget request is carried out."""


def _learned(refit: FewLabelsRefit) -> _Learned:
    """Return what a refit has learned, or learns, and from which observations."""
    ids = frozenset(map(hashed, refit.rows))
    return _Learned(refit.made, refit.record, ids, refit.origins)


def _key(record: AdaptorRecord | None) -> tuple[object, ...]:
    """Return what tells the trained adaptors of a domain apart, without reading their arrays."""
    return () if record is None else (record.version, record.blueprint, record.seed)


def _few_labels(known: Knowledge) -> Iterator[str]:
    """Yield the domains that this device alone has facts of, two labels or more, and few facts."""
    own, every = Counter[str](), Counter[str]()
    labels = Counter(domain for domain, _ in known.own.counts)
    for counts, made in ((known.own.counts, own), (known.memory.counts, every)):
        for (domain, _), count in counts.items():
            made[domain] += count
    for domain, count in own.items():
        few = count <= FACTS_A_LABEL_MAX * labels[domain]
        bounded = count <= limits.HEAD_FACTS_MAX
        if few and bounded and labels[domain] >= LABELS_MIN and every[domain] == count:
            yield domain


def _is_plain(adaptor: Adaptor | None) -> bool:
    """Return whether a head alone answers."""
    return isinstance(adaptor, FittedHead) and adaptor.evidence is None
