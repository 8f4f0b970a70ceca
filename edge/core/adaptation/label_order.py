"""The order of labels in a stream: a filter over hypotheses, used only where a test shows an order.

Samples of a camera or a machine often come in runs of one label, and then a run says more than a
sample.  Where labels are shuffled, a filter only repeats what the head answers too often.  So it is
used only while answers match their predecessors more often than their shares explain.
"""

from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray

STAYS: Final = (0.8, 0.9, 0.96)
"""Probabilities of staying with a label that are followed in parallel.  Chosen on the development
streams of docs/explanation/adaptation.md, like all below."""

SPANS: Final = (16, 48)
"""Samples over which local shares of the labels are followed."""

LOCAL_SHARE: Final = 0.9
"""Weight of the local shares in the prior, the rest are the stream's."""

FADE: Final = 0.99
"""Weight of earlier evidence per sample."""

CREDIT: Final = 8.0
"""Evidence that speaks for no order beforehand, in nats."""

SHARES_SAMPLES: Final = 200
"""Samples over which the stream's shares of labels are followed."""

TRAIL: Final = 128
"""Newest answers kept: tested for an order, and what the filter catches up with."""

TRAIL_MIN: Final = 24
"""Fewest answers that are tested."""

TRAIL_BYTES_MAX: Final = 8 << 10
"""Bytes of the answers that the filter catches up with: 128 of 16 labels, fewer of more.  Chosen by
hand."""

LAGS: Final = (1, 2, 3, 4)
"""Distances of the answers that are compared."""

ON_SCORE: Final = 3.0
"""Standard errors of surplus matches from which on there is an order: the three-sigma rule."""

OFF_SCORE: Final = 0.6 * ON_SCORE
"""Standard errors below which there is none any more."""

Doubles = NDArray[np.float64]


class LabelOrder:
    """The order of one opening's labels, over `labels` labels.  active: whether an order is shown.

    The filter runs only while an order is shown; when one begins, it catches up with the trail.
    """

    def __init__(self, labels: int) -> None:
        self._labels = labels
        self._test = OrderTest(labels)
        length = max(1, min(TRAIL, TRAIL_BYTES_MAX // (4 * labels)))
        self._trail = np.zeros((length, labels), np.float32)
        self._seen = 0
        self._filter: OrderFilter | None = None

    @property
    def active(self) -> bool:
        """Whether the newest answers show an order."""
        return self._filter is not None

    @property
    def nbytes(self) -> int:
        """Bytes of its state, with the filter at work."""
        return self._trail.nbytes + self._test.nbytes + OrderFilter(self._labels).nbytes

    def update(self, logits: NDArray[np.floating]) -> Doubles:
        """Add the newest sample's logits [labels]; return the probabilities of its labels."""
        answer = np.exp(np.subtract(logits, logits.max(), dtype=np.float64))
        answer /= answer.sum()
        score = self._test.add(int(logits.argmax()))
        if score < (OFF_SCORE if self.active else ON_SCORE):
            self._filter = None
        elif self._filter is None:
            self._filter = OrderFilter(self._labels)
            for at in range(max(0, self._seen - len(self._trail)), self._seen):
                self._filter.update(self._trail[at % len(self._trail)].astype(np.float64))
        self._trail[self._seen % len(self._trail)] = answer
        self._seen += 1
        return np.asarray(answer) if self._filter is None else self._filter.update(answer)


class OrderFilter:
    """Follows hypotheses about the order of labels, each weighted by how well it has explained the
    stream: no order, which leaves the answer as it is; runs, after which a label is drawn from the
    stream's shares (forward pass, Rabiner 1989, section III.A); and local shares.
    """

    def __init__(self, labels: int) -> None:
        count = 1 + len(STAYS) + len(SPANS)
        self._kept = np.array([0.0, *STAYS, *[LOCAL_SHARE] * len(SPANS)])[:, None]
        self._drawn = 1 - self._kept
        self._rates = 1 / np.array(SPANS)[:, None]
        # By hypothesis: the belief in each label after the last sample, or the local shares.
        self._state = np.full((count, labels), 1 / labels)
        self._shares = np.full(labels, 1 / labels)
        self._evidence = np.zeros(count)
        self._seen = 10.0  # As if ten samples of equal shares had been seen.

    @property
    def nbytes(self) -> int:
        """Bytes of its state."""
        return self._state.nbytes + self._shares.nbytes + self._evidence.nbytes

    def update(self, answer: Doubles) -> Doubles:
        """Add the probabilities of the newest sample's labels; return them given those before."""
        joint = self._kept * self._state
        joint += self._drawn * self._shares
        joint *= answer
        totals = joint.sum(axis=1)
        joint /= totals[:, None]
        self._evidence *= FADE
        self._evidence += np.log(totals)
        runs, local = slice(1, 1 + len(STAYS)), slice(1 + len(STAYS), None)
        self._state[runs] = joint[runs]
        self._state[local] += self._rates * (answer - self._state[local])
        self._seen = min(self._seen + 1, SHARES_SAMPLES)
        self._shares += (answer - self._shares) / self._seen
        weighed = self._evidence - self._evidence[0]
        weighed[0] = CREDIT
        weights = np.exp(weighed - weighed.max())
        joint[0] = answer
        return np.asarray(weights @ joint / weights.sum())


class OrderTest:
    """Whether the newest answers match those before them more often than their shares explain."""

    def __init__(self, labels: int) -> None:
        self._answers: deque[int] = deque(maxlen=TRAIL)
        self._counts = [0] * labels
        self._matches = [0] * len(LAGS)
        self._score = 0.0

    @property
    def nbytes(self) -> int:
        """Bytes of its state, as written: two for an answer, four for a count."""
        return 2 * TRAIL + 4 * (len(self._counts) + len(LAGS))

    def add(self, answer: int) -> float:
        """Add an answer; return the surplus of matches in standard errors, 0 while there are too
        few, and the last one while all answers are the same."""
        answers = self._answers
        if len(answers) == TRAIL:
            gone = answers[0]
            self._counts[gone] -= 1
            for at, lag in enumerate(LAGS):
                self._matches[at] -= answers[lag] == gone
        answers.append(answer)
        self._counts[answer] += 1
        for at, lag in enumerate(LAGS):
            self._matches[at] += len(answers) > lag and answers[-1 - lag] == answer
        count = len(answers)
        if count < TRAIL_MIN:
            return 0.0
        expected = sum(n * n for n in self._counts) / count**2
        if expected < 1:
            spread = expected * (1 - expected)
            found = [
                (matches / (count - lag) - expected + (1 - expected) / count)
                / (spread / (count - lag)) ** 0.5
                for matches, lag in zip(self._matches, LAGS, strict=True)
            ]
            self._score = sum(found) / len(found)
        return self._score
