"""Active learning: when a label request is sent for a novel domain, and for which unlabelled
observations.  `edge.core.labelling` holds the rules that choose them.
"""

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace

from .. import limits
from ..events import LabelRequest, Message, StoreLabelCandidates, UnlabelledObservation
from ..facts import LabelCandidate
from ..knowledge import Knowledge
from ..labelling import choose_candidates, score_candidates
from .label_buffer import BufferedObservation, LabelBuffer
from .novel_domains import NovelDomains, unpack_rows
from .stream import StreamState, rank_domains

ANSWERING_DOMAINS: Final = 3
"""Learned domains whose answers describe the observations: those that answer them meanwhile, too
(`assess.EXPERTS`)."""


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
