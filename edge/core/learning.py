"""Changes of the facts of a ledger by people and by the runtime: labels, corrections, merges.

Every change passes through `Learner.learn` or `Learner.restore`, which keep sums, session and
ledger alike.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from math import isnan, nan
from typing import Final, cast

import numpy as np
from msgspec.structs import replace

from . import limits
from .actions import Action, FactBefore
from .admission import admit, overflow
from .config import Config
from .domain_merges import DomainMerge, may_merge, moved
from .events import (
    Acknowledgement,
    Effect,
    Enrol,
    Label,
    LabelMany,
    Observation,
    Publish,
    Rejected,
    Relabel,
    StoreDomainMerge,
    StoreFacts,
    StoreLabelCandidates,
    UndoMerge,
    Unlabel,
)
from .facts import Fact, LabelCandidate, Ledger, Selector
from .knowledge import Knowledge
from .reconfigurator import Reconfigurator
from .session import BufferedObservation, SessionState, StreamLevels
from .validation import brief, find_invalid

FACTS_COMPARED: Final = 128
"""Facts that are compared before a merge: as many as the observations, eight default windows."""

FACTS_MIN: Final = 8
"""Facts from which on their mean is compared, half a default window: that of fewer says little."""


class Learner:
    """Changes facts.  ledger: read only.  session, levels, growth: of the same runtime.

    known, an argument of every change, is the runtime's knowledge and is kept up to date.
    """

    def __init__(
        self,
        config: Config,
        ledger: Ledger,
        session: SessionState,
        levels: StreamLevels,
        growth: Reconfigurator,
    ) -> None:
        self._config, self._ledger = config, ledger
        self._session, self._levels, self._growth = session, levels, growth

    def unlabelled(self, observation_id: str) -> BufferedObservation | LabelCandidate | None:
        """Return an observation from the label buffer or the label candidates; None if expired."""
        buffered = self._session.label_buffer.get(observation_id)
        return buffered or self._ledger.candidate(observation_id)

    def refusals(self, labels: Sequence[Label]) -> tuple[Rejected | None, ...]:
        """Return why each label cannot be used, None for those that can."""
        found, seen = [], set[str]()
        for one in labels:
            found.append(self._twice(one) if one.observation_id in seen else self._unusable(one))
            seen.add(one.observation_id)
        return tuple(found)

    @staticmethod
    def _twice(event: Label) -> Rejected:
        reason = "labelling: the observation is named twice"
        return Rejected(event.observation_id, reason, "the first label counts")

    def _unusable(self, event: Label) -> Rejected | None:
        wrong = find_invalid(event, 0)
        if wrong:
            return Rejected(event.observation_id, f"labelling: {wrong}", "correct the label")
        return self._refusal(event)

    def label(self, event: Label, known: Knowledge) -> Iterator[Effect]:
        """Learn one observation."""
        refused = self._refusal(event)
        if refused is not None:
            yield Publish(refused)
        else:
            placed = self._placed((event,))
            facts = self._labelled((event,))
            yield from self.learn(event.observation_id, facts, known, placed=placed)

    def label_many(self, event: LabelMany, known: Knowledge) -> Iterator[Effect]:
        """Learn observations together; those that `refusals` names are left out."""
        reasons = self.refusals(event.labels)
        usable = [one for one, why in zip(event.labels, reasons, strict=True) if why is None]
        placed = self._placed(usable)
        yield from self.learn("label-many", self._labelled(usable), known, placed=placed)

    def _placed(self, labels: Iterable[Label]) -> frozenset[str]:
        """Return the observations whose domain the detector chooses: no label names one."""
        keys = frozenset(one.observation_id for one in labels if not one.domain)
        return keys - self._ledger.facts_among(keys)

    def enrol(self, event: Enrol, known: Knowledge) -> Iterator[Effect]:
        """Learn labelled facts in bulk."""
        yield from self.learn("enrol", event.facts, known)

    def _refusal(self, event: Label) -> Rejected | None:
        """Return why an observation cannot be labelled, None if it can."""
        key = event.observation_id
        if self._ledger.was_forgotten(key):
            reason = "labelling: this observation was forgotten"
            return Rejected(key, reason, "send a new observation to learn it again")
        waiting = None if self._ledger.get(key) is not None else self.unlabelled(key)
        if waiting is not None and self._ledger.resembles_forgotten(waiting.features):
            reason = "labelling: this content was forgotten, and came again under another id"
            return Rejected(key, reason, "a forget with `duplicates` off lets it be learned again")
        if waiting is None and self._ledger.get(key) is None:
            most = limits.WINDOW_OBSERVATIONS_MAX
            hint = f"label one of the last {most} observations, or a label candidate"
            return Rejected(key, "labelling: the observation has expired", hint)
        return None

    def _labelled(self, labels: Sequence[Label]) -> tuple[Fact, ...]:
        """Return the facts that usable labels make, without those that are known already."""
        keys = [one.observation_id for one in labels if not one.domain]
        filed = self._session.label_buffer.filed_domains(keys)
        made = (self._fact_of(one, filed) for one in labels)
        return tuple(fact for fact in made if fact is not None)

    def _fact_of(self, event: Label, filed: Mapping[str, str]) -> Fact | None:
        """Return the fact that a usable label makes, None if it is known already.  filed: domains
        of labels that name none."""
        key = event.observation_id
        known = self._ledger.get(key)
        if known is not None:
            changed = replace(known, label=event.label, domain=event.domain or known.domain)
            return None if changed == known else replace(changed, revision=known.revision + 1)
        waiting = self.unlabelled(key)
        assert waiting is not None, "it was found usable"
        domain = event.domain or filed.get(key, waiting.domain)
        return replace(_as_fact(key, waiting), domain=domain, label=event.label)

    def unlabel(self, event: Unlabel, known: Knowledge) -> Iterator[Effect]:
        """Take back labels: the observations wait again."""
        held = {key: self._ledger.get(key) for key in event.observation_ids}
        facts = tuple(fact for fact in held.values() if fact is not None)
        if not facts:
            yield Publish(
                Rejected(
                    event.observation_ids[0] if event.observation_ids else "unlabel",
                    "taking back a label: none of these observations is labelled",
                    "name observations that were labelled",
                )
            )
            return
        self._withdraw(facts, known)
        gone = tuple(fact.id for fact in facts)
        yield StoreFacts(facts=(), withdrawn=gone, before=facts)
        yield StoreLabelCandidates(tuple(waiting_again(fact) for fact in facts))
        missing = len(held) - len(facts)
        detail = f"{missing} were not labelled" if missing else ""
        yield Publish(Acknowledgement("unlabel", len(facts), detail))
        yield from self._growth.remove_orphans(known, self._ledger)

    def _withdraw(self, facts: Sequence[Fact], known: Knowledge) -> None:
        known.remove(facts)
        self._session.served_accuracy.drop(fact.id for fact in facts)
        self._session.knowledge_changed()

    def relabel(self, event: Relabel, known: Knowledge) -> Iterator[Effect]:
        """Correct the label, the domain, or both of the selected facts."""
        before = self.facts(self._ledger.select(event.selector))
        after = tuple(
            replace(fact, label=event.label or fact.label, domain=event.domain or fact.domain)
            for fact in before
        )
        old = renamed_domain(event)
        renamed = bool(old) and self._session.rename(old, event.domain)
        if not before and not renamed:
            yield Publish(
                Rejected(
                    "relabel",
                    f"relabelling: no fact matches {brief(event.selector)}",
                    "list the known domains with `auricle inspect`",
                )
            )
            return
        changed = tuple(
            replace(new, revision=new.revision + 1)
            for old_fact, new in zip(before, after, strict=True)
            if new != old_fact
        )
        yield from self.learn("relabel", changed, known)
        if old:
            yield from self._levels.rename(old, event.domain, known.geometry.fingerprint)
        yield from self._growth.remove_orphans(known, self._ledger)

    def learn(
        self,
        subject_id: str,
        facts: tuple[Fact, ...],
        known: Knowledge,
        detail: str = "",
        *,
        placed: AbstractSet[str] = frozenset(),
    ) -> Iterator[Effect]:
        """Let facts enter as far as their concepts have room, and acknowledge them.  placed: ids of
        those whose domain the detector chose."""
        capacity, keep = self._config.facts_per_concept, self._config.keep
        admission = admit(self._ledger, facts, capacity, keep)
        leaving = (*admission.evicted, *admission.refused)
        if admission.entering or leaving:
            gone = (*admission.replaced, *admission.evicted)
            known.remove(gone)
            known.add(admission.entering)
            self._session.record_facts(admission.entering)
            out = tuple(fact.id for fact in leaving)
            chosen = tuple(fact.id for fact in admission.entering if fact.id in placed)
            yield StoreFacts(facts=admission.entering, evicted=out, before=gone, placed=chosen)
        details = ", ".join(part for part in (detail, admission.detail) if part)
        yield Publish(Acknowledgement(subject_id, len(admission.entering), details))

    # --- merges of domains ------------------------------------------------------------------------

    def merge(
        self, event: Observation, source: str, target: str, known: Knowledge
    ) -> Iterator[Effect]:
        """Merge a domain that this runtime opened into another, with its facts; not where these lie
        apart from it, as they may when only observations without a label lie near."""
        ids = self._ledger.select(Selector(domain=source))
        recorded = self._ledger.domain_merges()
        if len(ids) > limits.MERGED_FACTS_MAX or not may_merge(source, target, recorded):
            return
        if self._lie_apart(ids, target, known):
            return
        self._session.merge(source, target)
        named = self._ledger.select_candidates(Selector(domain=source))
        waiting = [one for one in map(self._ledger.candidate, named) if one is not None]
        if waiting:
            yield StoreLabelCandidates(tuple(replace(one, domain=target) for one in waiting))
        if ids:
            merge = DomainMerge(
                id=event.key, source=source, target=target, at_ns=event.captured_at_ns, fact_ids=ids
            )
            yield StoreDomainMerge(merge)
            facts = moved(self.facts(ids), target)
            yield from self.learn(event.key, facts, known, str(merge), placed=frozenset(ids))
            yield from self._growth.remove_orphans(known, self._ledger)

    def _lie_apart(self, ids: Sequence[str], domain: str, known: Knowledge) -> bool:
        """Return whether facts differ from a domain so far that they would open one of their own.
        Cost: at most `FACTS_COMPARED` are compared, evenly spaced."""
        facts = self.facts(ids[:: max(1, len(ids) // FACTS_COMPARED)][:FACTS_COMPARED])
        reference = self._session.reference_model(known)
        if len(facts) < FACTS_MIN or domain not in reference.memory.parts:
            return False
        rows = np.stack([np.frombuffer(fact.features, np.uint8) for fact in facts])
        recordings = [fact.recording for fact in facts]
        return reference.shift(known.geometry.project(rows), domain, recordings) >= 1

    def undo_merge(self, event: UndoMerge, known: Knowledge) -> Iterator[Effect]:
        """Move the facts of a merge back."""
        merge = self.standing_merge(event.merge_id)
        if merge is None:
            yield Publish(
                Rejected(
                    event.merge_id,
                    "undoing a merge of domains: there is none of this id that still stands",
                    "list the merges with `auricle inspect`",
                )
            )
            return
        held = (self._ledger.get(fact_id) for fact_id in merge.fact_ids)
        facts = tuple(fact for fact in held if fact is not None and fact.domain == merge.target)
        yield StoreDomainMerge(replace(merge, undone=True))
        yield from self.learn(event.merge_id, moved(facts, merge.source), known)

    def standing_merge(self, merge_id: str) -> DomainMerge | None:
        """Return a merge that was not undone, None if there is none of this id."""
        found = (one for one in self._ledger.domain_merges() if one.id == merge_id)
        return next((one for one in found if not one.undone), None)

    # --- records of actions -----------------------------------------------------------------------

    def facts_before(self, effect: StoreFacts) -> Iterator[FactBefore]:
        """Yield the facts that a change replaces, before it is applied: also each observation that
        waits for a label, as a fact without one."""
        before = {fact.id: fact for fact in effect.before}
        after = {fact.id: fact.hash() for fact in effect.facts}
        for key in dict.fromkeys((*after, *effect.evicted, *effect.withdrawn)):
            old, candidate = before.get(key), self._ledger.candidate(key)
            waiting = candidate or self._session.label_buffer.get(key)
            if old is None and waiting is not None:
                old = _as_fact(key, waiting)
            if old is None:
                continue
            score = candidate.score if candidate is not None else nan
            yield FactBefore(fact=old, after=after.get(key, b""), score=score)

    def restore(self, action: Action, known: Knowledge) -> Iterator[Effect]:
        """Restore the facts of an action, except those that were changed since; yields nothing if
        there is none.  Where their concept has no room, its selector chooses."""
        rows = tuple(row for row in action.facts if self._is_as_left(row))
        current = {row.fact.id: self._ledger.get(row.fact.id) for row in rows if row.after}
        leaving = {key: fact for key, fact in current.items() if fact is not None}
        entering = [self._whole(row, leaving) for row in rows if not row.waited]
        capacity, keep = self._config.facts_per_concept, self._config.keep
        out = overflow(self._ledger, entering, leaving, capacity, keep)
        arriving = {fact.id for fact in entering}
        kept = tuple(fact for fact in entering if fact.id not in out)
        evicted = tuple(fact for key, fact in out.items() if key not in arriving)
        waiting = tuple(self._whole(row, leaving) for row in rows if row.waited)
        withdrawn = {row.fact.id for row in rows if row.waited and row.after}
        if not rows:
            return
        gone = (*leaving.values(), *evicted)
        known.remove(gone)
        known.add(kept)
        self._session.served_accuracy.drop(withdrawn)
        self._session.record_facts(kept)
        lost = tuple(key for key in out if key not in arriving or key in leaving)
        back = sum(not row.after and row.fact.id not in out for row in rows)
        yield StoreFacts(
            facts=kept,
            evicted=lost,
            withdrawn=tuple(sorted(withdrawn)),
            readmitted=0 if action.verb == "unlabel" else back,
            before=gone,
        )
        scores = {row.fact.id: row.score for row in rows}
        if waiting:
            again = (waiting_again(fact, scores[fact.id]) for fact in waiting)
            yield StoreLabelCandidates(tuple(again))

    def _is_as_left(self, row: FactBefore) -> bool:
        """Return whether a fact is as an action left it."""
        held = self._ledger.get(row.fact.id)
        if held is None:
            gone = self._ledger.was_forgotten(row.fact.id)
            return not (row.after or gone or self._ledger.resembles_forgotten(row.fact.features))
        return row.after == held.hash()

    @staticmethod
    def _whole(row: FactBefore, current: dict[str, Fact]) -> Fact:
        """Return a fact as it was, with its features."""
        held = current.get(row.fact.id)
        return row.fact if held is None else replace(row.fact, features=held.features)

    def facts(self, ids: Iterable[str]) -> tuple[Fact, ...]:
        """Return stored facts by id."""
        return tuple(cast("Fact", self._ledger.get(fact_id)) for fact_id in ids)


def _as_fact(key: str, one: BufferedObservation | LabelCandidate) -> Fact:
    """Return an unlabelled observation as a fact without a label."""
    return Fact(
        id=key,
        stream=one.stream,
        domain=one.domain,
        label="",
        captured_at_ns=one.captured_at_ns,
        features=one.features,
        subject=one.subject,
        recording=one.recording,
    )


def renamed_domain(event: Relabel) -> str:
    """Return the domain that is renamed as a whole, or merged into another; '' if none is."""
    old = event.selector.domain
    whole = old is not None and event.domain and event.selector == Selector(domain=old)
    return old if old is not None and whole else ""


def waiting_again(fact: Fact, score: float = 0.0) -> LabelCandidate:
    """Return a fact whose label is taken back as a label candidate."""
    return LabelCandidate(
        observation_id=fact.id,
        stream=fact.stream,
        subject=fact.subject,
        domain=fact.domain,
        captured_at_ns=fact.captured_at_ns,
        score=0.0 if isnan(score) else score,
        features=fact.features,
        recording=fact.recording,
    )
