"""The command handler: reads commands and fleet contributions, executes each once, and answers.

`receive` and `local` only read; `execute` runs in the loop's thread.
"""

import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

import msgspec

from ..config import CommandSettings
from ..core import EdgeError, StateError
from ..home import CommandContext, Home
from ..logs import log
from ..mqtt import FLEET_PURPOSES, InboundMessage, Response, TopicAddress, Topics
from ..storage import AnsweredCommand, JournalEntry
from .changes import LabelledMany, ListedColumns, carry_out, completed, refused
from .command_events import command_event
from .parsing import CommandParser, ParsedCommand, Refusal, no_home, parse_command
from .queries import open_home
from .requests import (
    COMMANDS,
    LOCAL_COMMANDS,
    ForgetCommand,
    LabelCommand,
    LabelManyCommand,
    Request,
)

if TYPE_CHECKING:
    from ..fleet import FleetMember, LeftFleets, ReceivedContribution

FRESH: Final = frozenset({"adaptors", "candidates", "status", "health"}) | (
    LOCAL_COMMANDS.keys() - COMMANDS.keys() - {"label-many", "unlabel", "undo"}
)
"""Commands without a journal entry: a repeated one gets a new answer.  They only read, except
`keep-label` and `fit-geometry`, which may be repeated, `false-alarm-rate` and `adaptation`, which
open the home and its journal again, and `bundle-record` and `bundle-remove`, which refuse to do the
same twice."""

COUNT_S: Final = 0.004
"""Longest count of agreeing observations in one turn of the loop: as long as its decisions may take
(`loop.TURN_S`)."""

LOST: Final = "it was carried out; its answer was lost in a crash or erased"


class PendingCommand(msgspec.Struct, frozen=True, kw_only=True):
    """A command that waits for execution.  parsed: the command, or why it is refused.

    topic, correlation: where the answer goes; reply: the same for a local client.  ticket: of the
    arrival, 0 without one.
    """

    verb: str
    parsed: ParsedCommand | Refusal
    topic: str = ""
    correlation: bytes = b""
    ticket: int = 0
    reply: Callable[[bytes], None] | None = None


class RateLimit:
    """A token bucket (Turner 1986): allows `per_minute` commands, and bursts of as many.

    clock: monotonic seconds.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self.per_minute = per_minute
        self._clock = clock
        self._left = float(per_minute)
        self._filled_at = clock()

    def take(self) -> bool:
        """Use one token; False if none is left."""
        now = self._clock()
        self._left += (now - self._filled_at) * self.per_minute / 60
        self._left, self._filled_at = min(self._left, self.per_minute), now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class CommandHandler:
    """Handles the commands of one device.  settings: of [commands]; context: where they are
    executed; member: receives contributions, if the device is in a fleet.  left: receives reports
    from the fleets that it has left, if it is in none."""

    def __init__(
        self,
        settings: CommandSettings,
        device: str,
        topics: Topics,
        context: CommandContext,
        member: "FleetMember | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._parser = CommandParser(settings, device)
        self._rate_limit = RateLimit(settings.per_minute, clock)
        self._topics, self._context, self._member = topics, context, member
        self.left: LeftFleets | None = None
        self._failed: dict[str, str] = {}
        self._counting: deque[tuple[PendingCommand, Request, JournalEntry, LabelledMany]] = deque()
        self._listing: deque[tuple[PendingCommand, ListedColumns]] = deque()

    def receive(
        self, arrival: InboundMessage, address: TopicAddress
    ) -> "PendingCommand | ReceivedContribution | None":
        """Read a command or a contribution from a broker; an invalid command is answered in its
        turn."""
        if address.purpose in FLEET_PURPOSES:
            if self.left is not None:
                self.left.receive(arrival)
            return None if self._member is None else self._member.receive(arrival, address)
        given = arrival.response_topic
        return PendingCommand(
            verb=address.name,
            parsed=self._parse(arrival, address.name),
            topic=given if given and self._topics.allows_response(given) else self._topics.response,
            correlation=arrival.correlation,
            ticket=arrival.ticket,
        )

    def local(self, line: bytes, reply: Callable[[bytes], None]) -> PendingCommand | None:
        """Read a command of a local client, which is trusted; an invalid one is answered at
        once."""
        request = parse_command(line, commands=LOCAL_COMMANDS)
        if isinstance(request, Refusal):
            reply(msgspec.json.encode(refused("", request)))
            return None
        parsed = ParsedCommand(request, line)
        return PendingCommand(verb=request.verb, parsed=parsed, reply=reply)

    @property
    def filters(self) -> list[str]:
        """The topics of fleets that this device has left to subscribe to."""
        found = self._member or self.left
        return found.filters if found is not None else []

    @staticmethod
    def internal(request: Request, reply: Callable[[bytes], None]) -> PendingCommand:
        """Return a command of the daemon's own, which is trusted.  reply: takes its answer."""
        parsed = ParsedCommand(request, msgspec.json.encode(request))
        return PendingCommand(verb=request.verb, parsed=parsed, reply=reply)

    def execute(self, order: "PendingCommand | ReceivedContribution") -> None:
        """Execute a command or adopt a contribution, unless it was done before, and answer.

        Raises EdgeError if that is impossible now; the command may be sent again.
        """
        if not isinstance(order, PendingCommand):
            if self._member is not None:
                self._member.adopt(order)
            return
        context = self._context
        if isinstance(order.parsed, Refusal):
            self._answer(order, refused(order.verb, order.parsed), kept=False)
            return
        request, payload = order.parsed.request, order.parsed.payload
        if request.home not in context.homes:
            refusal = Refusal(*no_home(request.home, context.homes), request.id)
            self._answer(order, refused(order.verb, refusal), kept=False)
            return
        if request.verb in FRESH:
            self._execute_fresh(order, request)
            return
        home = open_home(request, context)
        at_ns = context.now_ns()
        command = JournalEntry(request.id, request.verb, payload, at_ns, request.expires_at_ns)
        journal = home.store.journal
        found = journal.find(command)
        if found is None and not journal.make_room(at_ns):
            raise StateError("the journal of commands is full", "wait until some have expired")
        if found is not None and not _again(request, found):
            self._answer(order, _repeated(request, found), kept=True)
            return
        request = completed(request, home)
        with journal.marking(command):
            response = carry_out(request, context)
        if isinstance(response, LabelledMany):
            self._counting.append((order, request, command, response))
            return
        assert isinstance(response, Response), "only commands that are not recorded are listed"
        self._record(home, command, response)
        self._note(request, response, at_ns)
        again = found is not None
        self._answer(order, msgspec.structs.replace(response, repeated=again), kept=True)

    def _execute_fresh(self, order: PendingCommand, request: Request) -> None:
        """Execute a command without a journal entry, and answer it unless a thread works on it."""
        answer = carry_out(request, self._context)
        if isinstance(answer, ListedColumns):
            self._listing.append((order, answer))
            if len(self._listing) == 1:
                self._find_next()
            return
        assert isinstance(answer, Response), "only `label-many` is counted"
        self._note(request, answer, self._context.now_ns())
        self._answer(order, answer, kept=False)

    def advance(self) -> bool:
        """Continue the counts for answers to `label-many`, for a few milliseconds, and send the
        answers to `columns` that are complete; True while there is more to count."""
        while self._listing and not self._listing[0][1].finder.active:
            order, listed = self._listing.popleft()
            self._answer(order, listed.answer(), kept=False)
            self._find_next()
        if not self._counting:
            return False
        order, request, command, labelled = self._counting[0]
        try:
            response = labelled.advance(COUNT_S)
        except EdgeError as error:
            # The labels are stored; only the count is missing.
            log.warning("not_counted", verb=command.verb, reason=error.message)
            response = labelled.response
        if response is not None:
            self._counting.popleft()
            self._record(labelled.home, command, response)
            self._note(request, response, command.at_ns)
            self._answer(order, response, kept=True)
        return bool(self._counting)

    def _find_next(self) -> None:
        """Start the next thread; one at a time, so that pages cannot take all processors."""
        if self._listing:
            self._listing[0][1].finder.start()

    @property
    def waits(self) -> bool:
        """Whether a thread works on an answer, which `advance` sends then."""
        return bool(self._listing)

    @staticmethod
    def labelled(order: "PendingCommand | ReceivedContribution") -> frozenset[str]:
        """Return the ids of the observations that a command labels."""
        parsed = order.parsed if isinstance(order, PendingCommand) else None
        request = parsed.request if isinstance(parsed, ParsedCommand) else None
        if isinstance(request, LabelManyCommand):
            return frozenset(one.observation_id for one in request.labels)
        return frozenset((request.observation_id,) if isinstance(request, LabelCommand) else ())

    @staticmethod
    def changes(order: "PendingCommand | ReceivedContribution") -> bool:
        """Return whether a command does more than read."""
        reads = FRESH - {"keep-label", "fit-geometry"}
        return not (isinstance(order, PendingCommand) and order.verb in reads)

    def maintain(self) -> None:
        """Publish contributions, check bundle trials and delete old records of actions; call it
        about once a second.  After a disk error it is tried again at the next call."""
        if self._member is not None:
            self._attempt("fleet", self._member.maintain)
        for name in self._context.homes:
            self._attempt(f"trial {name}".strip(), partial(self._check_trial, name))
            self._attempt(f"undo {name}".strip(), partial(self._expire_actions, name))

    def _check_trial(self, name: str) -> None:
        home = self._context.homes[name].home
        for report in home.check_trial() if home is not None else ():
            self._context.publish(report)

    def _expire_actions(self, name: str) -> None:
        home = self._context.homes[name].home
        if home is not None:
            home.store.action_records.expire(self._context.now_ns())

    def _attempt(self, doing: str, act: Callable[[], None]) -> None:
        """Run a task that may meet a disk error; each reason is logged once."""
        try:
            act()
        except EdgeError as error:
            if self._failed.get(doing) != error.message:
                log.warning("not_maintained", doing=doing, reason=error.message, hint=error.hint)
            self._failed[doing] = error.message
        else:
            self._failed.pop(doing, None)

    def refuse(
        self, order: "PendingCommand | ReceivedContribution", reason: str, hint: str = ""
    ) -> None:
        """Answer a command that cannot be executed now.  hint: what to do before it is sent
        again."""
        if not isinstance(order, PendingCommand):
            log.warning("contribution_not_adopted", device=order.device, reason=reason)
            return
        name = (
            order.parsed.request.id if isinstance(order.parsed, ParsedCommand) else order.parsed.id
        )
        again = "send it again later, with the same id"
        refusal = Refusal(reason, f"{hint}; then {again}" if hint else again, name)
        self._answer(order, refused(order.verb, refusal), kept=False)

    def _parse(self, arrival: InboundMessage, verb: str) -> ParsedCommand | Refusal:
        if not self._rate_limit.take():
            most = self._rate_limit.per_minute
            return Refusal(f"too many commands: {most} a minute are accepted", "send fewer")
        if arrival.retained:
            return Refusal(
                "it was retained, so it would come again at each connection",
                "publish commands without the retain flag",
            )
        if arrival.expiry_s == 0:
            return Refusal("it expired on its way", "send it again with a new id")
        return self._parser.read(verb, arrival.payload, self._context.now_ns())

    @staticmethod
    def _record(home: Home, command: JournalEntry, response: Response) -> None:
        # No stored answer may hold ids of forgotten facts; the core repeats its receipt.
        secret = command.verb == "forget" and response.done
        kept = b"" if secret else msgspec.json.encode(response)
        try:
            home.store.journal.record(command, kept, done=response.done)
        except StateError as error:
            # Its effect and its mark are on the disk.
            log.warning("answer_not_recorded", verb=command.verb, reason=error.message)

    def _note(self, request: Request, response: Response, at_ns: int) -> None:
        """Add a command to the history of its home."""
        event = command_event(request, response, at_ns)
        if event is not None:
            self._context.note(request.home, event)

    def _answer(self, order: PendingCommand, response: Response, *, kept: bool) -> None:
        if order.reply is not None:
            order.reply(msgspec.json.encode(response))
        else:
            self._context.answer(response, order.topic, order.correlation, kept=kept)


def _again(request: Request, found: AnsweredCommand) -> bool:
    """Return whether a repeated command goes to the core again, which has its receipt."""
    return isinstance(request, ForgetCommand) and found.same and not found.answer


def _repeated(request: Request, found: AnsweredCommand) -> Response:
    if not found.same:
        refusal = Refusal("replayed: its id was used for another command", "give it a new id")
        return refused(request.verb, msgspec.structs.replace(refusal, id=request.id))
    if found.answer:
        return msgspec.structs.replace(
            msgspec.json.decode(found.answer, type=Response), repeated=True
        )
    return Response(verb=request.verb, id=request.id, done=found.done, hint=LOST, repeated=True)
