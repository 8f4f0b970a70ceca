"""History events of commands: one plain sentence each, without ids."""

from ..mqtt import Response
from ..storage import HistoryEvent
from .requests import (
    ConfirmCommand,
    LabelCommand,
    LabelManyCommand,
    PolicyCommand,
    RateCommand,
    RelabelCommand,
    Request,
    UndoCommand,
    UndoMergeCommand,
    UnlabelCommand,
)

SILENT = frozenset({"forget", "grow", "rollback", "bundle-import", "rebirth"})
"""Commands whose outcome is in the history as a message: a receipt, a growth report, a trial."""


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
            answer = "harmless" if request.harmless else "a real change"
            return HistoryEvent(
                at_ns=at_ns,
                kind="alarm-answer",
                stream=request.stream,
                text=f"The alarm of {request.stream} was answered: {answer}",
                fields={"harmless": request.harmless},
            )
        case LabelManyCommand():
            labelled = response.body.get("labelled", 0)
            names = tuple(dict.fromkeys(one.label for one in request.labels))
            return label_event(at_ns, ", ".join(names), "", labelled) if labelled else None
        case _:
            kind, text = _sentence(request, response, count)
    if not text:
        return None
    return HistoryEvent(at_ns=at_ns, kind=kind, text=text, fields={"verb": request.verb})


def _sentence(request: Request, response: Response, count: int) -> tuple[str, str]:
    """Return the kind and the text of an event that has no more fields; no text if there is none.
    count: of the facts that were changed."""
    match request:
        case UnlabelCommand():
            return "undo", f"The labels of {count} observations were taken back"
        case UndoCommand():
            return "undo", f"Undone: {response.body.get('text', '')}"
        case UndoMergeCommand():
            return "undo", f"A merge of domains was undone, {count} facts moved back"
        case RateCommand():
            return "command", f"The false-alarm rate was set to {100 * request.rate:g} %"
        case PolicyCommand(policy=policy):
            return "command", f"Adaptation to domains without labels was set to {policy}"
        case _:
            return "command", _PLAIN.get(request.verb, "")


def label_event(at_ns: int, label: str, domain: str, count: int) -> HistoryEvent:
    """Return the event of labels that people gave."""
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
    "fit-geometry": "The geometry was fitted to the labelled facts",
    "pause": "Deciding was paused",
    "resume": "Deciding was resumed",
    "reload": "The settings were read again",
    "bundle-confirm": "The bundle on trial was kept",
    "bundle-revert": "The bundle on trial was reverted",
}


def _relabel(request: RelabelCommand, count: int, at_ns: int) -> HistoryEvent:
    """Return the event of a correction.  It names domains and labels, never ids, subjects or
    recordings."""
    chosen = request.select
    named, target = _named(chosen.domain, chosen.label), _named(request.domain, request.label)
    many = "fact was" if count == 1 else "facts were"
    return HistoryEvent(
        at_ns=at_ns,
        kind="relabel",
        domain=request.domain or chosen.domain or "",
        text=f"{count} {many} moved{f' from {named}' if named else ''} to {target}",
        fields={
            "count": count,
            "from": {"domain": chosen.domain, "label": chosen.label},
            "to": {"domain": request.domain, "label": request.label},
        },
    )


def _named(domain: str | None, label: str | None) -> str:
    given = (("domain", domain), ("label", label))
    return " and ".join(f"{name} {value}" for name, value in given if value)
