"""Whether forgetting did what its receipt says, checked from outside the runtime."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import hdc

from ..core import (
    Acknowledgement,
    Enrol,
    Fact,
    Label,
    MemoryLedger,
    Observation,
    Receipt,
    Rejected,
    Runtime,
)
from ..core.knowledge import derive_knowledge
from ..storage import Store
from .instrumented_runtime import InstrumentedRuntime


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetProof:
    """What was found after a class was forgotten.

    expected: digest of the knowledge derived from the facts that were to stay, by a ledger that
    never held the others.  receipt, runtime, reopened: the digest that the receipt states, that of
    the running runtime, and that of one opened anew on the file.  traces_before, traces_after:
    forgotten facts whose features stand in the file.  redelivered, relearned: forgotten items sent
    again, and those that were learned from it.
    """

    facts: int
    expected: str
    receipt: str
    runtime: str
    reopened: str
    ids_left: int
    traces_before: int
    traces_after: int
    redelivered: int
    relearned: int

    @property
    def exact(self) -> bool:
        """True where all four digests agree."""
        return self.expected == self.receipt == self.runtime == self.reopened

    @property
    def holds(self) -> bool:
        """True where forgetting is exact, nothing is left, and nothing came back."""
        return self.exact and not (self.ids_left or self.traces_after or self.relearned)


def derive_digest(facts: Iterable[Fact], geometry: hdc.Geometry, card: str) -> str:
    """Return the digest of the knowledge that these facts alone lead to."""
    return derive_knowledge(MemoryLedger(facts), geometry).digest(card)


def reopened_digest(desk: InstrumentedRuntime) -> str:
    """Return the digest of what a new process would derive from the file."""
    with Store.open(desk.store.path, desk.model.card, writable=False) as store:
        return Runtime(desk.config, desk.model, store).digest()


def count_traces(path: Path, facts: Sequence[Fact]) -> int:
    """Count the facts whose features stand anywhere in the knowledge file or its log."""
    files = (path, path.with_name(path.name + "-wal"))
    held = b"".join(file.read_bytes() for file in files if file.exists())
    return sum(fact.features in held for fact in facts)


def redeliver(
    desk: InstrumentedRuntime, facts: Sequence[Fact], images: Sequence[NDArray[np.uint8]]
) -> int:
    """Send forgotten items again, as images with their labels and as facts; count the relearned."""
    relearned = 0
    for number, (fact, image) in enumerate(zip(facts, images, strict=True)):
        desk.feed(Observation("redelivery", number, fact.captured_at_ns, image, id=fact.id))
        answers = desk.feed(Label(fact.id, fact.label))
        relearned += not any(isinstance(answer, Rejected) for answer in answers)
    answers = desk.feed(Enrol(tuple(facts)))
    return relearned + sum(
        answer.count for answer in answers if isinstance(answer, Acknowledgement)
    )


def prove_forgotten(
    desk: InstrumentedRuntime,
    kept: Sequence[Fact],
    gone: Sequence[Fact],
    images: Sequence[NDArray[np.uint8]],
    traces_before: int,
    receipt: Receipt,
) -> ForgetProof:
    """Check a receipt.  kept, gone: the facts of the ledger before the request, by what should have
    become of them; images: what the forgotten ones were made of."""
    geometry, card = desk.runtime.knowledge.geometry, desk.model.card.fingerprint
    relearned = redeliver(desk, gone, images)
    return ForgetProof(
        facts=receipt.facts_forgotten,
        expected=derive_digest(kept, geometry, card),
        receipt=receipt.digest_after,
        runtime=desk.runtime.digest(),
        reopened=reopened_digest(desk),
        ids_left=sum(desk.store.get(fact.id) is not None for fact in gone),
        traces_before=traces_before,
        traces_after=count_traces(desk.store.path, gone),
        redelivered=len(gone),
        relearned=relearned,
    )
