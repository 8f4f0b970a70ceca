"""The product's own policy, with the openings of the runtime emulated."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.adaptation import OPENING_BYTES_MAX, KnownDomain, OpeningAdapter, build_basis
from .policy import BATCH, HeadPolicy, count_bytes
from .source_model import Bytes, Doubles

STYLE_TAPS = (1, 5)
"""First and last but one of the taps that describe style rather than content: stages 1 to 4."""
STYLE_DISTANCE = 1.2
"""Squared distance in style, in variances, from which the newest samples are another domain's:
chosen on the development streams of the prototype."""
STYLE_SAMPLES = 32
"""Samples that the source's variance of style counts for in that of an opening."""
STYLE_FLOOR = 0.05
"""Share of the source's variance that every variance has at least."""
OPENINGS_MAX = 16
"""Most openings at a time: later samples go to the nearest."""


@dataclass(slots=True, eq=False)
class EmulatedOpening:
    """An opened domain: how many samples it has, the sums of their style, and its adapter."""

    adapter: OpeningAdapter = field(repr=False)
    count: int
    total: Doubles = field(repr=False)
    squares: Doubles = field(repr=False)

    def distance(self, mean: Doubles, within: Doubles) -> float:
        """Return the squared distance of a mean style from this opening's, in variances."""
        own = self.total / self.count
        scatter = self.squares / self.count - own**2
        pooled = (self.count * scatter + STYLE_SAMPLES * within) / (self.count + STYLE_SAMPLES)
        return float(np.mean(np.square(mean - own) / (pooled + STYLE_FLOOR * within)))


class DefaultPolicy(HeadPolicy):
    """Class-aware centring, pseudo-facts in a ridge, and the order of labels behind a test
    (edge/core/adaptation).

    The runtime opens domains by its detector; here the mean style of the newest samples opens one
    or returns to one.  Where the features have one tap, there is one opening.  Heads answer, as for
    all policies, also where the runtime would take a kernel.
    """

    passes = 0
    chunk_share = 0.1

    def prepare(self) -> Mapping[str, Any]:
        """Return the basis of the facts."""
        known = [KnownDomain(one.head, one.batch) for one in self.source.experts]
        return {"basis": build_basis(known)}

    def begin(self) -> None:
        """See `HeadPolicy`."""
        self.openings: list[EmulatedOpening] = []
        self.recent = np.zeros((0, len(self._style())))

    def answer(self, features: Bytes) -> NDArray[np.floating]:
        """See `AdaptationPolicy`."""
        adapter = self._choose(features)
        answers = []
        for row in features:
            answers.append(adapter.observe(row).probabilities)
            if adapter.due:
                adapter.solve()
        return np.stack(answers)

    @property
    def nbytes(self) -> int:
        """See `AdaptationPolicy`: what openings keep, without what follows from the facts."""
        kept = sum(one.adapter.nbytes + count_bytes([one.total]) * 2 for one in self.openings)
        return kept + self.recent.nbytes

    def own_bytes_max(self) -> int:
        """See `HeadPolicy`."""
        style = 8 * len(self._style())
        return OPENINGS_MAX * (OPENING_BYTES_MAX + 2 * style) + BATCH * style

    def _style(self) -> NDArray[np.intp]:
        """Return the columns that describe style, none where there is one tap."""
        spans = self.source.spans[slice(*STYLE_TAPS)]
        return np.concatenate([np.arange(0), *(np.arange(*span) for span in spans)])

    def _choose(self, features: Bytes) -> OpeningAdapter:
        """Return the adapter of the opening that the newest samples belong to."""
        columns = self._style()
        rows = self.source.standardise(features)[:, columns].astype(np.float64)
        newest = np.concatenate([self.recent, rows])[-max(BATCH, len(rows)) :]
        self.recent = newest[-BATCH:].copy()
        mean, within = newest.mean(0), self.source.within[columns].astype(np.float64)
        distances = [one.distance(mean, within) for one in self.openings] if len(columns) else [0.0]
        nearest = int(np.argmin(distances)) if self.openings else -1
        room = len(self.openings) < OPENINGS_MAX
        if nearest < 0 or (distances[nearest] > STYLE_DISTANCE and room):
            adapter = OpeningAdapter(self.fixed["basis"])
            zeros = np.zeros(len(columns))
            self.openings.append(EmulatedOpening(adapter, 0, zeros, zeros))
            nearest = len(self.openings) - 1
        opening = self.openings[nearest]
        opening.count += len(rows)
        opening.total = opening.total + rows.sum(0)
        opening.squares = opening.squares + np.square(rows).sum(0)
        return opening.adapter
