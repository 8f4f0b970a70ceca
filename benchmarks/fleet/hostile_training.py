"""Trainings with hostile members: what bounds and robust means keep of the accuracy.

A reversed update pulls the fleet away from what the others learned; a claim of many facts gives it
weight; noise is as long as twenty honest updates; swapped labels are poisoned facts, whose update
looks like any other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from edge.federation import (
    FEDERATED_STRATEGIES,
    AdaptorTask,
    FederatedSettings,
    InProcessExchange,
    LocalPlan,
    LocalResult,
    RoundResults,
    add_scaled,
    difference,
    run_rounds,
)

from ..report import BenchmarkRow
from .federated import RATE, PreparedFleet, prepare
from .federated_data import divided_fleets
from .training_cache import cached

TrainingAttack = Literal["reversed", "reversed, many facts", "noise", "swapped labels"]

ATTACKS: Final[tuple[TrainingAttack, ...]] = (
    "reversed",
    "reversed, many facts",
    "noise",
    "swapped labels",
)
SMALL: Final = "digits by label"
LARGE: Final = "pacs by domain"
"""The fleets that are attacked."""
SHARES: Final = (0.1, 0.2, 0.3)
"""Shares of hostile devices."""
DEVICES: Final = 20
"""Devices of a fleet, so that a tenth is two."""
ROUNDS: Final = 20
"""Rounds of a training: the default of `auricle fleet train`."""
SEED: Final = 3
"""Of partitions, batches and attacks."""
REVERSED: Final = -5.0
"""Factor of a reversed update."""
CLAIMED: Final = 1_000_000
"""Facts that a device claims."""
NOISE: Final = 20.0
"""Length of noise, over that of the device's own update."""
METHODS: Final = {
    "fedavg, unbounded": ("fedavg", 0.0),
    "fedavg": ("fedavg", FederatedSettings().bound),
    "fedavg, bound 1": ("fedavg", 1.0),
    "fedmedian": ("fedmedian", 0.0),
    "fedtrimmed": ("fedtrimmed", 0.0),
    "fedhyper-relative": ("fedhyper-relative", FederatedSettings().bound),
}
"""Strategy and bound of each method; the two robust means are measured without a bound."""


@dataclass(frozen=True, slots=True)
class TrainingUnderAttack:
    """What a training reached.  bounded: updates shortened or weights cut, of honest devices, a
    round.  refused: hostile ones refused, a round."""

    accuracy: float
    bounded: float
    refused: float


class HostileExchange(InProcessExchange):
    """Devices of which some do not send what they trained."""

    def __init__(self, prepared: PreparedFleet, hostile: Sequence[str], attack: str) -> None:
        tasks = dict(prepared.tasks)
        if attack == "swapped labels":
            tasks |= {one: swapped_task(prepared, one) for one in hostile}
        super().__init__(tasks)
        self._hostile, self._attack = set(hostile), attack

    def work(
        self, devices: Sequence[str], plan: LocalPlan, arrays: Any, direction: Any
    ) -> list[LocalResult]:
        """See `Exchange`."""
        found = super().work(devices, plan, arrays, direction)
        return [
            self._spoil(one, plan, arrays) if one.device in self._hostile else one for one in found
        ]

    def _spoil(self, one: LocalResult, plan: LocalPlan, arrays: Any) -> LocalResult:
        if self._attack == "swapped labels":
            return one
        update = difference(one.arrays, arrays)
        if self._attack == "noise":
            random = np.random.default_rng([SEED, plan.number, int(one.device[7:])])
            drawn = {
                name: random.standard_normal(value.shape).astype(np.float32)
                for name, value in update.items()
            }
            length, mine = _length(update), _length(drawn)
            return replace(one, arrays=add_scaled(arrays, drawn, NOISE * length / mine))
        made = replace(one, arrays=add_scaled(arrays, update, REVERSED))
        return replace(made, examples=CLAIMED) if "many" in self._attack else made


def swapped_task(prepared: PreparedFleet, device: str) -> AdaptorTask:
    """Return a device's task with each label replaced by the next one."""
    facts, labels = prepared.fleet.devices[device], prepared.course.labels
    following = dict(zip(labels, (*labels[1:], labels[0]), strict=True))
    wrong = tuple(following[label] for label in facts.labels)
    return AdaptorTask(replace(facts, labels=wrong), prepared.course)


def train_under_attack(
    prepared: PreparedFleet, method: str, attack: str, share: float
) -> TrainingUnderAttack:
    """Train with a share of hostile devices, the same ones for every method; or take the result of
    an earlier time."""
    key = (prepared.fleet.name, prepared.fleet.digest, METHODS[method], attack, share)
    made = cached(key, lambda: asdict(_train(prepared, method, attack, share)))
    return TrainingUnderAttack(**made)


def _train(prepared: PreparedFleet, method: str, attack: str, share: float) -> TrainingUnderAttack:
    strategy, bound = METHODS[method]
    names = sorted(prepared.tasks)
    chosen = np.random.default_rng(SEED).permutation(names)[: round(share * len(names))].tolist()
    counts = [0, 0]

    def observe(number: int, model: Any, used: RoundResults) -> None:
        del number, model
        counts[0] += len(set(used.bounded) - set(chosen))
        counts[1] += len(set(used.refused) & set(chosen))

    settings = FederatedSettings(rate=RATE, seed=SEED, bound=bound)
    made = run_rounds(
        FEDERATED_STRATEGIES[strategy](settings),
        prepared.course.start(SEED),
        HostileExchange(prepared, chosen, attack),
        ROUNDS,
        observe,
    )
    return TrainingUnderAttack(prepared.accuracy(made), counts[0] / ROUNDS, counts[1] / ROUNDS)


def hostile_training_rows(data: Path, *, quick: bool = False) -> Iterator[BenchmarkRow]:
    """Yield the accuracies; about six minutes of one core.  All shares on digits, 20 % on PACS;
    quick: digits alone, 20 %."""
    for fleet in divided_fleets(data, SEED, DEVICES):
        if fleet.name not in (SMALL, *(() if quick else (LARGE,))):
            continue
        prepared = prepare(fleet)
        for method in METHODS:
            alone = train_under_attack(prepared, method, "none", 0.0)
            name = f"{fleet.name}, no attack"
            yield BenchmarkRow(method, f"{name}: accuracy", alone.accuracy)
            yield BenchmarkRow(method, f"{name}: bounded a round", alone.bounded)
            for attack in ATTACKS:
                for share in SHARES if fleet.name == SMALL and not quick else SHARES[1:2]:
                    made = train_under_attack(prepared, method, attack, share)
                    name = f"{fleet.name}, {attack}, {share:.0%}"
                    yield BenchmarkRow(method, f"{name}: accuracy", made.accuracy)


def _length(arrays: Any) -> float:
    return float(
        np.sqrt(sum(float(np.sum(value.astype(np.float64) ** 2)) for value in arrays.values()))
    )
