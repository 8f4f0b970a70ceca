"""Labelling what a home has flagged: through its daemon where one runs, else at the home itself."""

import base64
import secrets
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol

import msgspec

from ..core import EdgeError, Explanation, KnownExample, Label
from .actions import acknowledged
from .commands.requests import (
    CandidatesCommand,
    ExplainCommand,
    LabelCommand,
    RawCommand,
    Request,
    StatusCommand,
)
from .control import ask_daemon, body_of
from .home import Home
from .sources.settings import SoundStream
from .typos import KnownNames

RAW_ANSWER_BYTES_MAX: Final = 4 << 20
"""Largest raw input in an answer: four times what is kept, and with base64 a third of the longest
answer that `control` reads."""

LEVEL_MAX: Final = 255
"""Highest uint8 level of a feature."""


class Flagged(msgspec.Struct, frozen=True):
    """An observation worth a label.  score: how much; 1 is most."""

    id: str
    stream: str
    domain: str
    captured_at_ns: int
    score: float


class Waiting(msgspec.Struct, frozen=True):
    """What waits for a label, the most worthwhile first, and the labels and domains in use."""

    flagged: tuple[Flagged, ...]
    labels: tuple[str, ...]
    domains: tuple[str, ...] = ()

    @property
    def names(self) -> KnownNames:
        """The names in use; domains that only wait for a label are among them."""
        return KnownNames(self.labels, (*self.domains, *{one.domain for one in self.flagged}))


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """A column of a vector, and the same column in the nearest known concept.

    clipped: -1 or 1 where the value lies at the lower or upper end of the frozen range, and may lie
    beyond it; else 0.
    """

    name: str
    value: float
    mean: float
    low: float
    high: float
    clipped: int = 0


class Explained(msgspec.Struct, frozen=True, kw_only=True):
    """An explanation for a person who labels an observation.

    kind: of the encoder: image, window or vector.  columns: of a vector, the most different from
    the nearest concept (`domain`, `label`) first; compared: with how many of its examples; width:
    how many columns there are in all.  rate_hz: of a sound, 0 where it is not known.
    """

    kind: str
    known: bool | None
    guess: str
    p_value: float
    domain: str
    label: str
    compared: int = 0
    examples: tuple[KnownExample, ...]
    columns: tuple[Column, ...] = ()
    width: int = 0
    rate_hz: int = 0


class Desk(Protocol):
    """Where flagged observations come from, and labels go to."""

    def waiting(self) -> Waiting:
        """Return what waits for a label."""

    def explain(self, observation_id: str) -> Explained:
        """Explain an observation that waits.  Raises EdgeError where it has gone."""

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
    names = KnownNames.of(home.store.concepts())
    return Waiting(tuple(flagged), names.labels, names.domains)


def column_names(home: Home) -> tuple[str, ...]:
    """Return the names of a vector's columns, in order: those of the home, or c1, c2 and so on
    where it has none or where a model turns its columns into other features."""
    card, names = home.model.card, home.store.columns()
    if names and not card.sha256:
        return names
    return tuple(f"c{number}" for number in range(1, card.width + 1))


def explained_at(home: Home, observation_id: str) -> Explained:
    """Explain an observation that waits for a label at an opened home.  Raises EdgeError where it
    has gone."""
    found = home.runtime.explain(observation_id)
    if found is None:
        raise EdgeError(
            f"explaining {observation_id}: it does not wait for a label any more",
            "see `auricle label --json` for what does",
        )
    card, stream = home.model.card, home.settings.streams.get(found.stream)
    return Explained(
        kind=card.kind,
        known=found.known,
        guess=found.guess,
        p_value=found.p_value,
        domain=found.domain,
        label=found.label,
        compared=found.compared,
        examples=found.examples,
        columns=_columns(home, found) if card.kind == "vector" else (),
        width=card.width,
        rate_hz=stream.rate_hz if isinstance(stream, SoundStream) else 0,
    )


def _columns(home: Home, found: Explanation) -> tuple[Column, ...]:
    """Turn levels into values, with the names of their columns."""
    quantiser, names = home.model.card.quantiser, column_names(home)
    assert quantiser is not None, "a home's card has a frozen quantiser"

    def value(column: int, level: float) -> float:
        return float((level - quantiser.zero[column]) * quantiser.scale[column])

    return tuple(
        Column(
            name=names[one.column],
            value=value(one.column, one.level),
            mean=value(one.column, one.mean),
            low=value(one.column, one.low),
            high=value(one.column, one.high),
            clipped=(one.level == LEVEL_MAX) - (one.level == 0),
        )
        for one in found.columns
    )


def raw_at(home: Home, observation_id: str) -> bytes | None:
    """Return the raw input of an observation that waits for a label at an opened home, where it was
    kept.  Raises EdgeError for one too large for an answer."""
    raw = home.store.raw(observation_id)
    if raw is not None and len(raw) > RAW_ANSWER_BYTES_MAX:
        raise EdgeError(
            f"reading the raw input of {observation_id}: it has {len(raw)} bytes,"
            f" {RAW_ANSWER_BYTES_MAX} are sent",
            "label it without seeing it",
        )
    return raw


class HomeDesk:
    """A home that no daemon uses, opened."""

    def __init__(self, home: Home) -> None:
        self._home = home

    def waiting(self) -> Waiting:
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


class DaemonDesk:
    """A home whose daemon is asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def waiting(self) -> Waiting:
        """See `Desk`."""
        return msgspec.convert(self._ask(CandidatesCommand(id=_new_id())), Waiting)

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


class OpenedDesk:
    """The right desk for a folder; a home that is opened here is closed at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._opened = ExitStack()

    def __enter__(self) -> Desk:
        if ask_daemon(self._folder, StatusCommand(id=_new_id())) is not None:
            return DaemonDesk(self._folder)
        return HomeDesk(self._opened.enter_context(Home(self._folder)))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.close()
