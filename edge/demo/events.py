"""What the demonstration tells as it goes: chapters, images, lines, and the outcome."""

from dataclasses import dataclass
from typing import Literal

from ..core import Decision, Receipt
from ..sim import Digits, RunRecording
from .forget_proof import ForgetProof

Tone = Literal["plain", "good", "bad", "alarm"]


@dataclass(frozen=True, slots=True)
class ChapterEvent:
    """A chapter begins.  `images`: how many will be encoded in it; `samples`: a few to look at."""

    title: str
    text: str
    images: int = 0
    samples: Digits | None = None


@dataclass(frozen=True, slots=True)
class ImageEvent:
    """An image went through the encoder.  `decision`: None where it was not asked about."""

    decision: Decision | None = None
    right: bool = False


@dataclass(frozen=True, slots=True)
class TextEvent:
    """A result worth telling.  `tone`: whether it is good or bad news."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class PauseEvent:
    """Something is being done that takes a moment."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyEvent:
    """What became of a stretch of images.

    routed: sent to the domain they came from.  alarms: raised in it.  alarm_after, cleared_after:
    images until the first alarm, and until the first all-clear; None where there was none.
    domain: that the alarm opened.
    """

    images: int
    read: int
    new: int
    routed: int = 0
    alarms: int = 0
    alarm_after: int | None = None
    cleared_after: int | None = None
    domain: str = ""

    @property
    def accuracy(self) -> float:
        """Share of images read right, abstentions counted by their best guess."""
        return self.read / self.images

    @property
    def novelty(self) -> float:
        """Share of images called new."""
        return self.new / self.images


@dataclass(frozen=True, slots=True)
class EvaluationEvent:
    """Shares of held-out images read right: of the known source, of the new one; and of the new
    one's images of the digit that is to be forgotten, and of the others.  when: in few words.
    Once the digit has been forgotten on request, `new` leaves it out."""

    when: str
    known: float
    new: float
    digit: float
    others: float


@dataclass(frozen=True, slots=True)
class PixelOutcome:
    """What growth made of bare pixels.  before, after: exams by heads alone and with adaptors.
    routed: of the last `images`, those that were sent to their own scanner."""

    recording: RunRecording
    before: EvaluationEvent
    after: EvaluationEvent
    routed: int
    images: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOutcome:
    """What the story comes to.

    exams: after enrolment, after the labels, with the adaptor where one serves, after forgetting.
    placed: labels that went to the
    domain the alarm had opened.  encoder_ms, rest_ms: medians per image, of the encoder and of
    everything else.  pixels: None where nothing can grow.
    """

    recording: RunRecording
    exams: tuple[EvaluationEvent, ...]
    known: AccuracyEvent
    unlabelled: AccuracyEvent
    labelled: AccuracyEvent
    labels: int
    placed: int
    digit: str
    receipt: Receipt
    proof: ForgetProof
    encoder_ms: float
    rest_ms: float
    pixels: PixelOutcome | None = None


Beat = ChapterEvent | ImageEvent | TextEvent | PauseEvent | Receipt | DemoOutcome
