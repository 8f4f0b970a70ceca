"""The demonstration: a handwriting reader meets a new scanner.

`run_demo` drives the production runtime and the durable store through its phases and yields an
event for each step; a view prints them.  Every number is measured during the run.
"""

from collections.abc import Generator, Iterator
from typing import Final

import numpy as np

from ..core import (
    Config,
    Enrol,
    Fact,
    FitGeometry,
    ForgetRequest,
    Label,
    Receipt,
    Relabel,
    Runtime,
    Selector,
)
from ..core.session import FeatureModel
from ..sim import (
    DIGITS,
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
from .events import DemoEvent, DemoOutcome, PhaseEvent, StreamSummary, TextEvent, Tone
from .forget_proof import ForgetProof, count_traces, prove_forgotten
from .growth import TEXT, grow_in_demo, has_adaptor, make_again_in_demo, route_in_demo
from .instrumented_runtime import HeldOutImages, InstrumentedRuntime, TimedModel
from .pixels import run_pixel_demo
from .state import DemoPlan, DemoState, encode_images, select_thumbnails, stream_images

KNOWN: Final = "mnist"
NEW: Final = "optdigits"
DEMO_TITLE: Final = "A handwriting reader meets a new scanner"
REQUEST: Final = "demo-forget-1"


def run_demo(
    model: FeatureModel,
    store: Store,
    config: Config,
    plan: DemoPlan | None = None,
    *,
    started_at_ns: int = 0,
    grower: Grower | None = None,
) -> Iterator[DemoEvent]:
    """Yield the events of the demonstration; the last one is the `DemoOutcome`.

    model: the shipped encoder, or one like it.  store: empty and writable; it keeps the learned
    facts.  started_at_ns: capture time of the first image.  grower: searches and trains adaptors;
    None: none grows, and an event says so.  Needs the extra `sim`.
    """
    plan = plan or DemoPlan()
    timed = TimedModel(model)
    device = InstrumentedRuntime(
        config=config,
        model=timed,
        store=store,
        runtime=Runtime(config, timed, store),
        worker=SimulatedWorker(grower, 0, FaultPlan(no_faults, no_faults)),
    )
    state = DemoState(
        plan=plan,
        device=device,
        known=DigitSampler(load_mnist(), plan.seed),
        new=DigitSampler(load_optdigits(), plan.seed),
        now_ns=started_at_ns,
    )
    yield from _enrol(state)
    known = yield from _stream_known(state)
    unlabelled = yield from _stream_new(state)
    labels, placed = yield from _label(state, unlabelled)
    yield from _adapt(state)
    labelled = yield from _stream_learned(state)
    receipt, proof = yield from _forget(state)
    pixels = None if grower is None else (yield from run_pixel_demo(config, plan, grower))
    encoder_ms, rest_ms = (timing.p50_us / 1e3 for timing in device.timings()[:2])
    yield DemoOutcome(
        recording=_recording(state, receipt),
        evaluations=tuple(state.evaluations),
        known=known,
        unlabelled=unlabelled,
        labelled=labelled,
        labels=labels,
        placed=placed,
        digit=plan.digit,
        receipt=receipt,
        proof=proof,
        encoder_ms=encoder_ms,
        rest_ms=rest_ms,
        pixels=pixels,
    )


def _enrol(state: DemoState) -> Iterator[DemoEvent]:
    plan = state.plan
    examples = state.known.draw_evenly(plan.enrolled_per_digit)
    held_out = state.known.draw(plan.evaluated), state.new.draw(plan.evaluated)
    images = len(examples) + 2 * plan.evaluated
    text = (
        f"A reader learns from {len(examples):,} MNIST digits, {plan.enrolled_per_digit} of each."
    )
    yield PhaseEvent("Enrolment", text, images, examples)
    features = yield from encode_images(state, examples)
    facts = tuple(
        Fact(
            id=f"{KNOWN}:{at}",
            stream="enrolment",
            domain=KNOWN,
            label=str(label),
            captured_at_ns=state.next_time_ns(),
            features=row.values.tobytes(),
        )
        for at, (label, row) in enumerate(zip(examples.labels, features, strict=True))
    )
    state.feed(Enrol(facts))
    state.feed(FitGeometry())
    state.mark("enrolled", f"{len(facts)} facts of {KNOWN}")
    encoded = []
    for digits in held_out:
        rows = yield from encode_images(state, digits)
        encoded.append(HeldOutImages(rows, tuple(str(label) for label in digits.labels)))
    state.held_out = tuple(encoded)
    result = state.evaluate("before any label")
    yield TextEvent(f"{plan.evaluated} held-out digits: {result.known:.1%} read right", "good")


def _stream_known(state: DemoState) -> Generator[DemoEvent, None, StreamSummary]:
    digits = state.known.draw(state.plan.known)
    rate = state.device.config.false_alarm_rate
    yield PhaseEvent("Known domain", "Unlabelled MNIST digits stream in.", len(digits))
    state.mark("domain", KNOWN)
    summary = yield from stream_images(state, digits, learned=True)
    tone: Tone = "bad" if summary.alarms else "good"
    yield TextEvent(f"{summary.accuracy:.1%} read right, {summary.alarms or 'no'} alarms", tone)
    yield TextEvent(
        f"{summary.new} of {summary.images} called new: {summary.novelty:.1%}, chosen {rate:.0%}"
    )
    return summary


def _stream_new(state: DemoState) -> Generator[DemoEvent, None, StreamSummary]:
    digits = state.new.draw(state.plan.unlabelled)
    text = "The scanner is replaced without notice: optdigits, 8 × 8 pixels."
    yield PhaseEvent("A new scanner", text, len(digits), digits)
    state.mark("domain", NEW)
    summary = yield from stream_images(state, digits, learned=False)
    yield TextEvent(
        f"{summary.novelty:.1%} called new; the best guess is right for {summary.accuracy:.1%}",
        "bad",
    )
    if state.requested:
        yield TextEvent(
            f"the device requests labels for {len(state.requested)} images, the most informative"
        )
    return summary


def _label(state: DemoState, before: StreamSummary) -> Generator[DemoEvent, None, tuple[int, int]]:
    chosen = _choose(state)
    each, late = state.plan.labels_per_digit, state.plan.unlabelled
    text = f"{each} images of each new digit get a label, up to {late} images late."
    yield PhaseEvent("Delayed labels", text)
    for key, label in chosen:
        state.feed(Label(key, label))
        state.mark("labels", f"{key} is {label}")
    elsewhere = _placed_elsewhere(state, chosen, before.domain)
    placed = len(chosen) - len(elsewhere)
    yield TextEvent(f"{placed} of {len(chosen)} joined the new domain automatically")
    if before.domain:
        state.feed(Relabel(Selector(domain=before.domain), domain=NEW))
        yield TextEvent(f"a user renames {before.domain} to {NEW}")
    if elsewhere:
        state.feed(Relabel(Selector(ids=elsewhere), domain=NEW))
        yield TextEvent(f"a user moves the other {len(elsewhere)} there", "bad")
    state.taught_at = (0, len(state.evaluations))
    after = state.evaluate(f"after {len(chosen)} labels")
    previous = state.evaluations[-2]
    yield TextEvent(
        f"held-out digits read right: new scanner {previous.new:.1%} → {after.new:.1%},"
        f" MNIST {previous.known:.1%} → {after.known:.1%}",
        "good",
    )
    return len(chosen), placed


def _adapt(state: DemoState) -> Iterator[DemoEvent]:
    yield PhaseEvent("An adaptor", TEXT)
    yield from grow_in_demo(state, NEW)
    if has_adaptor(state, NEW):
        before, after = state.evaluations[-1], state.evaluate("with an adaptor")
        tone: Tone = "good" if after.new >= before.new else "bad"
        yield TextEvent(f"held-out digits read right: {before.new:.1%} → {after.new:.1%}", tone)


def _stream_learned(state: DemoState) -> Generator[DemoEvent, None, StreamSummary]:
    digits = state.new.draw(state.plan.labelled)
    text = "The new scanner's images continue, without further labels."
    yield PhaseEvent("Recovered", text, len(digits))
    summary = yield from stream_images(state, digits, learned=True)
    yield TextEvent(f"{summary.accuracy:.1%} read right, {summary.novelty:.1%} called new", "good")
    own = "its own adaptor" if has_adaptor(state, NEW) else "its own head"
    yield TextEvent(f"{summary.routed} of {summary.images} were routed to {own} automatically")
    return summary


def _forget(state: DemoState) -> Generator[DemoEvent, None, tuple[Receipt, ForgetProof]]:
    device, digit = state.device, state.plan.digit
    selector = Selector(domain=NEW, label=digit)
    facts = [fact for page in device.store.pages() for fact in page]
    forgotten = [fact for fact in facts if selector.matches(fact)]
    text = f"A request: forget every {digit} of the new scanner; those of MNIST stay."
    yield PhaseEvent("Forgetting", text)
    traces, adapted = count_traces(device.store.path, forgotten), has_adaptor(state, NEW)
    messages = state.feed(
        ForgetRequest(request_id=REQUEST, selector=selector, requested_at_ns=state.next_time_ns())
    )
    receipt = next(message for message in messages if isinstance(message, Receipt))
    state.mark("forget", f"{receipt.facts_forgotten} facts of {NEW}/{digit}")
    proof = prove_forgotten(
        device,
        receipt,
        kept=[fact for fact in facts if not selector.matches(fact)],
        forgotten=forgotten,
        images=[state.seen[fact.id][1] for fact in forgotten],
        traces_before=traces,
    )
    yield receipt
    if adapted:
        yield TextEvent(make_again_in_demo(state, receipt))
        yield from grow_in_demo(state, NEW)
    state.evaluate(f"after forgetting its {digit}s", forgotten=True)
    yield from _show_proof(state, proof)
    return receipt, proof


def _show_proof(state: DemoState, proof: ForgetProof) -> Iterator[DemoEvent]:
    before, after = state.evaluations[-2:]
    tone: Tone = "good" if proof.holds else "bad"
    agree = "the same as" if proof.exact else "NOT the same as"
    yield TextEvent(
        f"{proof.facts} facts forgotten; knowledge {proof.runtime[:12]} is {agree} without them",
        "good" if proof.exact else "bad",
    )
    yield TextEvent(
        f"in the file: {proof.traces_before} of them before, {proof.traces_after} after;"
        f" sent again: {proof.relearned} relearned",
        tone,
    )
    yield TextEvent(
        f"{state.plan.digit}s of the new scanner read right: {before.digit:.1%} →"
        f" {after.digit:.1%}; MNIST {before.known:.1%} → {after.known:.1%}"
    )


def _placed_elsewhere(
    state: DemoState, chosen: list[tuple[str, str]], domain: str
) -> frozenset[str]:
    """Return the labelled images whose facts did not join the domain that the alarm opened."""
    facts = [state.device.store.get(key) for key, _ in chosen]
    return frozenset(fact.id for fact in facts if fact is not None and fact.domain != domain)


def _choose(state: DemoState) -> list[tuple[str, str]]:
    """Choose the first images of each digit from the new scanner: (id, label) pairs."""
    chosen: list[tuple[str, str]] = []
    left = dict.fromkeys(DIGITS, state.plan.labels_per_digit)
    new = {step.index for step in state.steps if step.truth_domain == NEW}
    for index, (key, (label, _)) in enumerate(state.seen.items()):
        if index in new and left[label]:
            left[label] -= 1
            chosen.append((key, label))
    return chosen


def _recording(state: DemoState, receipt: Receipt) -> RunRecording:
    device = state.device
    matrix = [[one.known, one.new] for one in state.evaluations]
    figures = measure_steps(state.steps, state.marks, device.config.window)
    figures |= measure_matrix(np.array(matrix), state.taught_at, 1 / len(DIGITS))
    routing = route_in_demo(state, (KNOWN, NEW))
    figures |= measure_growth(device.worker.episodes, routing)
    return RunRecording(
        title=DEMO_TITLE,
        seed=state.plan.seed,
        steps=tuple(state.steps),
        marks=tuple(state.marks),
        domains=(KNOWN, NEW),
        checkpoints=tuple(one.when for one in state.evaluations),
        accuracy_matrix=tuple(map(tuple, matrix)),
        receipts=(receipt,),
        timings=device.timings(),
        metrics=figures,
        rate=device.config.false_alarm_rate,
        digest=device.runtime.digest(),
        episodes=tuple(device.worker.episodes),
        routing=routing,
        window=device.config.window,
        left_out=f"{NEW}/{state.plan.digit}, from its forget request on",
        thumbnails=select_thumbnails(state),
    )
