"""Small strategies for tests of the harness, and a small world to run them on."""

from __future__ import annotations

import numpy as np

from edge.sim.adaptation import LabelledRows
from edge.sim.strategies import StreamSource

LABELS, COLUMNS, EACH = 10, 12, 40


def blob_source(order: int = 0, seed: int = 0, domains: int = 2) -> StreamSource:
    """Domains of ten blobs, told apart by a shift of all columns."""
    random = np.random.default_rng(5)
    centres = random.uniform(60, 190, (LABELS, COLUMNS))
    targets = np.repeat(np.arange(LABELS), EACH)
    found = {}
    for at in range(domains):
        values = centres[targets] + random.normal(0, 14, (len(targets), COLUMNS)) + 12 * at
        features = np.clip(np.rint(values), 0, 255).astype(np.uint8)
        found[f"place {at}"] = LabelledRows(features, targets)
    return StreamSource(
        world="blobs",
        domains=found,
        labels=tuple("abcdefghij"),
        spans=((0, COLUMNS),),
        order=order,
        seed=seed,
    )


class Prototypes:
    """The nearest mean of a label; old sums fade by `keep` with each task."""

    keep = 1.0

    def __init__(self, shape, seed) -> None:
        del seed
        self.sums = np.zeros((shape.labels, shape.columns))
        self.counts = np.zeros(shape.labels)
        self.bytes_max = self.nbytes

    @property
    def nbytes(self) -> int:
        """Bytes of the sums."""
        return self.sums.nbytes + self.counts.nbytes

    def learn(self, part, ended=frozenset()) -> None:
        """Add the rows to the sums of their labels."""
        self.sums *= self.keep
        self.counts *= self.keep
        self.sums[sorted(ended)] = 0
        self.counts[sorted(ended)] = 0
        np.add.at(self.sums, part.targets, part.features.astype(np.float64))
        np.add.at(self.counts, part.targets, 1)

    def answer(self, features, domains=None):
        """Score by the distance to each mean."""
        del domains
        means = self.sums / np.maximum(self.counts, 1e-12)[:, None]
        scores = -((features[:, None, :] - means[None]) ** 2).sum(2)
        scores[:, self.counts == 0] = -np.inf
        return scores.astype(np.float32)


class Newest(Prototypes):
    """Forgets all labels but those of the newest task."""

    def learn(self, part, ended=frozenset()) -> None:
        """Forget everything, then learn."""
        self.sums[:] = 0
        self.counts[:] = 0
        super().learn(part, ended)


class NotANumber(Prototypes):
    """Diverges from its second task on."""

    def learn(self, part, ended=frozenset()) -> None:
        """Learn, and turn into NaN where something was learned before."""
        again = self.counts.any()
        super().learn(part, ended)
        self.sums += np.nan if again else 0


class Overflowing(Prototypes):
    """Raises what a strategy declares that diverges."""

    def learn(self, part, ended=frozenset()) -> None:
        """Raise."""
        del part, ended
        message = "the loss is not finite"
        raise FloatingPointError(message)


class Unscored(Prototypes):
    """Scores no label at all."""

    def answer(self, features, domains=None):
        """Score every label with minus infinity."""
        del domains
        return np.full((len(features), len(self.counts)), -np.inf, np.float32)


TINY = {"prototypes": Prototypes, "newest": Newest}
