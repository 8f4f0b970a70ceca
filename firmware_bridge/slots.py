"""Two slots in flash for a model: what is written when, so that a power cut at any write leaves a
model that works. c/auricle_slots.c is the same in C.

Page 0 of a slot holds the manifest and four markers, the pages after it the model. A marker is a
word of 8 bytes that is written once; a slot is

    empty      without `begun`
    receiving  begun
    ready      begun, ready               tried at the next start
    trial      begun, ready, tried        not chosen again unless it is confirmed
    confirmed  begun, ready, confirmed

Every word is written at most once between two erasures of its page, as flash with error correction
asks for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha512
from struct import Struct
from typing import Final, Protocol

from .errors import BridgeError

WORD_BYTES: Final = 8
MANIFEST: Final = Struct("<II64s64s")
BEGUN, READY, TRIED, CONFIRMED = (MANIFEST.size + WORD_BYTES * place for place in range(4))
HEAD_BYTES: Final = CONFIRMED + WORD_BYTES
MARK: Final = b"AURmark\n"
BLANK: Final = b"\xff"
_READ_BYTES: Final = 256


class Flash(Protocol):
    """Two slots of `pages` pages; OSError where the flash refuses to be erased or written.

    page_bytes: what is erased at once, a multiple of 8 and at least HEAD_BYTES.
    """

    page_bytes: int
    pages: int

    def erase(self, slot: int, page: int) -> None:
        """Set every byte of a page to 255."""
        ...

    def write(self, slot: int, offset: int, data: bytes) -> None:
        """Write whole words of 8 bytes, which are blank."""
        ...

    def read(self, slot: int, offset: int, count: int) -> bytes:
        """What stands in a slot."""
        ...


@dataclass(frozen=True, slots=True)
class SlotManifest:
    """What is known of a model before it is there; `signature` is over the rest."""

    revision: int
    body_bytes: int
    digest: bytes
    signature: bytes

    def pack(self) -> bytes:
        """As it stands in flash and in an update_begin."""
        return MANIFEST.pack(self.revision, self.body_bytes, self.digest, self.signature)


class Slots:
    """The two slots and what stands in them."""

    def __init__(self, flash: Flash) -> None:
        if flash.page_bytes < HEAD_BYTES or flash.page_bytes % WORD_BYTES:
            message = f"a flash with pages of {flash.page_bytes} bytes holds no models"
            raise BridgeError(
                message, f"erase a multiple of 8 bytes, {HEAD_BYTES} or more, at once"
            )
        self._flash = flash

    @property
    def body_bytes_max(self) -> int:
        """The largest model that fits."""
        return (self._flash.pages - 1) * self._flash.page_bytes

    def _marked(self, slot: int, marker: int) -> bool:
        return self._flash.read(slot, marker, WORD_BYTES) == MARK

    def _untouched(self, slot: int, marker: int) -> bool:
        return self._flash.read(slot, marker, WORD_BYTES) == BLANK * WORD_BYTES

    def mark(self, slot: int, marker: int) -> None:
        """Write a marker."""
        self._flash.write(slot, marker, MARK)

    def manifest(self, slot: int) -> SlotManifest | None:
        """The manifest of a slot, None where there is none or it cannot be right."""
        if not self._marked(slot, BEGUN):
            return None
        found = SlotManifest(*MANIFEST.unpack(self._flash.read(slot, 0, MANIFEST.size)))
        return found if 0 < found.body_bytes <= self.body_bytes_max else None

    def confirmed(self, slot: int) -> bool:
        """Whether the model of a slot was confirmed and is whole."""
        return self._marked(slot, CONFIRMED) and self.ready(slot)

    def untried(self, slot: int) -> bool:
        """Whether the model of a slot waits for its trial."""
        blank = self._untouched(slot, TRIED) and self._untouched(slot, CONFIRMED)
        return blank and self.ready(slot)

    def ready(self, slot: int) -> bool:
        """Whether a slot holds all of a model."""
        return self._marked(slot, READY) and self.whole(slot)

    def whole(self, slot: int) -> bool:
        """Whether what stands in a slot has the digest of its manifest."""
        manifest = self.manifest(slot)
        if manifest is None:
            return False
        digest = sha512()
        for offset in range(0, manifest.body_bytes, _READ_BYTES):
            digest.update(self.body(slot, offset, min(_READ_BYTES, manifest.body_bytes - offset)))
        return digest.digest() == manifest.digest

    def body(self, slot: int, offset: int, count: int) -> bytes:
        """A part of the model in a slot."""
        return self._flash.read(slot, self._flash.page_bytes + offset, count)

    def begin(self, slot: int, manifest: SlotManifest) -> int:
        """Make a slot ready to receive a model; how much of it is there from an earlier try."""
        if self.manifest(slot) == manifest and self._untouched(slot, READY):
            return self._resume(slot, manifest)
        for page in range(1 + self._pages(manifest)):
            self._flash.erase(slot, page)
        self._flash.write(slot, 0, manifest.pack())
        self.mark(slot, BEGUN)
        return 0

    def _pages(self, manifest: SlotManifest) -> int:
        return -(-manifest.body_bytes // self._flash.page_bytes)

    def _resume(self, slot: int, manifest: SlotManifest) -> int:
        """The last page that was written to may be torn: it is erased and written again."""
        for page in range(self._pages(manifest), 0, -1):
            if any(part.strip(BLANK) for part in self._parts(slot, page)):
                self._flash.erase(slot, page)
                return (page - 1) * self._flash.page_bytes
        return 0

    def _parts(self, slot: int, page: int) -> Iterator[bytes]:
        start = page * self._flash.page_bytes
        for offset in range(start, start + self._flash.page_bytes, _READ_BYTES):
            yield self._flash.read(
                slot, offset, min(_READ_BYTES, start + self._flash.page_bytes - offset)
            )

    def write(self, slot: int, offset: int, data: bytes) -> None:
        """Write a part of a model, the last one filled up to whole words."""
        padded = data + BLANK * (-len(data) % WORD_BYTES)
        if padded:
            self._flash.write(slot, self._flash.page_bytes + offset, padded)

    def abandon(self, slot: int) -> None:
        """Forget what was being received."""
        self._flash.erase(slot, 0)

    def start(self) -> tuple[int, bool] | None:
        """The slot whose model is to run, and whether it is on trial; None where there is none.

        Marks a trial before it begins, so that a model that never gets as far as its confirmation
        is not chosen again.
        """
        kept = [(self._revision(slot), slot) for slot in (0, 1) if self.confirmed(slot)]
        newest = max(kept, default=(0, -1))
        for slot in (0, 1):
            # Half an erasure can make an old model look untried; it is not newer, though.
            if self.untried(slot) and self._revision(slot) > newest[0] and self._try(slot):
                return slot, True
        return (newest[1], False) if kept else None

    def _try(self, slot: int) -> bool:
        """Mark a trial; False where the flash refuses: unmarked it would be tried for ever."""
        try:
            self.mark(slot, TRIED)
        except OSError:
            return False
        return True

    def _revision(self, slot: int) -> int:
        manifest = self.manifest(slot)
        return manifest.revision if manifest else 0
