"""The knowledge that serves now, frozen, to answer samples while knowledge changes.

A count of the waiting observations that agree with new labels compares the answers before and after
them, a slice at a time.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

import hdc

from ..knowledge import Knowledge

Features = NDArray[np.uint8]


class KnowledgeSnapshot:
    """The sums, thresholds, router and adaptors that serve now.  Memory: sums are shared until they
    change, the rest always is.

    Samples are taken by themselves: without their stream's level, domain and window.
    """

    def __init__(self, known: Knowledge, rate: float) -> None:
        self._rate = rate
        self._keys = known.memory.keys
        self._memory = known.memory.copy()
        self._calibration = known.calibration() if self._keys else None
        self._router = known.router() if known.routes else None
        self._routed = frozenset(key for key in self._keys if known.is_routed(*key))
        found = ((domain, known.ready_adaptor(domain)) for domain in known.domains)
        self._adaptors = {domain: one for domain, one in found if one is not None}

    def answers(self, rows: Features) -> list[tuple[str | None, bool]]:
        """Return the label that a decision on each sample would have, None where it would abstain,
        and whether the sample is known; False where that cannot be decided.

        rows: uint8 [n, width].  Cost: a projection and a comparison each.
        """
        if self._calibration is None:
            return [(None, False)] * len(rows)
        codes = self._memory.geometry.project(rows)
        found = hdc.detect_each(codes, self._memory, self._calibration, self._rate)
        verdicts = [verdict for _, verdict in found]
        answered = [row for row, verdict in enumerate(verdicts) if verdict.known is not False]
        made: list[tuple[str | None, bool]] = [(None, False)] * len(rows)
        domains = self._domains(rows[answered], [verdicts[row] for row in answered])
        for row, domain in zip(answered, domains, strict=True):
            label = self._answer(rows[row], domain, verdicts[row])
            made[row] = label, bool(verdicts[row].known)
        return made

    def _domains(self, rows: Features, verdicts: Sequence[hdc.Verdict]) -> list[str]:
        """Return the domain that answers for each sample; see `Knowledge.route`."""
        if self._router is None or not len(rows):
            return [one.domain for one in verdicts]
        chosen = self._router.logits(rows).argmax(axis=-1).tolist()
        return [
            self._router.domains[at] if (one.domain, one.label) in self._routed else one.domain
            for at, one in zip(chosen, verdicts, strict=True)
        ]

    def _answer(self, features: Features, domain: str, verdict: hdc.Verdict) -> str:
        """Answer as a decision does: a label that is new since the adaptor was solved is answered
        where it is the nearest concept."""
        adaptor = self._adaptors.get(domain)
        new = adaptor is not None and verdict.label not in adaptor.labels
        if adaptor is None or (new and verdict.domain == domain):
            return verdict.label
        return adaptor.labels[int(adaptor.answer(features).argmax())]
