"""The C link by itself, and against the Python link on the same bytes."""

from __future__ import annotations

import random
import shutil
import subprocess
import zlib
from pathlib import Path

import pytest

from benchmarks.bridge.native import (
    ALL_FILES,
    SANITIZERS,
    SOURCES,
    STRICT,
    NativeLink,
    build,
    compiler,
)
from firmware_bridge import (
    Command,
    Event,
    FaultKind,
    Link,
    LinkConnected,
    LinkFault,
    LinkGap,
    LinkSilent,
    LinkUndelivered,
    Log,
    encode_message,
)
from firmware_bridge.codec import encode_record
from firmware_bridge.frames import Frame, FrameKind, encode_frame, session_key
from firmware_bridge.records import Hello
from tests.bridges import DEVICE, SECOND_NS, reading, readings, wired

FUZZ_INPUTS = 200_000


def hello(session: int, peer: int, credit: int = 8) -> bytes:
    """The bytes of a hello."""
    result = encode_record(
        Hello(
            version_min=1,
            version_max=1,
            session=session,
            peer_session=peer,
            frame_bytes_max=288,
            message_bytes_max=512,
            extension=b"",
        )
    )
    return encode_frame(Frame(kind=FrameKind.HELLO, version=0, credit=credit, payload=result), 0)


def random_frame(chosen: random.Random, session: int, peer: int) -> bytes:
    """A frame with a right checksum, mostly in order, with contents that may mean something."""
    kind = chosen.choice((*FrameKind, *[FrameKind.DATA] * 6))
    payload = chosen.choice(
        (
            b"\x02" + chosen.randbytes(6) + b"abc",
            b"\x07\x01" + chosen.randbytes(8) + b"text",
            chosen.randbytes(chosen.randrange(30)),
            b"\x01\x01\x01" + chosen.randbytes(12 + chosen.randrange(250)),
        )
    )
    sequence, acknowledged = chosen.randrange(12), chosen.choice((0, 0, 0, 1, 9, 65535))
    first, last = chosen.random() < 0.8, chosen.random() < 0.8
    frame = Frame(
        kind=kind,
        version=chosen.choice((1, 1, 1, 1, 2)),
        sequence=sequence,
        acknowledged=acknowledged,
        credit=8,
        first=first,
        last=last,
        payload=payload,
    )
    return encode_frame(frame, session_key(session, peer))


def talk(seed: int) -> list[bytes]:
    """Random messages of a peer to the link with session 22."""
    chosen = random.Random(seed)
    result, session = [hello(9, 22)], 9
    for _ in range(60):
        way = chosen.random()
        if way < 0.05:
            session += 1
            result.append(hello(session, chosen.choice((22, 0))))
        elif way < 0.15:
            result.append(chosen.randbytes(chosen.randrange(400)) + b"\0")
        else:
            result.append(random_frame(chosen, session, 22))
    return result


@pytest.fixture(scope="module")
def roomy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A C link that keeps as many early frames as Python does."""
    if compiler() is None:
        pytest.skip("C and Python were not compared: neither gcc nor clang is installed")
    flags = [*SANITIZERS, "-DAURICLE_EARLY_SLOTS=8"]
    return build("driver", tmp_path_factory.mktemp("roomy"), flags, files=ALL_FILES)


@pytest.mark.parametrize("seed", range(20))
def test_c_and_python_hear_the_same(seed: int, roomy: Path) -> None:
    """The same bytes, however wild, are the same events in C as in Python, whole or in pieces."""
    python = Link(22, DEVICE)
    chosen = random.Random(seed)
    heard: tuple[list[Event], list[Event]] = ([], [])
    with NativeLink(roomy, 22) as native:
        for now_ns, data in enumerate(talk(seed)):
            heard[0].extend(python.receive(data, now_ns))
            cut = chosen.randrange(len(data) + 1)
            heard[1].extend(native.receive(data[:cut], now_ns))
            heard[1].extend(native.receive(data[cut:], now_ns))
    # C leaves it to the host to count readings.
    assert [event for event in heard[0] if not isinstance(event, LinkGap)] == heard[1]
    kinds = {type(event).__name__ for event in heard[1]}
    assert {"LinkConnected", "LinkFault"} <= kinds


def test_c_reports_silence_and_a_restart(native: NativeLink) -> None:
    """C says that a peer fell silent, and that another session took its place."""
    assert native.receive(hello(9, 22), 0) == (LinkConnected(9, 1, 288, restarted=False),)
    assert native.receive(b"", 5 * SECOND_NS) == (LinkSilent(0),)
    assert native.receive(hello(10, 22), 6 * SECOND_NS) == (
        LinkConnected(10, 1, 288, restarted=True),
    )


def test_c_drops_messages_that_must_not_be_repeated(native: NativeLink) -> None:
    """At a restart of the peer C sends readings again and gives commands up."""
    native.receive(hello(9, 22), 0)
    assert native.send(Command(1, 1, b""))
    assert native.send(reading(0))
    while native.next_bytes(1):
        pass
    assert native.receive(hello(10, 22), 2) == (
        LinkUndelivered(1),
        LinkConnected(10, 1, 288, restarted=True),
    )
    assert not native.idle
    assert native.counters.messages_dropped == 1


@pytest.mark.parametrize(("size", "kept"), [(512, True), (513, False)])
def test_the_longest_message_is_exact(size: int, kept: bool, native: NativeLink) -> None:
    """Fragments of 512 bytes in all are a message to C and to Python, one byte more is a fault."""
    body = encode_message(Command(1, 2, bytes(size - 7)))
    parts = [body[at : at + 200] for at in range(0, size, 200)]
    key = session_key(9, 22)
    frames = [
        encode_frame(
            Frame(
                kind=FrameKind.DATA,
                version=1,
                sequence=n,
                acknowledged=0,
                credit=8,
                first=n == 0,
                last=n == len(parts) - 1,
                payload=part,
            ),
            key,
        )
        for n, part in enumerate(parts)
    ]
    python = Link(22, DEVICE)
    for link in (native, python):
        link.receive(hello(9, 22), 0)
        expected = Command(1, 2, bytes(size - 7)) if kept else LinkFault(FaultKind.FRAGMENT)
        assert link.receive(b"".join(frames), 1) == (expected,)


def test_c_ignores_late_hellos(native: NativeLink) -> None:
    """C ignores a hello of a session that was replaced, until its successor falls silent; then it
    takes a new session of its own.
    """
    native.receive(hello(9, 22), 0)
    native.receive(hello(10, 22), 1)
    assert native.receive(hello(9, 22), 2) == (LinkFault(FaultKind.SESSION),)
    assert native.receive(b"", 6 * SECOND_NS) == (LinkSilent(1),)
    assert native.receive(hello(9, 22), 7 * SECOND_NS) == ()
    own = zlib.crc32((22).to_bytes(4, "little"))
    again = native.receive(hello(9, own), 8 * SECOND_NS)
    assert again == (LinkConnected(9, 1, 288, restarted=True),)


def test_c_refuses_without_room(native: NativeLink) -> None:
    """C refuses messages before it is connected, when its slots are full, and when too long."""
    assert not native.send(reading(0))
    native.receive(hello(9, 22), 0)
    assert [native.send(reading(n)) for n in range(9)] == [True] * 8 + [False]
    assert native.counters.messages_dropped == 2


@pytest.mark.parametrize("credit", [0, 1, 32, 33, 63])
def test_c_sends_as_much_as_a_hello_allows(native: NativeLink, credit: int) -> None:
    """A hello that allows more frames than may be on their way allows as many as that, not none."""
    native.receive(hello(9, 22, credit), 0)
    assert native.next_bytes(0)
    assert all(native.send(reading(number)) for number in range(8))
    sent = 0
    while native.next_bytes(1):
        sent += 1
    assert sent == min(credit, 8)


def test_c_is_held_back_and_holds_back(native: NativeLink) -> None:
    """A paused C link delivers nothing until it resumes, then everything in order."""
    host = Link(11)
    loopback = wired((host, native), 1)
    assert loopback.run(lambda: host.connected, SECOND_NS)
    native.pause()
    assert all(host.send(Log("info", number, "")) for number in range(20))
    assert not loopback.run(lambda: host.idle, 3 * SECOND_NS)
    assert not any(isinstance(event, Log) for event in loopback.received[1])
    loopback.received[1].extend(native.resume(loopback.now_ns))
    assert loopback.run(lambda: host.idle, 20 * SECOND_NS)
    logs = [event for event in loopback.received[1] if isinstance(event, Log)]
    assert [log.logged_at_ns for log in logs] == list(range(20))


def test_c_cuts_and_puts_together(native: NativeLink) -> None:
    """Messages longer than a frame go both ways."""
    host = Link(11)
    loopback = wired((host, native), 1)
    assert loopback.run(lambda: host.connected and native.receive(b"", 0) == (), SECOND_NS)
    large = reading(0, 900)
    assert loopback.run(lambda: native.send(large), SECOND_NS)
    assert host.send(Command(1, 2, bytes(500)))
    assert loopback.run(lambda: native.idle and host.idle, 5 * SECOND_NS)
    assert readings(loopback.received[0]) == [large]
    assert Command(1, 2, bytes(500)) in loopback.received[1]


def test_c_faults_have_the_names_of_python() -> None:
    """The faults in C's header are those of Python, in the same order."""
    header = (SOURCES / "auricle_link.h").read_text("utf-8")
    places = [header.index(f"AURICLE_FAULT_{kind.name}") for kind in FaultKind]
    assert places == sorted(places)
    assert LinkFault(FaultKind.KIND) != LinkFault(FaultKind.WINDOW)


def test_fuzzing_finds_nothing(tmp_path: Path) -> None:
    """Generated inputs make the C link and codec neither crash nor read outside, nor overflow."""
    if compiler() is None:
        pytest.skip("the C link was not fuzzed: neither gcc nor clang is installed")
    program = build("fuzz", tmp_path, [*SANITIZERS, "-DAURICLE_ALONE"])
    found = subprocess.run(
        [program, str(FUZZ_INPUTS), "6"], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    inputs, messages = map(int, found.stdout.split())
    assert inputs == FUZZ_INPUTS
    assert messages > FUZZ_INPUTS // 50


def test_the_fuzz_target_builds_for_libfuzzer(tmp_path: Path) -> None:
    """With clang the same target runs under libFuzzer."""
    if shutil.which("clang") is None:
        pytest.skip("libFuzzer was not tried: clang is not installed")
    try:
        program = build("fuzz", tmp_path, ["-fsanitize=fuzzer,address,undefined"], using="clang")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"libFuzzer was not tried: this clang lacks it ({error.stderr[-80:]!r})")
    found = subprocess.run(
        [program, "-runs=3000", "-seed=6"], capture_output=True, cwd=tmp_path, check=False
    )
    assert found.returncode == 0, found.stderr[-2000:]


@pytest.mark.parametrize("core", ["cortex-m0", "cortex-m3", "cortex-m4"])
def test_the_link_builds_for_a_microcontroller(core: str, tmp_path: Path) -> None:
    """The cross compiler takes every file without a warning, and all of it is small."""
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("no code for Cortex-M was made: arm-none-eabi-gcc is not installed")
    objects = []
    for name in ALL_FILES:
        source, made = SOURCES / f"auricle_{name}.c", tmp_path / f"{name}.o"
        flags = [*STRICT, "-Os", f"-mcpu={core}", "-mthumb"]
        subprocess.run(["arm-none-eabi-gcc", *flags, "-c", source, "-o", made], check=True)
        objects.append(made)
    sizes = subprocess.run(
        ["arm-none-eabi-size", "-t", *objects], capture_output=True, text=True, check=True
    )
    text, data, bss = sizes.stdout.splitlines()[-1].split()[:3]
    assert int(text) < 16384
    assert data == bss == "0"


def test_the_link_needs_no_library(tmp_path: Path) -> None:
    """The C link calls nothing but the functions of string.h."""
    if compiler() is None or shutil.which("nm") is None:
        pytest.skip("the C link's needs were not listed: no compiler or no nm")
    allowed = {"memcpy", "memset", "memmove", "memcmp", "memchr"}
    for name in ALL_FILES:
        made = tmp_path / f"{name}.o"
        source = SOURCES / f"auricle_{name}.c"
        flags = ["-std=c99", "-O2", "-ffreestanding", "-c"]
        subprocess.run([compiler() or "", *flags, source, "-o", made], check=True)
        listed = subprocess.run(["nm", "-u", made], capture_output=True, text=True, check=True)
        needed = {line.split()[-1] for line in listed.stdout.splitlines()}
        own = ("auricle_", "link_", "sending_", "receiving_")
        assert {one for one in needed if not one.startswith(own)} <= allowed
