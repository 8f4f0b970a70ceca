"""Events of the demonstration, in the order in which a view shows them, and its outcome."""

from dataclasses import dataclass
from typing import Literal

from ..core import Decision, Receipt
from ..sim import Digits, RunRecording
from .forget_proof import ForgetProof

Tone = Literal["plain", "good", "bad", "alarm"]
"""How a view styles a line."""


@dataclass(frozen=True, slots=True)
class PhaseEvent:
    """A phase begins.  images: how many it encodes; samples: images to preview."""

    title: str
    text: str
    images: int = 0
    samples: Digits | None = None


@dataclass(frozen=True, slots=True)
class ImageEvent:
    """An image was encoded.  decision: None where it was encoded only; right: the best guess was
    correct."""

    decision: Decision | None = None
    right: bool = False


@dataclass(frozen=True, slots=True)
class TextEvent:
    """A result in one line."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class WaitEvent:
    """Work begins that takes some seconds."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSummary:
    """Counts over a stretch of the image stream.

    read: best guess correct.  new: called new.  undecided: neither new nor known.  routed: routed
    to their true domain.  alarms: raised.  alarm_after, cleared_after: images until the first alarm
    was raised and until the first one was cleared, None where none was.  domain: opened by the
    first alarm.
    """

    images: int
    read: int
    new: int
    undecided: int = 0
    routed: int = 0
    alarms: int = 0
    alarm_after: int | None = None
    cleared_after: int | None = None
    domain: str = ""

    @property
    def accuracy(self) -> float:
        """Share of images read right; an abstention counts by its best guess."""
        return self.read / self.images

    @property
    def novelty(self) -> float:
        """Share of images called new."""
        return self.new / self.images


@dataclass(frozen=True, slots=True)
class EvaluationSummary:
    """Accuracy on held-out images, as fractions of 1.

    when: the moment of the evaluation, in few words.  known, new: of each source; digit, others: of
    the new source's images of the digit to forget, and of its other images.  After the forget
    request `new` leaves the forgotten digit out.
    """

    when: str
    known: float
    new: float
    digit: float
    others: float


@dataclass(frozen=True, slots=True)
class PixelOutcome:
    """Growth on raw pixels.  before, after: without and with adaptors.  routed: how many of the
    last `images` were routed to their own scanner."""

    recording: RunRecording
    before: EvaluationSummary
    after: EvaluationSummary
    routed: int
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOutcome:
    """The results of the demonstration.

    evaluations: after enrolment, after the labels, with an adaptor where one serves, after the
    forget request.  placed: labels whose facts joined the domain that the alarm opened.
    encoder_ms, rest_ms: medians per image, of the encoder and of everything else.  pixels: None
    where no grower is available.
    """

    recording: RunRecording
    evaluations: tuple[EvaluationSummary, ...]
    known: StreamSummary
    unlabelled: StreamSummary
    labelled: StreamSummary
    labels: int
    placed: int
    digit: str
    receipt: Receipt
    proof: ForgetProof
    encoder_ms: float
    rest_ms: float
    pixels: PixelOutcome | None = None


DemoEvent = PhaseEvent | ImageEvent | TextEvent | WaitEvent | Receipt | DemoOutcome
