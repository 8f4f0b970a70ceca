"""Knowledge: everything derived from a ledger under a frozen geometry, and nothing else.

`derive_knowledge(ledger, geometry)` builds it; `add` and `remove` keep it up to date, exactly.
Contributions of other devices are in the ledger too; their sums are added to those of the own
facts.  Thresholds, heads and the router are computed on first use after a change, always from the
ledger's facts, so the order in which facts arrived leaves no trace.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Final, cast

import numpy as np
from numpy.typing import NDArray

import hdc

from ..adaptors import Adaptor, AdaptorRecord, fit_adaptor
from ..errors import EdgeError
from ..facts import (
    Derived,
    Fact,
    FactBatch,
    Ledger,
    SampleScope,
    hash_rank,
)
from ..recalibration import CalibrationStatus
from ..router import Router, allot_facts
from .cohorts import NOTHING_PUBLISHED, Published, plan_cohorts
from .contributions import (
    Contribution,
    ContributionSums,
    Publication,
    count_facts,
    merge_thresholds,
    read_contribution,
)
from .grouping import by_concept, concepts_of
from .heads import SolvedHeads
from .moments import GRAM_COLUMNS_MAX, Moments, NearestConceptAnswer, PooledAnswers
from .published_sums import sum_published
from .refits import (
    Changes,
    FactChange,
    HeadRefit,
    Refit,
    RouterRefit,
    ThresholdsRefit,
    Turns,
    same_record,
    training_facts,
)
from .saved_parts import SavedParts
from .saved_sums import SavedSums
from .thresholds import Thresholds
from .time_sample import status_of

Concept = tuple[str, str]

WAITING_FACTS_MIN: Final = 256
"""Facts up to which thresholds, router and adaptor are always computed on the spot: that takes
about as long as an observation of the shipped encoder takes in all."""


class Knowledge:
    """Integer sums per concept, with the thresholds and heads that follow from the ledger.

    ledger: read only.  geometry: frozen.  leaving: ids of facts that are about to be erased from
    the ledger and do not count.  All others must be added, see `derive_knowledge`.
    own: sums of the own facts.  memory: the same plus other devices' contributions.

    deferring: set it to True where `next_refit` is called regularly.  After new facts, decisions
    then use the last thresholds, router and adaptors until those of today are computed in the
    background; sums always are today's.  What facts that are forgotten have shaped never serves,
    and `digest` and `contribute` never use anything but today's.
    """

    def __init__(
        self, ledger: Ledger, geometry: hdc.Geometry, leaving: AbstractSet[str] = frozenset()
    ) -> None:
        self.geometry = geometry
        self.own = hdc.Memory(geometry)
        self.memory = self.own
        self.saved = SavedSums(ledger, geometry)
        self.reuses = True
        self._ahead = False
        self._parts = SavedParts(ledger, geometry)
        self._ledger = ledger
        self._leaving = leaving
        self._contributed: dict[str, tuple[Contribution, hdc.Calibration]] = {}
        self._domains: tuple[str, ...] | None = None
        self._learned: tuple[str, ...] | None = None
        self.deferring = False
        self._thresholds = Thresholds()
        self._serving_calibration: hdc.Calibration | None = None
        self._waits: bool | None = None
        self._heads = SolvedHeads()
        self._new_domains: set[str] = set()
        self._router: RouterRefit | None = None
        self._router_current = self._router_checked = False
        self._router_usable: bool | None = None
        self._settled = False
        self._failed: set[str] = set()
        self._turns = Turns()
        self._refit: tuple[Refit, Changes] | None = None
        self._moments: Moments | None = None
        self._pooled: PooledAnswers | None = None

    def add(self, facts: Iterable[Fact]) -> None:
        """Add facts to the sums.  Cost: one projection and one addition per fact."""
        given = tuple(facts)
        self._leaving = self._leaving - {fact.id for fact in given}
        self._ahead = True
        before = set(self.learned)
        self._new_domains = (self._new_domains & before) | {f.domain for f in given} - before
        for (domain, label), rows in by_concept(given):
            self._change(domain, label, rows, 1)
        self._invalidate(given)

    def remove(self, facts: Iterable[Fact], *, forgotten: bool = False) -> None:
        """Subtract facts from the sums, exactly.  While the ledger still holds them, nothing
        derived takes them into account.  forgotten: nothing that they have shaped serves on."""
        given = tuple(facts)
        self._leaving = frozenset(fact.id for fact in given)
        for (domain, label), rows in by_concept(given):
            self._change(domain, label, rows, -1)
        self._invalidate(given, removed=True, forgotten=forgotten)

    def ledger_applied(self) -> None:
        """Note that the ledger now holds the added facts and no longer the removed ones."""
        self._leaving, self._ahead = frozenset(), False

    def derived_state(self) -> Iterator[Derived]:
        """Yield what the ledger may keep and does not keep yet; only while the ledger holds exactly
        the facts added here."""
        if not self._leaving and self.own.counts == self._ledger.concepts():
            yield from self.saved.changed(self.own)
            if not self._contributed:
                yield from self._changed_parts()

    def _changed_parts(self) -> Iterator[Derived]:
        yield from self._parts.thresholds_entries(dict(self._thresholds.current()))
        if self._router is not None and self._check_router():
            yield from self._parts.router_entry(self._router)
        for domain, solved in self._heads.current():
            if domain in self.learned:
                yield from self._parts.head_entry(domain, self._serving(domain), solved)

    def set_contributions(self, contributions: Mapping[str, Contribution], card: str) -> None:
        """Replace the contributions, by device, whose sums are added to those of the own facts.

        Those of another card, geometry or columns, and invalid ones, are left out.  Cost: one pass
        over their arrays.
        """
        self.memory, self._contributed = self.own, {}
        for device, one in sorted(contributions.items()):
            fits = one.fits(card, self.geometry, self._ledger.columns())
            sums = read_contribution(one, self.geometry) if fits else ""
            if one.samples and isinstance(sums, ContributionSums):
                self.memory = self.own.copy() if self.memory is self.own else self.memory
                self.memory.merge(sums.memory)
                self._contributed[device] = one, sums.calibration
        self._invalidate()

    @property
    def contributing(self) -> tuple[str, ...]:
        """The devices whose sums are included, sorted."""
        return tuple(self._contributed)

    def contribute(
        self, device: str, card: str, revision: int, published: Published = NOTHING_PUBLISHED
    ) -> Publication:
        """Return the contribution of the own facts that may be published after those published so
        far.  Cost: about that of a calibration, and two passes over the facts."""
        made = Contribution(
            device=device,
            card=card,
            geometry=self.geometry.fingerprint,
            geometry_version=self.geometry.version,
            seed=self.geometry.seed,
            revision=revision,
            columns=self._ledger.columns(),
        )
        plan = plan_cohorts(self._batches(), published)
        if plan.current:
            arrays = sum_published(self._batches, self.own, plan.current)
            samples = sum(len(cohort.ids) for cohort in plan.current)
            made = replace(made, samples=samples, arrays=arrays)
        return Publication(made, plan)

    def calibration(self) -> hdc.Calibration:
        """Return the calibration: held-out scores of the own facts, which set the thresholds.

        Cost: `limits.CALIBRATION_FACTS_MAX` projections and scores per domain that has changed,
        unless these may wait; a domain that is new since has none until then, so that nothing of
        it is called known or novel.
        """
        if self._serving_calibration is None:
            self._serving_calibration = self._calibrate(may_wait=self._may_wait())
        return self._serving_calibration

    def _calibrate(self, *, may_wait: bool) -> hdc.Calibration:
        missing = self._thresholds.missing(self.learned, may_wait=may_wait)
        kept = self._parts.thresholds(missing) if missing and self._may_reuse() else {}
        for domain in missing:
            made = kept.get(domain)
            if made is None:
                refit = self._thresholds_refit(domain)
                self._finish(refit)
                made = refit.made
                assert made is not None, "it was solved"
            self._thresholds.put(domain, made, current=True)
        made = self._thresholds.merged(self.learned, self.memory)
        if self._contributed:
            contributed = (one for _, one in self._contributed.values())
            made = merge_thresholds(made, contributed, self.geometry)
        return made

    def calibration_status(self, rate: float) -> tuple[CalibrationStatus, ...]:
        """Return how each learned domain was calibrated.  rate: of false alarms, as chosen."""
        made = self.calibration()
        return tuple(status_of(domain, made, rate) for domain in self.learned)

    def adaptor(self, domain: str) -> Adaptor:
        """Return the adaptor that answers for a domain, solved now if facts have changed.

        The own facts answer if they are the majority in the domain and include every label of it;
        otherwise the sums of all devices do.  Raises KeyError for a domain without facts anywhere.
        """
        may_wait = self._may_wait()
        cached = self._heads.get(domain, may_wait=may_wait)
        if cached is not None:
            return cached
        if self._uses_sums(domain):
            made, scopes = self._solve_from_sums(domain), (SampleScope(), SampleScope())
        elif may_wait and domain in self._new_domains:
            self._heads.use(domain)
            self._settled = False
            return self._nearest_concept(domain)
        else:
            refit = self._head_refit(domain, self._serving(domain))
            if not (self._may_reuse() and self._parts.head(refit)) and not self._finish(refit):
                raise KeyError(domain)
            made, scopes = cast("Adaptor", refit.made), refit.scopes
        self._heads.store(domain, made, scopes)
        self._new_domains.discard(domain)
        return made

    def ready_adaptor(self, domain: str) -> Adaptor | None:
        """Return a domain's adaptor, None if it would first be solved in the background."""
        return self._heads.get(domain, may_wait=True) if self._may_wait() else self.adaptor(domain)

    def answers_now(self, domain: str) -> bool:
        """Return whether a domain's adaptor is ready; if it is not, `next_refit` returns it."""
        if self.ready_adaptor(domain) is not None:
            return True
        self._heads.use(domain)
        self._settled = False
        return False

    def can_answer(self, domain: str, label: str) -> bool:
        """Return whether a domain's adaptor can answer with a label: False for a label that is new
        since the adaptor was solved."""
        return not self._heads.is_outdated(domain) or label in self.adaptor(domain).labels

    def next_refit(self) -> Refit | None:
        """Return a part that new facts have outdated, to fit in the background; None if there is
        none.  See `Turns`; at first thresholds, then the router, then adaptors in the order of
        their last use.  Pass the result to `accept`; only the last one returned is accepted."""
        outdated = (one for one in self._outdated() if one.name not in self._failed)
        found = None if self._settled else self._turns.take(outdated)
        self._settled = found is None
        self._refit = None if found is None else (found, Changes())
        return found

    def _outdated(self) -> Iterator[Refit]:
        """Yield the parts that new facts have outdated."""
        if not self._contributed and (self._router is not None or self._heads.in_use):
            yield from map(self._thresholds_refit, self._thresholds.outdated(self.learned))
            if self.learned and (self._router is None or not self._check_router()):
                yield self._router_refit()
        for domain in self._heads.missing():
            if domain in self.learned and not self._uses_sums(domain):
                yield self._head_refit(domain, self._serving(domain))

    def prepare(self, refit: Refit) -> bool:
        """Let a refit take what it needs once its facts are read; False if it has to be dropped."""
        return self._refit is not None and self._refit[0] is refit and refit.prepare(self._refit[1])

    def accept(self, refit: Refit, *, solved: bool) -> None:
        """Take in a part that was fitted in the background, if it still counts.  solved: False if
        that failed: it is then computed when needed, and in the background once facts change."""
        expected, self._refit = self._refit, None
        if expected is None or expected[0] is not refit:
            return
        self._serving_calibration = self._router_usable = None
        if not solved:
            self._failed.add(refit.name)
        self._install(refit, current=solved and refit.is_current(expected[1]))

    def _install(self, refit: Refit, *, current: bool) -> None:
        match refit:
            case ThresholdsRefit(domain=domain, made=None):
                self._thresholds.drop(domain)
            case ThresholdsRefit(domain=domain, made=hdc.Calibration() as made):
                if domain in self.learned:
                    self._thresholds.put(domain, made, current=current)
            case RouterRefit(made=None):
                self._router = None
            case RouterRefit():
                if current or not self._router_current:
                    self._router, self._router_current = refit, current
                    self._router_checked = False
            case HeadRefit():
                same = same_record(refit.record, self._serving(refit.domain))
                if same and refit.domain in self.learned:
                    self._accept_head(refit, current=current)

    def _accept_head(self, refit: HeadRefit, *, current: bool) -> None:
        self._heads.accept(refit.domain, refit.made, refit.scopes, current=current)
        self._new_domains.discard(refit.domain)

    def head_for(self, record: AdaptorRecord) -> HeadRefit | None:
        """Return the head that a domain would have on top of a record that does not serve yet; None
        if own facts would not answer.  Pass the result to `accept` once the record serves."""
        domain = record.domain
        if domain not in self.learned or self._uses_sums(domain):
            return None
        refit = self._head_refit(domain, record)
        self._refit = refit, Changes()
        return refit

    def _may_wait(self) -> bool:
        """Return whether decisions may use what was computed before the newest facts."""
        if self._waits is None:
            facts = sum(self.own.counts.values())
            self._waits = self.deferring and not self._contributed and facts > WAITING_FACTS_MIN
        return self._waits

    def _may_reuse(self) -> bool:
        """Return whether the ledger holds exactly the facts added here, so that what it keeps for
        its facts counts."""
        return self.reuses and not (self._leaving or self._contributed or self._ahead)

    def _finish(self, refit: Refit) -> bool:
        """Fit a part on the spot; False if there are no facts."""
        refit.gather(self._ledger, self._leaving)
        ready = refit.prepare(Changes())
        if ready:
            refit.solve()
        return ready

    def _thresholds_refit(self, domain: str) -> ThresholdsRefit:
        return ThresholdsRefit(domain=domain, count=self._count(domain), memory=self.memory.part)

    def _router_refit(self) -> RouterRefit:
        concepts, spans = frozenset(self.own.keys), self.geometry.slices
        return RouterRefit(shares=self._shares(), concepts=concepts, spans=spans)

    def _head_refit(self, domain: str, record: AdaptorRecord | None) -> HeadRefit:
        spans = self.geometry.slices
        return HeadRefit(domain=domain, learned=self.learned, record=record, spans=spans)

    def _nearest_concept(self, domain: str) -> Adaptor:
        labels = tuple(label for name, label in self.memory.keys[self.memory.parts[domain]])
        return NearestConceptAnswer(labels, domain, self.memory)

    def _serving(self, domain: str) -> AdaptorRecord | None:
        versions = self._ledger.adaptors().get(domain, ())
        return versions[0] if versions else None

    def find_invalid_adaptor(self, record: AdaptorRecord) -> str:
        """Return why an adaptor from elsewhere cannot serve a domain with facts; empty if it can.

        Cost: that of solving its head.
        """
        own, others = self.training_facts(record.domain)
        try:
            answers = fit_adaptor(own, others, record, self.geometry.slices).answer(own.features)
        except (EdgeError, ValueError, TypeError, LookupError) as error:
            return f"the adaptor of {record.domain}: {error}"
        fine = bool(np.isfinite(answers).all())
        return (
            ""
            if fine
            else f"the adaptor of {record.domain} answers with values that are not finite"
        )

    def router(self) -> Router:
        """Return the router over the domains with facts, fitted now if facts have changed and that
        may not wait.  Raises KeyError without facts.
        """
        before = self._router
        if before is not None and before.made is not None and self._may_wait():
            if self._router_usable is None:
                self._router_usable = set(before.shares) <= set(self.learned)
            if self._router_usable:
                return before.made
        if self._router is None or not self._check_router():
            refit = self._router_refit()
            if not (self._may_reuse() and self._parts.router(refit)):
                self._finish(refit)
            self._router, self._router_current, self._router_checked = refit, True, True
        made = self._router.made
        assert made is not None, "it was fitted"
        return made

    def _check_router(self) -> bool:
        """Return whether the router is that of today's facts."""
        if not self._router_checked:
            self._router_checked = True
            held = self._router
            self._router_current &= held is not None and held.shares == self._shares()
        return self._router_current

    def _shares(self) -> dict[str, int]:
        """Return how many facts of each domain the router is fitted to."""
        counts: dict[str, int] = {}
        for (name, _), count in self.own.counts.items():
            counts[name] = counts.get(name, 0) + count
        if not counts:
            raise KeyError("a router needs facts")
        return allot_facts(counts)

    def route(self, verdict: hdc.Verdict, features: NDArray[np.uint8]) -> str:
        """Return the domain of features uint8 [width] with this verdict, from this sample alone."""
        if not self.is_routed(verdict.domain, verdict.label):
            return verdict.domain
        router = self.router()
        return router.domains[int(np.argmax(router.scores(features)))]

    def answer(self, domain: str, features: NDArray[np.uint8]) -> str:
        """Return the likeliest label of features uint8 [width] in a domain."""
        adaptor = self.adaptor(domain)
        return adaptor.labels[int(adaptor.answer(features).argmax())]

    def training_facts(self, domain: str) -> tuple[FactBatch, FactBatch]:
        """Return a sample of a domain's facts, and one of all other domains' facts.

        Raises KeyError for a domain without facts.
        """
        own, others = training_facts(self._ledger, domain, self.learned, self._leaving)
        if not len(own):
            raise KeyError(domain)
        return own, others

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains that this device or another has facts of, sorted."""
        if self._domains is None:
            self._domains = tuple(self.memory.parts)
        return self._domains

    @property
    def learned(self) -> tuple[str, ...]:
        """The domains with facts in the own ledger, sorted."""
        if self._learned is None:
            self._learned = tuple(self.own.parts)
        return self._learned

    def is_routed(self, domain: str, label: str) -> bool:
        """Return whether the router knows a concept: not one of other devices' sums alone, and not
        one that is new since the router was fitted."""
        if not self.learned or domain not in self.router().domains:
            return False
        current = self._router_current and self._router_checked
        return current or self._router is None or (domain, label) in self._router.concepts

    def digest(self, card: str) -> str:
        """Return the hex digest of card fingerprint, geometry (with its seed), sums, thresholds and
        other devices' contributions."""
        parts = (card, self.geometry.fingerprint, self.memory.digest())
        thresholds = self._calibrate(may_wait=False).digest() if self.memory.keys else ""
        self._serving_calibration = None
        contributed = tuple(
            f"{device} {one.content}" for device, (one, _) in self._contributed.items()
        )
        return hashlib.sha256("\n".join((*parts, thresholds, *contributed)).encode()).hexdigest()

    def refit(self, domain: str) -> None:
        """Drop a domain's solved adaptor: another version serves from now on."""
        self._heads.drop(domain)
        self._settled = False

    def _change(self, domain: str, label: str, rows: FactBatch, sign: int) -> None:
        codes = self.geometry.project(rows.features)
        for memory in {id(one): one for one in (self.own, self.memory)}.values():
            (memory.add if sign > 0 else memory.remove)(domain, label, codes)
        if self._moments is not None:
            self._moments.change((domain, label), rows.features, sign)

    def _uses_sums(self, domain: str) -> bool:
        """Return whether the sums of all devices answer for a domain; see `adaptor`."""
        if not self._contributed:
            return False
        own = {key: count for key, count in self.own.counts.items() if key[0] == domain}
        every = {key: count for key, count in self.memory.counts.items() if key[0] == domain}
        return bool(every) and (
            own.keys() < every.keys() or 2 * sum(own.values()) < sum(every.values())
        )

    def _solve_from_sums(self, domain: str) -> Adaptor:
        if self.geometry.slices[0][1] > GRAM_COLUMNS_MAX:
            labels = tuple(label for name, label in self.memory.keys if name == domain)
            return NearestConceptAnswer(labels, domain, self.memory)
        if self._pooled is None:
            moments = self._own_moments().copy()
            for contribution, _ in self._contributed.values():
                moments.merge(count_facts(contribution.arrays), contribution.arrays)
            self._pooled = PooledAnswers(moments)
        return self._pooled.discriminant(domain)

    def _own_moments(self) -> Moments:
        """Return the moments of the own facts, computed on first use and updated from then on."""
        if self._moments is None:
            self._moments = Moments(self.geometry.slices[0][1])
            for batch in self._batches():
                for domain, label, rows in concepts_of(batch):
                    self._moments.change((domain, label), rows, 1)
        return self._moments

    def _invalidate(
        self, facts: Iterable[Fact] | None = None, *, removed: bool = False, forgotten: bool = False
    ) -> None:
        """Outdate results that changed facts may affect: all if `facts` is None, otherwise those
        computed from a sample that these facts are in or would be in.  Forgotten facts drop them.
        """
        self._serving_calibration = self._pooled = self._waits = self._router_usable = None
        self._domains = self._learned = None
        self._settled = False
        self._failed.clear()
        if facts is None or self._contributed:
            self._thresholds.clear()
            self._heads.clear()
            self._router = self._refit = None
            return
        self._router_checked = False
        if forgotten:
            self._refit = None
        for fact in facts:
            self._thresholds.outdate(fact.domain, new=fact.domain in self._new_domains)
            place = hash_rank(fact.id)
            self._heads.change(fact.domain, place)
            if self._refit is not None:
                self._refit[1].add(FactChange(fact.domain, place, removed))
            if self._router and self._router.scopes.get(fact.domain, SampleScope()).changes(place):
                self._router_current = False
        if forgotten:
            self._thresholds.drop_outdated()
            self._heads.drop_outdated()
            self._router = self._router if self._router_current else None

    def _batches(self, domain: str | None = None) -> Iterable[FactBatch]:
        """Return the ledger's facts, of one domain or of all, without those about to be erased."""
        return self._ledger.batches(domain, self._leaving)

    def _count(self, domain: str) -> int:
        return sum(n for (name, _), n in self.own.counts.items() if name == domain)


def derive_knowledge(
    ledger: Ledger,
    geometry: hdc.Geometry,
    without: AbstractSet[str] = frozenset(),
    card: str = "",
    *,
    saved: bool = True,
) -> Knowledge:
    """Return the knowledge of a ledger without the ids `without`.  Cost: one projection per fact of
    the concepts whose sums are not kept in the ledger.

    card: fingerprint of the encoder card that contributions must match; empty: none are included.
    saved: whether kept sums are used.
    """
    knowledge = Knowledge(ledger, geometry, without)
    knowledge.reuses = saved
    if saved:
        gone = (fact for fact in map(ledger.get, without) if fact is not None)
        found = knowledge.saved.load({(fact.domain, fact.label) for fact in gone})
        knowledge.own.merge(found)
    for domain, label in ledger.concepts():
        if (domain, label) not in knowledge.saved:
            for batch in ledger.batches(domain, without, label):
                knowledge.own.add(domain, label, geometry.project(batch.features))
    if card:
        knowledge.set_contributions(ledger.contributions(), card)
    return knowledge
