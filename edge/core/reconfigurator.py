"""Growth policy: when to grow an adaptor for a domain, and whether its result serves.

An alarm alone never starts growth: drift can be harmless.  It opens a domain; the domain is due
once it has enough labelled facts, and again each time these have grown by half.  One job runs at a
time.  A failed growth is not repeated on the same facts.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from fractions import Fraction
from typing import Final

from . import limits
from .adaptors import AdaptorRecord
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
from .facts import FactBatch, Ledger
from .jobs import GrowthJob, GrowthResult
from .knowledge import Knowledge

REGROWTH: Final = Fraction(3, 2)
"""Growth of a domain's facts since its last adaptor before it is due again.  Chosen by hand; effect
not measured."""

Spans = tuple[tuple[int, int], ...]


class Reconfigurator:
    """Plans growth and decides on its results.  spans: (start, stop) of the encoder's taps.

    Its state is session state: a crash costs the running job, and a later tick starts it again.
    """

    def __init__(self, config: Config, spans: Spans) -> None:
        self._config = config
        self._spans = spans
        # Facts that a domain had when it was last considered.
        self._sizes: dict[str, int] = {}
        self.running: GrowthJob | None = None

    def tick(self, known: Knowledge, ledger: Ledger) -> Iterator[Effect]:
        """Start growth for a domain that is due: the one with most facts beyond its need."""
        if self.running is not None or not self._config.growth:
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
        if wrong or result.record is None:
            yield StoreGrowthAttempt(job.domain, job_fingerprint(job.own))
            yield _report(result, "refused", 0, wrong or result.reason)
            return
        yield from self._install(result, result.record, known, ledger)

    def rollback(self, event: Rollback, known: Knowledge, ledger: Ledger) -> Iterator[Effect]:
        """Remove the newest version of a domain's adaptor for good; the one before serves again."""
        kept = ledger.adaptors().get(event.domain, ())
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
        return 1 + max((one.version for one in ledger.adaptors().get(domain, ())), default=0)

    def forget(self, ids: AbstractSet[str], known: Knowledge, ledger: Ledger) -> Iterator[Effect]:
        """Report the versions grown from facts that are being forgotten, drop what answers on top
        of them, and cancel a running job that holds any.  `EraseFacts` deletes the versions."""
        if self.running is not None and ids & self.running.facts:
            yield CancelGrowth(self.running.id)
            self.running = None
        for domain, versions in sorted(ledger.adaptors().items()):
            for record in versions:
                if ids & set(record.facts):
                    self._sizes.pop(domain, None)
                    known.refit(domain)
                    detail = "facts it was grown from are forgotten"
                    yield Publish(
                        GrowthReport(
                            domain=domain, state="retired", version=record.version, detail=detail
                        )
                    )

    def remove_orphans(self, known: Knowledge, ledger: Ledger) -> Iterator[Effect]:
        """Retire the adaptors of domains without facts: renamed, merged or forgotten ones."""
        for domain, versions in sorted(ledger.adaptors().items()):
            if domain not in known.learned:
                for record in versions:
                    yield from self._retire(record, "retired", "the domain has no facts", known)

    def _start(
        self, domain: str, own: FactBatch, others: FactBatch, ledger: Ledger
    ) -> Iterator[Effect]:
        versions = ledger.adaptors()
        own_versions, number = versions.get(domain, ()), self.next_version(domain, ledger)
        job = GrowthJob(
            id=f"{domain}:{number}:{job_fingerprint(own)[:16]}",
            domain=domain,
            version=number,
            seed=self._config.seed,
            budget=self._config.budget,
            spans=self._spans,
            own=own,
            others=others,
            incumbent=own_versions[0] if own_versions else None,
            reusable=tuple(rows[0] for name, rows in sorted(versions.items()) if name != domain),
        )
        self.running = job
        yield StartGrowth(job)
        detail = f"{len(own)} facts, {len(others)} of other domains"
        yield Publish(GrowthReport(domain=domain, state="started", version=number, detail=detail))

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
        """Return how many facts a domain has beyond its need; 0 or less if it is not due."""
        versions = ledger.adaptors().get(domain, ())
        before = max(self._sizes.get(domain, 0), max((r.own for r in versions[:1]), default=0))
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
    return min(serving.values(), key=lambda r: (r.accuracy - r.incumbent, r.domain))


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
