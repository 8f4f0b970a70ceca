"""Adaptation of the opened domains, beside their streams.

Session state, bounded: at most `limits.NOVEL_DOMAINS_MAX` domains.  A restart, new facts or a
forget request lets a domain start again from the observations that the session still holds of it.
"""

from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from math import ceil
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..adaptation import (
    DOMAINS_MAX,
    IDS_MAX,
    Adaptation,
    Basis,
    BasisRefit,
    OpeningAdapter,
    leaves_alone,
)
from ..adaptors import Spans
from ..adaptors.adaptor import head_training_set
from ..adaptors.losses import FLIPPED
from ..adaptors.standardisation import LEVELS
from ..events import AppliedAdaptation, Observation
from ..facts import Concept, FactBatch, Ledger, Selector
from ..knowledge import WAITING_FACTS_MIN, Changes, Knowledge
from .few_labels import FewLabelHeads
from .label_buffer import BufferedObservation
from .novel_domains import UnlabelledRow, unpack_rows
from .row_origins import RowOrigins, hashed
from .session_state import SessionState

FEW_LABELS_SHARE: Final = 0.5
"""Facts of an opened domain for each label of the known domains, up to which the adapted answer
serves: with four facts and seven labels it was better than the head of these facts in six trials of
six, with six facts in four (docs/decisions/0021)."""

MATCHED_LABELS_SHARE: Final = 3.0
"""Facts for each label up to which adapted answers go on where they match the facts' labels.  On
the streams of docs/explanation/adaptation.md the head of five facts a label was about as good."""

MATCHED_FACTS_MIN: Final = 4
"""Fewest facts whose labels show whether adapted answers are right.  Chosen by hand."""

MATCHED_FACTS_MAX: Final = 64
"""Facts that are compared, at most: a share of three quarters is then known to within a tenth."""

RIGHT_MIN: Final = 0.75
"""Share of more than few facts that adapted answers must match: where they are right for 43 % of
the samples, as for sketches, they pass with seven facts in 3 % of cases."""

FEW_RIGHT_MIN: Final = 0.3
"""The same of few facts: with one right of four they end."""

STYLE_TAPS: Final = slice(1, 5)
"""Taps of an encoder that describe style rather than content: the first stages after the output,
which comes first.  As in the emulated openings of docs/explanation/policies.md, like the next."""

STYLE_DISTANCE: Final = 1.2
"""Squared distance in style, in variances, up to which opened domains of a stream are one to
adaptation: a run of one label may open a domain, though nothing but the label has changed."""

STYLE_FLOOR: Final = 0.05
"""Share of the mean variance that the variance of every column has at least."""

STYLE_ROWS_MIN: Final = 8
"""Fewest observations of an opened domain that show its style.  Chosen by hand."""

NOTHING: Final[AbstractSet[str]] = frozenset()


class AdaptedOpening(msgspec.Struct, eq=False):
    """One opened domain under adaptation.  ids: hashes of the ids of its rows, newest last; a few
    more than there are rows, for what was solved from earlier ones.  order: whether the order of
    labels took part in the last answer."""

    adapter: OpeningAdapter
    ids: deque[bytes] = msgspec.field(default_factory=lambda: deque(maxlen=IDS_MAX))
    names: RowOrigins = msgspec.field(default_factory=RowOrigins)
    order: bool = False

    def holds(self, selector: Selector) -> bool:
        """Return whether a forget request may reach one of the rows."""
        if selector.ids is not None and set(self.ids).isdisjoint(map(hashed, selector.ids)):
            return False
        return self.names.may_match(selector)


class AdaptedDomain(msgspec.Struct, frozen=True):
    """An opened domain that is adapted to.  applied: how its last answer was adapted, and to how
    many samples; nbytes: what is kept of these."""

    applied: AppliedAdaptation
    nbytes: int


class OpeningRefit(msgspec.Struct, eq=False):
    """The next solution of an opened domain, computed beside serving; see `Refit`."""

    domain: str
    adapter: OpeningAdapter
    seen: int
    rows: NDArray[np.float32]
    made: Adaptation | None = None

    @property
    def name(self) -> str:
        """See `Refit`."""
        return f"adaptation of {self.domain}"

    def gather(self, _ledger: Ledger, without: AbstractSet[str] = NOTHING) -> None:
        """See `Refit`.  The samples are all that it needs."""

    def prepare(self, _changes: Changes, /) -> bool:
        """See `Refit`."""
        return True

    def solve(self) -> None:
        """See `Refit`.  Cost: as `adapt`."""
        self.made = self.adapter.solution(self.rows)

    def is_current(self, _changes: Changes) -> bool:
        """See `Refit`."""
        return True


class AdaptedOpenings:
    """The opened domains under adaptation by name, with the basis that they share.

    ledger: read only.  session: holds the rows that an opened domain starts from.  version: counts
    changes of what `guesses` follows from.  few: heads that take over once a domain has labels.
    """

    def __init__(self, ledger: Ledger, session: SessionState) -> None:
        self._ledger = ledger
        self._session = session
        self.few = FewLabelHeads(ledger, session)
        self._openings: dict[str, AdaptedOpening] = {}
        self._fitted: BasisRefit | None = None
        self._wanted: BasisRefit | None = None
        self._version = self._served_version = -1
        self.version = 0
        self._served: AbstractSet[str] = NOTHING
        self._ended: AbstractSet[str] = NOTHING

    def serves(self, domain: str, known: Knowledge) -> bool:
        """Return whether adapted answers serve a domain that has facts: while they are few, or
        match their labels."""
        if self._served_version != self._session.version:
            self._served_version = self._session.version
            self._served = self._served_domains(known)
        return domain in self._served

    def covers(self, nearest: str, known: Knowledge) -> bool:
        """Return whether adapted answers follow from the facts of the learned domain that a sample
        is nearest to: not where these are of another opened domain, labelled meanwhile."""
        fitted = self._fitted
        return fitted is None or nearest in fitted.domains or self.serves(nearest, known)

    def answer(
        self, domain: str, event: Observation, features: NDArray[np.uint8], known: Knowledge
    ) -> tuple[str, AppliedAdaptation] | None:
        """Answer an observation of an opened domain, and take it into account for the next ones.

        features: uint8 [width].  None while there is no basis: before it is fitted in the
        background, during a forget request, or with fewer than two labels.  Cost: one projection;
        where knowledge defers nothing, a solution every 32 observations.
        """
        opening = self._ready(domain, event, known)
        if opening is None:
            return None
        found = opening.adapter.observe(features)
        opening.ids.append(hashed(event.key))
        opening.names.add(event)
        opening.order = found.order
        labels = opening.adapter.basis.labels
        applied = _applied(found.adaptation, order=found.order)
        return labels[int(found.probabilities.argmax())], applied

    def guesses(
        self, domain: str, rows: NDArray[np.uint8], known: Knowledge
    ) -> tuple[list[str], AppliedAdaptation] | None:
        """Answer samples uint8 [n, width] of an opened domain, each by itself, as they are answered
        now; None for a domain that is not adapted to.  Nothing is kept of them."""
        opening = None if self._learned(domain, known) else self._openings.get(domain)
        if opening is None:
            return None
        made, basis = opening.adapter.adaptation, opening.adapter.basis
        places = made.logits(basis, basis.project(rows)).argmax(axis=1).tolist()
        return [basis.labels[at] for at in places], _applied(made, order=False)

    def domains(self, known: Knowledge) -> dict[str, AdaptedDomain]:
        """Return what is adapted to at the moment, by opened domain."""
        return {
            domain: AdaptedDomain(
                _applied(one.adapter.adaptation, order=one.order), one.adapter.nbytes
            )
            for domain, one in sorted(self._openings.items())
            if not self._learned(domain, known)
        }

    def next_refit(self) -> BasisRefit | OpeningRefit | None:
        """Return what is to be fitted in the background: the basis, then solutions that are due."""
        if self._wanted is not None:
            return self._wanted
        due = [name for name, opening in self._openings.items() if opening.adapter.due]
        if not due:
            return None
        # The one that has waited longest, so that busy domains do not keep others waiting.
        domain = max(due, key=lambda name: self._openings[name].adapter.waiting)
        adapter = self._openings[domain].adapter
        return OpeningRefit(domain, adapter, adapter.seen, adapter.rows())

    def accept(self, refit: BasisRefit | OpeningRefit, *, solved: bool) -> None:
        """Take in what was fitted in the background, unless it no longer counts.  solved: False if
        that failed; a solution is then tried again with the next samples, a basis at once."""
        if isinstance(refit, OpeningRefit):
            opening = self._openings.get(refit.domain)
            if opening is None or opening.adapter is not refit.adapter:
                return
            made = refit.made if solved and refit.made else opening.adapter.adaptation
            opening.adapter.accept(made, refit.seen)
            self.version += 1
        elif refit is self._wanted:
            if solved:
                self._take(refit)
            else:
                self._wanted, self._version = None, -1

    def holds(self, selector: Selector) -> bool:
        """Return whether a forget request may reach a row of an opened domain, or one that a head
        has learned from without a label."""
        opened = any(opening.holds(selector) for opening in self._openings.values())
        return opened or self.few.holds(selector)

    def forget(self) -> None:
        """Drop everything: it may stem from forgotten facts or observations.  What is left of both
        is adapted to again."""
        self._fitted = self._wanted = None
        self._version = self._served_version = -1
        self._ended = NOTHING
        self.few.forget()
        self._drop()

    def _ready(self, domain: str, event: Observation, known: Knowledge) -> AdaptedOpening | None:
        """Return a domain under adaptation, None if it must wait.  event: to be answered.  New
        facts count from the next solution on, not one by one."""
        # Between a forget request and its receipt, the ledger may still hold what must not serve.
        if known.dropped.pending:
            return None
        found = self._openings.get(domain)
        if found is None or found.adapter.due:
            basis = self._current_basis(known)
            if basis is None:
                return None
            found = self._openings.get(domain) or self._open(domain, event, basis, known)
            if found.adapter.due and not known.deferring:
                found.adapter.solve()
                self.version += 1
        return found

    def _current_basis(self, known: Knowledge) -> Basis | None:
        """Return the basis of today's facts; where these may wait, the last one meanwhile."""
        if self._version != self._session.version:
            self._version = self._session.version
            self._close(known)
            opened = self._session.novel_domains.names
            contents = {
                concept: content
                for concept, content in self._ledger.contents().items()
                if concept[0] not in opened
            }
            if self._fitted is None or contents != self._fitted.contents:
                self._want(known, contents)
            else:
                self._wanted = None
        return self._fitted.made if self._fitted is not None else None

    def _want(self, known: Knowledge, contents: Mapping[Concept, str]) -> None:
        """Fit a basis to the facts, now or in the background.

        The heads of all domains have an equal say, so that a label that few of them know would
        never be answered: only domains with every label take part.
        """
        labels: dict[str, set[str]] = {}
        for domain, label in contents:
            labels.setdefault(domain, set()).add(label)
        every = set().union(*labels.values())
        counts = {name: n for name, n in _facts(known).items() if labels.get(name) == every}
        domains = sorted(sorted(counts), key=counts.__getitem__, reverse=True)[:DOMAINS_MAX]
        refit = BasisRefit(
            domains=domains, spans=known.geometry.slices, contents=contents, tuned=known.tuned
        )
        if not domains:
            self._take(refit)
        elif known.deferring and sum(_facts(known).values()) > WAITING_FACTS_MIN:
            # Also where sums of other devices let the knowledge itself not wait.
            self._wanted = refit
        elif known.fit_now(refit):
            self._take(refit)

    def _take(self, refit: BasisRefit) -> None:
        self._fitted, self._wanted = refit, None
        self._drop()

    def _drop(self) -> None:
        self._openings.clear()
        self.version += 1

    def _close(self, known: Knowledge) -> None:
        """Drop the domains that are no longer opened ones: learned, merged or gone."""
        opened = self._session.novel_domains.names
        for domain in tuple(self._openings):
            if self._learned(domain, known) or domain not in opened:
                del self._openings[domain]
                self.version += 1

    def _learned(self, domain: str, known: Knowledge) -> bool:
        """Return whether a domain has too many facts to be adapted to."""
        return domain in known.domains and not self.serves(domain, known)

    def _served_domains(self, known: Knowledge) -> frozenset[str]:
        """Return the opened domains with facts of this device alone that adapted answers serve."""
        opened = self._session.novel_domains.names
        labels = len({label for domain, label in known.own.counts if domain not in opened})
        every = Counter[str]()
        for (domain, _), count in known.memory.counts.items():
            every[domain] += count
        own = {
            domain: count
            for domain, count in _facts(known).items()
            if domain in opened and every[domain] == count <= MATCHED_LABELS_SHARE * labels
        }
        few = ceil(FEW_LABELS_SHARE * labels)
        adapted = frozenset(
            domain
            for domain, count in own.items()
            if domain not in self._ended and self._suits(domain, known, few=count <= few)
        )
        # What has ended once does not begin again: its head learns on.
        self._ended = (self._ended | own.keys() - adapted) & opened
        return adapted

    def _suits(self, domain: str, known: Knowledge, *, few: bool) -> bool:
        """Return whether adapted answers match the labels of a domain's facts; unknown, they suit
        only few facts.  Where the known domains answer as they are, they must match more of them
        than the head of the facts does, by more than `FLIPPED`.

        The adaptation has seen these samples, and none of their labels.
        """
        opening = self._openings.get(domain)
        facts = self._ledger.sample(MATCHED_FACTS_MAX, (domain,))
        if opening is None or len(facts) < MATCHED_FACTS_MIN or domain in self._ledger.adaptors():
            return few
        made, basis = opening.adapter.adaptation, opening.adapter.basis
        places = made.logits(basis, basis.project(facts.features)).argmax(axis=1).tolist()
        right = sum(basis.labels[at] == one for at, one in zip(places, facts.labels, strict=True))
        if right < (FEW_RIGHT_MIN if few else RIGHT_MIN) * len(facts):
            return False
        return (
            few
            or not leaves_alone(basis)
            or right > FLIPPED + self._head_right(domain, facts, known)
        )

    def _head_right(self, domain: str, facts: FactBatch, known: Knowledge) -> int:
        """Return how many facts of a domain its head answers with their label when they are left
        out.  Cost: 5 ms with digits of 64 columns; a few solutions with as many facts as these and
        `OTHER_FACTS`."""
        _, others = known.training_facts(domain)
        made = head_training_set(facts, others, known.geometry.slices, None)
        return made.right_left_out()

    def _open(
        self, domain: str, event: Observation, basis: Basis, known: Knowledge
    ) -> AdaptedOpening:
        """Start to adapt to a domain, or go on with one of the same stream and style.

        event: to be answered, which is not taken twice.  A new one starts with the rows of all
        domains alike, as far as their origin is known.
        """
        alike = self._alike(domain, event, known)
        shared = [self._openings[name] for name in alike if name in self._openings]
        made = shared[-1] if shared else self._started(alike, event, basis)
        self._openings[domain] = made
        self.version += 1
        return made

    def _started(self, domains: Sequence[str], event: Observation, basis: Basis) -> AdaptedOpening:
        made = AdaptedOpening(OpeningAdapter(basis))
        rows = []
        for domain in domains:
            for key, held, buffered in self._rows_of(domain):
                if key != event.key:
                    rows.append(held)
                    made.ids.append(hashed(key))
                    made.names.add(buffered)
        if rows:
            made.adapter.extend(unpack_rows(rows))
        return made

    def _alike(self, domain: str, event: Observation, known: Knowledge) -> list[str]:
        """Return the opened domains that a stream has visited and that are one with an opened one
        to adaptation; it comes last."""
        found, rows = [], [held for _, held, _ in self._rows_of(domain)]
        for name in sorted(self._session.novel_domains.names - {domain}):
            learned = self._learned(name, known)
            others = list(self._rows_of(name))
            visited = any(one.stream == event.stream for _, _, one in others)
            if learned or not visited or min(len(rows), len(others)) < STYLE_ROWS_MIN:
                continue
            if are_alike(rows, [held for _, held, _ in others], known.geometry.slices):
                found.append(name)
        return [*found, domain]

    def _rows_of(self, domain: str) -> Iterator[tuple[str, UnlabelledRow, BufferedObservation]]:
        """Yield the rows of an opened domain whose origin is known: id, features, origin."""
        for key, held in self._session.novel_domains.rows(domain).items():
            buffered = self._session.label_buffer.get(key)
            if buffered is not None:
                yield key, held, buffered


def are_alike(here: Sequence[UnlabelledRow], there: Sequence[UnlabelledRow], taps: Spans) -> bool:
    """Return whether two sets of rows have one style, and may differ by their labels alone; not
    where the encoder has no taps that show it."""
    style = taps[STYLE_TAPS]
    if not style:
        return False
    columns = slice(style[0][0], style[-1][1])
    one, other = (LEVELS[unpack_rows(rows)[:, columns]] for rows in (here, there))
    variance = (len(one) * one.var(axis=0) + len(other) * other.var(axis=0)) / (
        len(one) + len(other)
    )
    moved = np.square(one.mean(axis=0) - other.mean(axis=0))
    distance = np.mean(moved / (variance + STYLE_FLOOR * variance.mean() + 1e-9))
    return bool(distance < STYLE_DISTANCE)


def _facts(known: Knowledge) -> Counter[str]:
    """Return the number of own facts of each domain."""
    counts = Counter[str]()
    for (domain, _), count in known.own.counts.items():
        counts[domain] += count
    return counts


def _applied(made: Adaptation, *, order: bool) -> AppliedAdaptation:
    return AppliedAdaptation(strength=round(made.strength, 3), samples=made.count, order=order)
