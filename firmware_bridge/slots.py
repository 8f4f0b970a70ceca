"""Two flash slots for models (A/B update), safe against a power cut at any write.

c/auricle_slots.c is the same in C.

Page 0 of a slot holds the manifest and four markers, the pages after it the model.  A marker is a
word of 8 bytes that is written once.  The state of a slot:

    empty      not begun
    receiving  begun
    ready      begun, ready               will be tried at the next start
    trial      begun, ready, tried        not chosen again unless confirmed
    confirmed  begun, ready, confirmed

Every word is written at most once between two erasures of its page, as flash with error-correcting
codes requires.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha512
from struct import Struct
from typing import Final, Protocol

from .errors import BridgeError

WORD_BYTES: Final = 8  # the write unit of flash with ECC, such as STM32L4 and G4
MANIFEST: Final = Struct("<II64s64s")
BEGUN, READY, TRIED, CONFIRMED = (MANIFEST.size + WORD_BYTES * place for place in range(4))
HEAD_BYTES: Final = CONFIRMED + WORD_BYTES  # manifest and four markers
MARK: Final = b"AURmark\n"
BLANK: Final = b"\xff"
_READ_BYTES: Final = 256  # bounds the memory while a model is hashed


class Flash(Protocol):
    """Two slots of `pages` pages.  Methods raise OSError if the flash fails.

    page_bytes: the erase unit, a multiple of 8 and at least HEAD_BYTES.
    """

    page_bytes: int
    pages: int

    def erase(self, slot: int, page: int) -> None:
        """Set every byte of a page to 255."""
        ...

    def write(self, slot: int, offset: int, data: bytes) -> None:
        """Write whole words of 8 bytes to blank flash."""
        ...

    def read(self, slot: int, offset: int, count: int) -> bytes:
        """Read bytes of a slot."""
        ...


@dataclass(frozen=True, slots=True)
class SlotManifest:
    """The signed description of a model, sent before it; `signature` covers the other fields."""

    revision: int
    body_bytes: int
    digest: bytes
    signature: bytes

    def pack(self) -> bytes:
        """Return the bytes as stored in flash and sent in an update_begin."""
        return MANIFEST.pack(self.revision, self.body_bytes, self.digest, self.signature)


class Slots:
    """The two slots and their contents.  Raises BridgeError for unsuitable flash."""

    def __init__(self, flash: Flash) -> None:
        if flash.page_bytes < HEAD_BYTES or flash.page_bytes % WORD_BYTES:
            message = (
                f"opening flash: expected pages of a multiple of 8 bytes, {HEAD_BYTES} or more, "
                f"found {flash.page_bytes}"
            )
            raise BridgeError(message, "combine several pages into one")
        self._flash = flash

    @property
    def body_bytes_max(self) -> int:
        """The size of the largest model that fits."""
        return (self._flash.pages - 1) * self._flash.page_bytes

    def _marked(self, slot: int, marker: int) -> bool:
        return self._flash.read(slot, marker, WORD_BYTES) == MARK

    def _untouched(self, slot: int, marker: int) -> bool:
        return self._flash.read(slot, marker, WORD_BYTES) == BLANK * WORD_BYTES

    def mark(self, slot: int, marker: int) -> None:
        """Write a marker."""
        self._flash.write(slot, marker, MARK)

    def manifest(self, slot: int) -> SlotManifest | None:
        """Return the manifest of a slot, None if it is absent or implausible."""
        if not self._marked(slot, BEGUN):
            return None
        found = SlotManifest(*MANIFEST.unpack(self._flash.read(slot, 0, MANIFEST.size)))
        return found if 0 < found.body_bytes <= self.body_bytes_max else None

    def confirmed(self, slot: int) -> bool:
        """Say whether the model of a slot is confirmed and intact."""
        return self._marked(slot, CONFIRMED) and self.ready(slot)

    def untried(self, slot: int) -> bool:
        """Say whether the model of a slot is ready and not yet tried."""
        blank = self._untouched(slot, TRIED) and self._untouched(slot, CONFIRMED)
        return blank and self.ready(slot)

    def ready(self, slot: int) -> bool:
        """Say whether a slot holds a complete model."""
        return self._marked(slot, READY) and self.whole(slot)

    def whole(self, slot: int) -> bool:
        """Say whether the model of a slot has the digest of its manifest."""
        manifest = self.manifest(slot)
        if manifest is None:
            return False
        digest = sha512()
        for offset in range(0, manifest.body_bytes, _READ_BYTES):
            digest.update(self.body(slot, offset, min(_READ_BYTES, manifest.body_bytes - offset)))
        return digest.digest() == manifest.digest

    def body(self, slot: int, offset: int, count: int) -> bytes:
        """Read a part of the model in a slot."""
        return self._flash.read(slot, self._flash.page_bytes + offset, count)

    def begin(self, slot: int, manifest: SlotManifest) -> int:
        """Prepare a slot for a model; returns the bytes that an earlier attempt already stored."""
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
        """Find the last written page and erase it, because its last write may be incomplete."""
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
        """Write a part of a model, padded to whole words."""
        padded = data + BLANK * (-len(data) % WORD_BYTES)
        if padded:
            self._flash.write(slot, self._flash.page_bytes + offset, padded)

    def abandon(self, slot: int) -> None:
        """Discard a model that is being received."""
        self._flash.erase(slot, 0)

    def start(self) -> tuple[int, bool] | None:
        """Return the slot of the model to run and whether it is on trial; None without a model.

        Marks a trial before it begins, so that a model that crashes before its confirmation is not
        chosen again.
        """
        kept = [(self._revision(slot), slot) for slot in (0, 1) if self.confirmed(slot)]
        newest = max(kept, default=(0, -1))
        for slot in (0, 1):
            # An interrupted erasure can make an old model look untried, but never newer.
            if self.untried(slot) and self._revision(slot) > newest[0] and self._try(slot):
                return slot, True
        return (newest[1], False) if kept else None

    def _try(self, slot: int) -> bool:
        """Mark a trial; returns False if the flash fails, since an unmarked model would be tried
        again and again."""
        try:
            self.mark(slot, TRIED)
        except OSError:
            return False
        return True

    def _revision(self, slot: int) -> int:
        manifest = self.manifest(slot)
        return manifest.revision if manifest else 0
