"""Label columns from unlabelled observations: the clusters of a domain with no or few labels are
columns without a name, which one label each names.

After "Vocabulary Expansion of Chat Models with Unlabeled Target Language Data" (abstract): new rows
of an output layer start from old ones, and what the source model knows is injected afterwards,
without training.  Here the columns start from the known labels' clusters, further ones from what
lies far from all of them.  A column is provisional: a function of the label buffer and of the facts
of its domain, so that a forgotten sample leaves it, and nothing of it is stored.  A fact among its
samples is its name.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..adaptation import SHARPNESS, SampleClusters, softmax
from ..adaptors import LEVELS, Adaptor, FittedHead, principal_directions
from ..facts import FactBatch
from ..knowledge import Knowledge, NearestConceptAnswer
from ..structs import FrozenStruct

COLUMN_ROWS_MIN: Final = 24
"""Fewest samples of a domain that are grouped into columns.  Chosen by hand."""

COLUMN_DOMAINS_MAX: Final = 4
"""Domains that are grouped at once: the serving process does it, 36 ms of one core each for 256
samples of 2,064 columns."""

ROWS_A_COLUMN: Final = 16
"""Samples of a column on average.  Chosen by hand; effect not measured."""

COLUMNS_MAX: Final = 24
"""Columns of a domain at most: what a person names in a few minutes.  Chosen by hand."""

SAMPLES_SHOWN: Final = 6
"""Samples that stand for a column, the nearest to its centre first: one row of pictures."""

WAITING_MIN: Final = 3
"""Fewest samples of a column that is offered: a single one is an outlier.  Chosen by hand."""

DIRECTIONS: Final = 32
"""Principal directions that samples are compared in.  Chosen by hand; effect not measured."""

ROUNDS: Final = 8
"""Rounds of k-means, with each centre that is added.  Chosen by hand; effect not measured."""

EXPERTS: Final = 3
"""Learned domains that say what a column is like, those with most facts: as many as for a label
request."""

EXPLAINED_MIN: Final = 0.9
"""Likelihood of a known label from which on it explains a column, which then needs no name.  Chosen
by hand; effect not measured."""

POINTS_APART: Final = 1e-6
"""Squared distance of a unit row from its centre up to which it is at the centre."""

NONE_SCORE: Final = 0.5
"""Score of none of the known labels: half way between a wrong and a right answer of a head."""

STEP: Final = 0.1
"""Added to the deviation of a column of features, in roots of levels: smaller ones are rounding."""

Floats = NDArray[np.float32]
Numbers = NDArray[np.intp]


class LabelColumn(FrozenStruct, frozen=True, kw_only=True):
    """A cluster of a domain's samples.

    count: of unlabelled samples.  samples: ids of a few of these, the nearest to the centre first.
    label: its name, of the facts among its samples; empty without one, or with several.  nearest:
    the known label that the samples are most like, with the mean likelihood of it, up to 1.
    members: ids of all its samples.
    """

    domain: str
    count: int
    samples: tuple[str, ...]
    label: str
    nearest: str
    likelihood: float
    members: frozenset[str]

    @property
    def settled(self) -> bool:
        """Whether it has a name, or a known label explains it."""
        return bool(self.label) or self.likelihood >= EXPLAINED_MIN

    @property
    def waits(self) -> bool:
        """Whether a name helps: it is not settled, and its samples are not very few."""
        return not self.settled and self.count >= WAITING_MIN


class ColumnSearch(FrozenStruct, frozen=True, kw_only=True):
    """What the columns of a domain follow from.  Nothing changes it, so that they may be found in
    another thread than that of the decisions.

    ids, rows: of its unlabelled samples, uint8 [n, width].  facts: of the domain.  experts: see
    `column_experts`.
    """

    domain: str
    ids: tuple[str, ...]
    rows: NDArray[np.uint8]
    facts: FactBatch
    experts: tuple[Adaptor, ...]

    def find(self) -> tuple[LabelColumn, ...]:
        """Return the columns; see `find_columns`.  Cost: 36 ms with 256 rows of 2,064 columns."""
        answers = expert_answers(self.experts, self.rows)
        return find_columns(self.domain, self.ids, self.rows, self.facts, answers)


def find_columns(
    domain: str,
    ids: Sequence[str],
    rows: NDArray[np.uint8],
    facts: FactBatch,
    answers: tuple[Sequence[str], NDArray[np.floating]],
) -> tuple[LabelColumn, ...]:
    """Group the unlabelled samples of a domain into columns, those to name first: each next one is
    the one least like those before it, like those with a name and those that a known label
    explains, so that one kind is not offered twice before every other kind was offered.

    ids, rows: uint8 [n, width].  facts: of the domain, grouped with them.  answers: known labels,
    and their probabilities for every sample, [n, labels].  Empty for fewer than `COLUMN_ROWS_MIN`
    samples.  Deterministic.  Cost: at most `COLUMNS_MAX * ROUNDS` products of samples and centres
    in 32 directions.
    """
    labels, likely = answers
    if len(ids) < COLUMN_ROWS_MIN or not labels:
        return ()
    points, member, centres = _grouped(rows, facts, likely)
    made: list[LabelColumn] = []
    middles = []
    for number in range(len(centres)):
        at = np.flatnonzero(member[: len(ids)] == number)
        if not len(at):
            continue
        named = np.flatnonzero(member[len(ids) :] == number).tolist()
        order = at[np.argsort(_squared(points[at], centres[number : number + 1])[:, 0])]
        shares = likely[at].mean(axis=0)
        middles.append(points[at].mean(axis=0))
        made.append(
            LabelColumn(
                domain=domain,
                count=len(at),
                samples=tuple(ids[row] for row in order[:SAMPLES_SHOWN].tolist()),
                label=_name([facts.labels[row] for row in named]),
                nearest=labels[int(shares.argmax())],
                likelihood=float(shares.max()),
                members=frozenset(ids[row] for row in at.tolist()),
            )
        )
    return _ordered(made, np.array(middles))


def cluster_samples(
    rows: NDArray[np.uint8], facts: FactBatch, likely: NDArray[np.floating]
) -> SampleClusters:
    """Return the clusters of samples uint8 [n, width] and of facts, n >= 1, as those of columns.

    likely: probabilities of labels for every sample, [n, labels].  Deterministic.
    """
    _, member, _ = _grouped(rows, facts, likely)
    return SampleClusters(member[: len(rows)], member[len(rows) :])


def _grouped(
    rows: NDArray[np.uint8], facts: FactBatch, likely: NDArray[np.floating]
) -> tuple[Floats, Numbers, Floats]:
    """Return samples and then facts as points, the cluster of each, and the clusters' centres.

    The clusters start from the labels that answer the samples."""
    every = np.concatenate([rows, facts.features]) if len(facts) else rows
    points = _points(every)
    nearest = likely.argmax(axis=1)
    starts = [points[: len(rows)][nearest == one].mean(axis=0) for one in np.unique(nearest)]
    count = min(COLUMNS_MAX, max(len(starts), len(rows) // ROWS_A_COLUMN))
    return points, *_grown(points, np.array(starts), count)


def _ordered(columns: Sequence[LabelColumn], middles: Floats) -> tuple[LabelColumn, ...]:
    """Return those that wait, each next one the least like the settled ones and those before it,
    then the others.  middles: mean of the samples of each, [columns, k]."""
    lengths = np.linalg.norm(middles, axis=1, keepdims=True)
    directions = middles / np.maximum(lengths, np.float32(1e-6))
    alike = directions @ directions.T
    left = sorted(range(len(columns)), key=lambda at: (columns[at].likelihood, columns[at].samples))
    others = [at for at in left if not columns[at].waits]
    before = [at for at in others if columns[at].settled]
    left = [at for at in left if columns[at].waits]
    order: list[int] = []
    while left:
        likeness = alike[np.ix_(left, before)].max(axis=1) if before else np.zeros(len(left))
        order.append(left.pop(int(likeness.argmin())))
        before.append(order[-1])
    return tuple(columns[at] for at in order + others)


def column_experts(domain: str, known: Knowledge) -> tuple[Adaptor, ...]:
    """Return the adaptors that say what the samples of a domain are like: of the learned domains
    with most facts other than the samples' own, which counts where it is the only one."""
    counts = Counter[str]()
    for (name, _), count in known.own.counts.items():
        counts[name] += count
    names = sorted(counts, key=lambda name: (name == domain, -counts[name], name))[:EXPERTS]
    found = (known.adaptor(name) for name in names if name != domain or len(names) == 1)
    return tuple(one.apart() if isinstance(one, NearestConceptAnswer) else one for one in found)


def expert_answers(
    experts: Sequence[Adaptor], rows: NDArray[np.uint8]
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Return the labels of adaptors, and their probabilities for samples uint8 [n, width], [n,
    labels]: the mean over the adaptors.

    Heads are centred on the samples, since a new camera or sensor moves all of them.  What is left
    to one is the probability of none of these labels.
    """
    labels = tuple(sorted({label for one in experts for label in one.labels}))
    scores = np.zeros((len(rows), len(labels)))
    for one in experts:
        at = [labels.index(label) for label in one.labels]
        scores[:, at] += _centred(one, rows) / len(experts)
    if not labels:
        return labels, scores
    none = np.full((len(rows), 1), NONE_SCORE)
    return labels, softmax(SHARPNESS * np.concatenate([scores, none], axis=1))[:, :-1]


def _centred(adaptor: Adaptor, rows: NDArray[np.uint8]) -> Floats:
    """Return the scores [n, labels] of samples, centred on these where a head answers."""
    if not isinstance(adaptor, FittedHead):
        return adaptor.answer(rows)
    transform = adaptor.transform
    centre = LEVELS[rows].mean(axis=0)[transform.columns]
    return np.asarray(transform(rows, centre) @ adaptor.weights + adaptor.bias)


def _points(rows: NDArray[np.uint8]) -> Floats:
    """Return samples as unit rows in their principal directions, [n, k]."""
    roots = LEVELS[rows]
    standard = (roots - roots.mean(axis=0)) / (roots.std(axis=0) + np.float32(STEP))
    found = standard @ principal_directions(standard, DIRECTIONS)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.maximum(lengths, np.float32(1e-6)), np.float32)


def _grown(points: Floats, starts: Floats, count: int) -> tuple[Numbers, Floats]:
    """Return the centre of each point, [n], and so many centres: those given, then each time the
    point farthest from the centre whose points are farthest from it in all."""
    member, centres = _k_means(points, starts)
    while len(centres) < count:
        apart = _squared(points, centres)[np.arange(len(points)), member]
        if not apart.max() > POINTS_APART:
            break
        widest = np.bincount(member, weights=apart, minlength=len(centres)).argmax()
        farthest = np.where(member == widest, apart, -1.0).argmax()
        member, centres = _k_means(points, np.concatenate([centres, points[farthest][None]]))
    return member, centres


def _k_means(points: Floats, centres: Floats) -> tuple[Numbers, Floats]:
    """Return the centre of each point, [n], and the centres (MacQueen 1967)."""
    centres = centres.copy()
    for _ in range(ROUNDS):
        member = _squared(points, centres).argmin(axis=1)
        for number in np.unique(member):
            centres[number] = points[member == number].mean(axis=0)
    return _squared(points, centres).argmin(axis=1), centres


def _squared(points: Floats, centres: Floats) -> Floats:
    lengths = np.vecdot(points, points)[:, None] + np.vecdot(centres, centres)
    return np.asarray(np.maximum(lengths - 2 * points @ centres.T, 0))


def _name(labels: Sequence[str]) -> str:
    """Return the only label of the facts of a column; empty without one, or with several."""
    return labels[0] if len(set(labels)) == 1 else ""
