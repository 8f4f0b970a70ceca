"""The demonstration: a handwriting reader meets a new scanner.

`tell` drives the production runtime and the durable store through five chapters and yields what
happens; a view prints it.  Every number is measured during the run.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..core import (
    Ack,
    Config,
    Decision,
    DriftAlarm,
    EdgeError,
    Enrol,
    Event,
    Fact,
    ForgetRequest,
    Label,
    Message,
    Model,
    Observation,
    Receipt,
    Rejected,
    Relabel,
    Selector,
    Survey,
)
from ..shell.store import Store
from .demo_beats import Beat, Chapter, Exam, Glimpse, Line, Outcome, Tally
from .demo_desk import Desk, Sheet, TimedModel
from .demo_proof import Proof, count_traces, prove
from .digits import DIGITS, Deck, Digits, load_mnist, load_optdigits
from .recording import Mark, MarkKind, Recording, Step

STREAM: Final = "reader"
KNOWN: Final = "mnist"
NEW: Final = "optdigits"
IMAGE_INTERVAL_NS: Final = 100_000_000


@dataclass(frozen=True, slots=True)
class Plan:
    """How many images each chapter takes.  `digit`: the one forgotten in the new domain."""

    enrolled_per_digit: int = 100
    exam: int = 300
    known: int = 500
    unlabelled: int = 250
    labels_per_digit: int = 12
    labelled: int = 400
    digit: str = "7"
    seed: int = 1


@dataclass(slots=True)
class _Story:
    """The desk, the images still unseen, and what has happened so far."""

    plan: Plan
    desk: Desk
    known: Deck
    new: Deck
    now_ns: int
    seen: dict[str, tuple[str, NDArray[np.uint8]]] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    exams: list[Exam] = field(default_factory=list)
    sheets: tuple[Sheet, ...] = ()
    tallies: list[Tally] = field(default_factory=list)

    def mark(self, kind: MarkKind, text: str) -> None:
        """Put a mark on the time axis, before the next observation."""
        self.marks.append(Mark(len(self.steps), kind, text))


def tell(
    model: Model, store: Store, config: Config, plan: Plan | None = None, started_at_ns: int = 0
) -> Iterator[Beat]:
    """Yield the story beat by beat; the last one is the `Outcome`.

    model: the shipped encoder, or one like it.  store: empty and writable; it keeps what was
    learned.  started_at_ns: when the first image was captured.  Needs the extra `sim`.
    """
    plan = plan or Plan()
    desk = Desk(config, TimedModel(model), store)
    decks = Deck(load_mnist(), plan.seed), Deck(load_optdigits(), plan.seed)
    story = _Story(plan, desk, *decks, now_ns=started_at_ns)
    yield from _enrol(story)
    yield from _read_known(story)
    yield from _switch(story)
    placed, labels = yield from _label(story)
    receipt, proof = yield from _forget(story)
    yield _outcome(story, placed, labels, receipt, proof)


# --- the chapters -------------------------------------------------------------------------------


def _enrol(story: _Story) -> Iterator[Beat]:
    plan = story.plan
    lesson = story.known.deal_evenly(plan.enrolled_per_digit)
    held_out = story.known.deal(plan.exam), story.new.deal(plan.exam)
    total = len(lesson) + sum(map(len, held_out))
    yield Chapter(
        "Enrolment",
        f"The reader learns from {len(lesson):,} MNIST digits and nothing else.",
        total,
        lesson,
    )
    facts = []
    for number, image in enumerate(lesson.images):
        features = story.desk.model.encode(image).values.tobytes()
        label = str(lesson.labels[number])
        fact_id = f"{KNOWN}:{number}"
        facts.append(Fact(fact_id, "enrolment", KNOWN, label, _tick(story), features))
        yield Glimpse()
    sheets = []
    for digits in held_out:
        for part in story.desk.encode(digits):
            yield Glimpse()
        sheets.append(story.desk.encode(digits))
    story.sheets = tuple(sheets)
