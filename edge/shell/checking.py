"""What `auricle check` finds: whether the settings of a home, and all they name, can be used."""

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

from ..core import (
    EdgeError,
    StateCorruptError,
    StateError,
    listed,
    match_columns,
    missing_text,
)
from ..core.columns import NAMING_HINT
from .daemon.assembly import OUTBOX, check_streams, rooted
from .home import open_encoder
from .outbox import count_waiting
from .settings import SETTINGS, Settings, read_settings
from .sources import HttpStream
from .sources.settings import Named
from .store import Store
from .telemetry import Arrival, MqttSettings, Silence, Topics

CONNECT_S: Final = 10.0
PUMP_S: Final = 0.05
OTHERS: Final = stat.S_IRGRP | stat.S_IROTH

State = Literal["ok", "warning", "error"]
ColumnsByStream = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.  hint: what to do where it is not ok."""

    what: str
    state: State
    detail: str
    hint: str = ""


def check_home(folder: Path, *, broker: bool) -> Iterator[Finding]:
    """Yield what is found, in the order in which a start would meet it; raises nothing.

    broker: also connect to the broker, under a client id of its own.
    """
    try:
        settings = read_settings(folder)
        check_streams(settings, folder)
        Topics(settings.device.known_as)
    except EdgeError as error:
        yield Finding("settings", "error", error.message, error.hint)
        return
    device = settings.device.known_as
    yield Finding("settings", "ok", f"{folder / SETTINGS}: the device is {device}")
    yield from _check_knowledge("home", folder, settings, _named_streams(settings, ""))
    for name, place in settings.homes.items():
        named = _named_streams(settings, name)
        yield from _check_other(f"home {name}", folder / place, named)
    yield _check_outbox(folder)
    yield _check_streams(settings)
    if settings.mqtt is not None:
        mqtt = rooted(settings.mqtt, folder)
        yield from check_secrets(mqtt)
        if broker:
            yield meet_broker(mqtt)


def _named_streams(settings: Settings, home: str) -> ColumnsByStream:
    """Return the columns that streams of vectors name, of those that a home decides on."""
    return {
        name: one.columns
        for name, one in settings.streams.items()
        if isinstance(one, Named) and one.columns and (one.home, one.kind) == (home, "sample")
    }


def _check_other(what: str, folder: Path, named: ColumnsByStream) -> Iterator[Finding]:
    try:
        settings = read_settings(folder)
    except EdgeError as error:
        yield Finding(what, "error", error.message, error.hint)
        return
    yield from _check_knowledge(what, folder, settings, named)


def _check_knowledge(
    what: str, folder: Path, settings: Settings, named: ColumnsByStream
) -> Iterator[Finding]:
    """Open encoder and ledger, as a start would, but for reading alone."""
    try:
        with open_encoder(folder, settings) as model:
            if model.card.quantiser is None:
                raise StateError("its card has no quantiser", "see `auricle encoder calibrate`")
            yield Finding(
                f"{what}: encoder", "ok", f"{model.card.name}, {model.card.width} columns"
            )
            path = folder / settings.knowledge.file
            with Store.open(path, model.card, writable=False) as store:
                facts, columns = sum(store.concepts().values()), store.columns()
            yield _writable(f"{what}: knowledge", path, f"{facts} facts in {path}")
            if model.card.kind == "vector":
                yield from _check_columns(what, columns, named)
    except (EdgeError, encoder.EncoderError) as error:
        yield Finding(what, "error", error.message, error.hint)


def _check_columns(
    what: str, columns: tuple[str, ...], named: ColumnsByStream
) -> Iterator[Finding]:
    """Say whether columns have names, and whether streams name all of them."""
    if not columns:
        detail = "they have no names and count by position"
        yield Finding(f"{what}: columns", "warning", detail, NAMING_HINT)
        return
    yield Finding(f"{what}: columns", "ok", listed(columns))
    for stream, given in named.items():
        match = match_columns(given, columns)
        if match.missing:
            hint = f"the columns are {listed(columns)}"
            yield Finding(f"stream {stream}", "error", missing_text(match), hint)


def _check_outbox(folder: Path) -> Finding:
    path = folder / OUTBOX
    try:
        waiting = count_waiting(path)
    except StateCorruptError as error:
        hint = f"a start sets it aside as {OUTBOX}.damaged-1, and tells as lost what waited"
        return Finding("outbox", "warning", error.message, hint)
    except EdgeError as error:
        return Finding("outbox", "error", error.message, error.hint)
    return _writable("outbox", path, f"{waiting} messages wait for the broker")


def _writable(what: str, path: Path, well: str) -> Finding:
    """Say whether whoever asks could write a file, its lock, and beside them."""
    lock = path.with_name(f"{path.name}.lock")
    for place in (path.parent, *(one for one in (path, lock) if one.exists())):
        if not os.access(place, os.W_OK):
            hint = "run the daemon, and this, as the user whose it is; or change its permissions"
            return Finding(what, "error", f"{place} cannot be written", hint)
        if place is lock and not lock.is_file():
            return Finding(what, "error", f"{place} is no file", "remove it")
    return Finding(what, "ok", well)


def _check_streams(settings: Settings) -> Finding:
    names = ", ".join(settings.streams) or "none"
    if not settings.streams:
        hint = "add [streams.NAME]; docs/reference/sources.md has every kind"
        return Finding("streams", "warning", "there are none: nothing will come in", hint)
    asked = [name for name, one in settings.streams.items() if isinstance(one, HttpStream)]
    if asked and settings.http is None:
        detail = f"{', '.join(asked)} come by requests, and nothing listens"
        return Finding("streams", "error", detail, "add the section [http]")
    return Finding("streams", "ok", names)


def check_secrets(mqtt: MqttSettings) -> Iterator[Finding]:
    """Yield whether the files that the broker's settings name can be read, by nobody else."""
    tls = mqtt.tls
    secret = {"mqtt.password_file": mqtt.password_file, "mqtt.tls.key": tls.key if tls else ""}
    public = {"mqtt.tls.ca": tls.ca, "mqtt.tls.certificate": tls.certificate} if tls else {}
    for key, name in (secret | public).items():
        if name:
            yield _check_file(key, Path(name), private=key in secret)
    if mqtt.username and not tls and mqtt.host not in {"localhost", "127.0.0.1", "::1"}:
        detail = f"the password goes to {mqtt.host} unencrypted"
        yield Finding("mqtt", "warning", detail, "add [mqtt.tls]")


def _check_file(key: str, path: Path, *, private: bool) -> Finding:
    try:
        mode = path.stat().st_mode
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        return Finding(key, "error", f"{path}: {error.strerror}", "correct the path")
    if private and mode & OTHERS:
        return Finding(key, "warning", f"{path} can be read by others", f"chmod 600 {path}")
    return Finding(key, "ok", str(path))


def meet_broker(mqtt: MqttSettings) -> Finding:
    """Connect once, and leave again; waits for `CONNECT_S` at most."""
    from .telemetry import Broker

    host, port = mqtt.address
    place = f"{host}, port {port}"
    settings = msgspec.structs.replace(mqtt, client_id=f"auricle-check-{uuid.uuid4().hex[:8]}")
    settings = msgspec.structs.replace(settings, session_expiry_s=0)
    broker = Broker(settings, "check", _ignore, Silence())
    broker.start()
    until = time.monotonic() + CONNECT_S
    while not (broker.online or broker.problem) and time.monotonic() < until:
        broker.pump(PUMP_S)
    online, problem = broker.online, broker.problem or "it does not answer"
    broker.stop(1.0)
    broker.close()
    if online:
        return Finding("broker", "ok", place)
    return Finding("broker", "error", f"{place}: {problem}", _cure(problem))


def _cure(problem: str) -> str:
    if problem in {"Not authorized", "Bad user name or password"}:
        return "correct username and password_file, or the client certificate"
    if problem == "Client identifier not valid":
        return "give the device a client_id that this broker takes"
    if problem == "Unsupported protocol version":
        return "let the broker speak MQTT 5"
    return "check [mqtt], and that it runs"


def _ignore(_arrival: Arrival) -> None:
    """Nobody is listening."""
