"""Verification of a forget receipt from outside the runtime."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
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
    """The findings after a class was forgotten.

    expected: digest of the knowledge derived from the remaining facts, by a ledger that never held
    the others.  receipt, runtime, reopened: the digest stated by the receipt, that of the running
    runtime, and that of a runtime opened on the file afterwards; all under the home's key, as the
    receipt states it.  ids_left: forgotten ids still in
    the ledger.  traces_before, traces_after: forgotten facts whose features occur in the file.
    redelivered, relearned: forgotten items sent again, and how many of them were learned.
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
        """Whether all four digests agree."""
        return self.expected == self.receipt == self.runtime == self.reopened

    @property
    def holds(self) -> bool:
        """Whether forgetting is exact, left nothing in the file, and nothing was learned again."""
        return self.exact and not (self.ids_left or self.traces_after or self.relearned)


def derive_digest(facts: Iterable[Fact], geometry: hdc.Geometry, card: str) -> str:
    """Return the digest of the knowledge derived from these facts alone."""
    return derive_knowledge(MemoryLedger(facts), geometry).digest(card)


def reopened_digest(device: InstrumentedRuntime) -> str:
    """Return the digest that a new process derives from the file."""
    with Store.open(device.store.path, device.model.card, writable=False) as store:
        return Runtime(device.config, device.model, store).digest()


def count_traces(path: Path, facts: Sequence[Fact]) -> int:
    """Count the facts whose features occur in the knowledge file or its write-ahead log."""
    files = (path, path.with_name(path.name + "-wal"))
    content = b"".join(file.read_bytes() for file in files if file.exists())
    return sum(fact.features in content for fact in facts)


def redeliver(
    device: InstrumentedRuntime, facts: Sequence[Fact], images: Sequence[NDArray[np.uint8]]
) -> int:
    """Send forgotten items again, as labelled images and as facts, and count those learned."""
    relearned = 0
    for number, (fact, image) in enumerate(zip(facts, images, strict=True)):
        again = Observation(
            stream="redelivery",
            sequence=number,
            captured_at_ns=fact.captured_at_ns,
            payload=image,
            id=fact.id,
        )
        device.feed(again)
        answers = device.feed(Label(fact.id, fact.label))
        relearned += not any(isinstance(answer, Rejected) for answer in answers)
    answers = device.feed(Enrol(tuple(facts)))
    return relearned + sum(
        answer.count for answer in answers if isinstance(answer, Acknowledgement)
    )


def prove_forgotten(
    device: InstrumentedRuntime,
    receipt: Receipt,
    *,
    kept: Sequence[Fact],
    forgotten: Sequence[Fact],
    images: Sequence[NDArray[np.uint8]],
    traces_before: int,
) -> ForgetProof:
    """Check a receipt.  kept, forgotten: the facts of the ledger before the request; images: those
    that the forgotten facts were learned from; traces_before: `count_traces` before the request."""
    geometry, card = device.runtime.knowledge.geometry, device.model.card.fingerprint
    relearned = redeliver(device, forgotten, images)
    keyed = partial(device.store.key_digest, receipt.request_id)
    return ForgetProof(
        facts=receipt.facts_forgotten,
        expected=keyed(derive_digest(kept, geometry, card)),
        receipt=receipt.digest_after,
        runtime=keyed(device.runtime.digest()),
        reopened=keyed(reopened_digest(device)),
        ids_left=sum(device.store.get(fact.id) is not None for fact in forgotten),
        traces_before=traces_before,
        traces_after=count_traces(device.store.path, forgotten),
        redelivered=len(forgotten),
        relearned=relearned,
    )
