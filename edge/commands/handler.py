"""The desk: takes commands and contributions in, has them carried out once, and answers.

`receive` and `local` only read; `carry_out` runs in the loop's own thread.
"""

import base64
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from ..config import CommandSettings
from ..core import Acknowledgement, EdgeError, GrowthReport, Message, Receipt, Rejected, StateError
from ..home import CommandContext, Home, KnownNames
from ..logs import log
from ..mqtt import InboundMessage, Response, TopicAddress, Topics
from ..storage import AnsweredCommand, JournalEntry
from .parsing import CommandParser, ParsedCommand, Refusal, no_home, parse_command
from .rate_limit import RateLimit
from .requests import (
    LOCAL_COMMANDS,
    BundleImportCommand,
    ExplainCommand,
    ForgetCommand,
    GrowCommand,
    LabelCommand,
    RawCommand,
    RelabelCommand,
    Request,
    RollbackCommand,
)

if TYPE_CHECKING:
    from ..fleet import FleetMember, ReceivedContribution

FRESH: Final = frozenset({"adaptors", "candidates", "status", "health", "explain", "raw"})
"""Commands that only read: a repeated one is answered by what is true then."""

LOST: Final = "it was carried out; what was answered is gone with a crash or an erasure"


@dataclass(frozen=True, slots=True)
class PendingCommand:
    """A command on its way.  taken: what was read, or why not.  topic, correlation: where the
    answer goes; reply: the same for somebody on this machine.  ticket: of the arrival, 0 for none.
    """

    verb: str
    taken: ParsedCommand | Refusal
    topic: str = ""
    correlation: bytes = b""
    ticket: int = 0
    reply: Callable[[bytes], None] | None = None


class CommandHandler:
    """Takes commands for one device.  settings: of [commands]; floor: where they are done; member:
    who takes contributions, if anybody does."""

    def __init__(
        self,
        settings: CommandSettings,
        device: str,
        topics: Topics,
        floor: CommandContext,
        member: "FleetMember | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reading = CommandParser(settings, device)
        self._allowance = RateLimit(settings.per_minute, clock)
        self._topics, self._floor, self._member = topics, floor, member
        self._failed: dict[str, str] = {}

    def receive(
        self, arrival: InboundMessage, address: TopicAddress
    ) -> "PendingCommand | ReceivedContribution | None":
        """Read a command or sums that a broker brought; what is wrong with a command is answered as
        its turn comes."""
        if address.purpose == "contribution":
            return None if self._member is None else self._member.receive(arrival, address)
        asked = arrival.response_topic
        topic = asked if asked and self._topics.allows_response(asked) else self._topics.response
        taken = self._read(arrival, address.name)
        return PendingCommand(address.name, taken, topic, arrival.correlation, arrival.ticket)

    def local(self, line: bytes, reply: Callable[[bytes], None]) -> PendingCommand | None:
        """Read a command of somebody on this machine, who is trusted; a bad one is answered at
        once."""
        request = parse_command(line, commands=LOCAL_COMMANDS)
        if isinstance(request, Refusal):
            reply(msgspec.json.encode(_refused("", request)))
            return None
        return PendingCommand(request.verb, ParsedCommand(request, line), reply=reply)

    def carry_out(self, order: "PendingCommand | ReceivedContribution") -> None:
        """Do what an order says, if it was not done before, and answer it.

        Raises EdgeError where it cannot be done now; it may be sent again then.
        """
        if not isinstance(order, PendingCommand):
            if self._member is not None:
                self._member.adopt(order)
            return
        floor = self._floor
        if isinstance(order.taken, Refusal):
            self._answer(order, _refused(order.verb, order.taken), kept=False)
            return
        request, payload = order.taken.request, order.taken.payload
        if request.home not in floor.homes:
            refusal = Refusal(*no_home(request.home, floor.homes), request.id)
            self._answer(order, _refused(order.verb, refusal), kept=False)
            return
        if request.verb in FRESH:
            self._answer(order, _do(request, floor), kept=False)
            return
        home = _home(request, floor)
        at_ns = floor.now_ns()
        command = JournalEntry(request.id, request.verb, payload, at_ns, request.expires_at_ns)
        journal = home.store.journal
        found = journal.find(command)
        if found is None and not journal.make_room(at_ns):
            raise StateError("the journal of commands is full", "wait until some have expired")
        if found is not None and not _again(request, found):
            self._answer(order, _repeated(request, found), kept=True)
            return
        with journal.marking(command):
            response = _do(request, floor)
        self._record(home, command, response)
        again = found is not None
        self._answer(order, replace(response, repeated=again), kept=True)

    @staticmethod
    def about(order: "PendingCommand | ReceivedContribution") -> str:
        """Return the id of the observation that an order labels, or nothing."""
        read = order.taken if isinstance(order, PendingCommand) else None
        label = read.request if isinstance(read, ParsedCommand) else None
        return label.observation_id if isinstance(label, LabelCommand) else ""

    def tend(self) -> None:
        """Do what is due; call it about once a second.  What a disk does not let happen is tried
        again the next time."""
        if self._member is not None:
            self._attempt("fleet", self._member.maintain)
        for name in self._floor.homes:
            self._attempt(f"trial {name}".strip(), partial(self._look_after_trial, name))

    def _look_after_trial(self, name: str) -> None:
        home = self._floor.homes[name].home
        for tried in home.look_after_trial() if home is not None else ():
            self._floor.tell(tried)

    def _attempt(self, doing: str, act: Callable[[], None]) -> None:
        """Do something that a failing disk may keep from happening; each reason is logged once."""
        try:
            act()
        except EdgeError as error:
            if self._failed.get(doing) != error.message:
                log.warning("not_tended", doing=doing, reason=error.message, hint=error.hint)
            self._failed[doing] = error.message
        else:
            self._failed.pop(doing, None)

    def refuse(self, order: "PendingCommand | ReceivedContribution", reason: str) -> None:
        """Answer an order that cannot be carried out now."""
        if not isinstance(order, PendingCommand):
            log.warning("contribution_not_adopted", device=order.device, reason=reason)
            return
        name = order.taken.request.id if isinstance(order.taken, ParsedCommand) else order.taken.id
        refusal = Refusal(reason, "send it again later, with the same id", name)
        self._answer(order, _refused(order.verb, refusal), kept=False)

    def _read(self, arrival: InboundMessage, verb: str) -> ParsedCommand | Refusal:
        if not self._allowance.take():
            most = self._allowance.per_minute
            return Refusal(f"too many commands: {most} a minute are taken", "send fewer")
        if arrival.retained:
            return Refusal(
                "it was retained, and would come again at each connection",
                "publish commands without the retain flag",
            )
        if arrival.expiry_s == 0:
            return Refusal("it expired on its way", "send it again with a new id")
        return self._reading.read(verb, arrival.payload, self._floor.now_ns())

    @staticmethod
    def _record(home: Home, command: JournalEntry, response: Response) -> None:
        # Ids of what was forgotten stay in no answer: the receipt is kept, and says it again.
        secret = command.verb == "forget" and response.done
        kept = b"" if secret else msgspec.json.encode(response)
        try:
            home.store.journal.record(command, kept, done=response.done)
        except StateError as error:
            # What it changed is on the disk, with its mark.
            log.warning("answer_not_recorded", verb=command.verb, reason=error.message)

    def _answer(self, order: PendingCommand, response: Response, *, kept: bool) -> None:
        if order.reply is not None:
            order.reply(msgspec.json.encode(response))
        else:
            self._floor.answer(response, order.topic, order.correlation, kept=kept)


def _home(request: Request, floor: CommandContext) -> Home:
    """Return the home a command is for; raises StateError where it cannot serve."""
    home = floor.homes[request.home].home
    if home is None:
        raise StateError(f"the home {request.home!r} is not open", "it is tried again by itself")
    return home


def _again(request: Request, found: AnsweredCommand) -> bool:
    """Say whether a repeated command is handed to the core again, which knows its receipts."""
    return isinstance(request, ForgetCommand) and found.same and not found.answer


def _repeated(request: Request, found: AnsweredCommand) -> Response:
    if not found.same:
        refusal = Refusal("replayed: its id was used for another command", "give it a new id")
        return _refused(request.verb, replace(refusal, id=request.id))
    if found.answer:
        return replace(msgspec.json.decode(found.answer, type=Response), repeated=True)
    return Response(verb=request.verb, id=request.id, done=found.done, hint=LOST, repeated=True)


def _refused(verb: str, refusal: Refusal) -> Response:
    return Response(verb=verb, id=refusal.id, done=False, reason=refusal.reason, hint=refusal.hint)


def _do(request: Request, floor: CommandContext) -> Response:
    """Carry a command out."""
    if isinstance(request, ForgetCommand) and request.resurvey is None:
        again = not _home(request, floor).shares_geometry
        request = msgspec.structs.replace(request, resurvey=again)
    match request:
        case (
            LabelCommand() | RelabelCommand() | ForgetCommand() | GrowCommand() | RollbackCommand()
        ):
            doubts = _doubtful_names(request, floor)
            response = _told(request, floor.feed(request.home, request.event(floor.now_ns())))
            if not (response.done and doubts):
                return response
            return replace(response, body=response.body | {"warnings": doubts})
        case _:
            try:
                body = dict(_SAYING[request.verb](request, floor))
            except EdgeError as error:
                return _refused(request.verb, Refusal(error.message, error.hint, request.id))
            return Response(verb=request.verb, id=request.id, done=True, body=body)


def _doubtful_names(request: Request, floor: CommandContext) -> list[str]:
    """Return warnings of new names in a command that are probably typos of known ones."""
    if not isinstance(request, LabelCommand | RelabelCommand):
        return []
    concepts = _home(request, floor).runtime.knowledge.own.keys
    known = KnownNames.of(concepts)
    return list(known.warnings(label=request.label, domain=request.domain))


def _told(request: Request, told: tuple[Message, ...]) -> Response:
    """Turn what the core said into an answer."""
    for one in told:
        if isinstance(one, Rejected):
            return Response(
                verb=request.verb, id=request.id, done=False, reason=one.reason, hint=one.hint
            )
    kinds = (Receipt, Acknowledgement, GrowthReport)
    found = [one for kind in kinds for one in told if isinstance(one, kind)]
    body = msgspec.to_builtins(found[0]) if found else {}
    return Response(verb=request.verb, id=request.id, done=True, body=body)


def _say_adaptors(request: Request, floor: CommandContext) -> Iterator[tuple[str, Any]]:
    from ..home import list_adaptors

    yield "adaptors", [msgspec.to_builtins(one) for one in list_adaptors(_home(request, floor))]


def _say_candidates(request: Request, floor: CommandContext) -> Iterator[tuple[str, Any]]:
    from ..home import waiting_at

    yield from msgspec.to_builtins(waiting_at(_home(request, floor))).items()


def _say_explanation(request: Request, floor: CommandContext) -> Iterator[tuple[str, Any]]:
    from ..home import explained_at

    assert isinstance(request, ExplainCommand)
    explained = explained_at(_home(request, floor), request.observation_id)
    yield from msgspec.to_builtins(explained).items()


def _say_raw(request: Request, floor: CommandContext) -> Iterator[tuple[str, Any]]:
    from ..home import raw_at

    assert isinstance(request, RawCommand)
    raw = raw_at(_home(request, floor), request.observation_id)
    yield "raw", "" if raw is None else base64.b64encode(raw).decode()


def _say_status(_request: Request, floor: CommandContext) -> Iterator[tuple[str, Any]]:
    yield from msgspec.to_builtins(floor.status()).items()


def _say_health(_request: Request, floor: CommandContext) -> Iterator[tuple[str, Any]]:
    status = floor.status()
    yield from (("state", status.state), ("problems", list(status.problems)))
    yield "uptime_s", status.uptime_s


def _rebirth(_request: Request, floor: CommandContext) -> Iterator[tuple[str, Any]]:
    floor.rebirth()
    yield from ()


def _reload(_request: Request, floor: CommandContext) -> Iterator[tuple[str, Any]]:
    yield "did", list(floor.reload())


def _pause(request: Request, floor: CommandContext) -> Iterator[tuple[str, Any]]:
    floor.pause(paused=request.verb == "pause")
    yield "paused", request.verb == "pause"


def _import_bundle(request: Request, floor: CommandContext) -> Iterator[tuple[str, Any]]:
    from ..bundles import import_bundle

    assert isinstance(request, BundleImportCommand)
    tried = import_bundle(_home(request, floor), request.name, floor.now_ns())
    yield from msgspec.to_builtins(tried).items()


def _confirm_bundle(request: Request, floor: CommandContext) -> Iterator[tuple[str, Any]]:
    yield from msgspec.to_builtins(_home(request, floor).confirm_trial()).items()


def _revert_bundle(request: Request, floor: CommandContext) -> Iterator[tuple[str, Any]]:
    tried = _home(request, floor).end_trial("somebody asked for it")
    yield from msgspec.to_builtins(tried).items()


_SAYING: Final[dict[str, Callable[[Any, CommandContext], Iterator[tuple[str, Any]]]]] = {
    "adaptors": _say_adaptors,
    "candidates": _say_candidates,
    "explain": _say_explanation,
    "raw": _say_raw,
    "status": _say_status,
    "health": _say_health,
    "rebirth": _rebirth,
    "reload": _reload,
    "pause": _pause,
    "resume": _pause,
    "bundle-import": _import_bundle,
    "bundle-confirm": _confirm_bundle,
    "bundle-revert": _revert_bundle,
}
