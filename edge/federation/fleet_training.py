"""A whole training over devices: introductions, rounds, and what came of it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from ..core import EdgeError
from .arrays import Arrays, byte_count
from .bounds import RoundResults
from .devices import Course, Fleet, TrainingSubject, plan_course
from .rounds import Observe, run_rounds
from .strategies import FEDERATED_STRATEGIES, FederatedSettings, FederatedStrategy

StrategyMaker = Callable[[FederatedSettings], FederatedStrategy]


class TrainingOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a training follows from, beside the devices' facts.

    strategy: a name in FEDERATED_STRATEGIES.  rounds: at most so many.
    """

    subject: TrainingSubject
    strategy: str = "fedavg"
    rounds: int = 20
    settings: FederatedSettings = FederatedSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundReport:
    """A round: the devices whose results count, their mean loss, and bytes sent to and from them.
    bounded: devices whose update was shortened or whose number of facts was cut.  refused: devices
    whose result was left out, and why."""

    number: int
    devices: tuple[str, ...]
    loss: float
    sent_bytes: int
    bounded: tuple[str, ...] = ()
    refused: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TrainedFleet:
    """The outcome.  members: devices that took part, with their numbers of facts.  model: all
    arrays, with the classifier on top of an adaptor."""

    order: TrainingOrder
    course: Course
    members: dict[str, int]
    rounds: tuple[RoundReport, ...]
    model: Arrays = field(repr=False)

    @property
    def digest(self) -> str:
        """Hex SHA-256 of the model: equal for the same devices, facts and order, whoever else was
        ever in the fleet."""
        return model_digest(self.model)


def model_digest(model: Arrays) -> str:
    """Return the hex SHA-256 of names, shapes and numbers."""
    state = hashlib.sha256()
    for name in sorted(model):
        state.update(f"{name} {model[name].dtype.str} {model[name].shape};".encode())
        state.update(model[name].tobytes())
    return state.hexdigest()


def train_fleet(fleet: Fleet, order: TrainingOrder, observe: Observe | None = None) -> TrainedFleet:
    """Train over a fleet.

    Deterministic on one machine: neither the engine nor the order of arrival changes a bit.  Raises
    EdgeError for an unknown strategy and for devices that do not fit together.
    """
    strategy = require_strategy(order.strategy)(order.settings)
    introductions = fleet.introduce(order.subject)
    course = plan_course(order.subject, introductions)
    members: dict[str, int] = {}
    reports: list[RoundReport] = []

    def note(number: int, model: Arrays, used: RoundResults) -> None:
        results = used.results
        members.update({one.device: one.examples for one in results})
        total = sum(one.examples for one in results)
        loss = sum(one.loss * one.examples for one in results) / max(1, total)
        down = len(results) * (byte_count(model) + byte_count(strategy.direction))
        up = sum(byte_count(one.arrays) for one in results)
        names = tuple(one.device for one in results)
        report = RoundReport(
            number=number,
            devices=names,
            loss=loss,
            sent_bytes=down + up,
            bounded=used.bounded,
            refused=used.refused,
        )
        reports.append(report)
        if observe is not None:
            observe(number, model, used)

    model = run_rounds(
        strategy, course.start(order.settings.seed), fleet.exchange(course), order.rounds, note
    )
    return TrainedFleet(
        order=order,
        course=course,
        members=dict(sorted(members.items())),
        rounds=tuple(reports),
        model=model,
    )


def require_strategy(name: str) -> StrategyMaker:
    """Return a strategy's class; raises EdgeError for an unknown name."""
    if name not in FEDERATED_STRATEGIES:
        known = ", ".join(FEDERATED_STRATEGIES)
        raise EdgeError(
            f"training over devices: expected a strategy of {known}, found {name!r}",
            "choose one of them",
        )
    return FEDERATED_STRATEGIES[name]
