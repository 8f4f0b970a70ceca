"""Held-out samples asked from outside, without the runtime noticing: what it would answer."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

import numpy as np

import encoder

from ..core import Config, Decision, Fact, Knowledge, MemoryLedger, Observation
from ..core.knowledge import derive_knowledge
from ..core.session import Assessor, SessionState
from .recording import RoutingRecord
from .replay import ReplayModel
from .world import World, WorldSample

Truth = tuple[str, str]
"""True domain and label."""


def ask_all(knowledge: Knowledge, features: encoder.Features, config: Config) -> Decision:
    """Decide as the Runtime does on a sample that nothing came before, without touching it."""
    return _decide(Assessor(config, SessionState(config)), knowledge, features, 0)


def follow_stream(
    knowledge: Knowledge, rows: Iterable[encoder.Features], config: Config
) -> tuple[Decision, ...]:
    """Decide as the Runtime does on a stream of samples of its own, without touching it."""
    assessor = Assessor(config, SessionState(config))
    return tuple(_decide(assessor, knowledge, row, at) for at, row in enumerate(rows))


def _decide(
    assessor: Assessor, knowledge: Knowledge, features: encoder.Features, at: int
) -> Decision:
    event = Observation(stream="examination", sequence=at, captured_at_ns=at, payload=None)
    messages = tuple(assessor.assess(event, features.values, knowledge))
    return next(one for one in messages if isinstance(one, Decision))


def heads_alone(knowledge: Knowledge, facts: Iterable[Fact]) -> Knowledge:
    """Return the same knowledge without its adaptors.  facts: all of its ledger."""
    return derive_knowledge(MemoryLedger(facts), knowledge.geometry)


def tabulate_answers(
    singles: Mapping[str, Sequence[Decision]],
    streams: Mapping[str, Sequence[Decision]],
    learned: Mapping[tuple[str, str], int],
    knowledge: Knowledge,
    window: int,
) -> RoutingRecord:
    """Count where samples of each true domain were sent, one by one and in the light of a window.

    singles, streams: decisions by true domain, of `ask` and of `follow`.  learned: facts by true
    domain and the device's.
    """
    found = {
        name: [learned.get((name, column), 0) for column in knowledge.domains] for name in singles
    }
    homes = {
        name: knowledge.domains[counts.index(max(counts))]
        for name, counts in found.items()
        if any(counts)
    }
    # Homes first, in the order of the rows: what went right lies on the diagonal.
    columns = tuple(dict.fromkeys((*homes.values(), *knowledge.domains)))
    return RoutingRecord(
        tuple(singles),
        columns,
        tuple(columns.index(homes[name]) if name in homes else None for name in singles),
        tuple(_count(singles[name], columns) for name in singles),
        tuple(_count(streams[name][window - 1 :], columns) for name in singles),
    )


def _count(sent: Iterable[Decision], columns: tuple[str, ...]) -> tuple[int, ...]:
    found = Counter(one.domain for one in sent)
    return tuple(found[name] for name in columns)


class Evaluation:
    """The held-out samples of a world, and what was answered last.

    model: encodes them.  config: of the runtime.
    """

    def __init__(self, world: World, model: ReplayModel, config: Config) -> None:
        self._world = world
        self._model = model
        self._config = config
        self._answers: dict[str, list[Decision]] = {}

    def hold(self, knowledge: Knowledge) -> None:
        """Ask every sample, one by one."""
        self._answers = {
            name: [ask_all(knowledge, self._features(sample), self._config) for sample in samples]
            for name, samples in self._world.tests.items()
        }

    def accuracies(self, forgotten: AbstractSet[Truth]) -> list[float | None]:
        """Accuracy on each domain of the world, classes forgotten on request left out; None where
        nothing is left."""
        return [self._accuracy(name, forgotten) for name in self._world.domains]

    def routing(
        self, knowledge: Knowledge, truths: Mapping[str, Truth], facts: Iterable[Fact]
    ) -> RoutingRecord:
        """Count where the samples were sent.  truths: of all facts, by id.  facts: of the
        knowledge's ledger."""
        learned = Counter((truths[fact.id][0], fact.domain) for fact in facts)
        singles = {name: self._answers[name] for name in self._world.domains}
        streams = {
            name: follow_stream(
                knowledge, map(self._features, self._world.tests[name]), self._config
            )
            for name in singles
        }
        return tabulate_answers(singles, streams, learned, knowledge, self._config.window)

    def _accuracy(self, name: str, forgotten: AbstractSet[Truth]) -> float | None:
        right = [
            answer.guess == sample.label
            for answer, sample in zip(self._answers[name], self._world.tests[name], strict=True)
            if (sample.domain, sample.label) not in forgotten
        ]
        return float(np.mean(right)) if right else None

    def _features(self, sample: WorldSample) -> encoder.Features:
        return self._model.encode(sample.read())
