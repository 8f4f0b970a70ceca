"""The checks of `auricle check`: settings, encoder, knowledge, outbox, streams and broker."""

import os
import stat
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import msgspec

import encoder

from ..config import (
    SETTINGS,
    ColumnStream,
    HttpStream,
    MqttSettings,
    OpcUaStream,
    PlantStream,
    Settings,
    parse_settings,
    read_settings,
)
from ..core import (
    NAMING_HINT,
    EdgeError,
    StateCorruptError,
    StateError,
    listed,
    match_columns,
    missing_text,
)
from ..home import open_encoder
from ..mqtt import InboundMessage, SilentPresence, Topics
from ..outbox import count_waiting
from ..sources import ProbedValue, UnavailableError, probe_controller
from ..storage import Store
from .settings import OUTBOX, check_streams, resolve_paths

CONNECT_S: Final = 10.0
"""Seconds to connect to the broker.  Chosen by hand; effect not measured."""

PUMP_S: Final = 0.05
"""Seconds between looks at the connection.  Chosen by hand; effect not measured."""

VALUES_SHOWN: Final = 32
"""Values of a controller that one line lists.  Chosen by hand; effect not measured."""

OTHERS: Final = stat.S_IRGRP | stat.S_IROTH

State = Literal["ok", "warning", "error"]
ColumnsByStream = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """The result of one check.  hint: the next step if it is not ok."""

    what: str
    state: State
    detail: str
    hint: str = ""


def check_home(folder: Path, *, broker: bool) -> Iterator[CheckFinding]:
    """Yield results in the order of a start; raises nothing.

    broker: connect to the broker too, under a separate client id.
    """
    try:
        settings = read_settings(folder)
        check_streams(settings, folder)
        Topics(settings.device.known_as)
    except EdgeError as error:
        yield CheckFinding("settings", "error", error.message, error.hint)
        return
    device = settings.device.known_as
    yield CheckFinding("settings", "ok", f"{folder / SETTINGS}: the device is {device}")
    yield from _check_knowledge("home", folder, settings, _named_streams(settings, ""))
    for name, place in settings.homes.items():
        named = _named_streams(settings, name)
        yield from _check_other(f"home {name}", folder / place, named)
    yield _check_outbox(folder)
    yield _check_streams(settings)
    for name, stream in settings.streams.items():
        if isinstance(stream, PlantStream):
            yield from _check_controller(name, stream, folder)
    if settings.mqtt is not None:
        mqtt = resolve_paths(settings.mqtt, folder)
        yield from check_secrets(mqtt)
        if broker:
            yield try_broker(mqtt)


def check_proposed(text: str, folder: Path) -> Iterator[CheckFinding]:
    """Yield results for a text that may become the settings of a home; reads and writes no file of
    it."""
    try:
        settings = parse_settings(text, folder / SETTINGS)
        check_streams(settings, folder)
        Topics(settings.device.known_as)
        if settings.mqtt is not None:
            yield from check_secrets(resolve_paths(settings.mqtt, folder))
    except EdgeError as error:
        yield CheckFinding("settings", "error", error.message, error.hint)
        return
    yield CheckFinding("settings", "ok", "they can be used")
    yield _check_streams(settings)


def _named_streams(settings: Settings, home: str) -> ColumnsByStream:
    """Return the columns that the vector streams of a home name, by stream."""
    return {
        name: one.columns
        for name, one in settings.streams.items()
        if isinstance(one, ColumnStream)
        and one.columns
        and (one.home, one.kind) == (home, "sample")
    }


def _check_other(what: str, folder: Path, named: ColumnsByStream) -> Iterator[CheckFinding]:
    try:
        settings = read_settings(folder)
    except EdgeError as error:
        yield CheckFinding(what, "error", error.message, error.hint)
        return
    yield from _check_knowledge(what, folder, settings, named)


def _check_knowledge(
    what: str, folder: Path, settings: Settings, named: ColumnsByStream
) -> Iterator[CheckFinding]:
    """Open encoder and ledger as a start does, but read-only."""
    try:
        with open_encoder(folder, settings) as model:
            if model.card.quantiser is None:
                raise StateError("its card has no quantiser", "see `auricle encoder calibrate`")
            yield CheckFinding(
                f"{what}: encoder", "ok", f"{model.card.name}, {model.card.width} columns"
            )
            path = folder / settings.knowledge.file
            with Store.open(path, model.card, writable=False) as store:
                facts, columns = sum(store.concepts().values()), store.columns()
            yield _writable(f"{what}: knowledge", path, f"{facts} facts in {path}")
            if model.card.kind == "vector":
                yield from _check_columns(what, columns, named)
    except (EdgeError, encoder.EncoderError) as error:
        yield CheckFinding(what, "error", error.message, error.hint)


def _check_columns(
    what: str, columns: tuple[str, ...], named: ColumnsByStream
) -> Iterator[CheckFinding]:
    """Check that columns have names, and that streams name all of them."""
    if not columns:
        detail = "they have no names and count by position"
        yield CheckFinding(f"{what}: columns", "warning", detail, NAMING_HINT)
        return
    yield CheckFinding(f"{what}: columns", "ok", listed(columns))
    for stream, given in named.items():
        match = match_columns(given, columns)
        if match.missing:
            hint = f"the columns are {listed(columns)}"
            yield CheckFinding(f"stream {stream}", "error", missing_text(match), hint)


def _check_outbox(folder: Path) -> CheckFinding:
    path = folder / OUTBOX
    try:
        waiting = count_waiting(path)
    except StateCorruptError as error:
        hint = f"a start renames it to {OUTBOX}.damaged-1, and reports its messages as lost"
        return CheckFinding("outbox", "warning", error.message, hint)
    except EdgeError as error:
        return CheckFinding("outbox", "error", error.message, error.hint)
    return _writable("outbox", path, f"{waiting} messages wait for the broker")


def _writable(what: str, path: Path, detail: str) -> CheckFinding:
    """Check that the current user can write a file, its lock and its folder."""
    lock = path.with_name(f"{path.name}.lock")
    for place in (path.parent, *(one for one in (path, lock) if one.exists())):
        if not os.access(place, os.W_OK):
            hint = "run the daemon and this check as its owner, or change its permissions"
            return CheckFinding(what, "error", f"{place} cannot be written", hint)
        if place is lock and not lock.is_file():
            return CheckFinding(what, "error", f"{place} is no file", "remove it")
    return CheckFinding(what, "ok", detail)


def _check_streams(settings: Settings) -> CheckFinding:
    names = ", ".join(settings.streams) or "none"
    if not settings.streams:
        hint = "add [streams.NAME]; docs/reference/sources.md has every kind"
        return CheckFinding(
            "streams", "warning", "there are none, so the daemon gets no input", hint
        )
    by_http = [name for name, one in settings.streams.items() if isinstance(one, HttpStream)]
    if by_http and settings.http is None:
        detail = f"{', '.join(by_http)} need the HTTP server, and [http] is missing"
        return CheckFinding("streams", "error", detail, "add the section [http]")
    return CheckFinding("streams", "ok", names)


def _check_controller(name: str, stream: PlantStream, folder: Path) -> Iterator[CheckFinding]:
    """Read every value of a controller once, and check the files that the connection needs."""
    what = f"stream {name}"
    if isinstance(stream, OpcUaStream):
        secret = {"password_file": stream.password_file, "key": stream.key}
        public = {
            "certificate": stream.certificate,
            "server_certificate": stream.server_certificate,
        }
        for key, file in (secret | public).items():
            if file:
                yield _check_file(f"{what}: {key}", folder / file, private=key in secret)
        if stream.username and stream.security == "none":
            detail = f"the password goes to {stream.url} unencrypted"
            yield CheckFinding(what, "warning", detail, "set security, certificate and key")
    try:
        values = probe_controller(stream, folder)
    except UnavailableError as error:
        hint = "check the device, the address and the network, and whether a daemon uses the port"
        yield CheckFinding(what, "error", str(error), hint)
        return
    shown = ", ".join(map(_show_value, values[:VALUES_SHOWN]))
    more = f" and {len(values) - VALUES_SHOWN} more" if len(values) > VALUES_SHOWN else ""
    state: State = "ok"
    if any(one.problem for one in values):
        state = "warning" if stream.kind == "series" else "error"
    hint = "" if state == "ok" else "correct the address or the type of each value without a number"
    yield CheckFinding(what, state, shown + more, hint)


def _show_value(one: ProbedValue) -> str:
    if one.problem:
        return f"{one.name} missing ({one.problem})"
    return f"{one.name} {one.value:.6g} {one.unit}".rstrip()


def check_secrets(mqtt: MqttSettings) -> Iterator[CheckFinding]:
    """Check that the files in the broker's settings can be read, and by this user alone."""
    tls = mqtt.tls
    secret = {"mqtt.password_file": mqtt.password_file, "mqtt.tls.key": tls.key if tls else ""}
    public = {"mqtt.tls.ca": tls.ca, "mqtt.tls.certificate": tls.certificate} if tls else {}
    for key, name in (secret | public).items():
        if name:
            yield _check_file(key, Path(name), private=key in secret)
    if mqtt.username and not tls and mqtt.host not in {"localhost", "127.0.0.1", "::1"}:
        detail = f"the password goes to {mqtt.host} unencrypted"
        yield CheckFinding("mqtt", "warning", detail, "add [mqtt.tls]")


def _check_file(key: str, path: Path, *, private: bool) -> CheckFinding:
    try:
        mode = path.stat().st_mode
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        return CheckFinding(key, "error", f"{path}: {error.strerror}", "correct the path")
    if private and mode & OTHERS:
        return CheckFinding(key, "warning", f"{path} can be read by others", f"chmod 600 {path}")
    return CheckFinding(key, "ok", str(path))


def try_broker(mqtt: MqttSettings) -> CheckFinding:
    """Connect once and disconnect; waits for `CONNECT_S` at most."""
    from ..mqtt import MqttClient

    host, port = mqtt.address
    place = f"{host}, port {port}"
    settings = msgspec.structs.replace(mqtt, client_id=f"auricle-check-{uuid.uuid4().hex[:8]}")
    settings = msgspec.structs.replace(settings, session_expiry_s=0)
    broker = MqttClient(settings, "check", _ignore, SilentPresence())
    broker.start()
    until = time.monotonic() + CONNECT_S
    while not (broker.online or broker.problem) and time.monotonic() < until:
        broker.pump(PUMP_S)
    online, problem = broker.online, broker.problem or "it does not respond"
    broker.stop(1.0)
    broker.close()
    if online:
        return CheckFinding("broker", "ok", place)
    return CheckFinding("broker", "error", f"{place}: {problem}", _hint(problem))


def _hint(problem: str) -> str:
    if problem in {"Not authorized", "Bad user name or password"}:
        return "correct username and password_file, or the client certificate"
    if problem == "Client identifier not valid":
        return "give the device a client_id that this broker accepts"
    if problem == "Unsupported protocol version":
        return "configure the broker for MQTT 5"
    return "check [mqtt], and that the broker runs"


def _ignore(_arrival: InboundMessage) -> None:
    """Discard a message: the check subscribes to nothing."""
