"""The demonstration on raw pixels, where the default underfits and adaptors are accepted.

On the encoder's features a head reads digits about as well as any adaptor, so growth refuses all
candidates.  Raw pixels show the other outcome: an adaptor is accepted, and images are routed to it.
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
    Digits,
    DigitSampler,
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
from .events import DemoEvent, PhaseEvent, PixelOutcome, TextEvent
from .growth import grow_in_demo, route_in_demo
from .instrumented_runtime import HeldOutImages, InstrumentedRuntime, TimedModel
from .state import DemoPlan, DemoState, select_thumbnails, stream_images

PIXELS_TITLE: Final = "The same digits as raw pixels"
TEXT: Final = "Raw 8 × 8 pixels of both scanners: a cheaper device, and a harder task."
SIDE: Final = 8
"""optdigits are 8 x 8 pixels (Alpaydin and Kaynak 1998)."""
CROPPED: Final = 24
"""Pixels of MNIST's 28 that a shrink by three to SIDE needs; the margin of two is empty."""
DOMAINS: Final = ("mnist", "optdigits")


def run_pixel_demo(
    config: Config, plan: DemoPlan, grower: Grower
) -> Generator[DemoEvent, None, PixelOutcome]:
    """Enrol both scanners as raw pixels, grow an adaptor for each, and measure the routing.

    The knowledge lives in a temporary folder.
    """
    with TemporaryDirectory(prefix="auricle-demo-") as folder:
        card = _card()
        with Store.create(Path(folder) / "knowledge.db", card) as store:
            model = TimedModel(encoder.open_model(card))
            device = InstrumentedRuntime(
                config=config,
                model=model,
                store=store,
                runtime=Runtime(config, model, store),
                worker=SimulatedWorker(grower, 0, FaultPlan(no_faults, no_faults)),
            )
            state = DemoState(
                plan=plan,
                device=device,
                known=DigitSampler(shrink(load_mnist()), plan.seed),
                new=DigitSampler(shrink(load_optdigits()), plan.seed),
                now_ns=0,
            )
            return (yield from _run(state))


def _run(state: DemoState) -> Generator[DemoEvent, None, PixelOutcome]:
    plan, samplers = state.plan, (state.known, state.new)
    yield PhaseEvent("Without the encoder", TEXT, 4 * (plan.known // 4))
    examples = [sampler.draw_evenly(plan.pixels_per_digit) for sampler in samplers]
    held_out = [sampler.draw(plan.evaluated) for sampler in samplers]
    state.feed(Enrol(tuple(fact for digits in examples for fact in _facts(state, digits))))
    state.feed(FitGeometry())
    state.mark("enrolled", f"{plan.pixels_per_digit} of each digit, of both scanners")
    state.held_out = tuple(_encode(state, digits) for digits in held_out)
    before = state.evaluate("without growth")
    yield from _stream(state)
    for domain in DOMAINS:
        yield from grow_in_demo(state, domain)
    after = state.evaluate("with adaptors")
    yield TextEvent(
        f"held-out digits read right: MNIST {before.known:.1%} → {after.known:.1%},"
        f" new scanner {before.new:.1%} → {after.new:.1%}",
        "good",
    )
    routed = yield from _stream(state)
    images = 2 * (plan.known // 4)
    yield TextEvent(f"{routed} of {images} more images were routed to their own scanner's adaptor")
    return PixelOutcome(_recording(state), before, after, routed, images)


def _stream(state: DemoState) -> Generator[DemoEvent, None, int]:
    """Stream images of one scanner, then of the other; returns how many were routed correctly."""
    routed = 0
    for sampler, domain in zip((state.known, state.new), DOMAINS, strict=True):
        state.mark("domain", domain)
        images = sampler.draw(state.plan.known // 4)
        summary = yield from stream_images(state, images, learned=True)
        routed += summary.routed
    return routed


def shrink(digits: Digits) -> Digits:
    """Return digits as vectors of 64 pixels; larger images are cropped to their centre first."""
    images = digits.images
    if images.shape[1] > SIDE:
        edge = (images.shape[1] - CROPPED) // 2
        centre = images[:, edge : edge + CROPPED, edge : edge + CROPPED]
        step = CROPPED // SIDE
        parts = centre.reshape(-1, SIDE, step, SIDE, step).astype(np.float32)
        images = np.rint(parts.mean(axis=(2, 4))).astype(np.uint8)
    flat: NDArray[np.uint8] = images.reshape(len(images), -1)
    return Digits(digits.source, flat, digits.labels)


def _card() -> encoder.Card:
    width = SIDE * SIDE
    levels = encoder.Quantiser(np.ones(width, np.float32), np.zeros(width, np.int32))
    return encoder.vector_card(width, "pixels", levels)


def _facts(state: DemoState, examples: Digits) -> list[Fact]:
    rows = zip(examples.labels, examples.images, strict=True)
    return [
        Fact(
            id=f"{examples.source}:{at:05}",
            stream="enrolment",
            domain=examples.source,
            label=str(label),
            captured_at_ns=state.next_time_ns(),
            features=image.tobytes(),
        )
        for at, (label, image) in enumerate(rows)
    ]


def _encode(state: DemoState, digits: Digits) -> HeldOutImages:
    rows = tuple(state.device.model.encode(image) for image in digits.images)
    return HeldOutImages(rows, tuple(str(label) for label in digits.labels))


def _recording(state: DemoState) -> RunRecording:
    device = state.device
    matrix = [[one.known, one.new] for one in state.evaluations]
    routing = route_in_demo(state, DOMAINS)
    figures = measure_steps(state.steps, state.marks, device.config.window)
    figures |= measure_matrix(np.array(matrix), (0, 0), 1 / len(DIGITS))
    figures |= measure_growth(device.worker.episodes, routing)
    return RunRecording(
        title=PIXELS_TITLE,
        seed=state.plan.seed,
        steps=tuple(state.steps),
        marks=tuple(state.marks),
        domains=DOMAINS,
        checkpoints=tuple(one.when for one in state.evaluations),
        accuracy_matrix=tuple(map(tuple, matrix)),
        timings=device.timings()[1:2],
        metrics=figures,
        rate=device.config.false_alarm_rate,
        digest=device.runtime.digest(),
        episodes=tuple(device.worker.episodes),
        routing=routing,
        window=device.config.window,
        thumbnails=select_thumbnails(state),
    )
