"""Two slots of flash: the choice of the model to run, and the requirements on the flash."""

from __future__ import annotations

from hashlib import sha512

import pytest

from benchmarks.bridge.flash import MemoryFlash
from firmware_bridge import BridgeError
from firmware_bridge.slots import CONFIRMED, HEAD_BYTES, READY, TRIED, SlotManifest, Slots

BODY = bytes(range(250)) * 2


class WornFlash(MemoryFlash):
    """A flash that refuses to write at one place."""

    refused = -1

    def write(self, slot: int, offset: int, data: bytes) -> None:
        """As MemoryFlash.write, or OSError."""
        if offset == self.refused:
            raise OSError("worn out")
        super().write(slot, offset, data)


def fill(slots: Slots, slot: int, revision: int) -> None:
    """Let a slot hold a whole model that waits for its trial."""
    manifest = SlotManifest(revision, len(BODY), sha512(BODY).digest(), bytes(64))
    assert slots.begin(slot, manifest) == 0
    slots.write(slot, 0, BODY)
    slots.mark(slot, READY)


def held(flash: MemoryFlash) -> Slots:
    """A confirmed model in slot 0, and a newer one in slot 1 that waits for its trial."""
    slots = Slots(flash)
    fill(slots, 0, 1)
    slots.mark(0, CONFIRMED)
    fill(slots, 1, 2)
    return slots


def test_a_newer_model_is_tried_once() -> None:
    """Unless it is confirmed the model before runs again."""
    slots = held(MemoryFlash())
    assert slots.start() == (1, True)
    assert slots.start() == (0, False)
    slots.mark(1, CONFIRMED)
    assert slots.start() == (1, False)


def test_a_model_whose_trial_cannot_be_marked_is_not_tried() -> None:
    """Unmarked it would be tried again at every start: the model before runs instead, as in C."""
    flash = WornFlash()
    slots = held(flash)
    flash.refused = TRIED
    assert slots.start() == (0, False)
    flash.refused = -1
    assert slots.start() == (1, True)


@pytest.mark.parametrize("revision", [1, 2])
def test_an_older_model_is_not_tried(revision: int) -> None:
    """A model that waits runs only where it is newer than the one that was confirmed."""
    slots = Slots(MemoryFlash())
    fill(slots, 0, 2)
    slots.mark(0, CONFIRMED)
    fill(slots, 1, revision)
    assert slots.start() == (0, False)


def test_a_damaged_model_does_not_run() -> None:
    """Neither a confirmed model nor one on trial runs where its bytes are not those of its digest,
    and an empty flash runs nothing."""
    assert Slots(MemoryFlash()).start() is None
    flash = MemoryFlash()
    slots = held(flash)
    flash.slots[1][flash.page_bytes] ^= 1
    assert slots.start() == (0, False)
    flash.slots[0][flash.page_bytes] ^= 1
    assert slots.start() is None


@pytest.mark.parametrize("page_bytes", [8, HEAD_BYTES - 8, HEAD_BYTES + 1])
def test_pages_that_hold_no_manifest_are_refused(page_bytes: int) -> None:
    """A page takes a manifest with its markers, in whole words."""
    with pytest.raises(BridgeError, match="expected pages of a multiple of 8 bytes"):
        Slots(MemoryFlash(page_bytes))
