from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.config.mqtt import MqttSettings, TlsSettings
from tests.brokers import Mosquitto, Seat, needs_mosquitto, quick, seated
from tests.certificates import Authority
from tests.proxies import silent_port

pytestmark = needs_mosquitto
PASSWORD = "correct horse"  # noqa: S105 - of a broker that lives as long as the test


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Who signs the certificates that the clients trust."""
    return Authority(tmp_path_factory.mktemp("authority"))


def secured(authority: Authority, *lines: str) -> tuple[str, ...]:
    """The lines of a TLS listener."""
    certificate, key = authority.sign("server")
    return (f"cafile {authority.ca}", f"certfile {certificate}", f"keyfile {key}", *lines)


@pytest.fixture(scope="module")
def encrypted(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> Iterator[Mosquitto]:
    """A broker with TLS and no password."""
    lines = secured(authority, "allow_anonymous true")
    with Mosquitto(tmp_path_factory.mktemp("tls"), *lines) as one:
        yield one


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Mosquitto]:
    """A broker that wants a certificate of its clients, and lets each write its own branch."""
    folder = tmp_path_factory.mktemp("mtls")
    acl = folder / "acl"
    acl.write_text("pattern readwrite auricle/v1/%u/#\n", "utf-8")
    acl.chmod(0o600)
    lines = secured(
        authority, "require_certificate true", "use_identity_as_username true", f"acl_file {acl}"
    )
    with Mosquitto(folder, *lines) as one:
        yield one


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """A broker with one user, who may write one topic."""
    folder = tmp_path_factory.mktemp("guarded")
    passwords, acl = folder / "passwords", folder / "acl"
    subprocess.run(["mosquitto_passwd", "-c", "-b", passwords, "gw1", PASSWORD], check=True)
    acl.write_text("user gw1\ntopic readwrite mine/#\n", "utf-8")
    acl.chmod(0o600)
    with Mosquitto(folder, f"password_file {passwords}", f"acl_file {acl}") as one:
        yield one


def refused(settings: MqttSettings) -> Seat:
    """A seat that tried to connect twice and was turned away."""
    with seated(settings) as seat:
        seat.until(lambda: seat.broker.counters.connect_failed >= 2)
        assert not seat.broker.online
        return seat


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_tls_with_an_authority_of_ones_own(
    encrypted: Mosquitto, authority: Authority, version: str
) -> None:
    """A client that trusts the broker's authority gets through, and a large message too."""
    tls = TlsSettings(ca=authority.ca, minimum_version=version)  # type: ignore[arg-type]
    with seated(quick(encrypted.port, tls=tls)) as seat:
        seat.broker.subscribe(["big"])
        seat.online()
        seat.until(lambda: seat.broker.counters.reasons["SUBACK: Granted QoS 1"])
        assert seat.say("big", b"x" * 300_000).accepted
        seat.until(lambda: seat.arrivals)
        assert seat.arrivals[0].payload == b"x" * 300_000


def test_a_broker_of_another_authority_is_not_trusted(encrypted: Mosquitto, tmp_path: Path) -> None:
    """A client hangs up on a certificate that its authority did not sign, and says why."""
    other = TlsSettings(ca=Authority(tmp_path, "other").ca)
    said = refused(quick(encrypted.port, tls=other)).broker.problem
    assert said.startswith("the broker's certificate is not trusted: ")


def test_a_broker_of_another_name_is_not_trusted(
    encrypted: Mosquitto, authority: Authority
) -> None:
    """A good certificate of another host is not good enough."""
    settings = quick(encrypted.port, host="localhost", tls=TlsSettings(ca=authority.ca))
    assert "Hostname mismatch" in refused(settings).broker.problem


def test_tls_at_one_end_alone_is_guessed_at(encrypted: Mosquitto, guarded: Mosquitto) -> None:
    """Neither end says so itself."""
    assert "with TLS at both ends or at neither" in refused(quick(encrypted.port)).broker.problem
    said = refused(quick(guarded.port, tls=TlsSettings())).broker.problem
    assert said.startswith(("TLS with the broker: ", "Connection reset"))


def test_files_of_tls_that_cannot_be_used_are_named(encrypted: Mosquitto, tmp_path: Path) -> None:
    """OpenSSL leaves their names out."""
    junk = tmp_path / "junk.pem"
    junk.write_text("junk", "utf-8")
    for tls in (
        TlsSettings(ca="/nowhere.pem"),
        TlsSettings(ca=str(junk)),
        TlsSettings(certificate=str(junk), key=str(junk)),
    ):
        assert (tls.ca or tls.certificate) in refused(quick(encrypted.port, tls=tls)).broker.problem


def test_a_tls_handshake_that_is_never_answered_ends(authority: Authority) -> None:
    """A port that takes the connection and says nothing costs one timeout, not the loop."""
    tls = TlsSettings(ca=authority.ca)
    with silent_port() as port, seated(quick(port, tls=tls, connect_timeout_s=0.2)) as seat:
        seat.until(lambda: seat.broker.counters.connect_failed >= 2)
        assert "timed out" in seat.broker.problem


def test_a_client_certificate_is_the_identity(mutual: Mosquitto, authority: Authority) -> None:
    """With a certificate the broker knows who it is: it may write its branch and no other's."""
    certificate, key = authority.sign("gw1")
    tls = TlsSettings(ca=authority.ca, certificate=certificate, key=key)
    with seated(quick(mutual.port, tls=tls)) as seat:
        assert seat.online().say("auricle/v1/gw1/ack").accepted
        assert seat.say("auricle/v1/gw2/ack").reason == 135


def test_without_a_client_certificate_nobody_gets_in(
    mutual: Mosquitto, authority: Authority
) -> None:
    """A broker that wants certificates turns away a client without one."""
    refused(quick(mutual.port, tls=TlsSettings(ca=authority.ca)))


def test_a_password_comes_from_a_file_or_the_environment(
    guarded: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ways get in; a line feed at the end of the file is no part of the password."""
    (tmp_path / "password").write_text(f"{PASSWORD}\n", "utf-8")
    monkeypatch.setenv("MQTT_PASSWORD", PASSWORD)
    given: tuple[dict[str, str], ...] = (
        {"password_file": str(tmp_path / "password")},
        {"password_env": "MQTT_PASSWORD"},
    )
    for one in given:
        with seated(quick(guarded.port, username="gw1", **one)) as seat:
            seat.online()


def test_a_wrong_password_is_said_and_never_logged(
    guarded: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The broker's no is counted by name; no password is ever logged."""
    (tmp_path / "password").write_text("wrong horse", "utf-8")
    settings = quick(guarded.port, username="gw1", password_file=str(tmp_path / "password"))
    seat = refused(settings)
    said = str([vars(record) for record in caplog.records])
    assert seat.broker.counters.reasons["CONNACK: Not authorized"] >= 2
    assert seat.broker.problem == "Not authorized"
    assert "Not authorized" in said
    assert "horse" not in said


def test_a_missing_password_is_a_problem_and_no_crash(guarded: Mosquitto) -> None:
    """A password file that is not there, or a variable that is not set, is said and tried again."""
    for where in ({"password_file": "/nowhere"}, {"password_env": "NOT_SET"}):
        seat = refused(quick(guarded.port, username="gw1", **where))
        assert next(iter(where.values())) in seat.broker.problem


def test_a_message_that_is_not_allowed_is_refused_and_told_once(
    guarded: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An ACL's no comes back with every message, and into the log once."""
    (tmp_path / "password").write_text(PASSWORD, "utf-8")
    settings = quick(guarded.port, username="gw1", password_file=str(tmp_path / "password"))
    with seated(settings) as seat:
        seat.online()
        assert [seat.say("others/x").reason for _ in range(3)] == [135] * 3
        assert seat.say("mine/x").accepted
        assert seat.broker.counters.refused >= 3
        assert seat.broker.refusal == "others/x is refused: Not authorized"
    told = [vars(record)["fields"].get("packet") for record in caplog.records]
    assert told.count("PUBACK") == 1
