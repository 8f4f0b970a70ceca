"""The event that a command leaves in the history of its home: one plain sentence, no ids."""

import msgspec

from ..mqtt import Response
from ..storage import HistoryEvent
from .requests import (
    ConfirmCommand,
    LabelCommand,
    LabelManyCommand,
    RelabelCommand,
    Request,
    UndoCommand,
    UndoMergeCommand,
    UnlabelCommand,
)

SILENT = frozenset({"forget", "grow", "rollback", "bundle-import", "rebirth"})
"""Commands whose outcome the history has from a message: a receipt, a growth report, a trial."""


def command_event(request: Request, response: Response, at_ns: int) -> HistoryEvent | None:
    """Return the event of a command that was carried out, None if it leaves none."""
    if not response.done or request.verb in SILENT:
        return None
    count = response.body.get("count", 0)
    count = count if isinstance(count, int) else 0
    match request:
        case LabelCommand():
            return label_event(at_ns, request.label, request.domain, count) if count else None
        case RelabelCommand():
            return _relabel(request, count, at_ns)
        case ConfirmCommand():
            answer = "a harmless change" if request.harmless else "no harmless change"
            return HistoryEvent(
                at_ns=at_ns,
                kind="alarm-answer",
                stream=request.stream,
                text=f"The alarm of {request.stream or 'a stream'} was called {answer}",
                fields={"harmless": request.harmless},
            )
        case LabelManyCommand():
            labelled = response.body.get("labelled", 0)
            names = tuple(dict.fromkeys(one.label for one in request.labels))
            return label_event(at_ns, ", ".join(names), "", labelled) if labelled else None
        case UnlabelCommand():
            text, kind = f"The labels of {count} observations were taken back", "undo"
        case UndoCommand():
            text, kind = f"Undone: {response.body.get('text', '')}", "undo"
        case UndoMergeCommand():
            text, kind = f"A merge of domains was undone, {count} facts moved back", "undo"
        case _:
            text, kind = _PLAIN.get(request.verb, ""), "command"
    if not text:
        return None
    return HistoryEvent(at_ns=at_ns, kind=kind, text=text, fields={"verb": request.verb})


def label_event(at_ns: int, label: str, domain: str, count: int) -> HistoryEvent:
    """Return the event that people labelled observations."""
    where = f" in {domain}" if domain else ""
    many = "observation was" if count == 1 else "observations were"
    return HistoryEvent(
        at_ns=at_ns,
        kind="label",
        domain=domain,
        text=f"{count} {many} labelled {label}{where}",
        fields={"label": label, "count": count},
    )


_PLAIN = {
    "pause": "Deciding was paused",
    "resume": "Deciding goes on",
    "reload": "The settings were read again",
    "bundle-confirm": "The bundle on trial was kept",
    "bundle-revert": "The bundle on trial was reverted",
}


def _relabel(request: RelabelCommand, count: int, at_ns: int) -> HistoryEvent:
    """Name what was changed by its domain and label, never by ids, subjects or recordings."""
    chosen = request.select
    named = " and ".join(
        f"{name} {value}"
        for name, value in (("domain", chosen.domain), ("label", chosen.label))
        if value
    )
    target = " and ".join(
        f"{name} {value}"
        for name, value in (("domain", request.domain), ("label", request.label))
        if value
    )
    many = "fact was" if count == 1 else "facts were"
    return HistoryEvent(
        at_ns=at_ns,
        kind="relabel",
        domain=request.domain or chosen.domain or "",
        text=f"{count} {many} moved{f' from {named}' if named else ''} to {target}",
        fields={
            "count": count,
            "from": msgspec.to_builtins({"domain": chosen.domain, "label": chosen.label}),
            "to": {"domain": request.domain, "label": request.label},
        },
    )
