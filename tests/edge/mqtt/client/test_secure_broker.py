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
    """The certificate authority that the clients trust."""
    return Authority(tmp_path_factory.mktemp("authority"))


def secured(authority: Authority, *lines: str) -> tuple[str, ...]:
    """The configuration of a TLS listener."""
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
    """A broker that requires client certificates and limits each client to its own branch."""
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
    """A broker with one user, who may publish to one topic."""
    folder = tmp_path_factory.mktemp("guarded")
    passwords, acl = folder / "passwords", folder / "acl"
    subprocess.run(["mosquitto_passwd", "-c", "-b", passwords, "gw1", PASSWORD], check=True)
    acl.write_text("user gw1\ntopic readwrite mine/#\n", "utf-8")
    acl.chmod(0o600)
    with Mosquitto(folder, f"password_file {passwords}", f"acl_file {acl}") as one:
        yield one


def refused(settings: MqttSettings) -> Seat:
    """A client that was refused twice."""
    with seated(settings) as seat:
        seat.until(lambda: seat.broker.counters.connect_failed >= 2)
        assert not seat.broker.online
        return seat


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_tls_with_a_private_authority(
    encrypted: Mosquitto, authority: Authority, version: str
) -> None:
    """A client that trusts the broker's authority connects, and sends a large message."""
    tls = TlsSettings(ca=authority.ca, minimum_version=version)  # type: ignore[arg-type]
    with seated(quick(encrypted.port, tls=tls)) as seat:
        seat.broker.subscribe(["big"])
        seat.online()
        seat.until(lambda: seat.broker.counters.reasons["SUBACK: Granted QoS 1"])
        assert seat.say("big", b"x" * 300_000).accepted
        seat.until(lambda: seat.arrivals)
        assert seat.arrivals[0].payload == b"x" * 300_000


def test_a_broker_of_another_authority_is_not_trusted(encrypted: Mosquitto, tmp_path: Path) -> None:
    """A client rejects a certificate that its authority did not sign, and reports why."""
    other = TlsSettings(ca=Authority(tmp_path, "other").ca)
    result = refused(quick(encrypted.port, tls=other)).broker.problem
    assert result.startswith("the broker's certificate is not trusted: ")


def test_a_broker_of_another_name_is_not_trusted(
    encrypted: Mosquitto, authority: Authority
) -> None:
    """A valid certificate for another host is rejected."""
    settings = quick(encrypted.port, host="localhost", tls=TlsSettings(ca=authority.ca))
    assert "Hostname mismatch" in refused(settings).broker.problem


def test_tls_at_one_end_only_gives_a_hint(encrypted: Mosquitto, guarded: Mosquitto) -> None:
    """The error suggests TLS at both ends, since neither end reports the mismatch."""
    assert "with TLS at both ends or at neither" in refused(quick(encrypted.port)).broker.problem
    result = refused(quick(guarded.port, tls=TlsSettings())).broker.problem
    assert result.startswith(("TLS with the broker: ", "Connection reset"))


def test_unusable_tls_files_are_named(encrypted: Mosquitto, tmp_path: Path) -> None:
    """The error names the file, which OpenSSL leaves out."""
    junk = tmp_path / "junk.pem"
    junk.write_text("junk", "utf-8")
    for tls in (
        TlsSettings(ca="/nowhere.pem"),
        TlsSettings(ca=str(junk)),
        TlsSettings(certificate=str(junk), key=str(junk)),
    ):
        assert (tls.ca or tls.certificate) in refused(quick(encrypted.port, tls=tls)).broker.problem


def test_a_tls_handshake_that_is_never_answered_ends(authority: Authority) -> None:
    """A port that accepts but never answers costs one timeout and does not block the loop."""
    tls = TlsSettings(ca=authority.ca)
    with silent_port() as port, seated(quick(port, tls=tls, connect_timeout_s=0.2)) as seat:
        seat.until(lambda: seat.broker.counters.connect_failed >= 2)
        assert "timed out" in seat.broker.problem


def test_a_client_certificate_is_the_identity(mutual: Mosquitto, authority: Authority) -> None:
    """A client with a certificate may publish to its own branch and to no other."""
    certificate, key = authority.sign("gw1")
    tls = TlsSettings(ca=authority.ca, certificate=certificate, key=key)
    with seated(quick(mutual.port, tls=tls)) as seat:
        assert seat.online().say("auricle/v1/gw1/ack").accepted
        assert seat.say("auricle/v1/gw2/ack").reason == 135


def test_a_client_without_a_certificate_is_refused(mutual: Mosquitto, authority: Authority) -> None:
    """A broker that requires client certificates refuses a client without one."""
    refused(quick(mutual.port, tls=TlsSettings(ca=authority.ca)))


def test_a_password_comes_from_a_file_or_the_environment(
    guarded: Mosquitto, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both sources authenticate; the line feed at the end of the file is not part of the
    password."""
    (tmp_path / "password").write_text(f"{PASSWORD}\n", "utf-8")
    monkeypatch.setenv("MQTT_PASSWORD", PASSWORD)
    given: tuple[dict[str, str], ...] = (
        {"password_file": str(tmp_path / "password")},
        {"password_env": "MQTT_PASSWORD"},
    )
    for one in given:
        with seated(quick(guarded.port, username="gw1", **one)) as seat:
            seat.online()


def test_a_wrong_password_is_reported_and_never_logged(
    guarded: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The refusal is counted by name, and no password appears in the log."""
    (tmp_path / "password").write_text("wrong horse", "utf-8")
    settings = quick(guarded.port, username="gw1", password_file=str(tmp_path / "password"))
    seat = refused(settings)
    result = str([vars(record) for record in caplog.records])
    assert seat.broker.counters.reasons["CONNACK: Not authorized"] >= 2
    assert seat.broker.problem == "Not authorized"
    assert "Not authorized" in result
    assert "horse" not in result


def test_a_missing_password_is_reported_and_retried(guarded: Mosquitto) -> None:
    """A missing password file or variable is reported, and the connection is retried."""
    for where in ({"password_file": "/nowhere"}, {"password_env": "NOT_SET"}):
        seat = refused(quick(guarded.port, username="gw1", **where))
        assert next(iter(where.values())) in seat.broker.problem


def test_a_forbidden_message_is_refused_and_logged_once(
    guarded: Mosquitto, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The ACL refuses every message, and the log has one line."""
    (tmp_path / "password").write_text(PASSWORD, "utf-8")
    settings = quick(guarded.port, username="gw1", password_file=str(tmp_path / "password"))
    with seated(settings) as seat:
        seat.online()
        assert [seat.say("others/x").reason for _ in range(3)] == [135] * 3
        assert seat.say("mine/x").accepted
        assert seat.broker.counters.refused >= 3
        assert seat.broker.refusal == "others/x is refused: Not authorized"
    messages = [vars(record)["fields"].get("packet") for record in caplog.records]
    assert messages.count("PUBACK") == 1
