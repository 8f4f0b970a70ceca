"""Policies that change answers by other samples of the stream, or by the mix of labels; no step of
gradient."""

import numpy as np
from numpy.typing import NDArray

from .policy import NUMBER_BYTES, TINY, BatchPolicy, HeadPolicy, entropy, unit_rows
from .source_model import Doubles, Floats, softmax

LAME_WINDOW = 64
"""Newest samples that LAME adjusts together: its authors' batch."""
LAME_NEIGHBOURS = 5
"""Neighbours in LAME's graph: its authors' choice."""
LAME_ROUNDS = 50
"""Most rounds of LAME's bound: it has settled long before on the streams of the tests."""
LAME_CHANGE = 1e-4
"""Change of a probability at which LAME's bound has settled."""
PRIOR_WINDOW = 64
"""Newest samples whose label shares are estimated.  From the prototype."""
PRIOR_SAMPLES = 100.0
"""Samples that the source's label shares count for.  From the prototype."""
PRIOR_ROUNDS = 2
"""Rounds of expectation maximisation a sample, each from the last estimate."""
SUPPORT = 20
"""Samples that T3A keeps for each label: within the range of its authors' search."""
NEAREST = 20
"""Neighbours that vote in AdaNPC: within the range of its authors' search."""
VOTE_TEMPERATURE = 0.1
"""Temperature of the votes: that of the authors' code."""
CONFIDENT = 0.9
"""Probability from which AdaNPC remembers a sample.  From the prototype."""
REMEMBERED = 1_024
"""Most samples of the stream that AdaNPC remembers: bounds its memory."""


class Lame(HeadPolicy):
    """LAME (Boudiaf, Mueller, Ben Ayed and Bertinetto 2022, its Laplacian-adjusted likelihood):
    answers near those of the head and alike for neighbours, by the concave-convex procedure.
    Its batch is the newest 64 samples, those of a chunk together."""

    chunk_share = 0.25

    def begin(self) -> None:
        """See `HeadPolicy`."""
        self.rows = np.zeros((0, self.source.columns), np.float32)
        self.shares = np.zeros((0, len(self.source.labels)))

    def answer_aligned(self, rows: Floats, shares: Floats) -> NDArray[np.floating]:
        """See `HeadPolicy`."""
        found = softmax(self.source.logits(rows, shares))
        self.rows = np.concatenate([self.rows, unit_rows(rows)])[-LAME_WINDOW:].copy()
        self.shares = np.concatenate([self.shares, found])[-LAME_WINDOW:].copy()
        settled = self._settle(self._graph())[-len(rows) :]
        return settled if len(settled) == len(rows) else self._long(found, settled)

    def _graph(self) -> Doubles:
        """Return which samples are among the nearest of which: 0 or 1, [n, n]."""
        likeness = self.rows @ self.rows.T
        np.fill_diagonal(likeness, -np.inf)
        count = len(likeness)
        nearest = np.argsort(-likeness, axis=1, kind="stable")[:, : min(LAME_NEIGHBOURS, count - 1)]
        graph = np.zeros((count, count))
        np.put_along_axis(graph, nearest, 1.0, axis=1)
        return graph

    def _settle(self, graph: Doubles) -> Doubles:
        unary = np.log(self.shares + TINY)
        answers = self.shares
        for _ in range(LAME_ROUNDS):
            before, answers = answers, softmax(unary + graph @ answers)
            if np.abs(answers - before).max() < LAME_CHANGE:
                break
        return answers

    def _long(self, found: Doubles, settled: Doubles) -> Doubles:
        """Return answers of a chunk longer than the window: its first rows as the head has them."""
        return np.concatenate([found[: len(found) - len(settled)], settled])

    def own_bytes_max(self) -> int:
        """See `HeadPolicy`."""
        return LAME_WINDOW * (4 * self.source.columns + NUMBER_BYTES * len(self.source.labels))


class AlignedLame(Lame):
    """LAME after the mean of the stream was subtracted."""

    aligned = True


class LabelShift(HeadPolicy):
    """Label shares of the stream by expectation maximisation, and answers corrected by them
    (Saerens, Latinne and Decaestecker 2002, section 2; Park, Yang, Choo and Yun 2023, Label Shift
    Adapter for Test-Time Adaptation: shares estimated from the newest answers).

    Park et al. train a small network from shares to weights of the head; the correction of the
    logits is what it learns where the shift is in the labels alone.
    """

    def begin(self) -> None:
        """See `HeadPolicy`."""
        self.shares = np.zeros((0, len(self.source.labels)))
        self.prior = self.source.prior.copy()

    def answer_aligned(self, rows: Floats, shares: Floats) -> NDArray[np.floating]:
        """See `HeadPolicy`."""
        logits = self.source.logits(rows, shares)
        return np.stack([self._correct(each) for each in logits])

    def _correct(self, logits: Floats) -> NDArray[np.floating]:
        known = self.source.prior
        self.shares = np.concatenate([self.shares, softmax(logits[None])])[-PRIOR_WINDOW:].copy()
        for _ in range(PRIOR_ROUNDS):
            corrected = self.shares * (self.prior / known)
            corrected /= corrected.sum(1, keepdims=True)
            counted = corrected.sum(0) + PRIOR_SAMPLES * known
            self.prior = counted / (len(corrected) + PRIOR_SAMPLES)
        return np.asarray(logits + np.log(self.prior / known))

    def own_bytes_max(self) -> int:
        """See `HeadPolicy`."""
        return (PRIOR_WINDOW + 1) * NUMBER_BYTES * len(self.source.labels)


class AlignedLabelShift(LabelShift):
    """Label shares after the mean of the stream was subtracted."""

    aligned = True


class TemplateAdjuster(HeadPolicy):
    """T3A (Iwasawa and Matsuo 2021, test-time template adjuster): the head's columns and the
    surest samples of each predicted label become its template; the nearest template answers."""

    def begin(self) -> None:
        """See `HeadPolicy`."""
        weights = np.ascontiguousarray(self.source.weights.T)
        nothing = np.zeros(len(weights), np.float32)
        sure = entropy(softmax(self.source.logits(weights, nothing)))
        self.members = [unit_rows(row[None]) for row in weights]
        self.entropies = [sure[at : at + 1] for at in range(len(weights))]
        self.templates = unit_rows(weights)

    def answer_aligned(self, rows: Floats, shares: Floats) -> NDArray[np.floating]:
        """See `HeadPolicy`."""
        found = softmax(self.source.logits(rows, shares))
        answers = []
        for row, own, unsure in zip(rows, found, entropy(found), strict=True):
            self._add(int(own.argmax()), row, float(unsure))
            answers.append(row @ self.templates.T)
        return np.stack(answers)

    def _add(self, label: int, row: Floats, unsure: float) -> None:
        entropies = np.append(self.entropies[label], unsure)
        kept = np.sort(np.argsort(entropies, kind="stable")[:SUPPORT])
        if len(entropies) - 1 not in kept:
            return
        members = np.concatenate([self.members[label], unit_rows(row[None])])
        self.members[label], self.entropies[label] = members[kept], entropies[kept]
        self.templates[label] = unit_rows(self.members[label].sum(0)[None])[0]

    def own_bytes_max(self) -> int:
        """See `HeadPolicy`."""
        labels, columns = len(self.source.labels), self.source.columns
        return labels * ((SUPPORT + 1) * 4 * columns + SUPPORT * NUMBER_BYTES)


class NearestMemory(BatchPolicy):
    """AdaNPC (Zhang et al. 2023, non-parametric classifier for test-time adaptation): the
    nearest facts vote by cosine similarity, and confident samples of the stream join the memory."""

    aligned = True
    passes = 0

    def prepare(self) -> dict[str, Floats]:
        """See `HeadPolicy`."""
        return {"facts": unit_rows(self.source.facts)}

    def begin(self) -> None:
        """See `HeadPolicy`."""
        self.rows = np.zeros((0, self.source.columns), np.float32)
        self.targets = np.zeros(0, np.int64)

    def predict(self, rows: Floats, shares: Floats) -> NDArray[np.floating]:
        """See `BatchPolicy`."""
        del shares
        queries = unit_rows(rows)
        likeness = np.concatenate([queries @ self.fixed["facts"].T, queries @ self.rows.T], axis=1)
        targets = np.concatenate([self.source.targets, self.targets])
        count = min(NEAREST, likeness.shape[1])
        nearest = np.argpartition(-likeness, count - 1, axis=1)[:, :count]
        votes = np.exp(np.take_along_axis(likeness, nearest, axis=1) / VOTE_TEMPERATURE)
        labels = np.eye(len(self.source.labels))[targets[nearest]]
        return np.asarray((votes[:, :, None] * labels).sum(1) / votes.sum(1, keepdims=True))

    def learn(self, rows: Floats, shares: Floats) -> None:
        """See `BatchPolicy`."""
        found = self.predict(rows, shares)
        sure = found.max(1) >= CONFIDENT
        joined = np.concatenate([self.rows, unit_rows(rows[sure])])
        self.rows = joined[-REMEMBERED:].copy()
        self.targets = np.concatenate([self.targets, found[sure].argmax(1)])[-REMEMBERED:].copy()

    def own_bytes_max(self) -> int:
        """See `HeadPolicy`."""
        return REMEMBERED * (4 * self.source.columns + NUMBER_BYTES)
