from __future__ import annotations

import re
import shutil
import stat
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge.config.mqtt import TlsSettings
from edge.mqtt.schemas import message_schemas
from edge.mqtt.topics import Topics
from tests.brokers import Mosquitto, Seat, needs_mosquitto, quick, seated
from tests.certificates import Authority

USERS = ("gw1", "gw2", "operator", "collector", "homeassistant")
AUTOSAVE_S = 1.5
A, B = Topics("gw1"), Topics("gw2")


@pytest.fixture(scope="module")
def example(source: Path) -> Path:
    """The folder of the example's files."""
    return source / "examples/deploy/mosquitto"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority of the broker's certificate."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def mosquitto(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, example: Path
) -> Iterator[Mosquitto]:
    """A broker with the example's configuration, with its paths in the test's folder."""
    folder = tmp_path_factory.mktemp("deploy")
    (folder / "certs").mkdir()
    certificate, key = authority.sign("broker")
    shutil.copy(authority.ca, folder / "certs/ca.crt")
    shutil.copy(certificate, folder / "certs/broker.crt")
    shutil.copy(key, folder / "certs/broker.key")
    shutil.copy(example / "acl", folder / "acl")
    (folder / "acl").chmod(0o600)
    for number, user in enumerate(USERS):
        first = ["-c"] if number == 0 else []
        given = ["mosquitto_passwd", *first, "-b", str(folder / "passwords"), user, f"pw-{user}"]
        subprocess.run(given, check=True)
    text = (example / "mosquitto.conf").read_text("utf-8")
    text = re.sub(r"/etc/mosquitto|/var/lib/mosquitto", str(folder), text)
    with Mosquitto(folder, text=text) as one:
        yield one


@contextmanager
def entering(
    mosquitto: Mosquitto,
    authority: Authority,
    folder: Path,
    user: str,
    filters: tuple[str, ...] = (),
) -> Iterator[Seat]:
    """A connected client of a user."""
    (folder / user).write_text(f"pw-{user}", "utf-8")
    settings = quick(
        mosquitto.port,
        username=user,
        password_file=str(folder / user),
        tls=TlsSettings(ca=authority.ca),
    )
    with seated(settings, user) as seat:
        seat.broker.subscribe(filters)
        yield seat.online()


@needs_mosquitto
def test_a_device_cannot_publish_under_the_topics_of_another(
    mosquitto: Mosquitto, authority: Authority, tmp_path: Path
) -> None:
    """Every topic of another device is refused; the same topics of its own are accepted."""
    with entering(mosquitto, authority, tmp_path, "gw1") as seat:
        for kind in message_schemas():
            assert seat.say(A.message_topic(kind, "s")).accepted, kind
            assert seat.say(B.message_topic(kind, "s")).reason == 135, kind
        assert seat.say(A.status).accepted
        assert seat.say(A.fleet_topic("f", "contribution")).accepted
        assert seat.say("homeassistant/device/auricle_gw1/config").accepted
        assert seat.say(f"{A.base}/homeassistant/flagged/s").accepted
        refused = (
            B.status,
            B.response,
            f"{B.base}/command/forget",
            f"{B.base}/observe/s",
            f"{A.base}/command/forget",
            B.fleet_topic("f", "contribution"),
            "homeassistant/device/auricle_gw2/config",
            f"{B.base}/homeassistant/state",
            f"{A.base}/control/label",
            "elsewhere",
        )
        assert {topic: seat.say(topic).reason for topic in refused} == dict.fromkeys(refused, 135)


@needs_mosquitto
def test_a_device_cannot_read_the_commands_of_another(
    mosquitto: Mosquitto, authority: Authority, tmp_path: Path
) -> None:
    """A subscription by name or by wildcard delivers its own commands only."""
    command = f"{B.base}/command/forget"
    filters = (B.command_filter(), "#", "auricle/v1/+/command/+", B.status, A.command_filter())
    with (
        entering(mosquitto, authority, tmp_path, "gw1", filters) as spy,
        entering(mosquitto, authority, tmp_path, "gw2", (B.command_filter(),)) as meant,
        entering(mosquitto, authority, tmp_path, "operator") as operator,
    ):
        spy.until(lambda: spy.broker.counters.reasons["SUBACK: Granted QoS 1"] >= len(filters))
        meant.until(lambda: meant.broker.counters.reasons["SUBACK: Granted QoS 1"])
        assert operator.say(command).accepted
        meant.until(lambda: meant.arrivals)
        assert operator.say(f"{A.base}/command/status").accepted
        spy.until(lambda: spy.arrivals)
        assert [one.topic for one in meant.arrivals] == [command]
        assert [one.topic for one in spy.arrivals] == [f"{A.base}/command/status"]


@needs_mosquitto
def test_home_assistant_may_send_controls_and_no_commands(
    mosquitto: Mosquitto, authority: Authority, tmp_path: Path
) -> None:
    """A device receives a control from Home Assistant's user, whose commands and measurements are
    refused, as is a collector's control."""
    control = f"{A.base}/control/label"
    with (
        entering(mosquitto, authority, tmp_path, "gw1", (f"{A.base}/control/+",)) as device,
        entering(mosquitto, authority, tmp_path, "homeassistant") as core,
        entering(mosquitto, authority, tmp_path, "collector") as collector,
    ):
        device.until(lambda: device.broker.counters.reasons["SUBACK: Granted QoS 1"])
        assert core.say(control).accepted
        device.until(lambda: device.arrivals)
        assert core.say("homeassistant/status", b"online").accepted
        assert core.say(f"{A.base}/command/forget").reason == 135
        assert core.say(f"{A.base}/observe/s").reason == 135
        assert collector.say(control).reason == 135


@needs_mosquitto
def test_a_collector_may_not_publish(
    mosquitto: Mosquitto, authority: Authority, tmp_path: Path
) -> None:
    """A collector receives from every device and may not publish; an operator may not publish as a
    device."""
    with (
        entering(mosquitto, authority, tmp_path, "collector", ("auricle/v1/#",)) as collector,
        entering(mosquitto, authority, tmp_path, "operator") as operator,
        entering(mosquitto, authority, tmp_path, "gw1") as device,
    ):
        collector.until(lambda: collector.broker.counters.reasons["SUBACK: Granted QoS 1"])
        device.say(A.message_topic("decision", "s"))
        collector.until(lambda: collector.arrivals)
        assert collector.say(f"{A.base}/command/forget").reason == 135
        assert operator.say(A.message_topic("decision", "s")).reason == 135


@needs_mosquitto
def test_a_client_without_a_password_is_refused(mosquitto: Mosquitto, authority: Authority) -> None:
    """The broker refuses anonymous clients."""
    with seated(quick(mosquitto.port, tls=TlsSettings(ca=authority.ca))) as seat:
        seat.until(lambda: seat.broker.counters.connect_failed)
        assert seat.broker.counters.reasons["CONNACK: Not authorized"] >= 1


@needs_mosquitto
def test_acknowledged_commands_survive_a_power_cut(
    mosquitto: Mosquitto, authority: Authority, tmp_path: Path
) -> None:
    """Commands for an offline device are delivered after the broker was killed."""
    with entering(mosquitto, authority, tmp_path, "gw2", (B.command_filter(),)) as seat:
        seat.until(lambda: seat.broker.counters.reasons["SUBACK: Granted QoS 1"])
    with entering(mosquitto, authority, tmp_path, "operator") as operator:
        for number in range(20):
            assert operator.say(f"{B.base}/command/status", b"%d" % number).accepted
        until = time.monotonic() + AUTOSAVE_S
        operator.until(lambda: time.monotonic() > until)
    mosquitto.kill()
    mosquitto.start()
    with entering(mosquitto, authority, tmp_path, "gw2", (B.command_filter(),)) as seat:
        seat.until(lambda: len(seat.arrivals) >= 20)
        assert [one.payload for one in seat.arrivals] == [b"%d" % n for n in range(20)]


def test_the_example_holds_no_secret(example: Path) -> None:
    """The example contains no password, key or certificate."""
    names = {one.name for one in example.iterdir()}
    assert names == {"README.md", "acl", "mosquitto.conf"}
    for name in names:
        text = (example / name).read_text("utf-8")
        assert not re.search(r"BEGIN .*(KEY|CERTIFICATE)|\$7\$|mosquitto_passwd.* -b ", text)
    assert "allow_anonymous true" not in (example / "mosquitto.conf").read_text("utf-8")
    assert not (example / "acl").stat().st_mode & stat.S_IXUSR
