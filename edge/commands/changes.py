"""Commands that change the knowledge of a home: fed to its core, recorded for undo, answered."""

import time
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from ..core import (
    Acknowledgement,
    EdgeError,
    GrowthReport,
    Label,
    LabelMany,
    Message,
    Receipt,
    Rejected,
    Undoable,
)
from ..core.selection import NEWEST
from ..home import (
    AgreementCount,
    ColumnFinder,
    CommandContext,
    Home,
    KnownNames,
)
from ..mqtt import Response
from .parsing import Refusal
from .queries import QUERIES, open_home
from .requests import (
    ColumnsCommand,
    ConfirmCommand,
    ForgetCommand,
    GrowCommand,
    LabelCommand,
    LabelManyCommand,
    RelabelCommand,
    Request,
    RollbackCommand,
    UndoCommand,
    UndoMergeCommand,
    UnlabelCommand,
)

Undone = (
    LabelCommand
    | UnlabelCommand
    | RelabelCommand
    | UndoMergeCommand
    | ConfirmCommand
    | GrowCommand
    | RollbackCommand
)
"""Commands that can be undone, with `LabelManyCommand`."""

NOT_FOUND: Final = "grouping observations failed: a bug, see the log", "reload the page"
"""Why clusters are not listed, and what to do."""

MS_PER_S: Final = 1_000  # milliseconds in a second


class LabelledMany(msgspec.Struct):
    """The answer to `label-many`, complete once it is counted how many observations agree."""

    home: Home
    count: AgreementCount
    response: Response
    started_s: float = msgspec.field(default_factory=time.perf_counter)

    def advance(self, seconds: float) -> Response | None:
        """Count on for about this long; returns the answer once it is complete."""
        self.count.advance(seconds)
        if not self.count.done:
            return None
        found = {
            "compared": self.count.compared,
            "agree": [msgspec.to_builtins(one) for one in self.count.agreements],
            "waiting": len(self.home.store.candidate_index()),
            "counted_ms": _elapsed_ms(self.started_s),
        }
        self.home.gallery.agreed(self.response.body["undo_id"], self.count.ids)
        return msgspec.structs.replace(self.response, body=self.response.body | found)


class ListedColumns(msgspec.Struct):
    """The answer to `columns`, complete once a thread has found them."""

    home: Home
    request: ColumnsCommand
    finder: ColumnFinder

    def answer(self) -> Response:
        """Return the answer, once the finder is not active any more."""
        if self.finder.found is None:
            return refused(self.request.verb, Refusal(*NOT_FOUND, self.request.id))
        from ..home import unnamed_columns  # its module is large, and a start needs none of it

        found = unnamed_columns(self.home, self.finder.found)
        body = {"columns": [msgspec.to_builtins(one) for one in found]}
        return Response(verb=self.request.verb, id=self.request.id, done=True, body=body)


def refused(verb: str, refusal: Refusal) -> Response:
    """Return the answer to a command that is refused."""
    return Response(verb=verb, id=refusal.id, done=False, reason=refusal.reason, hint=refusal.hint)


def completed(request: Request, home: Home) -> Request:
    """Return a command with the fields that it leaves to its home."""
    if isinstance(request, ConfirmCommand):
        return _with_question(request, home)
    if isinstance(request, ForgetCommand) and request.refit_geometry is None:
        return msgspec.structs.replace(request, refit_geometry=not home.shares_geometry)
    return request


def carry_out(request: Request, context: CommandContext) -> Response | LabelledMany | ListedColumns:
    """Carry out a completed command of an open home, or one that reads."""
    match request:
        case ColumnsCommand():
            home = open_home(request, context)
            return ListedColumns(home, request, ColumnFinder(home.runtime.column_searches()))
        case LabelManyCommand():
            return _label_many(request, context)
        case UndoCommand():
            return _undo(request, context)
        case ForgetCommand():
            return _forget(request, context)
        case (
            LabelCommand()
            | UnlabelCommand()
            | RelabelCommand()
            | UndoMergeCommand()
            | ConfirmCommand()
            | GrowCommand()
            | RollbackCommand()
        ):
            return _change(request, context)
        case _:
            try:
                body = dict(QUERIES[request.verb](request, context))
            except EdgeError as error:
                return refused(request.verb, Refusal(error.message, error.hint, request.id))
            return Response(verb=request.verb, id=request.id, done=True, body=body)


def _forget(request: ForgetCommand, context: CommandContext) -> Response:
    """Carry out a request to forget; its answer is the receipt, or how far it is."""
    messages = context.feed(request.home, request.event(context.now_ns()))
    response = _response(request, messages)
    if not response.done or any(isinstance(one, Receipt) for one in messages):
        return response
    pending = open_home(request, context).runtime.pending_forgets()
    found = [one for one in pending if one.request_id == request.id]
    body = {"pending": True, **msgspec.to_builtins(found[0])} if found else {}
    return msgspec.structs.replace(response, body=body)


def _change(request: Undone, context: CommandContext) -> Response:
    """Carry out a command that can be undone."""
    home = open_home(request, context)
    typos = []
    if isinstance(request, LabelCommand | RelabelCommand):
        typos = _typos(home, ((request.label, request.domain),))
    at_ns, undo_id = context.now_ns(), home.store.journal.action_id(request.id)
    event = Undoable(request.event(at_ns), undo_id, at_ns)
    response = _response(request, context.feed(request.home, event))
    if not response.done:
        return response
    more: dict[str, Any] = {"undo_id": undo_id} if home.store.action_records.holds(undo_id) else {}
    more |= {"warnings": typos} if typos else {}
    return msgspec.structs.replace(response, body=response.body | more)


def _label_many(request: LabelManyCommand, context: CommandContext) -> LabelledMany:
    """Store labels in one step.  Decisions use them when this returns."""
    started_s = time.perf_counter()
    home = open_home(request, context)
    labels = tuple(Label(one.observation_id, one.label, one.domain) for one in request.labels)
    typos = _typos(home, ((one.label, one.domain) for one in labels))
    reasons = home.runtime.refusals(labels)
    if request.only_unlabelled:
        reasons = tuple(
            why or _labelled_already(home, one) for one, why in zip(labels, reasons, strict=True)
        )
    usable = tuple(one for one, why in zip(labels, reasons, strict=True) if why is None)
    wrong = [why for why in reasons if why is not None]
    at_ns, undo_id = context.now_ns(), home.store.journal.action_id(request.id)
    before = home.runtime.snapshot()
    labelled, detail = 0, ""
    if usable:
        event = Undoable(LabelMany(usable), undo_id, at_ns)
        for message in context.feed(request.home, event):
            if isinstance(message, Acknowledgement):
                labelled, detail = message.count, message.detail
    wrong += _not_kept(home, usable)
    body = {
        "labelled": labelled,
        "detail": detail,
        "refused": [
            {"observation_id": one.subject_id, "reason": one.reason, "hint": one.hint}
            for one in wrong
        ],
        "undo_id": undo_id if home.store.action_records.holds(undo_id) else "",
        "warnings": typos,
        "took_ms": _elapsed_ms(started_s),
    }
    response = Response(verb=request.verb, id=request.id, done=True, body=body)
    count = AgreementCount(home, before, {one.label for one in usable} if labelled else ())
    return LabelledMany(home, count, response, started_s)


def _labelled_already(home: Home, label: Label) -> Rejected | None:
    """Return why a label must not replace another that was given meanwhile."""
    fact = home.store.get(label.observation_id)
    if fact is None:
        return None
    reason = f"labelling: it was labelled {fact.label} meanwhile"
    return Rejected(label.observation_id, reason, "correct it in the list of labelled ones")


def _not_kept(home: Home, labels: Iterable[Label]) -> list[Rejected]:
    """Return why labels that could be used were not kept."""
    oldest = home.runtime.config.keep == NEWEST
    why = "all that it keeps are newer" if oldest else "its selector leaves this observation out"
    reason = f"labelling: the concept is full, and {why}"
    other = "label newer observations" if oldest else 'set knowledge.keep = "newest"'
    hint = f"raise knowledge.facts_per_concept, or {other}"
    return [
        Rejected(one.observation_id, reason, hint)
        for one in labels
        if home.store.get(one.observation_id) is None
    ]


def _undo(request: UndoCommand, context: CommandContext) -> Response:
    home = open_home(request, context)
    found = [
        (one, facts)
        for one, facts in home.store.action_records.heads()
        if one.id == request.undo_id
    ]
    response = _response(request, context.feed(request.home, request.event(context.now_ns())))
    if not response.done:
        return response
    body = {
        "undone": True,
        "facts": response.body.get("count", 0),
        "text": "; ".join(
            filter(None, (found[0][0].text(found[0][1]), str(response.body.get("detail", ""))))
        ),
    }
    return msgspec.structs.replace(response, body=body)


def _with_question(request: ConfirmCommand, home: Home) -> ConfirmCommand:
    """Complete an answer with the id and the stream of the question that it names by one of them;
    an answer without a question stays, and the core rejects it."""
    asked = [
        one
        for one in home.runtime.alarm_questions()
        if request.alarm_id in {"", one.alarm_id} and request.stream in {"", one.stream}
    ]
    if len(asked) != 1:
        nothing = request.alarm_id or request.stream or "unnamed"
        return msgspec.structs.replace(
            request, alarm_id=request.alarm_id or nothing, stream=request.stream or nothing
        )
    return msgspec.structs.replace(request, alarm_id=asked[0].alarm_id, stream=asked[0].stream)


def _typos(home: Home, names: Iterable[tuple[str, str]]) -> list[str]:
    """Return warnings of new names that are probably typos of known ones.  names: labels and
    domains."""
    known = KnownNames.of(home.runtime.knowledge.own.keys)
    given = dict.fromkeys(names)
    found = (one for label, domain in given for one in known.warnings(label=label, domain=domain))
    return list(dict.fromkeys(found))


def _response(request: Request, messages: tuple[Message, ...]) -> Response:
    """Return the response for the messages of the core."""
    for one in messages:
        if isinstance(one, Rejected):
            return Response(
                verb=request.verb, id=request.id, done=False, reason=one.reason, hint=one.hint
            )
    kinds = (Receipt, Acknowledgement, GrowthReport)
    found = [one for kind in kinds for one in messages if isinstance(one, kind)]
    body = msgspec.to_builtins(found[0]) if found else {}
    return Response(verb=request.verb, id=request.id, done=True, body=body)


def _elapsed_ms(started_s: float) -> float:
    return round((time.perf_counter() - started_s) * MS_PER_S, 1)
