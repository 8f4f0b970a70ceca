"""Questions of people on the device's machine: handed to the loop, and waited for."""

import threading
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec

from ..commands import no_home
from ..mqtt import ALIVE_S, DaemonStatus
from .loop import Loop

WAIT_S: Final = 14.0


class ControlRequest(msgspec.Struct):
    """As much of a request as is read here."""

    verb: str = ""
    id: str = ""
    home: str = ""


class ControlHandler:
    """Answers the lines that come through the control socket; `ask` is for its threads.

    snapshot: the newest, if there is one.
    """

    def __init__(self, loop: Loop, snapshot: Callable[[], DaemonStatus | None]) -> None:
        self._loop, self._snapshot = loop, snapshot

    def ask(self, line: bytes) -> bytes:
        """Answer a request; waits for the loop where it is more than a look."""
        try:
            question = msgspec.json.decode(line, type=ControlRequest)
        except msgspec.DecodeError as error:
            return _refused(f"it is no request: {error}", 'send {"verb": "status"}')
        if question.home not in self._loop.homes:
            return _refused(*no_home(question.home, self._loop.homes))
        if question.verb == "status":
            return self._status()
        return self._hand_over(line)

    def _status(self) -> bytes:
        still_s = time.monotonic() - self._loop.turned_at
        if still_s > ALIVE_S:
            hint = "see the log; where systemd's watchdog does not, end it with kill -9"
            return _refused(f"the daemon has stood still for {still_s:.0f} s", hint)
        return msgspec.json.encode({"done": True, "body": self._snapshot()})

    def _hand_over(self, line: bytes) -> bytes:
        desk = self._loop.desk
        if desk is None:
            return _refused(
                "commands are not enabled", "see [commands] in docs/reference/config.md"
            )
        answered = threading.Event()
        answers: list[bytes] = []

        def reply(answer: bytes) -> None:
            answers.append(answer)
            answered.set()

        order: Any = desk.local(line, reply)
        if order is not None:
            reason = self._loop.intake.order(order)
            if reason:
                return _refused(reason, "try again later")
        if not answered.wait(WAIT_S):
            return _refused(f"no answer within {WAIT_S:.0f} s", "it may still be carried out")
        return answers[0]


def _refused(reason: str, hint: str) -> bytes:
    return msgspec.json.encode({"done": False, "reason": reason, "hint": hint})
