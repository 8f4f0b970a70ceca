"""The OPC UA source against asyncua's own server."""

from __future__ import annotations

import datetime as dt
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.config.streams import OpcUaNode, OpcUaStream
from edge.sources.factory import SourceContext, open_source, probe_controller
from edge.sources.polling import UnavailableError
from tests.brokers import free_port
from tests.edge.sources.sinks import Kept, wait_for

pytest.importorskip("asyncua", reason="the extra `industrial` is not installed")

from tests.plants import URI, Plant

EVERY_S, TIMEOUT_S = 0.05, 1.0
WAIT_S = 30.0
TEMPERATURE = OpcUaNode(name="temperature", id=f"nsu={URI};s=temperature", unit="°C")
PRESSURE = OpcUaNode(name="pressure", id="ns=3;s=pressure", scale=100.0, offset=1.0)
STATE = OpcUaNode(name="state", id="ns=3;s=state")


@pytest.fixture(scope="module")
def server():
    """An OPC UA server, for the tests that do not kill it."""
    plant = Plant("opcua", port=free_port())
    yield plant
    plant.kill()


@pytest.fixture
def device(server):
    """The server, with its first values."""
    server.say(write="temperature", value=20.0)
    server.say(write="pressure", value=3.0)
    return server


def settings(plant: Plant, *nodes: OpcUaNode, **more: Any) -> OpcUaStream:
    """Settings of a stream that reads a server."""
    return OpcUaStream(
        url=f"opc.tcp://127.0.0.1:{plant.options['port']}/",
        nodes=nodes,
        every_s=EVERY_S,
        timeout_s=TIMEOUT_S,
        **more,
    )


def started(stream: OpcUaStream, sink: Kept, base: Path = Path()) -> Any:
    """A running source."""
    source = open_source("press", stream, SourceContext(base, base, None), sink)
    assert source is not None
    source.start()
    return source


def values(sink: Kept) -> list[list[float]]:
    """The values of every measurement."""
    return [one.payload.values.tolist() for one in sink.measurements]


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
def test_values_arrive_with_the_times_of_their_source(device, mode):
    """A written value arrives, scaled, and at the time that the server gives for it."""
    sink = Kept()
    source = started(settings(device, TEMPERATURE, PRESSURE, mode=mode), sink)
    wait_for(lambda: sink.measurements, WAIT_S)
    assert values(sink)[0] == [20.0, 301.0]
    before = time.time_ns()
    device.say(write="temperature", value=21.5, age_s=-0.5)
    wait_for(lambda: [21.5, 301.0] in values(sink), WAIT_S)
    source.stop(5)
    place = values(sink).index([21.5, 301.0])
    at_ns = sink.measurements[place].metadata.captured_at_ns
    assert at_ns is not None
    assert 0.4e9 < at_ns - before < 1.5e9
    times = [one.metadata.captured_at_ns or 0 for one in sink.measurements]
    assert times == sorted(set(times))
    assert not sink.flaws


def test_a_subscription_reports_changes_and_polling_every_value(device):
    """While nothing changes, a subscribed sample is silent and a polled one is not."""
    quiet, busy = Kept(), Kept()
    sources = [
        started(settings(device, TEMPERATURE), quiet),
        started(settings(device, TEMPERATURE, mode="poll"), busy),
    ]
    wait_for(lambda: quiet.measurements and len(busy.measurements) > 10, WAIT_S)
    assert len(quiet.measurements) == 1
    for source in sources:
        source.stop(5)


def test_a_deadband_in_percent_is_of_the_range_that_the_server_gives(device):
    """1 % of its 0 to 200 is 2 units, from the value reported last."""
    node = OpcUaNode(name="t", id="ns=3;s=temperature", deadband_percent=1.0)
    sink = Kept()
    source = started(settings(device, node), sink)
    wait_for(lambda: sink.measurements, WAIT_S)
    for value in (21.0, 22.0, 22.1, 21.0, 25.0):
        device.say(write="temperature", value=value)
        time.sleep(6 * EVERY_S)
    source.stop(5)
    assert values(sink) == [[20.0], [22.1], [25.0]]


@pytest.mark.parametrize("mode", ["subscribe", "poll"])
@pytest.mark.parametrize("deadband", [0.0, 50.0])
def test_bad_quality_is_a_reason_and_no_number(device, mode, deadband):
    """A sample is rejected with the status, also behind a deadband, and comes back with it."""
    node = OpcUaNode(name="t", id="ns=3;s=temperature", deadband=deadband)
    sample, series = Kept(), Kept()
    sources = [
        started(settings(device, node, PRESSURE, mode=mode), sample),
        started(settings(device, node, PRESSURE, mode=mode, kind="series"), series),
    ]
    wait_for(lambda: sample.measurements and series.measurements, WAIT_S)
    device.say(write="temperature", value=20.0, status="BadSensorFailure")
    wait_for(lambda: sample.flaws and np.isnan(values(series)[-1][0]), WAIT_S)
    assert "t: status BadSensorFailure" in sample.flaws[0].reason
    assert values(series)[-1][1] == 301.0
    count = len(sample.measurements)
    device.say(write="temperature", value=20.0)
    wait_for(lambda: len(sample.measurements) > count, WAIT_S)
    assert values(sample)[-1] == [20.0, 301.0]
    for source in sources:
        source.stop(5)


def test_uncertain_and_stale_values_are_missing(device):
    """A value that the server itself doubts, or that is older than `stale_s`, is missing."""
    device.say(write="temperature", value=20.0, status="UncertainLastUsableValue")
    device.say(write="pressure", value=3.0, age_s=120.0)
    found = probe_controller(settings(device, TEMPERATURE, PRESSURE, stale_s=60.0), Path())
    assert [one.problem for one in found] == [
        "status UncertainLastUsableValue",
        "stale: 120 s old",
    ]
    assert np.isnan([one.value for one in found]).all()


def test_a_value_that_is_not_a_number_is_rejected(device):
    """A text, an array and an unknown variable name what was found instead."""
    device.say(write="pressure", value=[1.0, 2.0])
    gone = OpcUaNode(name="gone", id="ns=3;s=nowhere")
    found = probe_controller(settings(device, STATE, PRESSURE, gone), Path())
    assert [one.problem for one in found] == [
        "the variable holds no number, but str",
        "the variable holds no number, but an array",
        "status BadNodeIdUnknown",
    ]


def test_a_unit_that_differs_from_the_servers_stops_the_stream(device):
    """Nothing is measured in the wrong unit; its symbol and its UNECE code are both known."""
    wrong = OpcUaNode(name="t", id="ns=3;s=temperature", unit="°F")
    with pytest.raises(UnavailableError, match=r"its unit is '°C', and the settings have '°F'"):
        probe_controller(settings(device, wrong), Path())
    for unit in ("°C", "CEL"):
        node = OpcUaNode(name="t", id="ns=3;s=temperature", unit=unit)
        (found,) = probe_controller(settings(device, node), Path())
        assert (found.value, found.unit) == (20.0, unit)


def test_namespaces_are_found_by_uri(device):
    """A server that renumbers its namespaces is still read correctly: here the plant's is not the
    first custom one."""
    (found,) = probe_controller(settings(device, TEMPERATURE), Path())
    assert found.value == 20.0
    unknown = OpcUaNode(name="a", id="nsu=http://example.com/none;s=a")
    with pytest.raises(UnavailableError, match=r"no namespace http://example\.com/none"):
        probe_controller(settings(device, unknown), Path())


def test_a_frozen_and_a_killed_server_are_reported_and_read_again():
    """While the server is gone nothing is measured; after its restart the stream goes on, and a
    variable that vanished on the way is named."""
    plant = Plant("opcua", port=free_port())
    sink = Kept()
    source = started(settings(plant, TEMPERATURE, PRESSURE, kind="series"), sink)
    wait_for(lambda: sink.measurements, WAIT_S)
    plant.freeze()
    wait_for(lambda: "connection was lost" in source.problem, WAIT_S)
    count = len(sink.measurements)
    plant.kill()
    time.sleep(3 * EVERY_S)
    assert len(sink.measurements) == count
    plant.restart()
    plant.say(delete="pressure")
    wait_for(lambda: len(sink.measurements) > count, WAIT_S)
    wait_for(lambda: np.isnan(values(sink)[-1][1]), WAIT_S)
    assert "pressure: status Bad" in source.problem
    assert values(sink)[-1][0] == 20.0
    source.stop(5)
    plant.kill()


def test_a_server_that_never_answers_does_not_hold_a_stop(device):
    """Connecting to a frozen server ends after the timeout, and stopping soon after it."""
    device.freeze()
    source = started(settings(device, TEMPERATURE), Kept())
    wait_for(lambda: "does not answer within 1 s" in source.problem, WAIT_S)
    begun = time.monotonic()
    source.stop(60)
    assert time.monotonic() - begun < 30
    device.thaw()


def certificate(folder: Path, name: str) -> tuple[str, str]:
    """An application's certificate and key, as OPC UA wants them (part 6, section 6.2.2)."""
    key = rsa.generate_private_key(65_537, 2_048)
    called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    uri = x509.UniformResourceIdentifier(f"urn:example.com:{name}")
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(called)
        .issuer_name(called)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([uri, x509.DNSName("localhost")]), False)
        .add_extension(usage, False)
        .add_extension(
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
            ),
            False,
        )
        .sign(key, hashes.SHA256())
    )
    files = folder / f"{name}.der", folder / f"{name}.pem"
    files[0].write_bytes(made.public_bytes(serialization.Encoding.DER))
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(files[0]), str(files[1])


def test_a_server_with_encryption_and_a_user(tmp_path, monkeypatch, caplog):
    """Values come over an encrypted channel; a wrong password and another server's certificate are
    refused, and the password is in no message."""
    ours, theirs = certificate(tmp_path, "auricle"), certificate(tmp_path, "plc")
    other = certificate(tmp_path, "other")
    right, wrong = "over-the-hills", "far-away"
    user = {"user": "me", "password": right}
    plant = Plant("opcua", port=free_port(), certificate=theirs[0], key=theirs[1], **user)
    (tmp_path / "word").write_text(f"{right}\n", "utf-8")
    monkeypatch.setenv("PLC_WORD", wrong)
    by_file, by_environment = {"password_file": "word"}, {"password_env": "PLC_WORD"}
    secure = {
        "security": "Basic256Sha256",
        "certificate": ours[0],
        "key": ours[1],
        "server_certificate": theirs[0],
        "username": "me",
    }
    swapped = secure | {"server_certificate": other[0]}
    caplog.set_level("DEBUG")
    (found,) = probe_controller(settings(plant, TEMPERATURE, **secure, **by_file), tmp_path)
    assert found.value == 20.0
    refusals = []
    for keys in (secure | by_environment, swapped | by_file, {}):
        with pytest.raises(UnavailableError) as refused:
            probe_controller(settings(plant, TEMPERATURE, **keys), tmp_path)
        refusals.append(str(refused.value))
    text = caplog.text + "".join(refusals)
    assert right not in text
    assert wrong not in text
    plant.kill()
