"""The Flower app: `server_app` runs the rounds, `client_app` the work of a device.

Flower carries the messages (its message API, since 1.21): "query" introduces a device, "train" does
a round's work.  The same rounds run in one process (`InProcessFleet`), with the same bits.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

import nas

from ..core import EdgeError
from ..extras import install_command
from .adaptor_task import AdaptorCourse
from .arrays import Arrays
from .devices import (
    Course,
    FederatedDevice,
    ForecasterCourse,
    Introduction,
    TrainingSubject,
    open_home_device,
    open_recording_device,
)
from .fleet_training import TrainedFleet, TrainingOrder, train_fleet
from .local_training import LocalPlan, LocalResult, work_locally
from .strategies import FederatedSettings

if TYPE_CHECKING:
    from .rounds import Exchange

OpenDevice = Callable[[Mapping[str, Any], TrainingSubject], FederatedDevice]
"""Opens the device of a Flower node, by the node's configuration."""
ROUND_TIMEOUT_S: Final = 3_600.0
"""Longest wait for a round, as in Flower's own strategies."""


class _CourseHead(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A course without its arrays, as it travels."""

    blueprint: nas.Blueprint | None = None
    spans: tuple[tuple[int, int], ...] = ()
    concepts: tuple[tuple[str, str], ...] = ()
    forecaster: str = ""


def require_flower() -> None:
    """Raise EdgeError if Flower is not installed; keep it, and Ray, from reporting usage."""
    os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import flwr.app  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise EdgeError(
            "training over devices: Flower is not installed",
            f"install the extra: {install_command('fleet')}",
        ) from error


def make_client_app(open_device: OpenDevice) -> Any:
    """Return a `flwr.clientapp.ClientApp` whose nodes are the devices that `open_device` opens.

    A node opens its device again for every message, so that what was forgotten meanwhile takes no
    part; if its facts changed since the introduction, the training ends with that reason.
    """
    require_flower()
    from flwr.clientapp import ClientApp

    app = ClientApp()

    def introduce(message: Any, context: Any) -> Any:
        subject = msgspec.json.decode(message.content["config"]["subject"], type=TrainingSubject)
        device = open_device(dict(context.node_config), subject)
        _remember(context, device.digest)
        made = device.introduce()
        text = msgspec.json.encode((made.device, made.card, made.spans, made.concepts)).decode()
        return _reply(message, made.statistics, {"introduction": text})

    def work(message: Any, context: Any) -> Any:
        config = message.content["config"]
        subject = msgspec.json.decode(config["subject"], type=TrainingSubject)
        device = open_device(dict(context.node_config), subject)
        if _remembered(context) not in {"", device.digest}:
            changed = msgspec.json.encode((device.name,)).decode()
            return _reply(message, {}, {"changed": changed})
        arrays = {name: unpack_record(message.content[name]) for name in ("model", "direction")}
        standard = unpack_record(message.content["standard"])
        course = _unpack_course(config["course"], standard)
        plan = msgspec.json.decode(config["plan"], type=LocalPlan)
        made = work_locally(
            device.name, device.task(course), plan, arrays["model"], arrays["direction"]
        )
        return _reply(message, made.arrays, {"result": pack_result(made)})

    app.query()(introduce)
    app.train()(work)
    return app


def make_server_app(
    order: TrainingOrder | None = None,
    done: Callable[[TrainedFleet], None] | None = None,
    devices: int = 1,
) -> Any:
    """Return a `flwr.serverapp.ServerApp` that trains.

    order: without one it is read from the run's configuration (docs/howto/fleet.md).  done: called
    with the outcome; without it the outcome is written to the folder `out` of that
    configuration.  devices: wait for so many nodes, if the configuration has no `devices`.
    """
    require_flower()
    from flwr.serverapp import ServerApp

    app = ServerApp()

    def main(grid: Any, context: Any) -> None:
        given = order if order is not None else order_from(context.run_config)
        configured: Mapping[str, Any] = context.run_config
        count = int(configured.get("devices", devices))
        trained = train_fleet(FlowerFleet(grid, count), given)
        if done is not None:
            done(trained)
        else:
            from .trained_file import write_trained

            write_trained(Path(str(context.run_config["out"])), trained)

    app.main()(main)
    return app


def order_from(run_config: Mapping[str, Any]) -> TrainingOrder:
    """Return an order from a run's configuration; raises EdgeError for a wrong value."""
    given = dict(run_config)
    subject = {name: given[name] for name in ("domain", "forecaster") if given.get(name)}
    names = [one.name for one in fields(FederatedSettings)]
    settings = {one: given[key] for one in names if (key := one.replace("_", "-")) in given}
    content: dict[str, Any] = {"subject": subject, "settings": settings}
    content |= {name: given[name] for name in ("strategy", "rounds") if name in given}
    try:
        return msgspec.convert(content, TrainingOrder)
    except msgspec.ValidationError as error:
        raise EdgeError(
            f"training over devices: {error}", "correct [tool.flwr.app.config] or --run-config"
        ) from error


def open_node(node_config: Mapping[str, Any], subject: TrainingSubject) -> FederatedDevice:
    """Open the device of a deployed node: the home, or the recording, that its configuration
    names."""
    wanted = "recording" if subject.forecaster else "home"
    if wanted not in node_config:
        raise EdgeError(
            f"training over devices: this node's configuration has no {wanted!r}",
            f"start it with --node-config '{wanted}=\"/path\"'",
        )
    path = Path(str(node_config[wanted]))
    return open_recording_device(path) if subject.forecaster else open_home_device(path, subject)


class FlowerFleet:
    """Devices reached through Flower's grid.  devices: wait for so many nodes."""

    def __init__(self, grid: Any, devices: int = 1) -> None:
        self._grid, self._count = grid, devices
        self._nodes: dict[str, int] = {}
        self._subject = b""

    def introduce(self, subject: TrainingSubject) -> list[Introduction]:
        """See `Fleet`.  Raises EdgeError with the reason of a node that cannot take part."""
        self._subject = msgspec.json.encode(subject)
        made = []
        config = {"subject": self._subject.decode()}
        for reply in self._send("query", self._wait(), {"config": config}):
            found = _text(reply, "introduction")
            device, card, spans, concepts = msgspec.json.decode(
                found,
                type=tuple[str, str, tuple[tuple[int, int], ...], tuple[tuple[str, str], ...]],
            )
            self._nodes[device] = reply.metadata.src_node_id
            made.append(
                Introduction(
                    device=device,
                    card=card,
                    spans=spans,
                    concepts=concepts,
                    statistics=unpack_record(reply.content["arrays"]),
                )
            )
        return sorted(made, key=lambda one: one.device)

    def exchange(self, course: Course) -> "Exchange":
        """See `Fleet`."""
        return _FlowerExchange(self, dict(self._nodes), self._subject, course)

    def _wait(self) -> list[int]:
        import time

        while len(nodes := sorted(self._grid.get_node_ids())) < self._count:
            time.sleep(0.2)
        return nodes

    def _send(
        self, kind: str, nodes: Sequence[int], content: Mapping[str, Mapping[str, Any]]
    ) -> list[Any]:
        """Send a message to nodes; return all replies, or raise EdgeError."""
        from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict

        record = RecordDict(
            {
                name: ConfigRecord(dict(part)) if name == "config" else ArrayRecord(_arrays(part))
                for name, part in content.items()
            }
        )
        messages = [Message(content=record, dst_node_id=node, message_type=kind) for node in nodes]
        replies = list(self._grid.send_and_receive(messages, timeout=ROUND_TIMEOUT_S))
        failed = [str(one.error.reason) for one in replies if one.has_error()]
        if failed or len(replies) < len(nodes):
            raise EdgeError(
                f"training over devices: {len(nodes) - len(replies) + len(failed)} of {len(nodes)} "
                f"devices failed: {'; '.join(failed) or 'no answer'}",
                "see their logs; a training without some devices is a new training",
            )
        return replies


class _FlowerExchange:
    """See `Exchange`."""

    def __init__(
        self, fleet: FlowerFleet, nodes: Mapping[str, int], subject: bytes, course: Course
    ) -> None:
        self._fleet, self._nodes = fleet, dict(nodes)
        head, self._standard = _pack_course(course)
        self._config = {"subject": subject.decode(), "course": head}

    @property
    def devices(self) -> tuple[str, ...]:
        """Names of all devices, sorted."""
        return tuple(sorted(self._nodes))

    def work(
        self, devices: Sequence[str], plan: LocalPlan, arrays: Arrays, direction: Arrays
    ) -> list[LocalResult]:
        """See `Exchange`."""
        content = {
            "config": {**self._config, "plan": msgspec.json.encode(plan).decode()},
            "model": arrays,
            "direction": direction,
            "standard": self._standard,
        }
        nodes = [self._nodes[one] for one in devices]
        made = []
        for reply in self._fleet._send("train", nodes, content):  # noqa: SLF001 - its other half
            arrays = unpack_record(reply.content["arrays"])
            made.append(unpack_result(_text(reply, "result"), arrays))
        return made


def pack_result(made: LocalResult) -> str:
    """Return a result without its arrays as text.  JSON has no numbers that are not finite, which
    the loss of a model that diverges is: they travel in hexadecimal."""
    numbers = float(made.loss).hex(), float(made.rate).hex()
    return msgspec.json.encode((made.device, made.examples, *numbers)).decode()


def unpack_result(text: str, arrays: Arrays) -> LocalResult:
    """Return a result from its text and its arrays; raises EdgeError for other text."""
    try:
        kind = tuple[str, int, str, str]
        device, examples, loss, rate = msgspec.json.decode(text, type=kind)
        return LocalResult(
            device=device,
            examples=examples,
            arrays=arrays,
            loss=float.fromhex(loss),
            rate=float.fromhex(rate),
        )
    except (msgspec.DecodeError, ValueError, OverflowError) as error:
        raise EdgeError(
            f"training over devices: a device's answer cannot be read: {error}",
            "let all devices run the same release",
        ) from error


def unpack_record(record: Any) -> dict[str, NDArray[Any]]:
    """Return the arrays of a Flower record by name."""
    return {name: np.asarray(array.numpy()) for name, array in record.items()}


def _arrays(arrays: Mapping[str, Any]) -> dict[str, Any]:
    from flwr.app import Array

    return {name: Array(np.ascontiguousarray(value)) for name, value in sorted(arrays.items())}


def _reply(message: Any, arrays: Arrays, config: Mapping[str, str]) -> Any:
    from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict

    content = RecordDict(
        {"arrays": ArrayRecord(_arrays(arrays)), "config": ConfigRecord(dict(config))}
    )
    return Message(content=content, reply_to=message)


def _text(reply: Any, name: str) -> str:
    config = reply.content["config"]
    if "changed" in config:
        (device,) = msgspec.json.decode(config["changed"], type=tuple[str])
        raise EdgeError(
            f"training over devices: the facts of {device} have changed since the training began",
            "start the training again: a forgotten fact must shape nothing",
        )
    return str(config[name])


def _remember(context: Any, digest: str) -> None:
    from flwr.app import ConfigRecord

    context.state["auricle"] = ConfigRecord({"digest": digest})


def _remembered(context: Any) -> str:
    return str(context.state["auricle"]["digest"]) if "auricle" in context.state else ""


def _pack_course(course: Course) -> tuple[str, Arrays]:
    if isinstance(course, ForecasterCourse):
        return msgspec.json.encode(_CourseHead(forecaster=course.kind)).decode(), {}
    head = _CourseHead(blueprint=course.blueprint, spans=course.spans, concepts=course.concepts)
    return msgspec.json.encode(head).decode(), {"centre": course.centre, "factor": course.factor}


def _unpack_course(text: str, standard: Arrays) -> Course:
    head = msgspec.json.decode(text, type=_CourseHead)
    if head.blueprint is None:
        return ForecasterCourse(head.forecaster)
    return AdaptorCourse(
        blueprint=head.blueprint,
        spans=head.spans,
        concepts=head.concepts,
        centre=standard["centre"],
        factor=standard["factor"],
    )
