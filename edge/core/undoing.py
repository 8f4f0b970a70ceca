"""Undo: an action of a person is recorded with its change, and reversed on request."""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from .actions import Action, Verb
from .events import (
    STORED_EFFECTS,
    Acknowledgement,
    ConfirmAlarm,
    Effect,
    GrowRequest,
    Label,
    LabelMany,
    PersonEvent,
    Publish,
    Rejected,
    Relabel,
    RemoveAdaptor,
    Rollback,
    StoreAdaptor,
    StoredEffect,
    StoreDomainMerge,
    StoreFacts,
    Together,
    Undo,
    UndoMerge,
    Unlabel,
)
from .facts import Ledger
from .knowledge import Knowledge
from .learning import Learner, renamed_domain
from .reconfigurator import Reconfigurator
from .session import SessionState, StreamLevels

VERBS: Final[dict[type[PersonEvent], Verb]] = {
    Label: "label",
    LabelMany: "label-many",
    Unlabel: "unlabel",
    Relabel: "relabel",
    UndoMerge: "undo-merge",
    ConfirmAlarm: "confirm",
    Rollback: "rollback",
    GrowRequest: "grow",
}


class ActionLog:
    """Records actions, and undoes them.  Its parts are those of the same runtime."""

    def __init__(
        self,
        ledger: Ledger,
        learner: Learner,
        session: SessionState,
        levels: StreamLevels,
        growth: Reconfigurator,
    ) -> None:
        self._ledger, self._learner, self._session = ledger, learner, session
        self._levels, self._growth = levels, growth

    def describe(self, event: PersonEvent, action_id: str, at_ns: int) -> Action:
        """Return the record of an event not handled yet, without the facts that it changes."""
        made = Action(id=action_id, verb=VERBS[type(event)], at_ns=at_ns)
        match event:
            case Label():
                return replace(made, labels=(event.label,))
            case LabelMany():
                return replace(made, labels=tuple(sorted({one.label for one in event.labels})))
            case Relabel():
                old, known = renamed_domain(event), {name for name, _ in self._ledger.concepts()}
                fresh = bool(old) and event.domain not in known
                made = replace(made, labels=(event.label,) if event.label else ())
                return replace(made, domain=old, other=event.domain) if fresh else made
            case UndoMerge():
                merge = self._learner.standing_merge(event.merge_id)
                return replace(made, domain=merge.source, other=merge.target) if merge else made
            case ConfirmAlarm():
                during = self._levels.alarm_counts(event.stream)
                counts = during if event.harmless else (0, 0, 0)
                made = replace(made, at_ns=event.at_ns, stream=event.stream)
                return replace(made, harmless=event.harmless, counts=counts)
            case Rollback(domain=domain):
                serving = self._ledger.adaptors().get(domain, ())
                version = serving[0].version if serving else 0
                return replace(made, domain=domain, version=version)
            case GrowRequest(domain=domain):
                version = self._growth.next_version(domain, self._ledger)
                return replace(made, domain=domain, version=version)
            case Unlabel():
                return made

    def record(self, action: Action, effects: tuple[Effect, ...]) -> Iterator[Effect]:
        """Yield the effects of an action with its record; an action that changed nothing, or was
        rejected, is not recorded."""
        stored = _stored(effects)
        facts = tuple(
            row
            for one in stored
            if isinstance(one, StoreFacts)
            for row in self._learner.facts_before(one)
        )
        made = replace(action, facts=facts)
        if _rejections(effects) or (made.empty and not made.domain):
            yield from effects
            return
        yield Together(stored, made)
        yield from _others(effects)

    def grown(self, domain: str, version: int, effects: tuple[Effect, ...]) -> Iterator[Effect]:
        """Yield the effects of a finished growth; with the record of the action that asked for it,
        if there is one, so that the versions that it replaces are kept aside."""
        asked = (one for one in self._ledger.actions() if one.verb == "grow" and not one.undone)
        action = next(
            (one for one in asked if (one.domain, one.version) == (domain, version)), None
        )
        installs = any(isinstance(one, StoreAdaptor) for one in effects)
        if action is None or not installs:
            yield from effects
            return
        yield Together(_stored(effects), action)
        yield from _others(effects)

    def undo(self, event: Undo, known: Knowledge) -> Iterator[Effect]:
        """Undo an action, as far as nothing else has changed it since."""
        found = next((one for one in self._ledger.actions() if one.id == event.action_id), None)
        reason, hint = _not_undoable(found, event.at_ns)
        if reason or found is None:
            yield Publish(Rejected(event.action_id, reason, hint))
            return
        effects = tuple(self._reversed(found, known))
        stored, rejected = _stored(effects), _rejections(effects)
        if rejected:
            yield rejected[0]
            return
        yield Together(stored, undoes=found.id)
        for domain, _ in found.adaptors:
            known.refit(domain)
        yield from _others(effects)
        yield Publish(_undone(found, stored))
        yield from self._growth.remove_orphans(known, self._ledger)

    def _reversed(self, action: Action, known: Knowledge) -> Iterator[Effect]:
        if action.facts:
            restored = tuple(self._learner.restore(action, known))
            if not restored:
                yield _reject(action, "all that it changed has changed again since")
                return
            yield from restored
        match action.verb:
            case "relabel" if action.domain:
                self._session.rename(action.other, action.domain)
                geometry = known.geometry.fingerprint
                yield from self._levels.rename(action.other, action.domain, geometry)
            case "undo-merge":
                for merge in self._ledger.domain_merges():
                    pair = (merge.source, merge.target)
                    if merge.undone and pair == (action.domain, action.other):
                        yield StoreDomainMerge(replace(merge, undone=False))
            case "confirm":
                yield from self._take_back(action, known)
            case "grow":
                yield from self._ungrow(action, known)

    def _take_back(self, action: Action, known: Knowledge) -> Iterator[Effect]:
        """Take back the answer to the question about an alarm."""
        changed = self._levels.take_back(action, known.geometry.fingerprint)
        self._session.knowledge_changed()
        if action.harmless and not changed:
            yield _reject(action, "the answer is not in force any more")
        yield from changed

    def _ungrow(self, action: Action, known: Knowledge) -> Iterator[Effect]:
        """Cancel a growth under way, or remove the adaptor that it brought."""
        serving = self._ledger.adaptors().get(action.domain, ())[:1]
        cancelled = tuple(self._growth.cancel(action.domain, action.version))
        if cancelled:
            yield from cancelled
        elif serving and serving[0].version == action.version:
            yield RemoveAdaptor(action.domain, action.version)
            yield from self._growth.give_up(action.domain, known)
        else:
            yield _reject(action, "no adaptor that it brought serves")


def _stored(effects: tuple[Effect, ...]) -> tuple[StoredEffect, ...]:
    return tuple(one for one in effects if isinstance(one, STORED_EFFECTS))


def _others(effects: tuple[Effect, ...]) -> Iterator[Effect]:
    return (one for one in effects if not isinstance(one, STORED_EFFECTS))


def _rejections(effects: tuple[Effect, ...]) -> list[Publish]:
    return [
        one for one in effects if isinstance(one, Publish) and isinstance(one.message, Rejected)
    ]


def _not_undoable(action: Action | None, now_ns: int) -> tuple[str, str]:
    """Return why an action cannot be undone, and a hint; both empty if it can."""
    hint = "list the actions that can be undone with `auricle undo --list`"
    if action is None:
        return "undoing: there is no action of this id, or it is too old", hint
    if action.undone:
        return "undoing: it was undone already", hint
    if action.expired(now_ns):
        return "undoing: it is more than ten minutes old", "correct it with `auricle relabel`"
    return ("undoing: nothing is left of it", hint) if action.empty else ("", "")


def _reject(action: Action, reason: str) -> Publish:
    return Publish(Rejected(action.id, f"undoing: {reason}", "nothing was changed"))


def _undone(action: Action, effects: tuple[StoredEffect, ...]) -> Acknowledgement:
    """Return the answer to an undo."""
    changed = [one for one in effects if isinstance(one, StoreFacts)]
    count = sum(len(one.facts) + len(one.withdrawn) for one in changed)
    untouched = len(action.facts) - len({key for one in changed for key in _keys(one)})
    detail = f"{untouched} were changed since, or have no room, and stay" if untouched > 0 else ""
    return Acknowledgement(action.id, count, detail)


def _keys(one: StoreFacts) -> tuple[str, ...]:
    return (*(fact.id for fact in one.facts), *one.withdrawn)
