"""Clients that label a home's candidates and answer its questions about lasting alarms: through its
running daemon, or in the home itself."""

import base64
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import msgspec

from ..commands import (
    CandidatesCommand,
    ConfirmCommand,
    ExplainCommand,
    LabelCommand,
    RawCommand,
    Request,
    StatusCommand,
    response_body,
    send_to_daemon,
)
from ..core import AlarmQuestion, ConfirmAlarm, EdgeError, Label, Undoable
from ..home import (
    Explained,
    Home,
    WaitingLabels,
    acknowledged,
    explain_observation,
    fit_first_geometry,
    raw_input,
    waiting_labels,
)


class LabelClient(Protocol):
    """A source of label candidates and a sink for their labels."""

    def waiting(self) -> WaitingLabels:
        """Return the observations that wait for a label."""

    def explain(self, observation_id: str) -> Explained:
        """Explain a waiting observation.  Raises EdgeError if it no longer waits."""

    def raw(self, observation_id: str) -> bytes | None:
        """Return an observation's raw input, None if it was not kept."""

    def label(self, observation_id: str, label: str, domain: str) -> str:
        """Store a label durably; return its acknowledgement.  Raises EdgeError if it is refused."""

    def confirm(self, alarm: AlarmQuestion, *, harmless: bool) -> str:
        """Answer the question about a lasting alarm; return its acknowledgement.  Raises EdgeError
        if it is refused."""


class HomeLabelClient:
    """Labels in an open home that no daemon uses."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def waiting(self) -> WaitingLabels:
        """See `LabelClient`."""
        return waiting_labels(self._home)

    def explain(self, observation_id: str) -> Explained:
        """See `LabelClient`."""
        return explain_observation(self._home, observation_id)

    def raw(self, observation_id: str) -> bytes | None:
        """See `LabelClient`."""
        return raw_input(self._home, observation_id)

    def label(self, observation_id: str, label: str, domain: str) -> str:
        """See `LabelClient`."""
        event = Label(observation_id, label, domain)
        ack = acknowledged(self._home.feed(Undoable(event, new_id(), time.time_ns())))
        fit_first_geometry(self._home)
        return ack.detail or f"{ack.count} learned"

    def confirm(self, alarm: AlarmQuestion, *, harmless: bool) -> str:
        """See `LabelClient`."""
        at_ns = time.time_ns()
        event = ConfirmAlarm(alarm.alarm_id, alarm.stream, harmless, at_ns)
        return acknowledged(self._home.feed(Undoable(event, new_id(), at_ns))).detail


class DaemonLabelClient:
    """Labels through the daemon of a home."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def waiting(self) -> WaitingLabels:
        """See `LabelClient`."""
        return msgspec.convert(self._send(CandidatesCommand(id=new_id())), WaitingLabels)

    def explain(self, observation_id: str) -> Explained:
        """See `LabelClient`."""
        request = ExplainCommand(id=new_id(), observation_id=observation_id)
        return msgspec.convert(self._send(request), Explained)

    def raw(self, observation_id: str) -> bytes | None:
        """See `LabelClient`."""
        body = self._send(RawCommand(id=new_id(), observation_id=observation_id))
        return base64.b64decode(body["raw"]) if body.get("raw") else None

    def label(self, observation_id: str, label: str, domain: str) -> str:
        """See `LabelClient`."""
        answer = self._send(
            LabelCommand(id=new_id(), observation_id=observation_id, label=label, domain=domain)
        )
        return str(answer.get("detail") or "learned")

    def confirm(self, alarm: AlarmQuestion, *, harmless: bool) -> str:
        """See `LabelClient`."""
        request = ConfirmCommand(
            id=new_id(), alarm_id=alarm.alarm_id, stream=alarm.stream, harmless=harmless
        )
        return str(self._send(request).get("detail", ""))

    def _send(self, request: Request) -> dict[str, Any]:
        answer = send_to_daemon(self._folder, request)
        if answer is None:
            raise EdgeError("labelling: the daemon has stopped", "run the command again")
        return response_body(answer)


def new_id() -> str:
    """Return a new id of a command or an action."""
    return secrets.token_hex(8)


@contextmanager
def open_label_client(folder: Path) -> Iterator[LabelClient]:
    """Yield the client for a folder: through its daemon if one runs, else in the opened home."""
    if send_to_daemon(folder, StatusCommand(id=new_id())) is not None:
        yield DaemonLabelClient(folder)
        return
    with Home(folder) as home:
        yield HomeLabelClient(home)
