"""Values of controllers: deadbands, missing values, time stamps, and the settings."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest

from edge.config.settings import parse_settings
from edge.config.streams import ModbusRegister, ModbusStream
from edge.core import ConfigError
from edge.sources.measurement import InvalidMeasurement, Measurement
from edge.sources.plant import (
    PlantSampler,
    PlantValue,
    deadband_of,
    missing_value,
    scaled_value,
)

START_NS = 1_764_000_000 * 10**9
SETTINGS = '[encoder]\ncard = "x"\n[streams.press]\nsource = "modbus"\naddress = "plc"\n'


def stream(kind: Literal["sample", "series"], *registers: ModbusRegister) -> ModbusStream:
    """Settings of a stream."""
    return ModbusStream(address="plc", kind=kind, registers=registers)


def sampler(settings: ModbusStream, *, reports_all: bool = True) -> PlantSampler:
    """A sampler of a stream."""
    points = settings.registers
    bands = [deadband_of(one, one.range) for one in points]
    return PlantSampler("press", settings, points, bands, reports_all=reports_all)


def rows(made: PlantSampler, *values: tuple[float, ...]) -> list[list[float] | None]:
    """The values of the measurement that each row gives; None where there is none."""
    found = []
    for number, row in enumerate(values):
        one = made.measure([PlantValue(value) for value in row], START_NS + number)
        found.append(one.payload.values.tolist() if isinstance(one, Measurement) else None)
    return found


def test_a_deadband_compares_with_the_value_reported_last():
    """A slow drift is reported once it has left the deadband, and never at its edge."""
    made = sampler(stream("sample", ModbusRegister(name="a", address=0, deadband=1.0)))
    assert rows(made, (10,), (10.6,), (11.0,), (11.1,), (10.2,), (10.0,)) == [
        [10],
        None,
        None,
        [11.1],
        None,
        [10.0],
    ]


def test_a_deadband_in_percent_is_of_the_range():
    """1 % of -50 to 150 is 2 units."""
    register = ModbusRegister(name="a", address=0, deadband_percent=1.0, range=(-50, 150))
    assert rows(sampler(stream("sample", register)), (10,), (12,), (12.1,)) == [[10], None, [12.1]]


def test_a_sample_holds_the_reported_value_of_each_column():
    """A column within its deadband keeps the value reported last when another changes."""
    registers = (
        ModbusRegister(name="a", address=0, deadband=1.0),
        ModbusRegister(name="b", address=1, deadband=1.0),
    )
    made = sampler(stream("sample", *registers))
    assert rows(made, (0, 0), (0.5, 5), (0.5, 5.5)) == [[0, 0], [0, 5], None]


def test_a_series_goes_on_at_even_times():
    """A series repeats the value reported last while it is within its deadband."""
    made = sampler(stream("series", ModbusRegister(name="a", address=0, deadband=1.0)))
    assert rows(made, (10,), (10.5,), (12,)) == [[10], [10], [12]]


def test_values_without_deadband_are_all_reported_if_they_are_polled():
    """Polled values count whenever they are read, monitored ones only when they change."""
    settings = stream("sample", ModbusRegister(name="a", address=0))
    assert rows(sampler(settings), (1,), (1,)) == [[1], [1]]
    assert rows(sampler(settings, reports_all=False), (1,), (1,), (2,)) == [[1], None, [2]]


def test_a_missing_value_is_rejected_in_a_sample_and_missing_in_a_series():
    """It never becomes zero, and the reason names it."""
    registers = (ModbusRegister(name="a", address=0), ModbusRegister(name="b", address=1))
    values = [PlantValue(3.0), missing_value("status BadSensorFailure")]
    flaw = sampler(stream("sample", *registers)).measure(values, START_NS)
    assert isinstance(flaw, InvalidMeasurement)
    assert flaw.reason == "no value of b (b: status BadSensorFailure)"
    made = sampler(stream("series", *registers))
    found = made.measure(values, START_NS)
    assert isinstance(found, Measurement)
    np.testing.assert_array_equal(found.payload.values, [3.0, math.nan])
    assert made.problem == "b: status BadSensorFailure"
    assert isinstance(made.measure([values[1]] * 2, START_NS), InvalidMeasurement)


def test_a_change_of_quality_is_reported_within_the_deadband():
    """A value that comes back is reported even where it equals the one before."""
    registers = (
        ModbusRegister(name="a", address=0, deadband=1.0),
        ModbusRegister(name="b", address=1, deadband=1.0),
    )
    made = sampler(stream("sample", *registers))
    good = [PlantValue(3.0), PlantValue(4.0)]
    bad = [PlantValue(3.0), missing_value("status Bad")]
    kinds = [type(made.measure(one, START_NS)).__name__ for one in (good, bad, good, good)]
    assert kinds == ["Measurement", "InvalidMeasurement", "Measurement", "NoneType"]


def test_times_come_from_the_source_and_always_rise():
    """The newest time of the reported values counts; a time that stands still is replaced."""
    made = sampler(stream("series", ModbusRegister(name="a", address=0)))
    times = []
    for at_ns in (START_NS, START_NS, START_NS - 5, START_NS + 50):
        found = made.measure([PlantValue(1.0, at_ns=at_ns)], START_NS + 10)
        assert isinstance(found, Measurement)
        times.append(found.metadata.captured_at_ns)
    assert times == [START_NS, START_NS + 10, START_NS + 11, START_NS + 50]


@pytest.mark.parametrize("raw", [math.nan, math.inf, 1e308])
def test_numbers_that_are_not_finite_are_missing(raw):
    """Also those that scaling makes infinite."""
    point = ModbusRegister(name="a", address=0, scale=10.0)
    assert math.isnan(scaled_value(point, raw).value)


def test_a_time_before_1970_is_none():
    """A server without a clock sends 1601."""
    point = ModbusRegister(name="a", address=0)
    assert scaled_value(point, 1.0, -11_644_473_600 * 10**9).at_ns is None


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("", "registers"),
        ("registers = []", "registers"),
        ('registers = [{name = "a", address = 70000}]', "65535"),
        ('registers = [{name = "a", address = 65535, type = "int32"}]', "ends after 65535"),
        ('registers = [{name = "a", address = 1, type = "int8"}]', "int8"),
        ('registers = [{name = "a", address = 1, scale = 0.0}]', "scale is 0"),
        ('registers = [{name = "a", address = 1, deadband_percent = 1.0}]', "needs range"),
        ('registers = [{name = "a", address = 1}, {name = "a", address = 2}]', "twice|2 times"),
        ('registers = [{name = "a", address = 1, unti = "bar"}]', "unti"),
        ('registers = [{name = "a", address = 1, range = [5.0, 1.0]}]', "in order"),
    ],
)
def test_settings_that_make_no_sense_are_refused(tmp_path, lines, reason):
    """The error names the stream and the key."""
    with pytest.raises(ConfigError, match=reason) as caught:
        parse_settings(SETTINGS + lines, tmp_path / "auricle.toml")
    assert "press" in caught.value.message


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ('url = "opc.tcp://me:secret@plc"', "url"),
        ('url = "opc.tcp://plc"\nusername = "me"', "password come together"),
        ('url = "opc.tcp://plc"\nsecurity = "Basic256Sha256"', "certificate and key"),
    ],
)
def test_settings_of_opc_ua_hold_no_secrets(tmp_path, lines, reason):
    """A password in the settings is an error that names its proper places."""
    text = '[encoder]\ncard = "x"\n[streams.press]\nsource = "opcua"\n' + lines
    text += '\nnodes = [{name = "a", id = "ns=2;s=a"}]'
    with pytest.raises(ConfigError, match=reason) as caught:
        parse_settings(text, tmp_path / "auricle.toml")
    assert "secret" not in str(caught.value)
