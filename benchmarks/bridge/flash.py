"""Flash memory with simulated power cuts, and model updates that survive them."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Literal

from firmware_bridge import Message, Updater, UpdateStatus, Upload

Tear = Literal["before", "torn", "after"]
TEARS: tuple[Tear, ...] = ("before", "torn", "after")
WORD_BYTES = 8
"""The smallest unit that STM32 flash programs: a double word of 64 bits."""


class PowerCutError(Exception):
    """The simulated power is off; no write happens any more."""


class MemoryFlash:
    """Two slots of flash.  Each word write and each erase counts as one write; write number
    `cut_at` happens not at all, in part, or completely, and then the power is off.  Between two
    erases a word may be written once."""

    def __init__(self, page_bytes: int = 256, pages: int = 13) -> None:
        self.page_bytes = page_bytes
        self.pages = pages
        self.slots = [bytearray(b"\xff" * page_bytes * pages) for _ in (0, 1)]
        self.writes = 0
        self._cut_at = -1
        self._tear: Tear = "before"
        self._random = Random(0)

    def cut(self, at: int, tear: Tear, seed: int) -> None:
        """Start counting writes, and cut the power at one of them; -1: never."""
        self.writes, self._cut_at, self._tear = 0, at, tear
        self._random = Random(seed)

    def _step(self, slot: int, offset: int, old: bytes, new: bytes) -> None:
        if self._cut_at >= 0 and self.writes > self._cut_at:
            raise PowerCutError
        cut, self.writes = self.writes == self._cut_at, self.writes + 1
        if cut and self._tear == "before":
            raise PowerCutError
        if cut and self._tear == "torn":
            mixed = zip(old, new, self._random.randbytes(len(old)), strict=True)
            new = bytes((a & m) | (b & ~m & 255) for a, b, m in mixed)
        self.slots[slot][offset : offset + len(new)] = new
        if cut:
            raise PowerCutError

    def erase(self, slot: int, page: int) -> None:
        """Blank a page."""
        at = page * self.page_bytes
        old = bytes(self.slots[slot][at : at + self.page_bytes])
        self._step(slot, at, old, b"\xff" * self.page_bytes)

    def write(self, slot: int, offset: int, data: bytes) -> None:
        """Write words that are erased."""
        assert offset % WORD_BYTES == len(data) % WORD_BYTES == 0
        for at in range(0, len(data), WORD_BYTES):
            place = offset + at
            old = bytes(self.slots[slot][place : place + WORD_BYTES])
            assert old == b"\xff" * WORD_BYTES, "a word is written twice"
            self._step(slot, place, old, data[at : at + WORD_BYTES])

    def read(self, slot: int, offset: int, count: int) -> bytes:
        """Return the content of a range."""
        return bytes(self.slots[slot][offset : offset + count])


@dataclass(frozen=True)
class FlashModel:
    """A model and its upload, created again for each attempt."""

    body: bytes
    upload: Callable[[], Upload]


def install(updater: Updater, model: FlashModel) -> bool:
    """Upload, try and confirm a model as a host does; returns whether it runs confirmed."""
    upload = model.upload()
    waiting: list[Message] = [*upload.open()]
    while waiting:
        status = updater.handle(waiting.pop(0))
        assert isinstance(status, UpdateStatus)
        waiting += upload.answer(status)
        if upload.state == "ready" and not waiting:
            updater.start()
            waiting += upload.open()
        elif upload.state == "trial" and not waiting:
            waiting += upload.confirm()
    return updater.model == model.body and not updater.on_trial


def cut_everywhere(
    make: Callable[[MemoryFlash], Updater], old: FlashModel, new: FlashModel
) -> Iterator[bool]:
    """For each write of an update from `old` to `new` and each kind of cut, cut the power, then
    once more during the second attempt; returns whether the device always started with one of both
    models and the update finally succeeded."""
    whole = _prepared(make, old)
    assert install(make(whole), new)
    for at in range(whole.writes):
        for place, tear in enumerate(TEARS):
            flash = _prepared(make, old)
            works = _survives(make, flash, old=old, new=new, at=at, tear=tear)
            second = (at * 7 + place * 31) % whole.writes
            works &= _survives(make, flash, old=old, new=new, at=second, tear=TEARS[place - 1])
            yield works and install(make(flash), new) and make(flash).model == new.body


def _survives(
    make: Callable[[MemoryFlash], Updater],
    flash: MemoryFlash,
    old: FlashModel,
    new: FlashModel,
    at: int,
    tear: Tear,
) -> bool:
    flash.cut(at, tear, at)
    with suppress(PowerCutError):
        install(make(flash), new)
    flash.cut(-1, "before", 0)
    return make(flash).model in {old.body, new.body}


def _prepared(make: Callable[[MemoryFlash], Updater], old: FlashModel) -> MemoryFlash:
    flash = MemoryFlash()
    assert install(make(flash), old)
    flash.cut(-1, "before", 0)
    return flash
