"""Labelling what a home has flagged: through its daemon where one runs, else at the home itself."""

import base64
import secrets
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import msgspec

from ..commands import (
    CandidatesCommand,
    ExplainCommand,
    LabelCommand,
    RawCommand,
    Request,
    StatusCommand,
    ask_daemon,
    body_of,
)
from ..core import EdgeError, Label
from ..home import (
    Explained,
    Home,
    WaitingLabels,
    acknowledged,
    explained_at,
    raw_at,
    waiting_at,
)


class LabelClient(Protocol):
    """Where flagged observations come from, and labels go to."""

    def waiting(self) -> WaitingLabels:
        """Return what waits for a label."""

    def explain(self, observation_id: str) -> Explained:
        """Explain an observation that waits.  Raises EdgeError where it has gone."""

    def raw(self, observation_id: str) -> bytes | None:
        """Return an observation's raw input, where it was kept."""

    def label(self, observation_id: str, label: str, domain: str) -> str:
        """Give a label, durably; returns what was learned.  Raises EdgeError for a refusal."""


class HomeLabelClient:
    """A home that no daemon uses, opened."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def waiting(self) -> WaitingLabels:
        """See `Desk`."""
        return waiting_at(self._home)

    def explain(self, observation_id: str) -> Explained:
        """See `Desk`."""
        return explained_at(self._home, observation_id)

    def raw(self, observation_id: str) -> bytes | None:
        """See `Desk`."""
        return raw_at(self._home, observation_id)

    def label(self, observation_id: str, label: str, domain: str) -> str:
        """See `Desk`."""
        ack = acknowledged(self._home.feed(Label(observation_id, label, domain)))
        return ack.detail or f"{ack.count} learned"


class DaemonLabelClient:
    """A home whose daemon is asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def waiting(self) -> WaitingLabels:
        """See `Desk`."""
        return msgspec.convert(self._ask(CandidatesCommand(id=_new_id())), WaitingLabels)

    def explain(self, observation_id: str) -> Explained:
        """See `Desk`."""
        request = ExplainCommand(id=_new_id(), observation_id=observation_id)
        return msgspec.convert(self._ask(request), Explained)

    def raw(self, observation_id: str) -> bytes | None:
        """See `Desk`."""
        body = self._ask(RawCommand(id=_new_id(), observation_id=observation_id))
        return base64.b64decode(body["raw"]) if body.get("raw") else None

    def label(self, observation_id: str, label: str, domain: str) -> str:
        """See `Desk`."""
        answer = self._ask(
            LabelCommand(id=_new_id(), observation_id=observation_id, label=label, domain=domain)
        )
        return str(answer.get("detail") or "learned")

    def _ask(self, request: Request) -> dict[str, Any]:
        answer = ask_daemon(self._folder, request)
        if answer is None:
            raise EdgeError("labelling: the daemon has stopped", "run this again")
        return body_of(answer)


def _new_id() -> str:
    return secrets.token_hex(8)


class OpenedLabelClient:
    """The right desk for a folder; a home that is opened here is closed at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened = ExitStack()

    def __enter__(self) -> LabelClient:
        if ask_daemon(self._folder, StatusCommand(id=_new_id())) is not None:
            return DaemonLabelClient(self._folder)
        return HomeLabelClient(self._opened.enter_context(Home(self._folder)))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.close()
