"""Labelling what a home has flagged: through its daemon where one runs, else at the home itself."""

import base64
import secrets
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import msgspec

from ..core import EdgeError, Label
from .actions import acknowledged
from .control import ask_daemon, body_of
from .home import Home


class Flagged(msgspec.Struct, frozen=True):
    """An observation worth a label.  score: how much; 1 is most."""

    id: str
    stream: str
    domain: str
    captured_at_ns: int
    score: float


class Waiting(msgspec.Struct, frozen=True):
    """What waits for a label, the most worthwhile first, and the labels in use."""

    flagged: tuple[Flagged, ...]
    labels: tuple[str, ...]


class Desk(Protocol):
    """Where flagged observations come from, and labels go to."""

    def waiting(self) -> Waiting:
        """Return what waits for a label."""

    def raw(self, observation_id: str) -> bytes | None:
        """Return an observation's raw input, where it was kept."""

    def label(self, observation_id: str, label: str, domain: str) -> str:
        """Give a label, durably; returns what was learned.  Raises EdgeError for a refusal."""


def waiting_at(home: Home) -> Waiting:
    """Return what waits for a label at an opened home."""
    kept = home.store.candidates().values()
    order = sorted(kept, key=lambda one: (-one.score, one.observation_id))
    flagged = (Flagged(one.observation_id, one.stream, one.domain, one.captured_at_ns, one.score)
               for one in order)  # fmt: skip
    return Waiting(tuple(flagged), tuple(sorted({name for _, name in home.store.concepts()})))


class HomeDesk:
    """A home that no daemon uses, opened."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def waiting(self) -> Waiting:
        """See `Desk`."""
        return waiting_at(self._home)

    def raw(self, observation_id: str) -> bytes | None:
        """See `Desk`."""
        return self._home.store.raw(observation_id)

    def label(self, observation_id: str, label: str, domain: str) -> str:
        """See `Desk`."""
        ack = acknowledged(self._home.feed(Label(observation_id, label, domain)))
        return ack.detail or f"{ack.count} learned"


class DaemonDesk:
    """A home whose daemon is asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def waiting(self) -> Waiting:
        """See `Desk`."""
        return msgspec.convert(self._ask({"verb": "candidates"}), Waiting)

    def raw(self, observation_id: str) -> bytes | None:
        """See `Desk`."""
        body = self._ask({"verb": "raw", "observation_id": observation_id})
        return base64.b64decode(body["raw"]) if body.get("raw") else None

    def label(self, observation_id: str, label: str, domain: str) -> str:
        """See `Desk`."""
        request = {"verb": "label", "observation_id": observation_id, "label": label}
        answer = self._ask(request | ({"domain": domain} if domain else {}))
        return str(answer.get("detail") or "learned")

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        answer = ask_daemon(self._folder, {"id": secrets.token_hex(8), **request})
        if answer is None:
            raise EdgeError("labelling: the daemon has stopped", "run this again")
        return body_of(answer)


class OpenedDesk:
    """The right desk for a folder; a home that is opened here is closed at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened = ExitStack()

    def __enter__(self) -> Desk:
        if ask_daemon(self._folder, {"verb": "status", "id": secrets.token_hex(8)}) is not None:
            return DaemonDesk(self._folder)
        return HomeDesk(self._opened.enter_context(Home(self._folder)))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.close()
