"""Naming the observations of an unlearned domain that are most worth a label, now and then."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from .. import limits
from ..events import (
    LabelCandidate,
    LabelRequest,
    Message,
    StoreLabelCandidates,
    UnlabelledObservation,
)
from ..knowledge import Knowledge
from .candidates import choose_candidates, score_candidates
from .novel_domains import unpack_row
from .session import SessionState
from .stream import StreamState, rank_domains

NEAREST: Final = 3
"""Domains whose answers say which observations are alike."""


class LabelRequests:
    """Renews the choice when a domain is opened, and each time its observations have doubled.

    session: what is remembered.
    """

    def __init__(self, session: SessionState) -> None:
        self._session = session
        self._sizes: dict[str, int] = {}

    def renew(
        self, name: str, stream: StreamState, known: Knowledge
    ) -> Iterator[Message | StoreLabelCandidates]:
        """Yield what is worth a label in the domain that a stream (`name`) opens, where it is due.

        A domain with facts is learned from what comes; nothing is wanted there any more.
        """
        domain = stream.opening
        rows = self._session.openings.rows(domain)
        if len(rows) < max(1, 2 * self._sizes.get(domain, 0)) or domain in known.domains:
            return
        names = self._session.openings.names
        self._sizes = {one: size for one, size in self._sizes.items() if one in names}
        self._sizes[domain] = len(rows)
        keys, features = tuple(rows), unpack_row(rows.values())
        # By what is learned alone: of many concepts the nearest few may all be the opening's own.
        looks = [replace(glance, near=glance.learned) for glance in stream.window]
        nearest = [one for one in rank_domains(looks) if one in known.domains][:NEAREST]
        answers = [known.adaptor(one).answer(features) for one in nearest]
        wanted = tuple(
            keys[at] for at in choose_candidates(score_candidates(answers), limits.WANTED_MAX)
        )
        found = (self._candidate(key, domain, 1 / place) for place, key in enumerate(wanted, 1))
        yield StoreLabelCandidates(tuple(one for one in found if one is not None))
        yield LabelRequest(name, domain, wanted, tuple(self._described(wanted, domain)))

    def _described(self, keys: tuple[str, ...], domain: str) -> Iterator[UnlabelledObservation]:
        """Yield the decision that was served on each observation that is still at hand."""
        for key in keys:
            seen = self._session.recent.get(key)
            if seen is not None:
                yield UnlabelledObservation(
                    observation_id=key,
                    stream=seen.stream,
                    domain=domain,
                    captured_at_ns=seen.captured_at_ns,
                    guess=seen.guess,
                    p_value=seen.p_value,
                )

    def _candidate(self, key: str, domain: str, score: float) -> LabelCandidate | None:
        seen = self._session.recent.get(key)
        if seen is None:
            return None
        return LabelCandidate(
            observation_id=key,
            stream=seen.stream,
            subject=seen.subject,
            domain=domain,
            captured_at_ns=seen.captured_at_ns,
            score=score,
            features=seen.features,
        )
