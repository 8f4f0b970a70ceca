"""Active learning: which unlabelled observations of a novel domain to request labels for.

Typical and diverse samples are chosen as in TypiClust (Hacohen, Dekel & Weinshall 2022, "Active
learning on a budget: opposite strategies suit high and low budgets", section 3), but in the space
of the answers that the nearest learned domains give: observations that are answered alike share
their mistakes.  They are clustered into as many groups as there will be labels; from each cluster
without a label, large ones first, the observation in the densest place is chosen.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .. import limits
from ..events import LabelRequest, Message, StoreLabelCandidates, UnlabelledObservation
from ..facts import LabelCandidate
from ..knowledge import Knowledge
from .label_buffer import BufferedObservation, LabelBuffer
from .novel_domains import NovelDomains, unpack_rows
from .stream import StreamState, rank_domains

ANSWERING_DOMAINS: Final = 3
"""Learned domains whose answers describe the observations: those that answer them meanwhile, too
(`assess.EXPERTS`)."""

NEIGHBOURS: Final = 20
"""Nearest observations whose mean distance measures density (Hacohen et al.: 20)."""

KMEANS_ROUNDS: Final = 10
"""Rounds of k-means: few, since clusters only diversify the choice.  Chosen by hand; effect not
measured."""

Floats = NDArray[np.float32]


class LabelRequests:
    """Requests labels when a domain is opened, and each time its observations have doubled."""

    def __init__(self, label_buffer: LabelBuffer, novel_domains: NovelDomains) -> None:
        self._label_buffer = label_buffer
        self._novel_domains = novel_domains
        self._sizes: dict[str, int] = {}

    def update(
        self, name: str, stream: StreamState, known: Knowledge
    ) -> Iterator[Message | StoreLabelCandidates]:
        """Yield label candidates and a request for the domain of a stream's alarm, if due.

        name: of the stream.  Once a domain has facts, no more labels are requested for it.
        """
        domain = stream.alarm_domain
        rows = self._novel_domains.rows(domain)
        if len(rows) < max(1, 2 * self._sizes.get(domain, 0)) or domain in known.domains:
            return
        names = self._novel_domains.names
        self._sizes = {one: size for one, size in self._sizes.items() if one in names}
        self._sizes[domain] = len(rows)
        keys, features = tuple(rows), unpack_rows(rows.values())
        # Learned domains only: the nearest few concepts may all belong to the novel domain.
        window = [replace(one, novelties=one.learned_novelties) for one in stream.window]
        nearest = [one for one in rank_domains(window) if one in known.domains]
        answers = [known.adaptor(one).answer(features) for one in nearest[:ANSWERING_DOMAINS]]
        chosen = choose_candidates(score_candidates(answers), limits.LABEL_REQUEST_MAX)
        requested = tuple(keys[at] for at in chosen)
        found = [(key, self._label_buffer.get(key)) for key in requested]
        ranked = [(rank, key, one) for rank, (key, one) in enumerate(found, 1) if one is not None]
        yield StoreLabelCandidates(
            tuple(_candidate(key, one, domain, 1 / rank) for rank, key, one in ranked)
        )
        described = tuple(_describe(key, one, domain) for _, key, one in ranked)
        yield LabelRequest(name, domain, requested, described)


def _describe(key: str, buffered: BufferedObservation, domain: str) -> UnlabelledObservation:
    return UnlabelledObservation(
        observation_id=key,
        stream=buffered.stream,
        domain=domain,
        captured_at_ns=buffered.captured_at_ns,
        guess=buffered.guess,
        p_value=buffered.p_value,
    )


def _candidate(
    key: str, buffered: BufferedObservation, domain: str, score: float
) -> LabelCandidate:
    return LabelCandidate(
        observation_id=key,
        stream=buffered.stream,
        subject=buffered.subject,
        domain=domain,
        captured_at_ns=buffered.captured_at_ns,
        score=score,
        features=buffered.features,
        recording=buffered.recording,
    )


def score_candidates(answers: Sequence[Floats]) -> Floats:
    """Concatenate the answers of several domains: float32 [n, all labels].

    answers: of one domain each, float32 [n, labels].  Each is centred per row and scaled, so that
    only differences between labels count.
    """
    centred = [scores - scores.mean(axis=1, keepdims=True) for scores in answers]
    return np.concatenate([scores / (scores.std() + 1e-6) for scores in centred], axis=1)


def choose_candidates(scores: Floats, count: int, labelled: int = 0) -> tuple[int, ...]:
    """Return the rows of scores [n, m] most worth a label, best first, at most `count`.

    labelled: the first rows, which have labels already and are not chosen again.  Cost: n^2 + 10 n
    k distances, k = labelled + count.  Deterministic for the same rows in the same order.
    """
    if len(scores) <= labelled or count < 1:
        return ()
    clusters = min(labelled + count, len(scores))
    member = _kmeans(scores, clusters)
    taken = np.bincount(member[:labelled], minlength=clusters)
    sizes = np.bincount(member[labelled:], minlength=clusters)
    order = sorted(range(clusters), key=lambda at: (taken[at], -sizes[at], at))
    unlabelled = (labelled + np.flatnonzero(member[labelled:] == at) for at in order)
    chosen = (_most_typical(scores, members) for members in unlabelled if len(members))
    return tuple(chosen)[:count]


def _distances(rows: Floats, centres: Floats) -> Floats:
    """Squared Euclidean distances [n, k]."""
    norms = np.square(rows).sum(axis=1)[:, None] + np.square(centres).sum(axis=1)
    return np.asarray(np.maximum(norms - 2 * rows @ centres.T, 0))


def _kmeans(rows: Floats, count: int) -> NDArray[np.intp]:
    """Return each row's cluster, by k-means started from rows far from each other."""
    centres = rows[_k_centres(rows, count)]
    member: NDArray[np.intp] = _distances(rows, centres).argmin(axis=1)
    for _ in range(KMEANS_ROUNDS):
        for at in range(count):
            if (member == at).any():
                centres[at] = rows[member == at].mean(axis=0)
        moved = _distances(rows, centres).argmin(axis=1)
        if (moved == member).all():
            break
        member = moved
    return member


def _k_centres(rows: Floats, count: int) -> list[int]:
    """Return rows far from each other (greedy k-centres, Gonzalez 1985), starting with the row
    nearest to zero: the least committed answer."""
    chosen = [int(np.square(rows).sum(axis=1).argmin())]
    away = _distances(rows, rows[chosen])[:, 0]
    while len(chosen) < count:
        chosen.append(int(away.argmax()))
        away = np.minimum(away, _distances(rows, rows[chosen[-1:]])[:, 0])
    return chosen


def _most_typical(rows: Floats, members: NDArray[np.intp]) -> int:
    """Return the row in the densest place among a cluster's members, at least one."""
    apart = np.sort(np.sqrt(_distances(rows[members], rows[members])), axis=1)
    density = apart[:, 1 : 1 + min(NEIGHBOURS, len(members) - 1)]
    return int(members[density.mean(axis=1).argmin() if density.shape[1] else 0])
