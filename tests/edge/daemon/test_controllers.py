"""Streams of Modbus and OPC UA through a live daemon, and `auricle check` before it starts."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from edge import Store
from tests.brokers import free_port
from tests.daemons import daemon_home, served
from tests.homes import CARD, run
from tests.worlds import WIDTH

pytest.importorskip("pymodbus", reason="the extra `industrial` is not installed")
pytest.importorskip("asyncua", reason="the extra `industrial` is not installed")

from tests.plants import Plant

SERIES = """
[streams.oven]
source = "opcua"
url = "opc.tcp://127.0.0.1:{port}/"
kind = "series"
every_s = 0.05
[[streams.oven.nodes]]
name = "temperature"
id = "nsu=http://example.com/plant;s=temperature"
unit = "°C"
"""


def press(port: int) -> str:
    """The table of a stream whose columns are those of the home."""
    registers = "".join(
        f'[[streams.press.registers]]\nname = "x{n}"\naddress = {n}\n' for n in range(WIDTH)
    )
    keys = f'source = "modbus"\naddress = "127.0.0.1:{port}"\nevery_s = 0.1\ntimeout_s = 0.5\n'
    return f"[streams.press]\n{keys}{registers}"


@pytest.fixture
def modbus():
    """A Modbus server."""
    plant = Plant("modbus", port=free_port())
    yield plant
    plant.kill()


def named_home(folder: Path, more: str) -> Path:
    """A home whose columns are x0, x1, ..."""
    home = daemon_home(folder, more)
    with Store.open(home / "knowledge.db", CARD) as store:
        store.name_columns([f"x{number}" for number in range(WIDTH)], CARD)
    return home


def test_registers_become_decisions_and_a_dead_device_stalls_nothing(tmp_path, modbus):
    """Registers are matched with the home's columns and decided; while the device is frozen or
    gone, the daemon's turns stay short and the status names the reason; then it goes on."""
    home = named_home(tmp_path, press(modbus.options["port"]))
    modbus.say(set={str(number): 5 * number for number in range(WIDTH)})
    with served(home) as here:
        here.until(lambda: len(here.kinds("decision")) > 2)
        assert here.kinds("decision")[0]["stream"] == "press"
        modbus.freeze()
        stream = here.daemon.inbox.streams["press"]
        here.until(lambda: "does not answer" in here.daemon.sources["press"].problem)
        longest = 0.0
        for _ in range(50):
            begun = time.monotonic()
            here.daemon.loop.turn(0.01)
            longest = max(longest, time.monotonic() - begun)
        assert longest < 0.5
        decided = stream.decided
        modbus.thaw()
        here.until(lambda: stream.decided > decided)


def test_an_exception_is_a_published_reason(tmp_path, modbus):
    """A register that the device refuses is named in the message about the rejection."""
    home = named_home(tmp_path, press(modbus.options["port"]))
    modbus.say(fail=[3], code=2)
    with served(home) as here:
        here.until(lambda: here.kinds("rejected"))
        assert "x3: exception 2, illegal data address" in here.kinds("rejected")[0]["reason"]
        assert not here.kinds("decision")


def test_a_check_reads_the_values_and_names_the_missing_ones(tmp_path, modbus):
    """`auricle check` prints each value with its unit; a value that is missing in a sample is an
    error, in a series a warning, and a server that is off an error with a hint."""
    home = named_home(tmp_path, press(modbus.options["port"]))
    modbus.say(set={"1": 65_535})
    result = run("check", home)
    assert result.exit_code == 0, result.output
    assert "stream press: x0 0, x1 -1, x2 2," in " ".join(result.output.split())
    modbus.say(fail=[2], code=2)
    result = run("check", home)
    assert result.exit_code == 1
    assert "x2 missing (exception 2, illegal data address, at holding 2)" in " ".join(
        result.output.split()
    )
    modbus.kill()
    result = run("check", home, "--json")
    assert result.exit_code == 1
    found = [json.loads(line) for line in result.output.splitlines()]
    (press_line,) = [one for one in found if one["what"] == "stream press"]
    assert "Connection refused" in press_line["detail"]
    assert press_line["hint"]


def test_a_series_of_a_server_is_forecast(tmp_path):
    """Values of an OPC UA server become forecasts, at the server's times; the check prints the
    value with the server's unit."""
    plant = Plant("opcua", port=free_port())
    home = daemon_home(tmp_path, SERIES.format(port=plant.options["port"]))
    assert "temperature 20 °C" in " ".join(run("check", home).output.split())
    with served(home) as here:
        here.until(lambda: here.kinds("forecast"))
        assert here.kinds("forecast")[0]["stream"] == "oven"
        assert not here.kinds("rejected")
    plant.kill()
