"""Observations of a home that wait for a label: which they are, and how each differs from known
examples."""

from typing import Final

import msgspec

from ..config import SoundStream
from ..core import EdgeError, Explanation, KnownExample
from .home import Home
from .typos import KnownNames

RAW_ANSWER_BYTES_MAX: Final = 4 << 20
"""Largest raw input in an answer: four times what is kept, and with base64 a third of the longest
answer that `control` reads."""


LEVEL_MAX: Final = 255
"""Highest uint8 level of a feature."""


class FlaggedObservation(msgspec.Struct, frozen=True):
    """An observation worth a label.  score: how much; 1 is most."""

    id: str
    stream: str
    domain: str
    captured_at_ns: int
    score: float


class WaitingLabels(msgspec.Struct, frozen=True):
    """What waits for a label, the most worthwhile first, and the labels and domains in use."""

    flagged: tuple[FlaggedObservation, ...]
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


def waiting_at(home: Home) -> WaitingLabels:
    """Return what waits for a label at an opened home."""
    kept = home.store.candidates().values()
    order = sorted(kept, key=lambda one: (-one.score, one.observation_id))
    flagged = (FlaggedObservation(one.observation_id, one.stream, one.domain, one.captured_at_ns,
    one.score)
               for one in order)  # fmt: skip
    names = KnownNames.of(home.store.concepts())
    return WaitingLabels(tuple(flagged), names.labels, names.domains)


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
