"""The device's side of a model update: messages in -> flash and an answer.

c/auricle_update.c is the same in C.
"""

from collections.abc import Callable

from .records import (
    Message,
    UpdateAsk,
    UpdateBegin,
    UpdateChunk,
    UpdateCommit,
    UpdateConfirm,
    UpdateStatus,
)
from .slots import CONFIRMED, MANIFEST, READY, WORD_BYTES, Flash, SlotManifest, Slots

SIGNED = b"auricle-model-1"


def signed_bytes(manifest: SlotManifest) -> bytes:
    """What the signature of a manifest is over."""
    return SIGNED + manifest.pack()[: MANIFEST.size - 64]


class Updater:
    """Receives models into the slot that is not in use, tries one at a start, and keeps it when it
    is confirmed.

    verify: says whether a signature (64 bytes) over a message is that of the fleet's key.
    """

    def __init__(self, flash: Flash, verify: Callable[[bytes, bytes], bool]) -> None:
        self._slots = Slots(flash)
        self._verify = verify
        self.running: int | None = None
        self.on_trial = False
        self.start()

    def start(self) -> None:
        """Choose the model to run: at power-up, and whenever a model that is ready may be tried."""
        self._target = 0
        self._receiving: SlotManifest | None = None
        self._ready: SlotManifest | None = None
        self._offset = 0
        chosen = self._slots.start()
        self.running, self.on_trial = chosen or (None, False)
        if self.running is not None:
            self._target = 1 - self.running

    @property
    def model(self) -> bytes | None:
        """The model in use."""
        manifest = self._running_manifest
        if self.running is None or manifest is None:
            return None
        return self._slots.body(self.running, 0, manifest.body_bytes)

    @property
    def _running_manifest(self) -> SlotManifest | None:
        return None if self.running is None else self._slots.manifest(self.running)

    def handle(self, message: Message) -> UpdateStatus | None:
        """Do what an update message asks for; the answer, None to any other message."""
        try:
            if isinstance(message, UpdateBegin):
                return self._status(self._begin(message))
            if isinstance(message, UpdateChunk):
                return self._status(self._take(message))
            if isinstance(message, UpdateCommit):
                return self._status(self._commit(message.revision))
            if isinstance(message, UpdateConfirm):
                return self._status(self._confirm(message.revision))
        except OSError:
            self._receiving = None
            return self._status("flash")
        return self._status("none") if isinstance(message, UpdateAsk) else None

    def _begin(self, message: UpdateBegin) -> str:
        manifest = SlotManifest(
            message.revision, message.body_bytes, message.digest, message.signature
        )
        running = self._running_manifest
        if manifest in {self._receiving, self._ready}:
            return "none"
        if self.on_trial:
            return "unconfirmed"
        if manifest.revision <= (running.revision if running else 0):
            return "revision"
        if not 0 < manifest.body_bytes <= self._slots.body_bytes_max:
            return "size"
        if not self._verify(manifest.signature, signed_bytes(manifest)):
            return "signature"
        self._receiving = self._ready = None
        self._offset = self._slots.begin(self._target, manifest)
        self._receiving = manifest
        return "none"

    def _take(self, message: UpdateChunk) -> str:
        manifest, end = self._receiving, message.offset + len(message.data)
        if manifest is None or message.offset > self._offset or end > manifest.body_bytes:
            return "unexpected"
        if message.offset < self._offset:
            return "none"
        if len(message.data) % WORD_BYTES and end < manifest.body_bytes:
            return "size"
        self._slots.write(self._target, message.offset, message.data)
        self._offset = end
        return "none"

    def _commit(self, revision: int) -> str:
        if self._ready and self._ready.revision == revision:
            return "none"
        manifest = self._receiving
        if not manifest or manifest.revision != revision or self._offset < manifest.body_bytes:
            return "unexpected"
        if not self._slots.whole(self._target):
            self._receiving = None
            self._slots.abandon(self._target)
            return "digest"
        self._slots.mark(self._target, READY)
        self._receiving, self._ready = None, manifest
        return "none"

    def _confirm(self, revision: int) -> str:
        running = self._running_manifest
        if self.running is None or running is None or running.revision != revision:
            return "unexpected"
        if self.on_trial:
            self._slots.mark(self.running, CONFIRMED)
            self.on_trial = False
        return "none"

    def _status(self, reason: str) -> UpdateStatus:
        running = self._running_manifest
        update = self._receiving or self._ready
        state = "receiving" if self._receiving else "ready" if self._ready else "idle"
        return UpdateStatus(
            "trial" if self.on_trial else state,
            reason,
            running.revision if running else 0,
            update.revision if update else 0,
            self._offset if update else 0,
        )
