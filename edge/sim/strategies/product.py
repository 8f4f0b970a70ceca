"""Auricle itself as a strategy: the runtime with its defaults, from facts in a ledger."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Final

import numpy as np

import encoder

from ...core import (
    AdvanceForget,
    Config,
    Enrol,
    Event,
    Fact,
    ForgetRequest,
    GrowthFinished,
    GrowthJob,
    GrowthResult,
    MemoryLedger,
    Runtime,
    Selector,
    StartGrowth,
    Tick,
)
from .base import MaskedStrategy
from .strategy import Bytes, Floats, LabelledPart, StreamShape, Targets

FACT_OVERHEAD: Final = 256
"""Bytes counted for the names and times of a fact.  Chosen by hand."""

UNKNOWN: Final = -1e6
"""Score of a label that the adaptor that answers does not know."""
ROUTER_BYTES: Final = 8 << 20
"""Bytes counted for a domain's share of the router: its landmarks are bounded.  Chosen by hand."""

Grow = Callable[[GrowthJob], GrowthResult]
"""Makes an adaptor for a job."""


class _ReadyFeatures:
    """The model of a runtime that is given facts only."""

    def __init__(self, shape: StreamShape) -> None:
        taps = {f"tap{at}": stop - start for at, (start, stop) in enumerate(shape.spans)}
        self.card = encoder.vector_card(shape.columns, "strategies", None, taps)

    def encode(self, payload: object) -> encoder.Features:
        """Never called: nothing is observed."""
        raise AssertionError(payload)


class RuntimeStrategy(MaskedStrategy):
    """Auricle with the defaults of its configuration.

    Each task is enrolled as facts in their domains, and the newest of each concept stay.  Where
    growth is on, every domain that is due grows an adaptor, accepted by the product's own rule.
    The router, the heads and the adaptors are solved while the task is learned.
    grow: makes an adaptor; by default the product's, or nothing without torch.
    """

    def __init__(
        self, shape: StreamShape, seed: int, *, growth: bool = True, grow: Grow | None = None
    ) -> None:
        super().__init__(shape, seed)
        self._grows = growth and (grow is not None or find_spec("torch") is not None)
        self._grow = grow
        self._config = Config(seed=seed, growth=self._grows)
        self.ledger = MemoryLedger()
        self._runtime = Runtime(self._config, _ReadyFeatures(shape), self.ledger)
        # Facts are numbered in their domain: where each task is one, no order changes a bit.
        self._counts = [0] * shape.domains
        self._forgets = 0
        self._job: GrowthJob | None = None

    @property
    def bytes_max(self) -> int | None:
        """Return the bytes of as many facts as the ledger keeps, the heads and the adaptors."""
        concepts = self._shape.domains * self._shape.labels
        facts = concepts * self._config.facts_per_concept * (self._shape.columns + FACT_OVERHEAD)
        heads = self._shape.domains * (self._config.adaptor_bytes + ROUTER_BYTES)
        return self._mask_bytes + facts + heads

    @property
    def nbytes(self) -> int:
        """Return the bytes of the facts, the router, the heads and the adaptors."""
        facts = len(self.ledger.facts()) * (self._shape.columns + FACT_OVERHEAD)
        known = self._runtime.knowledge
        if not known.learned:
            return self._mask_bytes
        heads = sum(known.adaptor(name).nbytes for name in known.learned)
        return self._mask_bytes + facts + heads + known.router().nbytes

    def _learn(self, part: LabelledPart) -> None:
        self._feed(Enrol(tuple(self._facts(part))))
        if self._grows:
            self._grow_due()
        known = self._runtime.knowledge
        known.router()
        for name in known.learned:
            known.adaptor(name)

    def _facts(self, part: LabelledPart) -> Iterator[Fact]:
        for features, target, domain in zip(
            part.features, part.targets.tolist(), part.domains.tolist(), strict=True
        ):
            number = self._counts[domain]
            self._counts[domain] += 1
            yield Fact(
                id=f"{self._seed}-{domain:04}-{number:06}",
                stream="strategies",
                domain=f"domain-{domain:04}",
                label=f"{target}",
                captured_at_ns=int(number),
                features=features.tobytes(),
            )

    def _grow_due(self) -> None:
        """Grow an adaptor for every domain that is due, one after the other."""
        if self._grow is None:
            from ...growth import grow_adaptor

            self._grow = grow_adaptor
        self._feed(Tick())
        while self._job is not None:
            job, self._job = self._job, None
            self._feed(GrowthFinished(self._grow(job)))
            self._feed(Tick())

    def _feed(self, event: Event) -> None:
        for effect in self._runtime.handle(event):
            self.ledger.apply(effect)
            if isinstance(effect, StartGrowth):
                self._job = effect.job
        if self._runtime.advances:
            self._feed(AdvanceForget(1))

    def _scored(self, features: Bytes, domains: Targets | None) -> Floats:
        known = self._runtime.knowledge
        if domains is None or not self._shape.task_given:
            router = known.router()
            numbers = np.asarray([int(name.rpartition("-")[2]) for name in router.domains])
            domains = numbers[router.scores(features).argmax(axis=1)]
        # Finite for labels that may be answered and that the adaptor of a row does not know.
        scores = np.full((len(features), self._shape.labels), UNKNOWN, np.float32)
        for domain in np.unique(domains):
            name = f"domain-{domain:04}"
            if name in known.learned:
                rows, adaptor = np.flatnonzero(domains == domain), known.adaptor(name)
                columns = np.asarray(adaptor.labels, np.int64)
                scores[np.ix_(rows, columns)] = adaptor.answer(features[rows])
        return scores

    def _end(self, gone: Targets) -> None:
        for label in gone.tolist():
            self._forgets += 1
            self._feed(
                ForgetRequest(
                    request_id=f"ended-{self._forgets}",
                    selector=Selector(label=f"{label}"),
                    duplicates="off",
                )
            )
