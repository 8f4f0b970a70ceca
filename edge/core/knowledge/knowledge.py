"""Knowledge: everything derived from a ledger under a frozen geometry, and nothing else.

`derive_knowledge(ledger, geometry)` builds it; `add` and `remove` keep it up to date, exactly.
Contributions of other devices are in the ledger too; their sums are added to those of the own
facts.  Thresholds, heads and the router are computed on first use after a change, always from the
ledger's facts, so the order in which facts arrived leaves no trace.
"""

from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Final, cast

from msgspec.structs import replace

import hdc

from ..adaptors import Adaptor, AdaptorRecord, TunedKernels
from ..facts import Derived, Fact, FactBatch, Ledger, SampleScope, hash_rank, lowest_ranks
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
from .digest import DigestedState
from .geometry_fit import KnownSample
from .grouping import by_concept, concepts_of
from .heads import SolvedHeads
from .moments import GRAM_COLUMNS_MAX, Moments, NearestConceptAnswer, PooledAnswers
from .provisional import Provisional
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
)
from .saved_parts import SavedParts
from .saved_sums import SavedSums
from .thresholds import Thresholds
from .views import KnowledgeViews

Concept = tuple[str, str]

WAITING_FACTS_MIN: Final = 256
"""Facts up to which thresholds, router and adaptor are always computed on the spot: that takes
about as long as an observation of the shipped encoder takes in all."""


class Knowledge(KnowledgeViews):
    """Integer sums per concept, with the thresholds and heads that follow from the ledger.

    ledger: read only.  geometry: frozen.  leaving: ids of facts that are about to be erased from
    the ledger and do not count.  All others must be added, see `derive_knowledge`.
    own: sums of the own facts.  memory: the same plus other devices' contributions.  sampled: what
    is known of the sample that the geometry was fitted to.  tuned: kernels of earlier fits.

    deferring: set it to True where `next_refit` is called regularly.  After new facts, decisions
    then use the last thresholds, router and adaptors until those of today are computed in the
    background; sums always are today's.  What facts that are forgotten have shaped never serves: it
    is derived again in the background, and the sums answer meanwhile, see `provisional`.  `digest`
    and `contribute` never use anything but today's.
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
        self.tuned = TunedKernels()
        self._new_domains: set[str] = set()
        self._router: RouterRefit | None = None
        self._router_current = self._router_checked = False
        self._router_usable: bool | None = None
        self._settled = False
        self.dropped = Provisional()
        self.sampled = KnownSample()
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
        self.tuned = self.tuned.without(self.learned, lowest_ranks(given))

    def mask(self, leaving: Mapping[Concept, int]) -> None:
        """Let concepts count as absent until `unmask`, and drop what their facts may have shaped.
        Meanwhile `remove` takes forgotten facts out of them, and nothing is fitted.

        leaving: how many facts of each concept are forgotten.  Other devices' sums must not count.
        """
        assert self.memory is self.own, "nothing waits where other devices' sums count"
        self.dropped.mask(self.own, leaving)
        for domain in {domain for domain, _ in leaving}:
            self._thresholds.outdate(domain, new=True)
        self._heads.outdate_all()
        self._router_current = False
        self._invalidate((), forgotten=True)

    def unmask(self) -> None:
        """Let the masked concepts count again, with the facts that are left."""
        self.dropped.unmask(self.own)
        self._invalidate((), forgotten=True)

    def reuse(self, base: "Knowledge", contents: Mapping[Concept, str]) -> None:
        """Take over what earlier knowledge, under the same geometry, holds of unchanged facts.

        contents: of the ledger that `base` was derived from; `base` is used up.
        """
        now = self._ledger.contents()
        same = {one for one, content in now.items() if contents.get(one) == content}
        changed = {domain for domain, _ in {*now, *contents} - same}
        self.own.merge(base.own.take(same))
        for domain, made in tuple(base._thresholds.current()):  # noqa: SLF001 - of the same class
            if domain not in changed:
                self._thresholds.put(domain, made, current=True)

    def replacing(self, before: "Knowledge", ledger: Ledger) -> "Knowledge":
        """Return this knowledge, derived from another reader of the ledger, to serve in place of
        that before; it goes on with adaptors and router, which read features alone."""
        self._ledger, self._ahead = ledger, False
        self.saved = SavedSums(ledger, self.geometry)
        self._parts = SavedParts(ledger, self.geometry)
        self.deferring, self.reuses, self._waits = before.deferring, before.reuses, None
        self.dropped, self._failed = before.dropped, before._failed  # noqa: SLF001
        self._heads, self._router = before._heads, before._router  # noqa: SLF001
        self.tuned = before.tuned
        self._router_current = before._router_current  # noqa: SLF001 - of the same class
        self._moments = before._moments  # noqa: SLF001 - of the same class
        return self

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
                kept = *solved, self.tuned.kept(domain)
                yield from self._parts.head_entry(domain, self._serving(domain), kept)

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
        plan = plan_cohorts(() if self.dropped.masking else self._batches(), published)
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
            self._serving_calibration = self._calibrate(may_wait=self.may_wait)
        return self._serving_calibration

    def _calibrate(self, *, may_wait: bool) -> hdc.Calibration:
        missing = self._thresholds.missing(self.learned, may_wait=may_wait)
        kept = self._parts.thresholds(missing) if missing and self._may_reuse() else {}
        for domain in missing:
            made = kept.get(domain)
            if made is None:
                refit = self._thresholds_refit(domain)
                self.fit_now(refit)
                made = refit.made
                assert made is not None, "it was solved"
            self._thresholds.put(domain, made, current=True)
        made = self._thresholds.merged(self.learned, self.memory)
        if self._contributed:
            contributed = (one for _, one in self._contributed.values())
            made = merge_thresholds(made, contributed, self.geometry)
        return made

    def adaptor(self, domain: str) -> Adaptor:
        """Return the adaptor that answers for a domain, solved now if facts have changed.

        The own facts answer if they are the majority in the domain and include every label of it;
        otherwise the sums of all devices do.  Raises KeyError for a domain without facts anywhere.
        """
        may_wait = self.may_wait
        cached = self._heads.get(domain, may_wait=may_wait)
        if cached is not None:
            return cached
        if self._uses_sums(domain):
            made, scopes = self._solve_from_sums(domain), (SampleScope(), SampleScope())
        elif may_wait and (domain in self._new_domains or self._head_waits(domain)):
            self._heads.use(domain)
            self._settled = False
            return self._nearest_concept(domain)
        else:
            refit = self._head_refit(domain, self._serving(domain))
            if not (self._may_reuse() and self._parts.head(refit)) and not self.fit_now(refit):
                raise KeyError(domain)
            made, scopes = cast("Adaptor", refit.made), refit.scopes
        self._heads.store(domain, made, scopes)
        self._head_is_back(domain)
        return made

    def _head_waits(self, domain: str) -> bool:
        return domain in self.dropped.heads or self.dropped.masking

    def _head_is_back(self, domain: str) -> None:
        self._new_domains.discard(domain)
        self.dropped.heads.discard(domain)

    def ready_adaptor(self, domain: str) -> Adaptor | None:
        """Return a domain's adaptor, None if it would first be solved in the background."""
        return self._heads.get(domain, may_wait=True) if self.may_wait else self.adaptor(domain)

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
        idle = self._settled or self.dropped.masking
        found = None if idle else self._turns.take(outdated)
        self._settled = found is None
        self._refit = None if found is None else (found, Changes())
        return found

    def _outdated(self) -> Iterator[Refit]:
        """Yield the parts that new facts have outdated."""
        used = self._router is not None or self._heads.in_use or self.dropped.pending
        if not self._contributed and used:
            for domain in self._thresholds.outdated(self.learned):
                if domain not in self.dropped.stale:
                    yield self._thresholds_refit(domain)
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
                self._router, self.dropped.router = None, False
            case RouterRefit():
                self.dropped.router = False
                if current or not self._router_current:
                    self._router, self._router_current = refit, current
                    self._router_checked = False
            case HeadRefit():
                same = same_record(refit.record, self._serving(refit.domain))
                if same and refit.domain in self.learned:
                    self._accept_head(refit, current=current)

    def _accept_head(self, refit: HeadRefit, *, current: bool) -> None:
        self._heads.accept(refit.domain, refit.made, refit.scopes, current=current)
        self._head_is_back(refit.domain)

    def head_for(self, record: AdaptorRecord) -> HeadRefit | None:
        """Return the head that a domain would have on top of a record that does not serve yet; None
        if own facts would not answer.  Pass the result to `accept` once the record serves."""
        domain = record.domain
        if domain not in self.learned or self._uses_sums(domain):
            return None
        refit = self._head_refit(domain, record)
        self._refit = refit, Changes()
        return refit

    @property
    def may_wait(self) -> bool:
        """Whether decisions may use what was computed before the newest facts."""
        if self._waits is None:
            facts = sum(self.own.counts.values())
            many = facts > WAITING_FACTS_MIN or self.dropped.masking
            self._waits = self.deferring and not self._contributed and many
        return self._waits

    def _may_reuse(self) -> bool:
        """Return whether the ledger holds exactly the facts added here, so that what it keeps for
        its facts counts."""
        return self.reuses and not (self._leaving or self._contributed or self._ahead)

    def fit_now(self, refit: Refit) -> bool:
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
        return HeadRefit(
            domain=domain,
            learned=self.learned,
            record=record,
            spans=self.geometry.slices,
            tuned=self.tuned,
        )

    def _nearest_concept(self, domain: str) -> Adaptor:
        labels = tuple(label for name, label in self.memory.keys[self.memory.parts[domain]])
        return NearestConceptAnswer(labels, domain, self.memory)

    def _serving(self, domain: str) -> AdaptorRecord | None:
        versions = self._ledger.adaptors().get(domain, ())
        return versions[0] if versions else None

    def router(self) -> Router:
        """Return the router over the domains with facts, fitted now if facts have changed and that
        may not wait.  Raises KeyError without facts.
        """
        before = self._router
        if before is not None and before.made is not None and self.may_wait:
            if self._router_usable is None:
                self._router_usable = set(before.shares) <= set(self.learned)
            if self._router_usable:
                return before.made
        if self._router is None or not self._check_router():
            refit = self._router_refit()
            if not (self._may_reuse() and self._parts.router(refit)):
                self.fit_now(refit)
            self._router, self._router_current, self._router_checked = refit, True, True
            self.dropped.router = False
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
        if not self.routes or domain not in self.router().domains:
            return False
        current = self._router_current and self._router_checked
        return current or self._router is None or (domain, label) in self._router.concepts

    def digest(self, card: str) -> str:
        """Return the hex digest of card fingerprint, geometry (with its seed), sums, thresholds and
        other devices' contributions."""
        return self.digested_state(card).compute()

    def digested_state(self, card: str) -> DigestedState:
        """Return what the digest states, frozen; outdated thresholds are computed for it."""
        thresholds = self._calibrate(may_wait=False) if self.memory.keys else None
        self._serving_calibration = None
        found = (f"{device} {one.content}" for device, (one, _) in self._contributed.items())
        return DigestedState(card, self.memory.copy(), thresholds, tuple(found))

    def refit(self, domain: str) -> None:
        """Drop a domain's solved adaptor: another version serves from now on."""
        self._heads.drop(domain)
        self._settled = False

    def _change(self, domain: str, label: str, rows: FactBatch, sign: int) -> None:
        concept = domain, label
        if self._moments is not None:
            self._moments.change(concept, rows.features, sign)
        if sign < 0 and self.dropped.erased(concept):
            return
        codes = self.geometry.project(rows.features)
        if sign < 0 and self.dropped.masks(concept):
            self.dropped.subtract(concept, codes)
            return
        for memory in {id(one): one for one in (self.own, self.memory)}.values():
            (memory.add if sign > 0 else memory.remove)(domain, label, codes)

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
            new = fact.domain in self._new_domains or (forgotten and self.may_wait)
            self._thresholds.outdate(fact.domain, new=new)
            place = hash_rank(fact.id)
            self._heads.change(fact.domain, place)
            self.sampled.change(place)
            if self._refit is not None:
                self._refit[1].add(FactChange(fact.domain, place, removed))
            if self._router and self._router.scopes.get(fact.domain, SampleScope()).changes(place):
                self._router_current = False
        if forgotten:
            self._drop_outdated()

    def _drop_outdated(self) -> None:
        """Drop what forgotten facts may have shaped.  Where decisions may wait, it is derived again
        in the background; otherwise when it is needed."""
        waits, had_router = self.may_wait, self._router is not None
        self._thresholds.drop_outdated(waiting=waits)
        gone = self._heads.drop_outdated()
        self._router = self._router if self._router_current else None
        if waits:
            self.dropped.drop(gone, router=had_router and self._router is None)
            for domain in gone:
                self._heads.use(domain)

    def _batches(self, domain: str | None = None) -> Iterable[FactBatch]:
        """Return the ledger's facts, of one domain or of all, without those about to be erased."""
        return self._ledger.batches(domain, self._leaving)

    def _count(self, domain: str) -> int:
        return sum(n for (name, _), n in self.own.counts.items() if name == domain)
