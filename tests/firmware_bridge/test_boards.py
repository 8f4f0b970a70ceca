"""Firmware for Cortex-M on boards that QEMU emulates."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

import firmware_bridge
from benchmarks.bridge.board import (
    BOARDS,
    EMULATOR,
    M3,
    Board,
    build_app,
    build_speed,
    build_vectors,
    count_instructions,
    decide_natively,
    decide_on,
    mismatched_bits,
    missing_tools,
)
from benchmarks.bridge.signing import Signer
from firmware_bridge import (
    Ack,
    Actuate,
    Command,
    DeviceDecision,
    Link,
    Message,
    Reading,
    StreamInfo,
    Transport,
    UpdateStatus,
    Upload,
    decide,
    decision_words,
    exchange,
    offer_model,
    open_transport,
    write_c,
)
from firmware_bridge.export_image import unpack
from tests.extracts import Form, extract_of, samples_of

VECTORS = files(firmware_bridge) / "vectors"
GOLDEN = ("digits_all", "digits_small", "digits_random")
SECONDS_MAX = 30
emulated = pytest.mark.skipif(
    bool(missing_tools()), reason=f"nothing was run on boards: {missing_tools()} not installed"
)


def golden(name: str):
    """An extract, its samples and the expected decisions."""
    extract = unpack((VECTORS / f"{name}.extract").read_bytes())
    rows = np.frombuffer((VECTORS / "digits.features").read_bytes(), np.uint8)
    decided = np.frombuffer((VECTORS / f"{name}.decided").read_bytes(), "<u4").astype(np.uint32)
    return extract, rows.reshape(-1, extract.width), decided.reshape(-1, extract.bits // 32 + 6)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The vectors program for each board."""
    folder = tmp_path_factory.mktemp("boards")
    return {board.name: build_vectors(board, folder) for board in BOARDS}


@pytest.mark.parametrize("name", GOLDEN)
def test_python_agrees_with_the_golden_vectors(name):
    """The integer evaluator gives the recorded decisions."""
    extract, rows, expected = golden(name)
    assert mismatched_bits(decision_words(decide(extract, rows)), expected) == 0


@pytest.mark.parametrize("name", GOLDEN)
def test_c_on_this_machine_agrees_with_the_golden_vectors(detector, name):
    """C with sanitizers gives the recorded decisions."""
    extract, rows, expected = golden(name)
    assert mismatched_bits(decide_natively(detector, extract, rows), expected) == 0


@emulated
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
@pytest.mark.parametrize("name", GOLDEN)
def test_boards_agree_with_the_golden_vectors(programs, board: Board, name):
    """Cortex-M3 and M4F give the recorded decisions."""
    extract, rows, expected = golden(name)
    found = decide_on(board, programs[board.name], extract, rows)
    assert mismatched_bits(found, expected) == 0


@emulated
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
@pytest.mark.parametrize("width", [2, 5, 60, 128, 300, 1280])
def test_boards_agree_at_any_width(programs, board: Board, width):
    """Narrow, packed and wide transforms are the same on a board."""
    more = {"random": width in (5, 128, 1280)}
    form = Form(width, 0, 1024, 5, 3, columns=True, plane=True, wide=True, seed=width, **more)
    extract, rows = extract_of(form), samples_of(form)
    found = decide_on(board, programs[board.name], extract, rows)
    assert mismatched_bits(found, decision_words(decide(extract, rows))) == 0


@emulated
def test_a_decision_takes_few_instructions(tmp_path):
    """2,048 bits and 16 concepts take at most 0.6 of what straightforward C takes."""
    form = Form(64, 0, 2048, 16, 4, columns=False, plane=False, wide=False, seed=3)
    extract = extract_of(form)
    (head, *_) = extract.heads
    plain = replace(extract, heads=(head,) * 4)
    counted = count_instructions(M3, build_speed(M3, tmp_path), plain, samples_of(form))
    assert counted.disagreeing == 0
    assert sum(counted.ours.values()) <= 0.6 * sum(counted.plain.values())


SIGNER = Signer(bytes(range(32)))


@pytest.fixture
def port(tmp_path: Path) -> Iterator[Path]:
    """The UART of an emulated M3 that runs the reference application with the golden extract, and
    takes models that SIGNER signed."""
    extract, rows, _ = golden("digits_all")
    for name, content in write_c(extract, rows).items():
        (tmp_path / name).write_bytes(content)
    program, socket = build_app(M3, tmp_path, tmp_path, SIGNER.key), tmp_path / "uart"
    quiet = ["-display", "none", "-monitor", "none"]
    serial = ["-serial", f"unix:{socket},server=on,wait=off"]
    board = subprocess.Popen([EMULATOR, "-M", M3.machine, *quiet, *serial, "-kernel", program])
    try:
        while not socket.exists() and board.poll() is None:
            time.sleep(0.02)
        yield socket
    finally:
        board.kill()
        board.wait()


@emulated
def test_a_board_streams_obeys_and_decides(port: Path):
    """Over its UART the board takes commands, sets an output, and sends readings with the very
    decisions that Python makes of them."""
    extract, rows, _ = golden("digits_all")
    link, transport = Link(77), open_transport(f"unix:{port}")
    heard: list[object] = []
    link.send(Command(1, 1, b"\x01"))
    link.send(Actuate(2, 0, 1))
    link.send(Actuate(3, 200, 1))
    end = time.monotonic() + SECONDS_MAX
    while time.monotonic() < end and sum(isinstance(e, DeviceDecision) for e in heard) < 60:
        heard += exchange(link, transport)
    transport.close()
    answers = {e.command_id: e.status for e in heard if isinstance(e, Ack)}
    assert answers == {1: "done", 2: "done", 3: "unknown"}
    assert StreamInfo(0, "uint8", extract.width, 0, "features") in heard
    readings = {e.sequence: e for e in heard if isinstance(e, Reading)}
    made = {e.sequence: e for e in heard if isinstance(e, DeviceDecision)}
    assert sorted(made) == list(range(len(made)))
    taken = np.stack([np.frombuffer(readings[number].values, np.uint8) for number in sorted(made)])
    decided = decide(extract, taken)
    assert (taken == rows[np.arange(len(made)) % len(rows)]).all()
    for number, one in made.items():
        assert one.known == decided.known[number]
        assert one.score == decided.score[number]
        assert (one.domain, one.label) == (decided.domain[number], decided.answer[number])


@emulated
def test_a_board_takes_a_signed_model_over_the_link(port: Path):
    """New knowledge arrives in parts, is tried and confirmed without flashing, and then decides
    as Python does; knowledge signed with another key is refused."""
    image = (VECTORS / "digits_small.extract").read_bytes()
    extract = unpack(image)
    link, transport = Link(78), open_transport(f"unix:{port}")
    forged = offer_model(image, 7, Signer(bytes(32)).sign)
    assert sent(link, transport, Upload(forged, image)).reason == "signature"
    upload = sent(link, transport, Upload(offer_model(image, 1, SIGNER.sign), image))
    assert upload.state == "confirmed"
    link.send(Command(1, 1, b"\x01"))
    heard: list[object] = []
    end = time.monotonic() + SECONDS_MAX
    while time.monotonic() < end and sum(isinstance(e, DeviceDecision) for e in heard) < 40:
        heard += exchange(link, transport)
    transport.close()
    readings = {e.sequence: e for e in heard if isinstance(e, Reading)}
    made = [e for e in heard if isinstance(e, DeviceDecision)]
    rows = np.stack([np.frombuffer(readings[e.sequence].values, np.uint8) for e in made])
    assert len(made) >= 40
    assert [e.score for e in made] == decide(extract, rows).score.tolist()


def sent(link: Link, transport: Transport, upload: Upload) -> Upload:
    """An upload carried through until it is confirmed or refused."""
    waiting: list[Message] = []
    confirmed = False
    end = time.monotonic() + SECONDS_MAX
    while time.monotonic() < end and upload.state not in {"confirmed", "refused"}:
        while waiting and link.send(waiting[0]):
            waiting.pop(0)
        for event in exchange(link, transport):
            if isinstance(event, UpdateStatus):
                waiting += upload.answer(event)
        waiting += upload.poll(time.monotonic_ns())
        if upload.state == "trial" and not confirmed:
            waiting += upload.confirm()
            confirmed = True
    return upload
