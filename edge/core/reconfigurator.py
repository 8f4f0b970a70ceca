"""Growth policy: when to grow an adaptor for a domain, and whether its result serves.

An alarm alone never starts growth: drift can be harmless.  It opens a domain; the domain is due
once it has enough labelled facts, and again each time these have grown by half.  One job runs at a
time.  A failed growth is not repeated on the same facts.

An adaptor that a forget ends is made again from the remaining facts, from the same blueprint and
seed, without a search: a solved kind in closed form, any other by the worker.  It serves as
provisional until growth, which ignores it, has judged the domain.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

import numpy as np

from . import limits
from .adaptors import AdaptorRecord, PendingAdaptor, end_adaptors
from .config import Config
from .events import (
    CancelGrowth,
    Effect,
    GrowRequest,
    GrowthFinished,
    GrowthReport,
    GrowthState,
    Publish,
    Rejected,
    RemoveAdaptor,
    Rollback,
    StartGrowth,
    StoreAdaptor,
    StoreGrowthAttempt,
)
from .facts import Concept, FactBatch, Ledger, select_rows
from .jobs import GrowthJob, GrowthResult
from .knowledge import Knowledge
from .receipt import AdaptorChange, AdaptorOutcome
from .retraining import derive_arrays, train_again

REGROWTH: Final = 1.5
"""Growth of a domain's facts since its last adaptor before it is due again.  Chosen by hand; effect
not measured."""

OWN_FACTS_ENOUGH: Final = 300
"""Own facts from which growth takes no facts and no records of other domains, so that forgetting
one fact ends the adaptor of one domain at most.  Transforms trained with the others' facts were
within 0.2 points from there on; at 100 own facts they gain up to 2.7."""

LABELS_MIN: Final = 2
"""Fewest labels of an adaptor: with one there is nothing to predict."""

Spans = tuple[tuple[int, int], ...]


class Reconfigurator:
    """Plans growth and decides on its results.  spans: (start, stop) of the encoder's taps.
    deferring: adaptors of solved kinds are derived again beside serving, not within a forget.

    Its state is session state: a crash costs the running job, and a later tick starts it again.
    """

    def __init__(self, config: Config, spans: Spans, *, deferring: bool = False) -> None:
        self._config = config
        self._spans = spans
        self._deferring = deferring
        # Facts that a domain had when it was last considered.
        self._sizes: dict[str, int] = {}
        self.running: GrowthJob | None = None

    def tick(self, known: Knowledge, ledger: Ledger, *, grows: bool = True) -> Iterator[Effect]:
        """Make an adaptor again that a forget ended, the solved kinds first; or else start growth
        for a domain that is due: the one with most facts beyond its need.

        grows: False if no worker can train.
        """
        if self.running is None and ledger.pending_adaptors():
            yield from self._resume(known, ledger, trains=grows)
            return
        if self.running is not None or not (grows and self._config.growth):
            return
        counts = _count(ledger)
        due = {name: self._overdue(name, labels, ledger) for name, labels in counts.items()}
        for name in sorted(due, key=lambda name: (-due[name], name)):
            if due[name] <= 0:
                return
            own, others = known.training_facts(name)
            self._sizes[name] = sum(counts[name].values())
            if ledger.attempts().get(name) != job_fingerprint(own):
                yield from self._start(name, own, others, ledger)
                return

    def request(self, event: GrowRequest, known: Knowledge, ledger: Ledger) -> Iterator[Effect]:
        """Start the requested growth, due or not."""
        domain, request_id = event.domain, event.request_id
        if self.running is not None:
            reason = f"growing {domain}: an adaptor of {self.running.domain} is being grown"
            yield Publish(Rejected(request_id, reason, "request it again after that"))
        elif domain not in known.learned:
            reason = f"growing {domain}: no such domain has facts here"
            hint = f"known domains: {', '.join(known.learned) or 'none'}"
            yield Publish(Rejected(request_id, reason, hint))
        else:
            yield from self._start(domain, *known.training_facts(domain), ledger)

    def finish(self, event: GrowthFinished, known: Knowledge, ledger: Ledger) -> Iterator[Effect]:
        """Install a result that beats the incumbent; record any other as a failed attempt."""
        result, job = event.result, self.running
        if job is None or job.id != result.job_id:
            yield _report(result, "abandoned", 0, "the job was cancelled or replaced")
            return
        self.running = None
        wrong = _find_invalid_result(result, job, known)
        refused = bool(wrong) or result.record is None
        if refused and job.blueprint is not None:
            yield RemoveAdaptor(job.domain, job.version)
        elif refused:
            yield StoreGrowthAttempt(job.domain, job_fingerprint(job.own))
        if job.blueprint is None and not math.isnan(result.accuracy):
            yield from self._judge(job.domain, known, ledger)
        if wrong or result.record is None:
            yield _report(result, "refused", 0, wrong or result.reason)
            return
        yield from self._install(result, result.record, known, ledger)

    def _judge(self, domain: str, known: Knowledge, ledger: Ledger) -> Iterator[Effect]:
        """Retire a domain's provisional adaptors: growth has judged the domain without them."""
        for record in ledger.adaptors().get(domain, ()):
            if record.provisional:
                yield from self._retire(record, "retired", "growth has judged the domain", known)

    def rollback(self, event: Rollback, known: Knowledge, ledger: Ledger) -> Iterator[Effect]:
        """Remove the newest version of a domain's adaptor for good; the one before serves again."""
        kept = ledger.adaptors().get(event.domain, ())
        pending = ledger.pending_adaptors().get(event.domain)
        if pending is not None:
            yield from self.cancel(event.domain, pending.version)
            yield from self.give_up(event.domain, known)
            yield from self._end(pending, "rolled back", _successor(kept))
            return
        if not kept:
            reason = f"rolling back {event.domain}: no adaptor serves there, the head alone answers"
            yield Publish(
                Rejected(event.request_id, reason, "list the versions with `auricle adaptors`")
            )
            return
        yield from self.give_up(event.domain, known)
        yield from self._retire(kept[0], "rolled back", _successor(kept[1:]), known)

    def give_up(self, domain: str, known: Knowledge) -> Iterator[Effect]:
        """Note that growth is not to be repeated on a domain's facts as they are."""
        known.refit(domain)
        if domain in known.learned:
            yield StoreGrowthAttempt(domain, job_fingerprint(known.training_facts(domain)[0]))

    def cancel(self, domain: str, version: int) -> Iterator[Effect]:
        """Cancel the running job if it grows this version."""
        job = self.running
        if job is not None and (job.domain, job.version) == (domain, version):
            self.running = None
            yield CancelGrowth(job.id)
            detail = "its request was undone"
            yield Publish(
                GrowthReport(domain=domain, state="abandoned", version=version, detail=detail)
            )

    def next_version(self, domain: str, ledger: Ledger) -> int:
        """Return the version that growth in a domain would make."""
        pending = ledger.pending_adaptors().get(domain)
        versions = [one.version for one in ledger.adaptors().get(domain, ())]
        return 1 + max((*versions, pending.version if pending else 0), default=0)

    def forget(self, ids: AbstractSet[str], known: Knowledge, ledger: Ledger) -> Iterator[Effect]:
        """Report the versions grown from facts that are being forgotten, drop what answers on top
        of them, and cancel a running job that holds any.

        To be applied after `EraseFacts`, which deletes the versions and keeps how the serving one
        was made: it is made again from the remaining facts at the next tick, or here if nothing is
        deferred and its kind is solved.
        """
        if self.running is not None and ids & self.running.facts:
            yield CancelGrowth(self.running.id)
            self.running = None
        for domain, versions in sorted(ledger.adaptors().items()):
            for record in versions:
                if not ids.isdisjoint(record.facts):
                    self._sizes.pop(domain, None)
                    known.refit(domain)
                    detail = "facts it was grown from are forgotten"
                    yield Publish(
                        GrowthReport(
                            domain=domain, state="retired", version=record.version, detail=detail
                        )
                    )
        if not self._deferring:
            yield from self._derive_now(ids, known, ledger)

    def abandon(self, leaving: AbstractSet[Concept]) -> Iterator[Effect]:
        """Cancel a running job that holds facts of these concepts, some of which are forgotten: its
        result must not serve until they are all known."""
        job = self.running
        if job is not None and any(
            not leaving.isdisjoint(zip(batch.domains, batch.labels, strict=True))
            for batch in (job.own, job.others)
        ):
            self.running = None
            yield CancelGrowth(job.id)

    def outcomes(
        self, ids: AbstractSet[str], known: Knowledge, ledger: Ledger
    ) -> tuple[AdaptorOutcome, ...]:
        """Return the versions that forgetting these facts ends, and the versions that succeed them.

        Call it while the ledger still holds the facts, and the knowledge no longer does.
        """
        ended = end_adaptors(ledger.adaptors(), {}, ids)
        left = {name: one for name, one in ended.items() if _has_enough(name, known)}
        return tuple(
            _outcome(record, left.get(domain) if record is versions[0] else None)
            for domain, versions in sorted(ledger.adaptors().items())
            for record in versions
            if not ids.isdisjoint(record.facts)
        )

    def _derive_now(
        self, ids: AbstractSet[str], known: Knowledge, ledger: Ledger
    ) -> Iterator[Effect]:
        """Derive the adaptors of solved kinds again that forgetting these facts ends."""
        for domain, pending in sorted(end_adaptors(ledger.adaptors(), {}, ids).items()):
            if pending.solved and _has_enough(domain, known):
                job = self._again(pending, known)
                result = train_again(job, derive_arrays)
                if result.record is not None:
                    yield StoreAdaptor(result.record)
                    known.refit(domain)
                    yield _report(result, "serving", job.version, result.reason)

    def _resume(self, known: Knowledge, ledger: Ledger, *, trains: bool) -> Iterator[Effect]:
        """Start to make a pending adaptor; drop those that cannot be made."""
        waiting = ledger.pending_adaptors().values()
        for pending in sorted(waiting, key=lambda one: (not one.solved, one.domain)):
            if not (trains or pending.solved):
                yield from self._end(pending, "refused", "nothing can train it here")
            elif not _has_enough(pending.domain, known):
                yield from self._end(pending, "refused", "too few facts are left")
            else:
                job = self._again(pending, known)
                yield from self._run(job, f"its blueprint again, on {len(job.own)} facts")
                return

    def _again(self, pending: PendingAdaptor, known: Knowledge) -> GrowthJob:
        """Return the job that makes a pending adaptor from the facts that are left."""
        own, others = _taken(*known.training_facts(pending.domain))
        return GrowthJob(
            id=f"{pending.domain}:{pending.version}:{job_fingerprint(own)[:16]}",
            domain=pending.domain,
            version=pending.version,
            seed=pending.seed,
            budget=self._config.budget,
            spans=self._spans,
            own=own,
            others=others,
            blueprint=pending.blueprint,
        )

    def _end(self, pending: PendingAdaptor, state: GrowthState, detail: str) -> Iterator[Effect]:
        """Drop a pending adaptor."""
        yield RemoveAdaptor(pending.domain, pending.version)
        yield Publish(
            GrowthReport(domain=pending.domain, state=state, version=pending.version, detail=detail)
        )

    def remove_orphans(self, known: Knowledge, ledger: Ledger) -> Iterator[Effect]:
        """Retire the adaptors of domains without facts: renamed, merged or forgotten ones."""
        for domain, versions in sorted(ledger.adaptors().items()):
            if domain not in known.learned:
                for record in versions:
                    yield from self._retire(record, "retired", "the domain has no facts", known)
        for domain, pending in sorted(ledger.pending_adaptors().items()):
            if domain not in known.learned:
                yield from self._end(pending, "retired", "the domain has no facts")

    def _start(
        self, domain: str, own: FactBatch, others: FactBatch, ledger: Ledger
    ) -> Iterator[Effect]:
        number = self.next_version(domain, ledger)
        serving = {name: _judged(rows) for name, rows in sorted(ledger.adaptors().items())}
        incumbent = serving.pop(domain, None)
        own, others = _taken(own, others)
        if not len(others):
            serving.clear()
            incumbent = incumbent if _is_own(incumbent, own, ledger) else None
        job = GrowthJob(
            id=f"{domain}:{number}:{job_fingerprint(own)[:16]}",
            domain=domain,
            version=number,
            seed=self._config.seed,
            budget=self._config.budget,
            spans=self._spans,
            own=own,
            others=others,
            incumbent=incumbent,
            reusable=tuple(filter(None, serving.values())),
        )
        yield from self._run(job, f"{len(own)} facts, {len(others)} of other domains")

    def _run(self, job: GrowthJob, detail: str) -> Iterator[Effect]:
        self.running = job
        yield StartGrowth(job)
        yield Publish(
            GrowthReport(domain=job.domain, state="started", version=job.version, detail=detail)
        )

    def _install(
        self, result: GrowthResult, record: AdaptorRecord, known: Knowledge, ledger: Ledger
    ) -> Iterator[Effect]:
        surplus = surplus_adaptor(ledger.adaptors(), record)
        if surplus is record:
            detail = f"{limits.ADAPTORS_MAX} domains have an adaptor that gains more"
            yield _report(result, "refused", 0, detail)
            return
        if surplus is not None:
            for old in ledger.adaptors()[surplus.domain]:
                yield from self._retire(old, "retired", f"{record.domain} gains more", known)
        yield StoreAdaptor(record)
        known.refit(record.domain)
        yield _report(result, "serving", record.version, result.reason)

    def _retire(
        self, record: AdaptorRecord, state: GrowthState, detail: str, known: Knowledge
    ) -> Iterator[Effect]:
        yield RemoveAdaptor(record.domain, record.version)
        known.refit(record.domain)
        yield Publish(
            GrowthReport(domain=record.domain, state=state, version=record.version, detail=detail)
        )

    def _overdue(self, domain: str, labels: Mapping[str, int], ledger: Ledger) -> int:
        """Return how many facts a domain has beyond its need; 0 or less if it is not due.  A
        provisional adaptor counts as none."""
        serving = ledger.adaptors().get(domain, ())[:1]
        judged = max((one.own for one in serving if not one.provisional), default=0)
        before = max(self._sizes.get(domain, 0), judged)
        needed = max(limits.GROWTH_FACTS_MIN, math.ceil(REGROWTH * before))
        repeated = sum(1 for count in labels.values() if count > 1)
        return sum(labels.values()) - needed + 1 if repeated > 1 else 0


def job_fingerprint(own: FactBatch) -> str:
    """Return the hex SHA-256 of a job's own facts: ids and labels, in order of ids."""
    state = hashlib.sha256()
    for fact_id, label in zip(own.ids, own.labels, strict=True):
        for text in (fact_id, label):
            raw = text.encode()
            state.update(len(raw).to_bytes(4, "little") + raw)
    return state.hexdigest()


def surplus_adaptor(
    adaptors: Mapping[str, tuple[AdaptorRecord, ...]], new: AdaptorRecord
) -> AdaptorRecord | None:
    """Return the adaptor to retire if `new` exceeds `limits.ADAPTORS_MAX`: the one, `new` included,
    that gained least over its incumbent; None while there is room."""
    serving = {name: rows[0] for name, rows in adaptors.items()} | {new.domain: new}
    if len(serving) <= limits.ADAPTORS_MAX:
        return None
    return min(serving.values(), key=lambda one: (_gain(one), one.domain))


def _gain(record: AdaptorRecord) -> float:
    """Return what an adaptor gained over its incumbent; 0 if that is unknown."""
    gain = record.accuracy - record.incumbent
    return 0.0 if math.isnan(gain) else gain


def _has_enough(domain: str, known: Knowledge) -> bool:
    """Return whether a domain has facts enough for an adaptor."""
    counts = [count for (name, _), count in known.own.counts.items() if name == domain]
    return len(counts) >= LABELS_MIN and sum(counts) >= limits.GROWTH_FACTS_MIN


def _judged(versions: tuple[AdaptorRecord, ...]) -> AdaptorRecord | None:
    """Return the newest version that growth has judged, if any."""
    return next((one for one in versions if not one.provisional), None)


def _taken(own: FactBatch, others: FactBatch) -> tuple[FactBatch, FactBatch]:
    """Return the facts that an adaptor is made from: without those of other domains where own ones
    are enough."""
    enough = len(own) >= OWN_FACTS_ENOUGH
    return own, (select_rows(others, np.arange(0)) if enough else others)


def _is_own(record: AdaptorRecord | None, own: FactBatch, ledger: Ledger) -> bool:
    """Return whether no fact of another domain has shaped an adaptor."""
    strangers = set(record.facts).difference(own.ids) if record is not None else ()
    held = (ledger.get(fact_id) for fact_id in strangers)
    return record is not None and all(one is None or one.domain == record.domain for one in held)


def _outcome(record: AdaptorRecord, successor: PendingAdaptor | None) -> AdaptorOutcome:
    outcome: AdaptorChange = "ended"
    if successor is not None:
        outcome = "derived again" if successor.solved else "trained again"
    return AdaptorOutcome(
        domain=record.domain,
        version=record.version,
        outcome=outcome,
        successor=successor.version if successor is not None else 0,
    )


def _find_invalid_result(result: GrowthResult, job: GrowthJob, known: Knowledge) -> str:
    """Return why a result cannot be used; empty if it can."""
    record = result.record
    if record is None:
        return ""
    if job.domain not in known.learned:
        return "the domain has no facts any more"
    if (record.domain, record.version) != (job.domain, job.version):
        return f"the worker returned {record.domain} version {record.version}"
    if not set(record.facts) <= job.facts:
        return "the worker returned an adaptor grown from other facts"
    if record.provisional != (job.blueprint is not None):
        return "the worker returned an adaptor of another kind of job"
    return ""


def _report(result: GrowthResult, state: GrowthState, version: int, detail: str) -> Publish:
    return Publish(
        GrowthReport(
            domain=result.domain,
            state=state,
            version=version,
            accuracy=result.accuracy,
            incumbent=result.incumbent,
            detail=detail,
            search=result.search,
            observation_ids=result.named,
        )
    )


def _successor(kept: tuple[AdaptorRecord, ...]) -> str:
    return f"version {kept[0].version} serves again" if kept else "the head alone serves again"


def _count(ledger: Ledger) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for (domain, label), count in ledger.concepts().items():
        counts.setdefault(domain, {})[label] = count
    return counts
