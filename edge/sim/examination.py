"""Held-out samples asked from outside, without the runtime noticing: what it would answer."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import numpy as np

import encoder
import hdc

from ..core import Config, Fact, Knowledge, MemoryLedger, derive
from .recording import Routing
from .replay import ReplayModel
from .world import Sample, World

Truth = tuple[str, str]
"""True domain and label."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said of one held-out sample."""

    label: str
    verdict: hdc.Verdict

    @property
    def routed(self) -> str:
        """The device's domain that answers."""
        return self.verdict.domain


def ask(knowledge: Knowledge, features: encoder.Features, rate: float) -> Answer:
    """Ask as the Runtime does, without touching it: detect, route, answer."""
    codes = knowledge.geometry.project(features.values[None])
    verdict = hdc.detect(codes, knowledge.memory, knowledge.calibration(), rate)
    return Answer(knowledge.answer(verdict.domain, features.values), verdict)


def answer_sample(knowledge: Knowledge, features: encoder.Features, rate: float) -> str:
    """Return the label that the Runtime would answer with."""
    return ask(knowledge, features, rate).label


def heads_alone(knowledge: Knowledge, facts: Iterable[Fact]) -> Knowledge:
    """Return the same knowledge without its adaptors.  facts: all of its ledger."""
    return derive(MemoryLedger(facts), knowledge.geometry)


def tabulate(
    answers: Mapping[str, Sequence[Answer]],
    learned: Mapping[tuple[str, str], int],
    knowledge: Knowledge,
    config: Config,
) -> Routing:
    """Count where samples of each true domain were sent, one by one and by windows.

    answers: by true domain, in the order of a stream.  learned: facts by true domain and the
    device's.
    """
    found = {
        name: [learned.get((name, column), 0) for column in knowledge.domains] for name in answers
    }
    homes = {name: knowledge.domains[counts.index(max(counts))]
             for name, counts in found.items() if any(counts)}  # fmt: skip
    # Homes first, in the order of the rows: what went right lies on the diagonal.
    columns = tuple(dict.fromkeys((*homes.values(), *knowledge.domains)))
    return Routing(
        tuple(answers),
        columns,
        tuple(columns.index(homes[name]) if name in homes else None for name in answers),
        tuple(_count((one.routed for one in row), columns) for row in answers.values()),
        tuple(_count(_by_window(row, knowledge, config), columns) for row in answers.values()),
    )


def _by_window(row: Sequence[Answer], knowledge: Knowledge, config: Config) -> Iterator[str]:
    """Where each window of consecutive samples is sent."""
    verdicts = tuple(one.verdict for one in row)
    for end in range(config.window, len(verdicts) + 1):
        part = verdicts[end - config.window : end]
        yield hdc.detect_window(part, knowledge.calibration(), config.false_alarm_rate).domain


def _count(sent: Iterable[str], columns: tuple[str, ...]) -> tuple[int, ...]:
    found = Counter(sent)
    return tuple(found[name] for name in columns)


class Examination:
    """The held-out samples of a world, and what was answered last.

    model: encodes them.  config: of the runtime.
    """

    def __init__(self, world: World, model: ReplayModel, config: Config) -> None:
        self._world = world
        self._model = model
        self._config = config
        self._answers: dict[str, list[Answer]] = {}

    def hold(self, knowledge: Knowledge) -> None:
        """Ask every sample; before anything is learned there are no answers."""
        rate = self._config.false_alarm_rate
        self._answers = {
            name: [ask(knowledge, self._features(sample), rate) for sample in samples]
            for name, samples in self._world.tests.items()
            if knowledge.memory.keys
        }

    def answer_again(self, knowledge: Knowledge) -> None:
        """Let other knowledge answer, each sample routed as before."""
        for name, answers in self._answers.items():
            self._answers[name] = [
                replace(one, label=knowledge.answer(one.routed, self._features(sample).values))
                for one, sample in zip(answers, self._world.tests[name], strict=True)
            ]

    def accuracies(self, forgotten: AbstractSet[Truth]) -> list[float | None]:
        """Accuracy on each domain of the world, classes forgotten on request left out; None where
        nothing is left."""
        return [self._accuracy(name, forgotten) for name in self._world.domains]

    def routing(
        self, knowledge: Knowledge, truths: Mapping[str, Truth], facts: Iterable[Fact]
    ) -> Routing:
        """Count where the samples were sent.  truths: of all facts, by id.  facts: of the
        knowledge's ledger."""
        learned = Counter((truths[fact.id][0], fact.domain) for fact in facts)
        answers = {name: self._answers[name] for name in self._world.domains if self._answers}
        return tabulate(answers, learned, knowledge, self._config)

    def _accuracy(self, name: str, forgotten: AbstractSet[Truth]) -> float | None:
        if name not in self._answers:
            return 0.0
        right = [
            answer.label == sample.label
            for answer, sample in zip(self._answers[name], self._world.tests[name], strict=True)
            if (sample.domain, sample.label) not in forgotten
        ]
        return float(np.mean(right)) if right else None

    def _features(self, sample: Sample) -> encoder.Features:
        return self._model.encode(sample.read())
