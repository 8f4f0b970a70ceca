"""Views of a runtime for people: reading changes no answer."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

import hdc

from . import limits
from .config import Config
from .events import AlarmQuestion
from .facts import Fact, LabelCandidate, Ledger, Selector
from .knowledge import Knowledge
from .learning import Learner
from .recalibration import CalibrationStatus, ObservedRate
from .session import (
    COLUMN_DOMAINS_MAX,
    COLUMN_ROWS_MIN,
    AdaptedDomain,
    AdaptedOpenings,
    BufferedObservation,
    ColumnSearch,
    Explanation,
    Guess,
    LabelColumn,
    ServedAnswer,
    SessionState,
    StreamLevels,
    column_experts,
    explain,
    guess_each,
    unpack_rows,
)


class RuntimeViews:
    """The part of a `Runtime` that only reads; it has the attributes named here."""

    config: Config
    knowledge: Knowledge
    _ledger: Ledger
    _learner: Learner
    _session: SessionState
    _levels: StreamLevels
    _openings: AdaptedOpenings
    _refits_accepted: int

    def explain(self, observation_id: str) -> Explanation | None:
        """Explain an observation to the person who labels it, or who looks at its label: guess,
        p-value, nearest known examples, and how its features differ from theirs.  None if it has
        expired.  In a domain without labels, the guess is adapted to it.
        """
        found = self.observation(observation_id)
        if found is None:
            return None
        rate, own = self.config.false_alarm_rate, frozenset((observation_id,))
        features = np.frombuffer(found.features, np.uint8)
        made = replace(
            explain(features, self.knowledge, self._ledger, rate, own), stream=found.stream
        )
        adapted = None
        if not isinstance(found, Fact):
            adapted = self._openings.guesses(found.domain, features[None], self.knowledge)
        if adapted is None:
            return self._learned_unlabelled(made, found, features)
        return replace(made, guess=adapted[0][0], adaptation=adapted[1], draft="")

    def _learned_unlabelled(
        self,
        made: Explanation,
        found: Fact | BufferedObservation | LabelCandidate,
        features: NDArray[np.uint8],
    ) -> Explanation:
        """Return an explanation with the guess of a head that learns from unlabelled observations,
        where one answers."""
        if made.known is False or self.config.adaptation == "off":
            return made
        learned = self._openings.few.guesses(found.domain, features[None], self.knowledge)
        if learned is None:
            return made
        return replace(made, guess=learned[0][0], unlabelled=learned[1], draft="")

    def observation(
        self, observation_id: str
    ) -> Fact | BufferedObservation | LabelCandidate | None:
        """Return a learned, recent or waiting observation; None if it has expired."""
        return self._ledger.get(observation_id) or self._learner.unlabelled(observation_id)

    def recent(self) -> tuple[tuple[str, BufferedObservation], ...]:
        """Return the observations in the label buffer by id, oldest first; some may be learned."""
        return self._session.label_buffer.items()

    def select_recent(self, selector: Selector) -> tuple[str, ...]:
        """Return the ids of the buffered observations that a selector matches."""
        return tuple(self._session.select_unlabelled(selector))

    def buffered(self, observation_id: str) -> BufferedObservation | None:
        """Return a recent observation, None if it has left the label buffer."""
        return self._session.label_buffer.get(observation_id)

    def served_answers(self) -> dict[str, ServedAnswer]:
        """Return, by domain, how the answers served on its newest labelled observations scored."""
        return self._session.served_accuracy.by_domain()

    def guesses(
        self, features: NDArray[np.uint8], domains: Sequence[str] = ()
    ) -> tuple[hdc.Codes, list[Guess]]:
        """Answer samples uint8 [n, width], each by itself, as they are answered now; with their
        codes.  See `guess_each`.  domains: that they are filed under, if known; answers in a domain
        without labels are adapted to it."""
        codes = self.knowledge.geometry.project(features)
        made = guess_each(features, codes, self.knowledge, self.config.false_alarm_rate)
        for domain in dict.fromkeys(domains):
            at = [place for place, name in enumerate(domains) if name == domain]
            adapted = self._openings.guesses(domain, features[at], self.knowledge)
            if adapted is not None:
                for place, guess in zip(at, adapted[0], strict=True):
                    made[place] = replace(made[place], guess=guess)
                continue
            learned = self._openings.few.guesses(domain, features[at], self.knowledge)
            for place, guess in zip(at, learned[0] if learned is not None else (), strict=False):
                if made[place].known is not False:
                    made[place] = replace(made[place], guess=guess)
        return codes, made

    def label_columns(self) -> tuple[LabelColumn, ...]:
        """Return the clusters of the unlabelled observations of domains that streams have opened,
        which one label each names; see `find_columns`.  Cost: see `ColumnSearch.find`, for each
        domain."""
        return tuple(one for search in self.column_searches() for one in search.find())

    def column_searches(self) -> tuple[ColumnSearch, ...]:
        """Return what the clusters of these domains follow from, `COLUMN_DOMAINS_MAX` of them:
        those with the fewest labels, then those with most observations.  Cost: about a millisecond
        for each with 256 observations."""
        opened = self._session.novel_domains
        held = {
            name: [key for key in opened.rows(name) if key in self._session.label_buffer]
            for name in (opened.names if self.knowledge.domains else ())
        }
        enough = [name for name, keys in held.items() if len(keys) >= COLUMN_ROWS_MIN]
        labels = Counter(domain for domain, _ in self.knowledge.own.counts)
        enough.sort(key=lambda name: (labels[name], -len(held[name]), name))
        return tuple(
            ColumnSearch(
                domain=domain,
                ids=tuple(held[domain]),
                rows=unpack_rows(opened.rows(domain)[key] for key in held[domain]),
                facts=self._ledger.sample(limits.NOVEL_DOMAIN_OBSERVATIONS_MAX, (domain,)),
                experts=column_experts(domain, self.knowledge),
            )
            for domain in sorted(enough[:COLUMN_DOMAINS_MAX])
        )

    @property
    def answers_version(self) -> int:
        """A number that changes with everything that `guesses` follows from."""
        return (
            self._session.version
            + self._refits_accepted
            + self._openings.version
            + self._openings.few.version
        )

    def adapted_domains(self) -> dict[str, AdaptedDomain]:
        """Return how each domain without labels is adapted to, by name."""
        return self._openings.domains(self.knowledge)

    def observed_rates(self) -> dict[str, ObservedRate]:
        """Return the observed false-alarm rate of each stream, next to the chosen one."""
        return self._levels.observed_rates()

    def alarm_questions(self) -> tuple[AlarmQuestion, ...]:
        """Return the lasting alarms that wait for a person's answer."""
        return self._levels.questions()

    def calibration_status(self) -> tuple[CalibrationStatus, ...]:
        """Return how each learned domain's thresholds were calibrated."""
        return self.knowledge.calibration_status(self.config.false_alarm_rate)
