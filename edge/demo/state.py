"""State of the demonstration between its phases, and the image stream that updates it."""

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

import encoder

from ..core import Decision, DriftAlarm, Event, LabelRequest, Message, Observation, accepted
from ..sim import DecisionStep, Digits, DigitSampler, MarkKind, Thumbnail, TimelineMark, step_of
from .events import DemoEvent, EvaluationSummary, ImageEvent, StreamSummary, TextEvent
from .instrumented_runtime import HeldOutImages, InstrumentedRuntime

STREAM: Final = "reader"
IMAGE_INTERVAL_NS: Final = 100_000_000
"""A scanner of ten images a second; nothing depends on it."""
P_SHOWN_MIN: Final = 0.0001
"""Four decimal places are printed; anything smaller reads "<"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlan:
    """Images per phase.  evaluated: held-out images of each source; digit: the one to forget in the
    new domain; pixels_per_digit: enrolled from each scanner as raw pixels."""

    enrolled_per_digit: int = 100
    evaluated: int = 300
    known: int = 500
    unlabelled: int = 250
    labels_per_digit: int = 12
    labelled: int = 400
    pixels_per_digit: int = 40
    digit: str = "7"
    seed: int = 1


@dataclass(slots=True, kw_only=True)
class DemoState:
    """The device, the images not yet used, and the record of the run.

    known, new: the images of each source that are left.  held_out: evaluation images of both.
    requested: observation ids of the latest label request.  taught_at: evaluations after which each
    source had been taught.  seen: true label and image of each observation, by its key.
    """

    plan: DemoPlan
    device: InstrumentedRuntime
    known: DigitSampler
    new: DigitSampler
    now_ns: int
    held_out: tuple[HeldOutImages, ...] = ()
    steps: list[DecisionStep] = field(default_factory=list)
    marks: list[TimelineMark] = field(default_factory=list)
    evaluations: list[EvaluationSummary] = field(default_factory=list)
    requested: tuple[str, ...] = ()
    taught_at: tuple[int, int] = (0, 0)
    seen: dict[str, tuple[str, NDArray[np.uint8]]] = field(default_factory=dict)

    def mark(self, kind: MarkKind, text: str, back: int = 0) -> None:
        """Add a mark to the time axis, `back` observations before the next one."""
        self.marks.append(TimelineMark(len(self.steps) - back, kind, text))

    def next_time_ns(self) -> int:
        """Advance the clock by one image and return the capture time in nanoseconds."""
        self.now_ns += IMAGE_INTERVAL_NS
        return self.now_ns

    def feed(self, event: Event) -> tuple[Message, ...]:
        """Feed an event and return its messages; raises EdgeError where the runtime rejects it."""
        return accepted(self.device.feed(event), "running the demonstration")

    def evaluate(self, when: str, *, forgotten: bool = False) -> EvaluationSummary:
        """Evaluate the held-out images and keep the result.  when: the moment, in few words.
        forgotten: the digit has been forgotten on request, so `new` leaves it out."""
        known, new = (self.device.evaluate(images) for images in self.held_out)
        of_digit = np.array(self.held_out[1].labels) == self.plan.digit
        others = new[~of_digit]
        parts = (known, others if forgotten else new, new[of_digit], others)
        result = EvaluationSummary(when, *(float(part.mean()) for part in parts))
        self.evaluations.append(result)
        return result


def encode_images(
    state: DemoState, digits: Digits
) -> Generator[DemoEvent, None, tuple[encoder.Features, ...]]:
    """Encode images, one event each, and return their features."""
    features = []
    for image in digits.images:
        features.append(state.device.model.encode(image))
        yield ImageEvent()
    return tuple(features)


def stream_images(
    state: DemoState, digits: Digits, *, learned: bool
) -> Generator[DemoEvent, None, StreamSummary]:
    """Stream images of one source to the device, one event each, and return the summary.

    learned: whether facts of this source have been learned.
    """
    summary = StreamSummary(images=len(digits), read=0, new=0)
    for number, image in enumerate(digits.images):
        truth = str(digits.labels[number])
        event = Observation(
            stream=STREAM,
            sequence=len(state.steps),
            captured_at_ns=state.next_time_ns(),
            payload=image,
        )
        state.seen[event.key] = (truth, image)
        decision, *messages = state.feed(event)
        assert isinstance(decision, Decision), "a decision answers each observation"
        right = decision.guess == truth
        state.steps.append(
            step_of(len(state.steps), decision, (digits.source, truth), novel=not learned)
        )
        summary = replace(
            summary,
            read=summary.read + right,
            new=summary.new + (decision.known is False),
            undecided=summary.undecided + (decision.known is None),
            routed=summary.routed + (decision.domain == digits.source),
        )
        yield ImageEvent(decision, right)
        for message in messages:
            if isinstance(message, LabelRequest):
                state.requested = message.observation_ids
            elif isinstance(message, DriftAlarm):
                summary = _with_alarm(summary, message, number + 1)
                yield _report_alarm(state, message, number + 1)
    return summary


def select_thumbnails(state: DemoState) -> tuple[Thumbnail, ...]:
    """Return the first image of each digit from each source, while the source was new and once it
    was known; by group, in the order of the stream."""
    found: dict[tuple[str, str], Thumbnail] = {}
    for step, (truth, image) in zip(state.steps, state.seen.values(), strict=True):
        group = f"{step.truth_domain}, {'new' if step.novel else 'known'}"
        mark = "✓" if step.guess == truth else "✗"
        side = round(image.size**0.5)
        answer = "new" if step.known is False else f"{step.guess} {mark}"
        found.setdefault((group, truth), Thumbnail(group, answer, side, image.tobytes()))
    places = {group: place for place, group in enumerate(dict.fromkeys(g for g, _ in found))}
    return tuple(found[key] for key in sorted(found, key=lambda key: (places[key[0]], key[1])))


def _report_alarm(state: DemoState, alarm: DriftAlarm, images: int) -> TextEvent:
    count = f"{images} image" if images == 1 else f"{images} images"
    p_value = f"= {alarm.window_p:.4f}" if alarm.window_p >= P_SHOWN_MIN else f"< {P_SHOWN_MIN}"
    if alarm.raised:
        state.mark("alarm", f"alarm after {count}: {alarm.domain}", back=1)
        return TextEvent(
            f"ALARM after {count}, p {p_value}: opens the domain {alarm.domain!r}", "alarm"
        )
    state.mark("cleared", f"alarm cleared after {count}: {alarm.domain}", back=1)
    return TextEvent(f"alarm cleared after {count}: the domain is {alarm.domain}", "good")


def _with_alarm(summary: StreamSummary, alarm: DriftAlarm, images: int) -> StreamSummary:
    if not alarm.raised:
        return replace(summary, cleared_after=summary.cleared_after or images)
    return replace(
        summary,
        alarms=summary.alarms + 1,
        alarm_after=summary.alarm_after or images,
        domain=summary.domain or alarm.domain,
    )
