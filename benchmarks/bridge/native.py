"""The C link, compiled for this machine and driven from Python with the interface of `Link`."""

import shutil
import struct
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import firmware_bridge
from firmware_bridge import (
    Counters,
    Event,
    FaultKind,
    LinkConnected,
    LinkFault,
    LinkSilent,
    LinkUndelivered,
    Message,
    decode_message,
    encode_message,
)

SOURCES = Path(firmware_bridge.__file__).parent / "c"
PROGRAMS = Path(__file__).parent / "c"
LINK_FILES = ("frames", "messages", "sending", "receiving", "link")
UPDATE_FILES = ("messages", "sha512", "ed25519", "slots", "update")
ALL_FILES = tuple(dict.fromkeys((*LINK_FILES, *UPDATE_FILES)))
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-pedantic", "-Werror")
FAULTS = tuple(FaultKind)


def compiler() -> str | None:
    """Return the host's C compiler, None without one."""
    return next((name for name in ("gcc", "clang") if shutil.which(name)), None)


def build(
    program: str,
    folder: Path,
    flags: Sequence[str] = (),
    *,
    using: str = "",
    files: Sequence[str] = LINK_FILES,
) -> Path:
    """Compile a program of benchmarks/bridge/c with the shipped C, for which all warnings are
    errors.  Needs a compiler; raises subprocess.CalledProcessError if compiling fails."""
    command = using or compiler() or "gcc"
    objects = []
    for name in files:
        made = folder / f"{program}_{name}.o"
        source = SOURCES / f"auricle_{name}.c"
        arguments = [*STRICT, "-g", "-O1", *flags, "-c", str(source), "-o", str(made)]
        subprocess.run([command, *arguments], check=True, capture_output=True)
        objects.append(str(made))
    out = folder / program
    arguments = ["-std=c99", "-g", "-O1", *flags, f"-I{SOURCES}", str(PROGRAMS / f"{program}.c")]
    subprocess.run([command, *arguments, *objects, "-o", str(out)], check=True, capture_output=True)
    return out


class NativeLink:
    """A link in C in a separate process, with the interface of firmware_bridge.Link."""

    def __init__(self, driver: Path, session: int = 1) -> None:
        self._process = subprocess.Popen(
            [str(driver)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._request("B", 0, struct.pack("<I", session))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()

    def _request(self, operation: str, now_ns: int, data: bytes = b"") -> bytes:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(struct.pack("<cQI", operation.encode(), now_ns, len(data)) + data)
        self._process.stdin.flush()
        size = self._process.stdout.read(4)
        if len(size) < 4:
            raise AssertionError(self._process.communicate()[1].decode())
        return self._process.stdout.read(int.from_bytes(size, "little"))

    def restart(self, session: int) -> None:
        """Restart the link, as a reset of the device does."""
        self._request("B", 0, struct.pack("<I", session))

    def receive(self, data: bytes, now_ns: int) -> tuple[Event, ...]:
        """As Link.receive, without gaps: C does not count readings."""
        return tuple(_events(self._request("R", now_ns, data)))

    def next_bytes(self, now_ns: int) -> bytes:
        """As Link.next_bytes."""
        return self._request("T", now_ns)

    def wake_at_ns(self, now_ns: int) -> int:
        """As Link.wake_at_ns."""
        return int.from_bytes(self._request("W", now_ns), "little")

    def send(self, message: Message) -> bool:
        """As Link.send."""
        return self._request("S", 0, encode_message(message)) == b"\0"

    def pause(self) -> None:
        """As Link.pause."""
        self._request("P", 0)

    def resume(self, now_ns: int) -> tuple[Event, ...]:
        """As Link.resume."""
        return tuple(_events(self._request("Q", now_ns)))

    @property
    def idle(self) -> bool:
        """As Link.idle."""
        return self._request("I", 0) == b"\1"

    @property
    def counters(self) -> Counters:
        """As Link.counters."""
        found = decode_message(self._request("C", 0)[4:])
        assert isinstance(found, Counters)
        return found

    def start_updater(self, key: bytes = b"") -> None:
        """Start an updater on 12 pages of 256 bytes: erased with a key, else unchanged."""
        self._request("K" if key else "V", 0, key)

    def update(self, message: Message) -> Message | None:
        """As Updater.handle."""
        return decode_message(self._request("U", 0, encode_message(message))[4:])

    def echo(self, blocks: Sequence[bytes]) -> list[bytes]:
        """Decode and encode each block in C; empty for a block that is not a message."""
        sized = b"".join(len(block).to_bytes(4, "little") + block for block in blocks)
        answer = self._request("E", 0, sized)
        found = []
        while answer:
            size = int.from_bytes(answer[:4], "little")
            found.append(answer[4 : 4 + size])
            answer = answer[4 + size :]
        return found


def _events(data: bytes) -> Iterator[Event]:
    while data:
        kind, data = data[0], data[1:]
        event, taken = _event(kind, data)
        yield event
        data = data[taken:]


def _event(kind: int, data: bytes) -> tuple[Event, int]:
    if kind == 0:
        size = int.from_bytes(data[:4], "little")
        message = decode_message(data[4 : 4 + size])
        assert message is not None
        return message, 4 + size
    if kind == 1:
        return LinkConnected(int.from_bytes(data[:4], "little"), 1, 288, bool(data[4])), 5
    if kind == 2:
        return LinkFault(FAULTS[data[0]]), 1
    if kind == 3:
        return LinkUndelivered(int.from_bytes(data[:4], "little")), 4
    return LinkSilent(int.from_bytes(data[:8], "little")), 8
