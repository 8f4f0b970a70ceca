"""The demonstration: a handwriting reader meets a new scanner.

`tell` drives the production runtime and the durable store through five chapters and yields what
happens; a view prints it.  Every number is measured during the run.
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
    DigitDeck,
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
from .events import AccuracyEvent, Beat, ChapterEvent, DemoOutcome, TextEvent, Tone
from .forget_proof import ForgetProof, count_traces, prove_forgotten
from .growth import TEXT, adapted_accuracy, grow_in_demo, route_in_demo
from .instrumented_runtime import DecisionSheet, InstrumentedRuntime, TimedModel
from .pixels import run_pixel_demo
from .story import DemoPlan, DemoState, encode_images, pick_thumbnails, watch_images

KNOWN: Final = "mnist"
NEW: Final = "optdigits"
DEMO_TITLE: Final = "A handwriting reader meets a new scanner"
REQUEST: Final = "demo-forget-1"


def run_demo(
    model: FeatureModel,
    store: Store,
    config: Config,
    plan: DemoPlan | None = None,
    started_at_ns: int = 0,
    grower: Grower | None = None,
) -> Iterator[Beat]:
    """Yield the story beat by beat; the last one is the `Outcome`.

    model: the shipped encoder, or one like it.  store: empty and writable; it keeps what was
    learned.  started_at_ns: when the first image was captured.  grower: searches and trains; None
    where nothing can, the story says so.  Needs the extra `sim`.
    """
    plan = plan or DemoPlan()
    timed = TimedModel(model)
    workshop = SimulatedWorker(grower, 0, FaultPlan(no_faults, no_faults))
    desk = InstrumentedRuntime(
        config=config,
        model=timed,
        store=store,
        runtime=Runtime(config, timed, store),
        workshop=workshop,
    )
    story = DemoState(
        plan=plan,
        desk=desk,
        known=DigitDeck(load_mnist(), plan.seed),
        new=DigitDeck(load_optdigits(), plan.seed),
        now_ns=started_at_ns,
    )
    yield from _enrol(story)
    known = yield from _read_known(story)
    unlabelled = yield from _switch(story)
    labels, placed = yield from _label(story, unlabelled)
    yield from _adapt(story)
    labelled = yield from _recover(story)
    receipt, proof = yield from _forget(story)
    pixels = None if grower is None else (yield from run_pixel_demo(config, plan, grower))
    encoding, rest = (timing.p50_us / 1e3 for timing in desk.timings()[:2])
    yield DemoOutcome(
        recording=_recording(story, receipt),
        exams=tuple(story.exams),
        known=known,
        unlabelled=unlabelled,
        labelled=labelled,
        labels=labels,
        placed=placed,
        digit=plan.digit,
        receipt=receipt,
        proof=proof,
        encoder_ms=encoding,
        rest_ms=rest,
        pixels=pixels,
    )


def _enrol(story: DemoState) -> Iterator[Beat]:
    plan = story.plan
    lesson = story.known.deal_evenly(plan.enrolled_per_digit)
    held_out = story.known.deal(plan.exam), story.new.deal(plan.exam)
    images = len(lesson) + 2 * plan.exam
    text = f"A reader learns from {len(lesson):,} MNIST digits, {plan.enrolled_per_digit} of each."
    yield ChapterEvent("Enrolment", text, images, lesson)
    features = yield from encode_images(story, lesson)
    facts = tuple(
        Fact(
            id=f"{KNOWN}:{at}",
            stream="enrolment",
            domain=KNOWN,
            label=str(label),
            captured_at_ns=story.tick(),
            features=row.values.tobytes(),
        )
        for at, (label, row) in enumerate(zip(lesson.labels, features, strict=True))
    )
    story.tell(Enrol(facts))
    story.tell(FitGeometry())
    story.mark("enrolled", f"{len(facts)} facts of {KNOWN}")
    sheets = []
    for digits in held_out:
        rows = yield from encode_images(story, digits)
        sheets.append(DecisionSheet(rows, tuple(str(label) for label in digits.labels)))
    story.sheets = tuple(sheets)
    exam = story.examine("before any label")
    yield TextEvent(f"{plan.exam} held-out digits: {exam.known:.1%} read right", "good")


def _read_known(story: DemoState) -> Generator[Beat, None, AccuracyEvent]:
    digits = story.known.deal(story.plan.known)
    rate = story.desk.config.false_alarm_rate
    text = "Fresh MNIST digits stream in, without labels."
    yield ChapterEvent("Known ground", text, len(digits))
    story.mark("domain", KNOWN)
    tally = yield from watch_images(story, digits, learned=True)
    tone: Tone = "bad" if tally.alarms else "good"
    yield TextEvent(f"{tally.accuracy:.1%} read right, {tally.alarms or 'no'} alarms", tone)
    yield TextEvent(
        f"{tally.new} of {tally.images} called new: {tally.novelty:.1%}, ordered {rate:.0%}"
    )
    return tally


def _switch(story: DemoState) -> Generator[Beat, None, AccuracyEvent]:
    digits = story.new.deal(story.plan.unlabelled)
    text = "The scanner is replaced, and nobody says so: optdigits, 8 × 8 pixels."
    yield ChapterEvent("A new scanner", text, len(digits), digits)
    story.mark("domain", NEW)
    tally = yield from watch_images(story, digits, learned=False)
    yield TextEvent(
        f"{tally.novelty:.1%} called new; the best guess would be right for {tally.accuracy:.1%}",
        "bad",
    )
    if story.wanted:
        yield TextEvent(f"it asks for labels of {len(story.wanted)} images, those worth most to it")
    return tally


def _label(story: DemoState, before: AccuracyEvent) -> Generator[Beat, None, tuple[int, int]]:
    chosen = _choose(story)
    each, late = story.plan.labels_per_digit, story.plan.unlabelled
    text = f"{each} of each digit seen there get a label, up to {late} images late."
    yield ChapterEvent("Late labels", text)
    for key, label in chosen:
        story.tell(Label(key, label))
        story.mark("labels", f"{key} is {label}")
    strays = _strays(story, chosen, before.domain)
    placed = len(chosen) - len(strays)
    yield TextEvent(f"{placed} of {len(chosen)} went to the new domain by themselves")
    if before.domain:
        story.tell(Relabel(Selector(domain=before.domain), domain=NEW))
        yield TextEvent(f"a person renames {before.domain} to {NEW}")
    if strays:
        story.tell(Relabel(Selector(ids=strays), domain=NEW))
        yield TextEvent(f"a person moves the other {len(strays)} there", "bad")
    story.taught_at = (0, len(story.exams))
    exam = story.examine(f"after {len(chosen)} labels")
    before_it = story.exams[-2]
    yield TextEvent(
        f"held-out digits read right: new scanner {before_it.new:.1%} → {exam.new:.1%},"
        f" MNIST {before_it.known:.1%} → {exam.known:.1%}",
        "good",
    )
    return len(chosen), placed


def _adapt(story: DemoState) -> Iterator[Beat]:
    yield ChapterEvent("An adaptor", TEXT)
    yield from grow_in_demo(story, NEW)
    if adapted_accuracy(story, NEW):
        before, exam = story.exams[-1], story.examine("with an adaptor")
        tone: Tone = "good" if exam.new >= before.new else "bad"
        yield TextEvent(f"held-out digits read right: {before.new:.1%} → {exam.new:.1%}", tone)


def _recover(story: DemoState) -> Generator[Beat, None, AccuracyEvent]:
    digits = story.new.deal(story.plan.labelled)
    yield ChapterEvent("Recovered", "The new scanner goes on, without further labels.", len(digits))
    tally = yield from watch_images(story, digits, learned=True)
    yield TextEvent(f"{tally.accuracy:.1%} read right, {tally.novelty:.1%} called new", "good")
    own = "its own adaptor" if adapted_accuracy(story, NEW) else "its own head"
    yield TextEvent(f"{tally.routed} of {tally.images} were sent to {own}, without being told")
    return tally


def _forget(story: DemoState) -> Generator[Beat, None, tuple[Receipt, ForgetProof]]:
    desk, digit = story.desk, story.plan.digit
    selector = Selector(domain=NEW, label=digit)
    facts = [fact for page in desk.store.pages() for fact in page]
    gone = [fact for fact in facts if selector.matches(fact)]
    kept = [fact for fact in facts if not selector.matches(fact)]
    text = f"A request: forget every {digit} of the new scanner; those of MNIST stay."
    yield ChapterEvent("Forgetting", text)
    traces, grown = count_traces(desk.store.path, gone), adapted_accuracy(story, NEW)
    answers = story.tell(ForgetRequest(REQUEST, selector, story.tick()))
    receipt = next(answer for answer in answers if isinstance(answer, Receipt))
    story.mark("forget", f"{receipt.facts_forgotten} facts of {NEW}/{digit}")
    images = [story.seen[fact.id][1] for fact in gone]
    proof = prove_forgotten(
        desk, kept, gone=gone, images=images, traces_before=traces, receipt=receipt
    )
    yield receipt
    if grown and not adapted_accuracy(story, NEW):
        yield TextEvent("the adaptor had learned from them: it ended with them, and is grown again")
        yield from grow_in_demo(story, NEW)
    story.examine(f"after forgetting its {digit}s", forgotten=True)
    yield from _show_proof(story, proof)
    return receipt, proof


def _show_proof(story: DemoState, proof: ForgetProof) -> Iterator[Beat]:
    before, after = story.exams[-2:]
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
        f"{story.plan.digit}s of the new scanner read right: {before.digit:.1%} →"
        f" {after.digit:.1%}; MNIST {before.known:.1%} → {after.known:.1%}"
    )


def _strays(story: DemoState, chosen: list[tuple[str, str]], domain: str) -> frozenset[str]:
    """Return the labelled images that did not go to the domain that the alarm opened."""
    facts = [story.desk.store.get(key) for key, _ in chosen]
    return frozenset(fact.id for fact in facts if fact is not None and fact.domain != domain)


def _choose(story: DemoState) -> list[tuple[str, str]]:
    """Choose the first images of each digit that the new scanner showed: (id, label) pairs."""
    chosen: list[tuple[str, str]] = []
    left = dict.fromkeys(DIGITS, story.plan.labels_per_digit)
    new = {step.index for step in story.steps if step.truth_domain == NEW}
    for index, (key, (label, _)) in enumerate(story.seen.items()):
        if index in new and left[label]:
            left[label] -= 1
            chosen.append((key, label))
    return chosen


def _recording(story: DemoState, receipt: Receipt) -> RunRecording:
    desk = story.desk
    matrix = [[exam.known, exam.new] for exam in story.exams]
    figures = measure_steps(story.steps, story.marks, desk.config.window)
    figures |= measure_matrix(np.array(matrix), story.taught_at, 1 / len(DIGITS))
    routing = route_in_demo(story, (KNOWN, NEW))
    figures |= measure_growth(desk.workshop.episodes, routing)
    return RunRecording(
        title=DEMO_TITLE,
        seed=story.plan.seed,
        steps=tuple(story.steps),
        marks=tuple(story.marks),
        domains=(KNOWN, NEW),
        checkpoints=tuple(exam.when for exam in story.exams),
        accuracy_matrix=tuple(map(tuple, matrix)),
        receipts=(receipt,),
        timings=desk.timings(),
        metrics=figures,
        rate=desk.config.false_alarm_rate,
        digest=desk.runtime.digest(),
        episodes=tuple(desk.workshop.episodes),
        routing=routing,
        window=desk.config.window,
        left_out=f"{NEW}/{story.plan.digit}, from its forget request on",
        thumbnails=pick_thumbnails(story),
    )
