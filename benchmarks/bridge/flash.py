"""Flash in memory whose power can be cut at any write, and what a model update makes of that."""

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
    """The power is gone; nothing is written any more."""


class MemoryFlash:
    """Two slots. Each word and each erasure is one write; the power is cut at number `cut_at`,
    which happens not at all, in part, or whole. A word is written once between two erasures."""

    def __init__(self, page_bytes: int = 256, pages: int = 13) -> None:
        self.page_bytes = page_bytes
        self.pages = pages
        self.slots = [bytearray(b"\xff" * page_bytes * pages) for _ in (0, 1)]
        self.writes = 0
        self._cut_at = -1
        self._tear: Tear = "before"
        self._random = Random(0)

    def cut(self, at: int, tear: Tear, seed: int) -> None:
        """Count writes from now on, and cut the power at one of them; -1: never."""
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
        """Write blank words."""
        assert offset % WORD_BYTES == len(data) % WORD_BYTES == 0
        for at in range(0, len(data), WORD_BYTES):
            place = offset + at
            old = bytes(self.slots[slot][place : place + WORD_BYTES])
            assert old == b"\xff" * WORD_BYTES, "a word is written twice"
            self._step(slot, place, old, data[at : at + WORD_BYTES])

    def read(self, slot: int, offset: int, count: int) -> bytes:
        """What stands there."""
        return bytes(self.slots[slot][offset : offset + count])


@dataclass(frozen=True)
class FlashModel:
    """A model with the upload of it, made anew for each try."""

    body: bytes
    upload: Callable[[], Upload]


def install(updater: Updater, model: FlashModel) -> bool:
    """Upload, try and confirm a model as a host does; whether it runs confirmed then."""
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
    """For each write of an update from `old` to `new`, and each way it may be cut, followed by a
    second cut somewhere in the second try: whether the device started with one of both models each
    time, and the same update succeeded in the end."""
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
