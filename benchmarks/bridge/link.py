"""The link half of the benchmark `bridge`: faulty wires, throughput, fuzzing, power cuts.

Functions that measure C need a C compiler; without one (`native.compiler`) the C part is skipped.
"""

import random
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from firmware_bridge import (
    Command,
    Event,
    Link,
    LinkGap,
    LinkSettings,
    Loopback,
    Reading,
    Updater,
    Upload,
    Wire,
    WireFaults,
    decode_message,
    encode_message,
    offer_model,
)

from .flash import FlashModel, MemoryFlash, cut_everywhere
from .native import ALL_FILES, SANITIZERS, UPDATE_FILES, NativeLink, build, compiler
from .signing import Signer, verify

SECOND_NS = 1_000_000_000
"""Nanoseconds."""
# 115,200 baud: ten bits a byte.
BYTE_NS = 86_806
DELAY_NS = 1_000_000
"""A millisecond: the order of a USB serial adapter's latency."""
DEVICE = LinkSettings(288, 8, 512, 2048, sync_clock=False)
# Faults of whole frames, and of single bytes: one byte in a hundred suffers one of the four.
WIRES = {
    "clean": WireFaults(),
    "frames": WireFaults(0.01, 0.01, 0.01, 0.01),
    "bytes": WireFaults(0.0025, 0.0025, 0.0025, 0.0025, bytewise=True),
}
FAULTY_SHARES = (0.001, 0.01)
"""Share of bytes that suffer one of four faults.  Chosen by hand."""
FUZZ_STEP = 1_000_000
"""Inputs given to one process of the fuzzing program; bounds its run time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Readings over one wire.  unreported: neither received exactly once, in order and unharmed,
    nor part of a reported gap; refused: the device had no room, which a gap must report."""

    name: str
    frames_sent: int
    readings: int
    refused: int
    unreported: int
    seconds: float


def _reading(number: int, size: int) -> Reading:
    values = bytes((number * 7 + place) & 255 for place in range(size))
    return Reading(1, "uint8", number, number * 1000, values)


@dataclass(slots=True, kw_only=True)
class _Stream:
    """A device that sends `count` readings.  patient: waits for room; otherwise readings without
    room are dropped."""

    device: Link | NativeLink
    count: int
    size: int
    patient: bool
    sent: int = 0
    refused: int = 0

    def step(self) -> bool:
        """Send due readings; returns whether all are sent and acknowledged."""
        while self.sent < self.count:
            taken = self.device.send(_reading(self.sent, self.size))
            if not taken and self.patient:
                return False
            self.sent += 1
            self.refused += not taken
            if not self.patient and self.sent % 3 == 0:
                return False
        return self.device.idle


def deliveries(count: int = 5_000) -> list[Delivery]:
    """Send `count` readings over each wire, from a Python and from a C device, patient and not."""
    found = []
    with ExitStack() as opened:
        for kind, make in _devices(opened).items():
            for wire, faults in WIRES.items():
                for patient in (True, False):
                    name = f"{kind} {wire} {'patient' if patient else 'dropping'}"
                    found.append(_deliver(name, make(), faults, count, patient=patient))
    return found


def _loopback(device: Link | NativeLink, faults: WireFaults, byte_ns: int, seed: int) -> Loopback:
    wires = [Wire(seed + side, faults, byte_ns=byte_ns, delay_ns=DELAY_NS) for side in (0, 1)]
    return Loopback((Link(11), device), (wires[0], wires[1]))


def _deliver(
    name: str, device: Link | NativeLink, faults: WireFaults, count: int, *, patient: bool
) -> Delivery:
    loopback = _loopback(device, faults, BYTE_NS, 6)
    stream = _Stream(device=device, count=count, size=16, patient=patient)
    hours_ns = 36_000 * SECOND_NS
    whole = loopback.run(stream.step, hours_ns)
    # One more reading, so that a gap at the end is noticed.
    last = _Stream(device=device, count=count + 1, size=16, patient=True, sent=count)
    whole = loopback.run(last.step, hours_ns) and whole
    unreported = _unreported(loopback.received[0], count + 1) if whole else count
    sent = device.counters.frames_sent
    seconds = loopback.now_ns / SECOND_NS
    return Delivery(
        name=name,
        frames_sent=sent,
        readings=count + 1,
        refused=stream.refused,
        unreported=unreported,
        seconds=seconds,
    )


def _unreported(heard: list[Event], count: int) -> int:
    """Return how many of `count` readings were not received exactly once, unharmed and in order,
    and are in no gap; and how many are in a gap although they arrived."""
    state = ["missing"] * count
    last, wrong = -1, 0
    for event in heard:
        if isinstance(event, LinkGap):
            for number in range(event.first, event.first + event.count):
                wrong += state[number] != "missing"
                state[number] = "reported"
        elif isinstance(event, Reading):
            number = event.sequence
            right = event == _reading(number, 16) and number > last
            wrong += state[number] != "missing" or not right
            state[number], last = "heard", number
    return wrong + state.count("missing")


def throughput(count: int = 2_000, size: int = 256) -> dict[str, float]:
    """Return the bytes of reading values that arrive as a share of the capacity of the wire, by the
    device's language; handshake and last acknowledgement count as time."""
    found = {}
    with ExitStack() as opened:
        for name, make in _devices(opened).items():
            device = make()
            loopback = _loopback(device, WireFaults(), BYTE_NS, 1)
            if not loopback.run(
                _Stream(device=device, count=count, size=size, patient=True).step, 10**15
            ):
                raise AssertionError("a clean wire did not deliver")
            found[name] = count * size * BYTE_NS / loopback.now_ns
    return found


def goodput(size: int = 256, seconds: int = 60) -> dict[str, float]:
    """Return the share of the wire's capacity that reading values reach under byte faults, for the
    worse of both languages; by the share of faulty bytes."""
    found: dict[str, float] = {}
    with ExitStack() as opened:
        devices = _devices(opened)
        for share in FAULTY_SHARES:
            each = share / 4
            faults = WireFaults(each, each, each, each, bytewise=True)
            got = [arrived(make(), faults, size, seconds) for make in devices.values()]
            found[f"{share:g}"] = min(got)
    return found


def arrived(device: Link | NativeLink, faults: WireFaults, size: int, seconds: int) -> float:
    """Return the bytes of reading values that arrive as a share of the capacity of the wire."""
    loopback = _loopback(device, faults, BYTE_NS, 5)
    stream = _Stream(device=device, count=1 << 30, size=size, patient=True)
    loopback.run(stream.step, seconds * SECOND_NS)
    count = sum(isinstance(event, Reading) for event in loopback.received[0])
    return count * size * BYTE_NS / loopback.now_ns


def _devices(opened: ExitStack) -> dict[str, Callable[[], Link | NativeLink]]:
    """Return the constructor of a device by language."""
    devices: dict[str, Callable[[], Link | NativeLink]] = {"python": lambda: Link(22, DEVICE)}
    if compiler() is not None:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
        driver = build("driver", folder, ["-O2"], files=ALL_FILES)
        devices["c"] = lambda: opened.enter_context(NativeLink(driver, 22))
    return devices


@dataclass(frozen=True, slots=True)
class Fuzzing:
    """Inputs tried and inputs that crashed, raised, or were reported by a sanitizer."""

    inputs: int
    crashes: int


def fuzz_c(inputs: int = 10_000_000, seed: int = 1) -> Fuzzing:
    """Feed generated inputs to the C link and codec under address and undefined-behaviour
    sanitizers, in runs of a million; a failed run counts as one crash and as no inputs."""
    if compiler() is None:
        return Fuzzing(0, 0)
    tried = crashes = 0
    with tempfile.TemporaryDirectory() as folder:
        program = build("fuzz", Path(folder), ["-O2", *SANITIZERS, "-DAURICLE_ALONE"])
        for step in range(0, inputs, FUZZ_STEP):
            count = min(FUZZ_STEP, inputs - step)
            command = [str(program), str(count), str(seed + step)]
            done = subprocess.run(command, capture_output=True, check=False).returncode == 0
            tried += count * done
            crashes += not done
    return Fuzzing(tried, crashes)


def fuzz_python(inputs: int = 200_000, seed: int = 1) -> Fuzzing:
    """Feed generated inputs to the Python link and codec: arbitrary bytes, damaged messages, and
    damaged recordings of a session."""
    chosen = random.Random(seed)
    recording = _recording()
    crashes = 0
    for number in range(inputs):
        data = _input(chosen, recording)
        try:
            decode_message(data)
            link = Link(11)
            link.receive(data, number)
            link.next_bytes(number + SECOND_NS)
        except Exception:  # noqa: BLE001  (whatever it is, it is what fuzzing looks for)
            crashes += 1
    return Fuzzing(inputs, crashes)


def _recording() -> bytes:
    """Return the bytes that a device sends in a session with the host of session 11."""
    device = Link(22, DEVICE)
    loopback = _loopback(device, WireFaults(), 1000, 3)
    sent = bytearray()
    spoken = device.next_bytes

    def next_bytes(now_ns: int) -> bytes:
        data = spoken(now_ns)
        sent.extend(data)
        return data

    device.next_bytes = next_bytes  # type: ignore[method-assign]
    device.send(Command(1, 2, b"go"))
    loopback.run(_Stream(device=device, count=6, size=40, patient=True).step, SECOND_NS)
    return bytes(sent)


def _input(chosen: random.Random, recording: bytes) -> bytes:
    way = chosen.randrange(3)
    if way == 0:
        return chosen.randbytes(chosen.randrange(100))
    data = bytearray(recording if way == 1 else encode_message(_reading(chosen.randrange(99), 9)))
    for _ in range(chosen.randrange(4)):
        data[chosen.randrange(len(data))] = chosen.randrange(256)
    return bytes(data[: chosen.randrange(len(data)) if chosen.random() < 0.2 else len(data)])


@dataclass(frozen=True, slots=True)
class PowerCuts:
    """Cuts tried, and cuts after which a device had no working model or accepted no update."""

    points: int
    bad: int


def power_cuts(sizes: tuple[int, int] = (2_000, 3_072)) -> dict[str, PowerCuts]:
    """Replace a model of sizes[0] bytes by one of sizes[1] with a power cut at every write, before,
    during and after it, and a second cut during the second attempt; by language."""
    signer = Signer(bytes(range(32)))
    models = [_model(signer, number + 1, size) for number, size in enumerate(sizes)]

    @cache
    def check(signature: bytes, message: bytes) -> bool:
        return verify(signer.key, signature, message)

    def make(flash: MemoryFlash) -> Updater:
        return Updater(flash, check)

    outcomes = list(cut_everywhere(make, *models))
    found = {"python": PowerCuts(len(outcomes), outcomes.count(False))}
    if compiler() is not None:
        found["c"] = _power_cuts_c(signer, sizes)
    return found


def _offers(signer: Signer, sizes: tuple[int, int]) -> Iterator[bytes]:
    for number, size in enumerate(sizes):
        body = random.Random(number).randbytes(size)
        yield encode_message(offer_model(body, number + 1, signer.sign))
        yield struct.pack("<I", size) + body


def _model(signer: Signer, revision: int, size: int) -> FlashModel:
    body = random.Random(revision).randbytes(size)
    offer = offer_model(body, revision, signer.sign)
    return FlashModel(body, lambda: Upload(offer, body, 64))


def _power_cuts_c(signer: Signer, sizes: tuple[int, int]) -> PowerCuts:
    with tempfile.TemporaryDirectory() as folder:
        program = build("powercut", Path(folder), ["-O2"], files=UPDATE_FILES)
        given = signer.key + b"".join(_offers(signer, sizes))
        done = subprocess.run([str(program)], input=given, capture_output=True, check=True)
    points, bad = map(int, done.stdout.split())
    return PowerCuts(points, bad)


def summary(*, count: int, inputs: int) -> dict[str, float]:
    """Return the link's keys of the summary; the worse figure of two languages.  count: readings
    per wire; inputs: fuzzing inputs for C, a fiftieth of them for Python."""
    delivered = deliveries(count)
    fuzzed = (fuzz_c(inputs), fuzz_python(inputs // 50))
    cuts = power_cuts().values()
    return {
        "frames_sent": sum(one.frames_sent for one in delivered),
        "frames_lost_unreported": sum(one.unreported for one in delivered),
        "throughput_ratio": min(throughput().values()),
        **{f"goodput_at_{share}": value for share, value in goodput().items()},
        "fuzz_inputs": sum(one.inputs for one in fuzzed),
        "fuzz_crashes": sum(one.crashes for one in fuzzed),
        "powercut_points": sum(one.points for one in cuts),
        "powercut_bad": sum(one.bad for one in cuts),
    }
