"""Model updates: refused, resumed, tried, kept, taken back, and cut short at any write."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from benchmarks.bridge.flash import FlashModel, MemoryFlash, cut_everywhere, install
from benchmarks.bridge.native import (
    SANITIZERS,
    SOURCES,
    STRICT,
    UPDATE_FILES,
    NativeLink,
    build,
    compiler,
)
from benchmarks.bridge.signing import ORDER, Signer, verify
from firmware_bridge import (
    Command,
    Link,
    Message,
    UpdateBegin,
    UpdateChunk,
    UpdateCommit,
    UpdateConfirm,
    UpdateQuery,
    Updater,
    UpdateStatus,
    Upload,
    WireFaults,
    encode_message,
    offer_model,
)
from firmware_bridge.slots import CONFIRMED, TRIED
from tests.bridges import DEVICE, SECOND_NS, pair

SIGNER = Signer(bytes(range(32)))
KEY = SIGNER.key


@cache
def check(signature: bytes, message: bytes) -> bool:
    """Whether the fleet signed a message."""
    return verify(KEY, signature, message)


@cache
def offer(revision: int, size: int) -> tuple[UpdateBegin, bytes]:
    """A signed model of some size."""
    body = random.Random(revision).randbytes(size)
    return offer_model(body, revision, SIGNER.sign), body


def model(revision: int, size: int = 1500, chunk_bytes: int = 64) -> FlashModel:
    """A model with its upload."""
    offered, body = offer(revision, size)
    return FlashModel(body, lambda: Upload(offered, body, chunk_bytes))


def device(flash: MemoryFlash | None = None) -> Updater:
    """A device that trusts the fleet's key."""
    return Updater(flash or MemoryFlash(), check)


def reasons(updater: Updater, *messages: Message) -> list[str]:
    """Why each message was refused, or none."""
    answers = [updater.handle(message) for message in messages]
    return [one.reason for one in answers if isinstance(one, UpdateStatus)]


def send(updater: Updater, revision: int, size: int = 1500) -> None:
    """All chunks of a model, in one."""
    assert reasons(updater, UpdateChunk(0, offer(revision, size)[1])) == ["none"]


def test_a_model_is_installed() -> None:
    """Received, tried and confirmed, a model runs, also after the next start."""
    flash = MemoryFlash()
    assert install(device(flash), model(1))
    assert device(flash).model == model(1).body
    assert install(device(flash), model(2, 900))
    assert install(device(flash), model(3, 3072))
    assert device(flash).model == model(3, 3072).body


def test_a_model_on_trial_is_taken_back() -> None:
    """A model that was not confirmed runs once; the next start goes back to the one before, and the
    same revision may be sent again.
    """
    flash = MemoryFlash()
    assert install(device(flash), model(1))
    updater = device(flash)
    assert reasons(updater, offer(2, 1500)[0]) == ["none"]
    send(updater, 2)
    assert reasons(updater, UpdateCommit(2), UpdateCommit(2)) == ["none", "none"]
    assert updater.model == model(1).body
    updater.start()
    assert updater.on_trial
    assert updater.model == model(2).body
    updater.start()
    assert (updater.model, updater.on_trial) == (model(1).body, False)
    assert install(updater, model(2))


def test_an_invalid_offer_is_refused() -> None:
    """A wrong signature, a revision that does not rise, a model too large or empty, and an update
    while another is on trial are refused before anything is erased.
    """
    flash = MemoryFlash()
    assert install(device(flash), model(5))
    updater = device(flash)
    before = bytes(flash.slots[0] + flash.slots[1])
    good = offer(6, 1500)[0]
    forged = UpdateBegin(6, 1500, good.digest, good.signature[:-1] + b"\0")
    changed = UpdateBegin(7, 1500, good.digest, good.signature)
    large = offer(6, 3073)[0]
    empty = offer(6, 0)[0]
    offers = [forged, changed, offer(5, 1500)[0], offer(4, 1500)[0], large, empty]
    expected = ["signature", "signature", "revision", "revision", "size", "size"]
    assert reasons(updater, *offers) == expected
    assert bytes(flash.slots[0] + flash.slots[1]) == before


def test_a_changed_signature_is_no_signature(native: NativeLink) -> None:
    """Adding the order of the group to a signature's number, which changes nothing in the equation,
    is refused, as RFC 8032 asks; in C as in Python.
    """
    begin = offer(1, 100)[0]
    number = int.from_bytes(begin.signature[32:], "little") + ORDER
    other = begin.signature[:32] + number.to_bytes(32, "little")
    native.start_updater(KEY)
    changed = replace(begin, signature=other)
    for handle in (native.update, device().handle):
        status = handle(changed)
        assert isinstance(status, UpdateStatus)
        assert (status.state, status.reason) == ("idle", "signature")


@pytest.mark.parametrize("newer", [0, 1])
def test_half_an_erasure_brings_nothing_back(newer: int) -> None:
    """An old confirmed model whose markers of trial and confirmation an erasure has wiped, and
    nothing else, is not tried again.
    """
    flash = MemoryFlash()
    for revision in range(1, 3 + newer):
        assert install(device(flash), model(revision))
    running = device(flash).running
    assert running is not None
    flash.slots[1 - running][TRIED : CONFIRMED + 8] = b"\xff" * 16
    updater = device(flash)
    assert (updater.running, updater.on_trial) == (running, False)


def test_no_update_begins_during_a_trial() -> None:
    """Until the model on trial is confirmed or given up, the slot it came from is not touched."""
    flash = MemoryFlash()
    assert install(device(flash), model(1))
    updater = device(flash)
    updater.handle(offer(2, 1500)[0])
    send(updater, 2)
    updater.handle(UpdateCommit(2))
    updater.start()
    assert reasons(updater, offer(3, 1500)[0], UpdateConfirm(1)) == ["unconfirmed", "unexpected"]
    assert reasons(updater, UpdateConfirm(2), UpdateConfirm(2)) == ["none", "none"]
    assert reasons(updater, offer(3, 1500)[0]) == ["none"]


def test_parts_out_of_sequence_are_refused() -> None:
    """Parts out of place, too long or without an offer, and an early commit are refused."""
    updater = device()
    begin, body = offer(1, 100)
    assert reasons(updater, UpdateChunk(0, b"x"), UpdateCommit(1)) == ["unexpected"] * 2
    assert reasons(updater, begin, UpdateCommit(1)) == ["none", "unexpected"]
    assert reasons(updater, UpdateChunk(8, body[8:16])) == ["unexpected"]
    assert reasons(updater, UpdateChunk(0, body[:9]), UpdateChunk(0, body + b"x")) == [
        "size",
        "unexpected",
    ]
    assert reasons(updater, UpdateChunk(0, body[:8]), UpdateChunk(0, body[:8])) == ["none"] * 2
    assert updater.handle(Command(1, 1, b"")) is None


def test_a_model_that_arrived_wrong_is_not_tried() -> None:
    """Bytes that do not have the signed digest are refused at the commit."""
    flash = MemoryFlash()
    assert install(device(flash), model(1))
    updater = device(flash)
    begin, body = offer(2, 100)
    assert reasons(updater, begin, UpdateChunk(0, body[:-1] + b"\0"), UpdateCommit(2)) == [
        "none",
        "none",
        "digest",
    ]
    updater.start()
    assert updater.model == model(1).body


def test_a_rotten_model_is_not_chosen() -> None:
    """A confirmed model whose flash has changed is passed over for the one before."""
    flash = MemoryFlash()
    assert install(device(flash), model(1))
    assert install(device(flash), model(2))
    running = device(flash).running
    assert running is not None
    flash.slots[running][flash.page_bytes + 700] ^= 4
    assert device(flash).model == model(1).body


def test_an_upload_goes_on_where_it_was() -> None:
    """After a restart the device keeps the whole pages that it had, and only the rest is sent."""
    flash = MemoryFlash()
    updater = device(flash)
    begin, body = offer(1, 1500)
    updater.handle(begin)
    for at in range(0, 1024, 64):
        updater.handle(UpdateChunk(at, body[at : at + 64]))
    updater = device(flash)
    status = updater.handle(begin)
    assert isinstance(status, UpdateStatus)
    assert status.offset == 768
    assert install(updater, model(1))


def test_a_failing_flash_is_reported() -> None:
    """If the flash refuses a write, the answer reports it and the update can be sent again."""
    flash = MemoryFlash()
    updater = device(flash)
    written = flash.write

    def refuse(slot: int, offset: int, data: bytes) -> None:
        raise OSError(slot, offset, data)

    flash.write = refuse  # type: ignore[method-assign]
    assert reasons(updater, offer(1, 100)[0], UpdateQuery()) == ["flash", "none"]
    flash.write = written  # type: ignore[method-assign]
    assert install(updater, model(1))


def test_a_refused_upload_reports_the_reason() -> None:
    """An upload that the device refuses ends with the reason."""
    updater = device()
    offered, body = offer(1, 100)
    upload = Upload(UpdateBegin(1, 100, offered.digest, bytes(64)), body)
    status = updater.handle(UpdateQuery())
    assert isinstance(status, UpdateStatus)
    (begin,) = upload.answer(status)
    refused = updater.handle(begin)
    assert isinstance(refused, UpdateStatus)
    assert upload.answer(refused) == ()
    assert (upload.state, upload.reason) == ("refused", "signature")


def test_lost_answers_are_requested_again() -> None:
    """An upload goes through although the device's link drops most answers, with one question
    for each second of silence and none after the end.
    """
    updater, offered = device(), model(1)
    upload, chosen = offered.upload(), random.Random(3)
    waiting: list[Message] = []
    offers = 0
    for now_ns in range(0, 400 * SECOND_NS, SECOND_NS // 4):
        polled = upload.poll(now_ns)
        offers += len(polled)
        waiting += polled
        while waiting:
            status = updater.handle(waiting.pop(0))
            assert isinstance(status, UpdateStatus)
            if chosen.random() < 0.3:
                waiting += upload.answer(status)
        if upload.state == "ready" and not updater.on_trial:
            updater.start()
        if upload.state == "trial":
            waiting += upload.confirm()
    assert upload.state == "confirmed"
    assert 5 < offers < 100
    assert updater.model == offered.body


@pytest.mark.parametrize("sizes", [(900, 2003), (64, 8), (3072, 300)], ids=str)
def test_a_power_cut_leaves_a_working_model(sizes: tuple[int, int]) -> None:
    """Whichever write of an update is cut, not done, torn or done, and a second one after it, the
    device starts with the old or the new model, and the update succeeds afterwards.
    """
    outcomes = list(cut_everywhere(device, model(1, sizes[0]), model(2, sizes[1])))
    assert len(outcomes) > 60
    assert all(outcomes)


def test_a_power_cut_leaves_a_working_model_in_c(tmp_path: Path) -> None:
    """The same in C, for as many cuts."""
    if compiler() is None:
        pytest.skip("power cuts were not tried in C: neither gcc nor clang is installed")
    program = build("powercut", tmp_path, ["-O2", *SANITIZERS], files=UPDATE_FILES)
    given = KEY
    for revision, size in ((1, 200), (2, 600)):
        begin, body = offer(revision, size)
        given += encode_message(begin) + struct.pack("<I", size) + body
    found = subprocess.run([program], input=given, capture_output=True, check=False)
    assert found.returncode == 0, found.stderr
    points, bad = map(int, found.stdout.split())
    outcomes = list(cut_everywhere(device, model(1, 200), model(2, 600)))
    assert (points, bad) == (len(outcomes), 0)


def test_an_update_over_a_bad_wire() -> None:
    """Over a wire with faults, with a restart of the device in between, a model is installed."""
    faults = WireFaults(0.02, 0.02, 0.02, 0.02)
    _, _, loopback = pair(3, faults)
    flash = MemoryFlash()
    updater, offered, heard = device(flash), model(1, 3000), [0, 0]
    upload, restarts, host = offered.upload(), 0, loopback.ends[0]
    assert isinstance(host, Link)

    def pump() -> bool:
        nonlocal upload, updater, restarts
        link = loopback.ends[1]
        assert isinstance(link, Link)
        for event in loopback.received[1][heard[1] :]:
            answer = updater.handle(event) if isinstance(event, Message) else None
            assert answer is None or link.send(answer)
        for event in loopback.received[0][heard[0] :]:
            if type(event).__name__ == "LinkConnected":
                assert all(map(host.send, upload.open()))
            if isinstance(event, UpdateStatus):
                assert all(map(host.send, upload.answer(event)))
        heard[:] = map(len, loopback.received)
        if upload.offset > 1500 and not restarts:
            restarts, updater = 1, device(flash)
            loopback.ends[1] = Link(99, DEVICE)
        return upload.state == "ready"

    assert loopback.run(pump, 120 * SECOND_NS)
    assert restarts == 1
    updater.start()
    assert updater.model == offered.body
    assert updater.on_trial


@pytest.mark.parametrize("seed", range(6))
def test_c_and_python_answer_the_same(seed: int, native: NativeLink) -> None:
    """Any sequence of update messages and restarts gets the same answers from C as from Python."""
    chosen = random.Random(seed)
    flash = MemoryFlash()
    updater = device(flash)
    native.start_updater(KEY)
    for _ in range(150):
        if chosen.random() < 0.05:
            updater.start()
            native.start_updater()
            continue
        revision = chosen.randrange(1, 4)
        begin, body = offer(revision, 100 * revision)
        at = chosen.choice((0, 0, updater._offset, updater._offset, 64))  # noqa: SLF001
        message = chosen.choice(
            (
                begin,
                UpdateBegin(revision, 50, begin.digest, begin.signature),
                UpdateChunk(at, body[at : at + 64]),
                UpdateChunk(updater._offset, body[updater._offset :]),  # noqa: SLF001
                UpdateCommit(revision),
                UpdateConfirm(revision),
                UpdateQuery(),
            )
        )
        assert native.update(message) == updater.handle(message), message


def test_the_updater_is_small(tmp_path: Path) -> None:
    """Updater and signature check take less than 6 KiB of flash on a Cortex-M3."""
    if shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("no code for Cortex-M was made: arm-none-eabi-gcc is not installed")
    total = 0
    for name in UPDATE_FILES[1:]:
        made = tmp_path / f"{name}.o"
        flags = [*STRICT, "-Os", "-mcpu=cortex-m3", "-mthumb", "-c"]
        source = SOURCES / f"auricle_{name}.c"
        subprocess.run(["arm-none-eabi-gcc", *flags, source, "-o", made], check=True)
        listed = subprocess.run(
            ["arm-none-eabi-size", made], capture_output=True, text=True, check=True
        )
        total += int(listed.stdout.splitlines()[1].split()[0])
    assert total < 6144
