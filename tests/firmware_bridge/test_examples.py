"""The example projects: built for their boards and, where QEMU has the chip, run."""

from __future__ import annotations

import shutil
import subprocess
import time
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

import firmware_bridge
from benchmarks.bridge.board import CROSS, DETECTOR, EMULATOR, SOURCES, missing_tools
from benchmarks.bridge.native import LINK_FILES
from firmware_bridge import (
    Ack,
    Actuate,
    Command,
    DeviceDecision,
    Link,
    exchange,
    open_transport,
    write_c,
)
from firmware_bridge.export_image import unpack

VECTORS = files(firmware_bridge) / "vectors"
SECONDS_MAX = 30
FUNCTIONS_MAX = 6
pytestmark = pytest.mark.skipif(
    bool(missing_tools()), reason=f"examples were not built: {missing_tools()} not installed"
)


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """An export of the golden extract."""
    extract = unpack((VECTORS / "digits_all.extract").read_bytes())
    rows = np.frombuffer((VECTORS / "digits.features").read_bytes(), np.uint8)
    for name, content in write_c(extract, rows.reshape(-1, extract.width)).items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_the_stm32_example_runs(source: Path, export: Path):
    """Built by its makefile, the firmware streams, obeys and decides on an emulated STM32F405."""
    if shutil.which("make") is None:
        pytest.skip("the STM32 example was not built: make is not installed")
    project = export / "project"
    shutil.copytree(source / "examples" / "firmware" / "stm32f4", project)
    command = ["make", "-s", f"AURICLE={SOURCES}", f"EXPORT={export}"]
    subprocess.run(command, cwd=project, check=True, capture_output=True)
    port = export / "uart"
    serial = ["-serial", "null", "-serial", f"unix:{port},server=on,wait=off"]
    quiet = ["-M", "netduinoplus2", "-display", "none", "-monitor", "none"]
    program = project / "firmware.elf"
    board = subprocess.Popen([EMULATOR, *quiet, *serial, "-kernel", program])
    try:
        while not port.exists() and board.poll() is None:
            time.sleep(0.02)
        heard = listen(port)
    finally:
        board.kill()
        board.wait()
    assert {e.command_id: e.status for e in heard if isinstance(e, Ack)} == {1: "done", 2: "done"}
    assert sum(isinstance(e, DeviceDecision) for e in heard) >= 5


def listen(port: Path) -> list[object]:
    """The messages of a board after commands to stream and to switch its light on."""
    link, transport = Link(5), open_transport(f"unix:{port}")
    link.send(Command(1, 1, b"\x01"))
    link.send(Actuate(2, 0, 1))
    heard: list[object] = []
    end = time.monotonic() + SECONDS_MAX
    while time.monotonic() < end and sum(isinstance(e, DeviceDecision) for e in heard) < 5:
        heard += exchange(link, transport)
    transport.close()
    return heard


@pytest.mark.parametrize("part", [*LINK_FILES, *DETECTOR, "app"])
def test_all_parts_build_for_the_smallest_core(export: Path, part: str):
    """Every file compiles without a warning for a Cortex-M0+, which the RP2040 has."""
    flags = ["-mcpu=cortex-m0plus", "-mthumb", "-std=c99", "-Os", "-Wall", "-Wextra", "-Werror"]
    source = SOURCES / f"auricle_{part}.c"
    built = subprocess.run(
        [CROSS, *flags, f"-I{export}", f"-I{SOURCES}", "-c", source, "-o", export / "part.o"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr


def test_porting_takes_at_most_six_functions():
    """The header of the porting layer declares no more."""
    text = (SOURCES / "auricle_board.h").read_text("utf-8")
    assert text.count(");") == FUNCTIONS_MAX
