"""The demonstration without its encoder: bare pixels, for which a head alone is too simple.

With the encoder's features a head reads digits about as well as any adaptor; growth finds that out
and leaves it alone.  Bare pixels show the other outcome: an adaptor is accepted, and routed to.
"""

from collections.abc import Generator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from numpy.typing import NDArray

import encoder

from ..core import Config, Enrol, Fact, FitGeometry, Runtime
from ..sim import (
    DIGITS,
    DigitDeck,
    Digits,
    FaultPlan,
    Grower,
    RunRecording,
    SimulatedWorker,
    load_mnist,
    load_optdigits,
    measure_growth,
    measure_matrix,
    measure_steps,
    no_faults,
)
from ..storage import Store
from .events import Beat, ChapterEvent, PixelOutcome, TextEvent
from .growth import grow_in_demo, route_in_demo
from .instrumented_runtime import DecisionSheet, InstrumentedRuntime, TimedModel
from .story import DemoPlan, DemoState, pick_thumbnails, watch_images

PIXELS_TITLE: Final = "The same digits as bare pixels"
TEXT: Final = "Bare 8 × 8 pixels of both scanners: a cheaper device, and a harder task."
SIDE: Final = 8
"""optdigits are 8 x 8 pixels (Alpaydin and Kaynak 1998)."""
CROPPED: Final = 24
"""Pixels of MNIST's 28 that a shrink by three to SIDE needs; the margin of two is empty."""
DOMAINS: Final = ("mnist", "optdigits")


def run_pixel_demo(
    config: Config, plan: DemoPlan, grower: Grower
) -> Generator[Beat, None, PixelOutcome]:
    """Teach both scanners as bare pixels, grow an adaptor for each, and watch what is routed.

    What is learned is kept in a temporary folder.
    """
    with TemporaryDirectory(prefix="auricle-demo-") as folder:
        card = _card()
        with Store.create(Path(folder) / "knowledge.db", card) as store:
            model = TimedModel(encoder.open_model(card))
            workshop = SimulatedWorker(grower, 0, FaultPlan(no_faults, no_faults))
            desk = InstrumentedRuntime(
                config=config,
                model=model,
                store=store,
                runtime=Runtime(config, model, store),
                workshop=workshop,
            )
            story = DemoState(
                plan=plan,
                desk=desk,
                known=DigitDeck(shrink(load_mnist()), plan.seed),
                new=DigitDeck(shrink(load_optdigits()), plan.seed),
                now_ns=0,
            )
            return (yield from _tell(story))


def _tell(story: DemoState) -> Generator[Beat, None, PixelOutcome]:
    plan, decks = story.plan, (story.known, story.new)
    yield ChapterEvent("Without the encoder", TEXT, 4 * (plan.known // 4))
    lessons = [deck.deal_evenly(plan.pixels_per_digit) for deck in decks]
    held_out = [deck.deal(plan.exam) for deck in decks]
    story.tell(Enrol(tuple(fact for lesson in lessons for fact in _facts(story, lesson))))
    story.tell(FitGeometry())
    story.mark("enrolled", f"{plan.pixels_per_digit} of each digit, of both scanners")
    story.sheets = tuple(_sheet(story, digits) for digits in held_out)
    before = story.examine("by heads alone")
    yield from _stream(story)
    for domain in DOMAINS:
        yield from grow_in_demo(story, domain)
    after = story.examine("with adaptors")
    yield TextEvent(
        f"held-out digits read right: MNIST {before.known:.1%} → {after.known:.1%},"
        f" new scanner {before.new:.1%} → {after.new:.1%}",
        "good",
    )
    routed = yield from _stream(story)
    images = 2 * (plan.known // 4)
    yield TextEvent(f"{routed} of {images} more images were sent to their own scanner's adaptor")
    return PixelOutcome(_recording(story), before, after, routed, images)


def _stream(story: DemoState) -> Generator[Beat, None, int]:
    """Show images of both scanners, one after the other; how many were sent to their own."""
    routed = 0
    for deck, domain in zip((story.known, story.new), DOMAINS, strict=True):
        story.mark("domain", domain)
        tally = yield from watch_images(story, deck.deal(story.plan.known // 4), learned=True)
        routed += tally.routed
    return routed


def shrink(digits: Digits) -> Digits:
    """Return digits as vectors of 64 pixels; larger images are cropped to their middle first."""
    images = digits.images
    if images.shape[1] > SIDE:
        edge = (images.shape[1] - CROPPED) // 2
        middle = images[:, edge : edge + CROPPED, edge : edge + CROPPED]
        step = CROPPED // SIDE
        parts = middle.reshape(-1, SIDE, step, SIDE, step).astype(np.float32)
        images = np.rint(parts.mean(axis=(2, 4))).astype(np.uint8)
    flat: NDArray[np.uint8] = images.reshape(len(images), -1)
    return Digits(digits.source, flat, digits.labels)


def _card() -> encoder.Card:
    width = SIDE * SIDE
    levels = encoder.Quantiser(np.ones(width, np.float32), np.zeros(width, np.int32))
    return encoder.vector_card(width, "pixels", levels)


def _facts(story: DemoState, lesson: Digits) -> list[Fact]:
    rows = zip(lesson.labels, lesson.images, strict=True)
    name = lesson.source
    return [
        Fact(
            id=f"{name}:{at:05}",
            stream="enrolment",
            domain=name,
            label=str(label),
            captured_at_ns=story.tick(),
            features=image.tobytes(),
        )
        for at, (label, image) in enumerate(rows)
    ]


def _sheet(story: DemoState, digits: Digits) -> DecisionSheet:
    rows = tuple(story.desk.model.encode(image) for image in digits.images)
    return DecisionSheet(rows, tuple(str(label) for label in digits.labels))


def _recording(story: DemoState) -> RunRecording:
    desk = story.desk
    matrix = [[exam.known, exam.new] for exam in story.exams]
    routing = route_in_demo(story, DOMAINS)
    figures = measure_steps(story.steps, story.marks, desk.config.window)
    figures |= measure_matrix(np.array(matrix), (0, 0), 1 / len(DIGITS))
    figures |= measure_growth(desk.workshop.episodes, routing)
    return RunRecording(
        title=PIXELS_TITLE,
        seed=story.plan.seed,
        steps=tuple(story.steps),
        marks=tuple(story.marks),
        domains=DOMAINS,
        checkpoints=tuple(exam.when for exam in story.exams),
        accuracy_matrix=tuple(map(tuple, matrix)),
        timings=desk.timings()[1:2],
        metrics=figures,
        rate=desk.config.false_alarm_rate,
        digest=desk.runtime.digest(),
        episodes=tuple(desk.workshop.episodes),
        routing=routing,
        window=desk.config.window,
        thumbnails=pick_thumbnails(story),
    )
