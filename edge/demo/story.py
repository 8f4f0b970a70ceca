"""The course of the demonstration: what has happened so far, and how images are watched."""

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

import encoder

from ..core import Decision, DriftAlarm, Event, LabelRequest, Message, Observation, accepted
from ..sim import DecisionStep, DigitDeck, Digits, MarkKind, Thumbnail, TimelineMark, step_of
from .events import AccuracyEvent, Beat, EvaluationEvent, ImageEvent, TextEvent
from .instrumented_runtime import DecisionSheet, InstrumentedRuntime

STREAM: Final = "reader"
IMAGE_INTERVAL_NS: Final = 100_000_000
"""A scanner of ten images a second; nothing depends on it."""
P_SHOWN_MIN: Final = 0.0001
"""Four decimal places are printed; anything smaller reads "<"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlan:
    """How many images each chapter takes.  `digit`: the one forgotten in the new domain;
    `pixels_per_digit`: taught of each scanner without the encoder."""

    enrolled_per_digit: int = 100
    exam: int = 300
    known: int = 500
    unlabelled: int = 250
    labels_per_digit: int = 12
    labelled: int = 400
    pixels_per_digit: int = 40
    digit: str = "7"
    seed: int = 1


@dataclass(slots=True, kw_only=True)
class DemoState:
    """The desk, the images still unseen, and the record of what has happened.

    sheets: the held-out images of the known source and of the new one.  wanted: the images that
    the reader would most like labels of, as it said last.  taught_at: exams after which the known
    source and the new one had been taught.
    """

    plan: DemoPlan
    desk: InstrumentedRuntime
    known: DigitDeck
    new: DigitDeck
    now_ns: int
    sheets: tuple[DecisionSheet, ...] = ()
    steps: list[DecisionStep] = field(default_factory=list)
    marks: list[TimelineMark] = field(default_factory=list)
    exams: list[EvaluationEvent] = field(default_factory=list)
    wanted: tuple[str, ...] = ()
    taught_at: tuple[int, int] = (0, 0)
    seen: dict[str, tuple[str, NDArray[np.uint8]]] = field(default_factory=dict)

    def mark(self, kind: MarkKind, text: str, back: int = 0) -> None:
        """Put a mark on the time axis, `back` observations before the next one."""
        self.marks.append(TimelineMark(len(self.steps) - back, kind, text))

    def tick(self) -> int:
        """Return the time in nanoseconds of the next capture."""
        self.now_ns += IMAGE_INTERVAL_NS
        return self.now_ns

    def tell(self, event: Event) -> tuple[Message, ...]:
        """Feed an event that must not be refused; raises EdgeError where it is."""
        return accepted(self.desk.feed(event), "running the demonstration")

    def examine(self, when: str, *, forgotten: bool = False) -> EvaluationEvent:
        """Examine the reader on the held-out images, and keep the marks.  when: in few words.
        forgotten: whether the digit has been forgotten on request, and so is not asked for."""
        known, new = (self.desk.examine(sheet) for sheet in self.sheets)
        of_digit = np.array(self.sheets[1].labels) == self.plan.digit
        others = new[~of_digit]
        parts = (known, others if forgotten else new, new[of_digit], others)
        exam = EvaluationEvent(when, *(float(part.mean()) for part in parts))
        self.exams.append(exam)
        return exam


def encode_images(
    story: DemoState, digits: Digits
) -> Generator[Beat, None, tuple[encoder.Features, ...]]:
    """Encode images for later, a beat each; returns their features."""
    features = []
    for image in digits.images:
        features.append(story.desk.model.encode(image))
        yield ImageEvent()
    return tuple(features)


def watch_images(
    story: DemoState, digits: Digits, *, learned: bool
) -> Generator[Beat, None, AccuracyEvent]:
    """Show the reader images of one source, a beat each; returns what became of them.

    learned: whether anything of this source has been taught.
    """
    tally = AccuracyEvent(images=len(digits), read=0, new=0)
    for number, image in enumerate(digits.images):
        truth = str(digits.labels[number])
        event = Observation(STREAM, len(story.steps), story.tick(), image)
        story.seen[event.key] = (truth, image)
        decision, *news = story.tell(event)
        assert isinstance(decision, Decision), "an observation is answered by a decision"
        right = decision.guess == truth
        story.steps.append(
            step_of(len(story.steps), decision, (digits.source, truth), novel=not learned)
        )
        tally = replace(
            tally,
            read=tally.read + right,
            new=tally.new + (decision.known is False),
            routed=tally.routed + (decision.domain == digits.source),
        )
        yield ImageEvent(decision, right)
        for message in news:
            if isinstance(message, LabelRequest):
                story.wanted = message.observation_ids
            elif isinstance(message, DriftAlarm):
                tally = _alarmed(tally, message, number + 1)
                yield _report(story, message, number + 1)
    return tally


def pick_thumbnails(story: DemoState) -> tuple[Thumbnail, ...]:
    """The first image of each digit from each source, while it was new and once it was known; by
    group, in the order of the stream."""
    found: dict[tuple[str, str], Thumbnail] = {}
    for step, (truth, image) in zip(story.steps, story.seen.values(), strict=True):
        group = f"{step.truth_domain}, {'new' if step.novel else 'known'}"
        mark = "✓" if step.guess == truth else "✗"
        side = round(image.size**0.5)
        answer = "new" if step.known is False else f"{step.guess} {mark}"
        found.setdefault((group, truth), Thumbnail(group, answer, side, image.tobytes()))
    places = {group: place for place, group in enumerate(dict.fromkeys(g for g, _ in found))}
    return tuple(found[key] for key in sorted(found, key=lambda key: (places[key[0]], key[1])))


def _report(story: DemoState, alarm: DriftAlarm, images: int) -> TextEvent:
    count = f"{images} image" if images == 1 else f"{images} images"
    likely = f"= {alarm.window_p:.4f}" if alarm.window_p >= P_SHOWN_MIN else f"< {P_SHOWN_MIN}"
    if alarm.raised:
        story.mark("alarm", f"alarm after {count}: {alarm.domain}", back=1)
        opened = f"opens the domain {alarm.domain!r}"
        return TextEvent(f"ALARM after {count}, p {likely}: {opened}", "alarm")
    story.mark("cleared", f"all clear after {count}: {alarm.domain}", back=1)
    return TextEvent(f"all clear after {count}: this is {alarm.domain}", "good")


def _alarmed(tally: AccuracyEvent, alarm: DriftAlarm, images: int) -> AccuracyEvent:
    if not alarm.raised:
        return replace(tally, cleared_after=tally.cleared_after or images)
    return replace(
        tally,
        alarms=tally.alarms + 1,
        alarm_after=tally.alarm_after or images,
        domain=tally.domain or alarm.domain,
    )
