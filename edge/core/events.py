"""What can happen to a Runtime, and what it asks the world to do in return.

Frozen data only.  Time enters as numbers (`captured_at_ns`, nanoseconds since 1970, as the source
gave them), identity as text.  A fact's features travel as bytes: immutable, comparable, and exactly
what the ledger stores.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .facts import Fact, Selector


@dataclass(frozen=True, slots=True)
class Observation:
    """One measurement.  `payload`: whatever the encoder's card says (image bytes, window, vector).

    `id` must be unique for ever; empty means "<stream>:<sequence>".
    """

    stream: str
    sequence: int
    captured_at_ns: int
    payload: Any = field(repr=False, compare=False)
    id: str = ""
    subject: str = ""

    @property
    def key(self) -> str:
        """The observation's id, made from stream and sequence where none was given."""
        return self.id or f"{self.stream}:{self.sequence}"


@dataclass(frozen=True, slots=True)
class Label:
    """What somebody says an earlier observation was.  Empty `domain`: decided by the detector."""

    observation_id: str
    label: str
    domain: str = ""


@dataclass(frozen=True, slots=True)
class Enrol:
    """Facts known beforehand: a folder of examples, or another ledger's facts."""

    facts: tuple[Fact, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Relabel:
    """Give every selected fact another label, another domain, or both (empty: unchanged)."""

    selector: Selector
    label: str = ""
    domain: str = ""


@dataclass(frozen=True, slots=True)
class ForgetRequest:
    """Forget every selected fact as if it had never been seen.  `request_id` names the receipt.

    `resurvey`: also derive the geometry again from what remains (see `Survey`), where one was
    surveyed; False is quicker, and the receipt then names the geometry as not covered.
    """

    request_id: str
    selector: Selector
    requested_at_ns: int = 0
    resurvey: bool = True


@dataclass(frozen=True, slots=True)
class Survey:
    """Freeze a new geometry (whitening, scales) from the facts the ledger holds now."""


Event = Observation | Label | Enrol | Relabel | ForgetRequest | Survey


@dataclass(frozen=True, slots=True)
class Remember:
    """Facts to write; durable before any later effect.  `evicted`: ids that a full
    concept pushes out or turns away; a receipt counts both."""

    facts: tuple[Fact, ...] = field(repr=False)
    evicted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Freeze:
    """A geometry to write beside the ledger, replacing the one before."""

    geometry: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a forget request did.  Digests are hex; equal to those of a ledger that never saw it."""

    request_id: str
    requested_at_ns: int
    selector: Selector
    facts_forgotten: int
    concepts_touched: tuple[str, ...]
    digest_before: str
    digest_after: str
    rebuilt: tuple[str, ...]
    evicted_before: int
    not_covered: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Erase:
    """Ids to erase and bury (a redelivery is not relearned), with the receipt, all in one step."""

    ids: tuple[str, ...]
    receipt: Receipt


@dataclass(frozen=True, slots=True)
class Decision:
    """What the runtime made of one observation: ids and numbers only.

    `label` is None where it abstains (unknown, or nothing learned yet); `guess` is the best answer
    anyway.  `known` is None where too little is learned to say at the ordered false-alarm rate.
    `score`: novelty of the sample, higher is newer; `window_p`: p-value of the stream's window.
    """

    observation_id: str
    stream: str
    captured_at_ns: int
    known: bool | None
    domain: str
    label: str | None
    guess: str
    score: float
    p_value: float
    window_p: float
    alarm: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DriftAlarm:
    """A stream's window left (`raised`) or re-entered the known domains at an observation."""

    stream: str
    observation_id: str
    captured_at_ns: int
    raised: bool
    window_p: float
    domain: str


@dataclass(frozen=True, slots=True)
class Ack:
    """A label, enrolment, relabel or survey was taken: `count` facts changed."""

    subject_id: str
    count: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """An event that changed nothing, and why: said to whoever sent it."""

    subject_id: str
    reason: str
    hint: str = ""


Message = Decision | DriftAlarm | Ack | Rejected | Receipt


@dataclass(frozen=True, slots=True)
class Publish:
    """Something to tell the outside."""

    message: Message


Effect = Publish | Remember | Freeze | Erase
