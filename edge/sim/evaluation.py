"""Evaluation on held-out samples: the runtime's decisions, without changing its state."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

import numpy as np

import encoder

from ..core import Config, Decision, Fact, Knowledge, MemoryLedger, Observation
from ..core.knowledge import derive_knowledge
from ..core.session import Assessor, SessionState, StreamLevels
from .recording import RoutingRecord
from .replay import ReplayModel
from .world import World, WorldSample

Truth = tuple[str, str]
"""True domain and label."""


def decide_sample(knowledge: Knowledge, features: encoder.Features, config: Config) -> Decision:
    """Decide as the Runtime does on the first sample of a stream."""
    return _decide(
        Assessor(config, SessionState(config), StreamLevels(config)), knowledge, features, 0
    )


def decide_stream(
    knowledge: Knowledge, rows: Iterable[encoder.Features], config: Config
) -> tuple[Decision, ...]:
    """Decide as the Runtime does on a stream of these samples alone."""
    assessor = Assessor(config, SessionState(config), StreamLevels(config))
    return tuple(_decide(assessor, knowledge, row, at) for at, row in enumerate(rows))


def _decide(
    assessor: Assessor, knowledge: Knowledge, features: encoder.Features, at: int
) -> Decision:
    event = Observation(stream="evaluation", sequence=at, captured_at_ns=at, payload=None)
    messages = tuple(assessor.assess(event, features.values, knowledge))
    return next(one for one in messages if isinstance(one, Decision))


def without_adaptors(knowledge: Knowledge, facts: Iterable[Fact]) -> Knowledge:
    """Return the same knowledge without its adaptors.  facts: all facts of its ledger."""
    return derive_knowledge(MemoryLedger(facts), knowledge.geometry)


def tabulate_routing(
    singles: Mapping[str, Sequence[Decision]],
    streams: Mapping[str, Sequence[Decision]],
    *,
    learned: Mapping[tuple[str, str], int],
    knowledge: Knowledge,
    window: int,
) -> RoutingRecord:
    """Count where samples of each true domain are routed, one by one and with a stream's window.

    singles, streams: decisions by true domain, of `decide_sample` and of `decide_stream`.  learned:
    facts by true domain and the device's domain.  Streams count from their first full window on.
    """
    found = {
        name: [learned.get((name, column), 0) for column in knowledge.domains] for name in singles
    }
    homes = {
        name: knowledge.domains[counts.index(max(counts))]
        for name, counts in found.items()
        if any(counts)
    }
    # Homes first, in the order of the rows: correct routes lie on the diagonal.
    columns = tuple(dict.fromkeys((*homes.values(), *knowledge.domains)))
    return RoutingRecord(
        tuple(singles),
        columns,
        tuple(columns.index(homes[name]) if name in homes else None for name in singles),
        tuple(_count(singles[name], columns) for name in singles),
        tuple(_count(streams[name][window - 1 :], columns) for name in singles),
    )


def _count(routed: Iterable[Decision], columns: tuple[str, ...]) -> tuple[int, ...]:
    found = Counter(one.domain for one in routed)
    return tuple(found[name] for name in columns)


class Evaluation:
    """The held-out samples of a world, and the decisions of the latest run.

    model: encodes the samples.  config: of the runtime.
    """

    def __init__(self, world: World, model: ReplayModel, config: Config) -> None:
        self._world = world
        self._model = model
        self._config = config
        self._decisions: dict[str, list[Decision]] = {}

    def run(self, knowledge: Knowledge) -> None:
        """Decide on every sample, one by one."""
        self._decisions = {
            name: [
                decide_sample(knowledge, self._features(sample), self._config) for sample in samples
            ]
            for name, samples in self._world.tests.items()
        }

    def accuracies(self, forgotten: AbstractSet[Truth]) -> list[float | None]:
        """Return the accuracy on each domain of the world, without classes forgotten on request;
        None where no sample is left."""
        return [self._accuracy(name, forgotten) for name in self._world.domains]

    def routing(
        self, knowledge: Knowledge, truths: Mapping[str, Truth], facts: Iterable[Fact]
    ) -> RoutingRecord:
        """Count where the samples are routed.  truths: of all facts, by id.  facts: of the
        knowledge's ledger."""
        learned = Counter((truths[fact.id][0], fact.domain) for fact in facts)
        singles = {name: self._decisions[name] for name in self._world.domains}
        streams = {
            name: decide_stream(
                knowledge, map(self._features, self._world.tests[name]), self._config
            )
            for name in singles
        }
        return tabulate_routing(
            singles, streams, learned=learned, knowledge=knowledge, window=self._config.window
        )

    def _accuracy(self, name: str, forgotten: AbstractSet[Truth]) -> float | None:
        correct = [
            decision.guess == sample.label
            for decision, sample in zip(self._decisions[name], self._world.tests[name], strict=True)
            if (sample.domain, sample.label) not in forgotten
        ]
        return float(np.mean(correct)) if correct else None

    def _features(self, sample: WorldSample) -> encoder.Features:
        return self._model.encode(sample.read())
