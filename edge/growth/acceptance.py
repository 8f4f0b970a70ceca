"""The acceptance test: cross-validation of candidates, and what `edge.core.adaptors.is_better`
compares."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

import nas

from ..core import FactBatch, GrowthJob, select_rows
from ..core.adaptors import (
    FLIPPED,
    AdaptorRecord,
    HoldoutScores,
    Spans,
    Transform,
    build_transform,
    consistent_facts,
    cross_scores,
    fit_adaptor,
    fold_scores,
    is_better,
    margins,
    solve_adaptor,
    standardise,
    standardising_arrays,
    tempered_losses,
)

FOLDS: Final = 4
"""Folds of cross-validation: each trained candidate is trained as often.  Chosen by hand; effect
not measured."""
OWN_FACTS: Final = 4_096
"""Most own facts in the test: a few seconds of one core."""
OTHER_FACTS: Final = 512
"""Most facts of other domains in the test: a few seconds of one core."""
CONTRADICTED: Final = -0.4
"""Margin, of scores near 1 for a confident prediction, below which a label is worth checking.
Chosen by hand; effect not measured."""
ACCEPTANCE_EVIDENCE: Final = 0.4
"""Standard errors by which an adaptor must be better than what serves.  Its folds train on three
quarters of the facts, which costs a kernel more than a head, so that one standard error accepts 79
instead of 83 of 100 better kernels, and as many worse ones (docs/decisions/0022)."""
LEAST_GAIN: Final = FLIPPED * (FOLDS - 1) / FOLDS
"""Least gain of an adaptor, in facts: what counts as evidence with all facts, for as many as its
folds train on (docs/explanation/growth.md)."""
MEANING_EVIDENCE: Final = 1.64
"""Standard errors by which an adaptor must be better than the labels' shares, which know nothing of
a fact: the usual one-sided 5 %.  Of labels without meaning, 1 instead of 4.4 % pass
(docs/explanation/growth.md)."""
UNTRAINED: Final = ("none", "random")

Bools = NDArray[np.bool_]
Doubles = NDArray[np.float64]
Train = Callable[
    [nas.Blueprint, FactBatch, FactBatch, Spans, int], Mapping[str, NDArray[np.float32]]
]


@dataclass(frozen=True, slots=True, eq=False)
class ScoredCandidate:
    """A candidate with its results.  record: set if it is reused from another domain, not
    trained."""

    blueprint: nas.Blueprint
    held_out: HoldoutScores
    record: AdaptorRecord | None

    @property
    def accuracy(self) -> float:
        """Share of correct predictions on the held-out facts."""
        return self.held_out.accuracy


@dataclass(frozen=True, slots=True, eq=False)
class HoldoutSplit:
    """The usable facts of a domain in folds.

    fold: of each own fact, -1 if its label is too rare to be held out.  contradictions: number of
    facts left out because equal features have different labels.  others: facts of other domains.
    """

    own: FactBatch
    others: FactBatch
    fold: NDArray[np.intp] = field(repr=False)
    contradictions: int

    @property
    def held(self) -> int:
        """Number of facts that are held out."""
        return int((self.fold >= 0).sum())

    def folds(self) -> Iterator[tuple[FactBatch, FactBatch, NDArray[np.intp]]]:
        """Yield training facts, held-out facts, and the indices of the latter."""
        for number in range(FOLDS):
            at = np.flatnonzero(self.fold == number)
            if len(at):
                yield (
                    select_rows(self.own, np.flatnonzero(self.fold != number)),
                    select_rows(self.own, at),
                    at,
                )


def split_holdout(own: FactBatch, others: FactBatch) -> HoldoutSplit:
    """Assign facts to folds by the hash of their ids, within each label, without contradictions.

    Beyond OWN_FACTS those with the lowest hashes take part, so that the result depends on the set
    of facts alone.
    """
    consistent = consistent_facts(own)
    rows = select_rows(consistent, _lowest(consistent, OWN_FACTS))
    fold = np.full(len(rows), -1, np.intp)
    labels, ranks = np.array(rows.labels), np.argsort(np.argsort(_hashes(rows)))
    for label in sorted(set(rows.labels)):
        at = np.flatnonzero(labels == label)
        if len(at) > 1:
            fold[at[np.argsort(ranks[at])]] = np.arange(len(at)) % FOLDS
    few = select_rows(others, _lowest(others, OTHER_FACTS))
    return HoldoutSplit(rows, few, fold, len(own) - len(consistent))


def score_default(job: GrowthJob, parts: HoldoutSplit) -> ScoredCandidate:
    """Score what answers without a record: in each fold the head, or a kernel if it does better on
    the facts of the other folds."""
    plain = nas.Blueprint(kind="none", taps=tuple(range(len(job.spans))))
    found = fold_scores(
        parts.own, parts.fold, lambda rows: fit_adaptor(rows, parts.others, None, job.spans)
    )
    return ScoredCandidate(plain, grade_predictions(*found, parts), None)


def score_head(job: GrowthJob, parts: HoldoutSplit) -> ScoredCandidate:
    """Score the head alone on the held-out facts."""
    standard = standardise(parts.own, parts.others, job.spans)
    plain = nas.Blueprint(kind="none", taps=tuple(range(len(job.spans))))
    transform = build_transform(
        (plain, standardising_arrays(plain, standard, job.spans)), job.spans
    )
    return ScoredCandidate(plain, _crossed(transform, parts, job), None)


def score_record(record: AdaptorRecord, job: GrowthJob, parts: HoldoutSplit) -> ScoredCandidate:
    """Score a record's transform unchanged, with heads solved without the held-out facts.

    A record of the same domain was trained on facts that are held out here, which favours it;
    candidates must beat it nevertheless.
    """
    return ScoredCandidate(
        record.blueprint, _crossed(build_transform(record, job.spans), parts, job), record
    )


def score_blueprint(
    blueprint: nas.Blueprint, train: Train, job: GrowthJob, parts: HoldoutSplit
) -> ScoredCandidate:
    """Score a blueprint: its parameters never depend on labels of held-out facts.

    train: trains the arrays of a transform on facts.
    """
    if blueprint.kind in UNTRAINED:
        arrays = train(blueprint, parts.own, parts.others, job.spans, job.seed)
        return ScoredCandidate(
            blueprint, _crossed(build_transform((blueprint, arrays), job.spans), parts, job), None
        )
    labels: tuple[str, ...] = ()
    scores = np.zeros((len(parts.own), 0), np.float32)
    for training_facts, held, at in parts.folds():
        arrays = train(blueprint, training_facts, parts.others, job.spans, job.seed)
        standard = standardise(training_facts, parts.others, job.spans)
        fitted = solve_adaptor(
            build_transform((blueprint, arrays), job.spans), training_facts, parts.others, standard
        )
        if not labels:
            labels, scores = fitted.labels, np.zeros((len(parts.own), len(fitted.labels)), "f4")
        scores[at] = fitted.answer(held.features)
    return ScoredCandidate(blueprint, grade_predictions(labels, scores, parts), None)


def grade_predictions(
    labels: tuple[str, ...], scores: NDArray[np.float32], parts: HoldoutSplit
) -> HoldoutScores:
    """Evaluate held-out scores float32 [own, labels], each at the temperature that is best on the
    other folds.

    Raises FloatingPointError for a score that is not finite.
    """
    if not np.isfinite(scores).all():
        raise FloatingPointError("a score is not finite")
    judged = np.flatnonzero(parts.fold >= 0)
    place = {label: column for column, label in enumerate(labels)}
    targets = np.array([place[parts.own.labels[row]] for row in judged])
    given, fold = scores[judged].astype(np.float64), parts.fold[judged]
    tried = tempered_losses(given, targets)
    loss = np.zeros(len(judged))
    for number in range(FOLDS):
        at = fold == number
        loss[at] = tried[tried[:, ~at].sum(axis=1).argmin(), at]
    correct = given.argmax(axis=1) == targets
    return HoldoutScores(correct, loss, margins(given, targets))


def choose_candidate(scored: Sequence[HoldoutScores]) -> int:
    """Return the place of the best candidate, at least one: the first, which the search expects
    most of, unless others are better on these facts (`is_better`); then the best of those.

    Some hundred facts tell candidates that differ by a point apart no better than the search does,
    and the best of several is mostly lucky: docs/decisions/0022.
    """
    first = scored[0]
    others = (place for place, one in enumerate(scored) if is_better(one, first))
    return max(others, key=lambda place: scored[place].expected, default=0)


def screen_candidates(scored: Sequence[ScoredCandidate], parts: HoldoutSplit) -> HoldoutScores:
    """Return the results of choosing a candidate: in each fold, the one that is chosen on the other
    folds.  A single hypothesis is tested, however many candidates there are, and facts that choose
    never evaluate (nested cross-validation, Varma & Simon 2006)."""
    fold = parts.fold[parts.fold >= 0]
    correct, loss, margin = np.zeros(len(fold), np.bool_), np.zeros(len(fold)), np.zeros(len(fold))
    for number in np.unique(fold):
        at = fold == number
        if at.all():
            return scored[0].held_out
        best = scored[choose_candidate([one.held_out.select(~at) for one in scored])].held_out
        correct[at], loss[at], margin[at] = best.correct[at], best.loss[at], best.margin[at]
    return HoldoutScores(correct, loss, margin)


def is_accepted(found: HoldoutScores, serving: HoldoutScores, parts: HoldoutSplit) -> bool:
    """Return whether what was found serves from now on: it is better than what serves, and than the
    labels' shares, without which labels have no meaning."""
    better = is_better(found, serving, ACCEPTANCE_EVIDENCE, least=LEAST_GAIN)
    return better and is_better(found, score_shares(parts), MEANING_EVIDENCE)


def score_shares(parts: HoldoutSplit) -> HoldoutScores:
    """Score answers that give every label its share of the held-out facts."""
    labels = [parts.own.labels[row] for row in np.flatnonzero(parts.fold >= 0)]
    _, targets, counts = np.unique(labels, return_inverse=True, return_counts=True)
    shares = np.tile(counts / counts.sum(), (len(targets), 1))
    correct = targets == counts.argmax()
    loss = -np.log(shares[np.arange(len(targets)), targets])
    return HoldoutScores(correct, loss, margins(shares, targets))


def contradicted_labels(scores: HoldoutScores, parts: HoldoutSplit) -> tuple[str, ...]:
    """Return the ids of facts whose labels are probably wrong, worst first."""
    ids = [parts.own.ids[row] for row in np.flatnonzero(parts.fold >= 0)]
    return tuple(
        ids[at]
        for at in np.argsort(scores.margin, kind="stable")
        if scores.margin[at] < CONTRADICTED
    )


def _crossed(transform: Transform, parts: HoldoutSplit, job: GrowthJob) -> HoldoutScores:
    standard = standardise(parts.own, parts.others, job.spans)
    return grade_predictions(
        *cross_scores(transform, parts.own, parts.others, standard, parts.fold), parts
    )


def _lowest(rows: FactBatch, count: int) -> NDArray[np.intp]:
    """Return the indices, ascending, of the facts with the lowest hashes of their ids."""
    return np.sort(np.argsort(_hashes(rows))[:count])


def _hashes(rows: FactBatch) -> NDArray[np.bytes_]:
    made = [hashlib.sha256(one.encode()).hexdigest().encode() for one in rows.ids]
    return np.array(made, "S64")
