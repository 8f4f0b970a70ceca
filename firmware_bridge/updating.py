"""Model updates over a link: the device's side (`Updater`) and the host's side (`Upload`).

c/auricle_update.c is the device's side in C.
"""

from collections.abc import Callable, Iterator
from hashlib import sha512
from typing import Final

from .records import (
    Message,
    UpdateBegin,
    UpdateChunk,
    UpdateCommit,
    UpdateConfirm,
    UpdateQuery,
    UpdateStatus,
)
from .slots import CONFIRMED, MANIFEST, READY, WORD_BYTES, Flash, SlotManifest, Slots

SIGNED = b"auricle-model-1"

CHUNKS_AHEAD: Final = 4
"""Chunks in flight: they keep a line of 115,200 baud busy during a page erase of 50 ms or so.
Chosen by hand; effect not measured."""

QUERY_NS: Final = 1_000_000_000  # longer than a device takes to erase a slot page by page


def signed_bytes(manifest: SlotManifest) -> bytes:
    """Return the bytes that the signature of a manifest covers."""
    return SIGNED + manifest.pack()[: MANIFEST.size - 64]


class Updater:
    """Receives models into the unused slot, tries one at a start, and keeps it once confirmed.

    verify: returns whether a signature (64 bytes) of a message is valid for the fleet's key.
    """

    def __init__(self, flash: Flash, verify: Callable[[bytes, bytes], bool]) -> None:
        self._slots = Slots(flash)
        self._verify = verify
        self.running: int | None = None
        self.on_trial = False
        self.start()

    def start(self) -> None:
        """Choose the model to run: at power-up, and to try a model that is ready."""
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
        """The bytes of the model in use."""
        manifest = self._running_manifest
        if self.running is None or manifest is None:
            return None
        return self._slots.body(self.running, 0, manifest.body_bytes)

    @property
    def _running_manifest(self) -> SlotManifest | None:
        return None if self.running is None else self._slots.manifest(self.running)

    def handle(self, message: Message) -> UpdateStatus | None:
        """Process an update message and return the answer; None for any other message."""
        try:
            if isinstance(message, UpdateBegin):
                return self._status(self._begin(message))
            if isinstance(message, UpdateChunk):
                return self._status(self._write_chunk(message))
            if isinstance(message, UpdateCommit):
                return self._status(self._commit(message.revision))
            if isinstance(message, UpdateConfirm):
                return self._status(self._confirm(message.revision))
        except OSError:
            self._receiving = None
            return self._status("flash")
        return self._status("none") if isinstance(message, UpdateQuery) else None

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

    def _write_chunk(self, message: UpdateChunk) -> str:
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


def offer_model(body: bytes, revision: int, sign: Callable[[bytes], bytes]) -> UpdateBegin:
    """Return the message that offers a model.  sign: returns the Ed25519 signature (64 bytes) of a
    message."""
    digest = sha512(body).digest()
    unsigned = SlotManifest(revision, len(body), digest, bytes(64))
    return UpdateBegin(revision, len(body), digest, sign(signed_bytes(unsigned)))


class Upload:
    """Sends one model.

    Pass every UpdateStatus to `answer`, and call `poll` a few times a second: both return the
    messages to send next.  Send the messages of `open` whenever the device connects.

    state: `sending`, `ready` (the device tries the model at its next start), `trial` (it runs: send
    the messages of `confirm` once it works), `confirmed`, `refused` (see `reason`).
    """

    def __init__(self, offer: UpdateBegin, body: bytes, chunk_bytes: int = 256) -> None:
        self._offer = offer
        self._body = body
        self._chunk_bytes = chunk_bytes // WORD_BYTES * WORD_BYTES
        self._sent = 0
        self.offset = 0
        self.state = "sending"
        self.reason = "none"
        self._answered = False
        self._queried_at_ns: int | None = None

    def open(self) -> tuple[Message, ...]:
        """Return the messages to send when the device has connected."""
        return (UpdateQuery(),)

    def poll(self, now_ns: int) -> tuple[Message, ...]:
        """Return a query if no answer came for a second: a device without room in its link drops
        its answers, and one that tries a model may need time."""
        if self._answered:
            self._answered, self._queried_at_ns = False, now_ns
        done = self.state in {"confirmed", "refused"}
        if done or (self._queried_at_ns is not None and now_ns - self._queried_at_ns < QUERY_NS):
            return ()
        self._queried_at_ns = now_ns
        return (UpdateQuery(),)

    def confirm(self) -> tuple[Message, ...]:
        """Return the messages to send when the model on trial works."""
        return (UpdateConfirm(self._offer.revision),)

    def answer(self, status: UpdateStatus) -> tuple[Message, ...]:
        """Process a status and return the messages to send next."""
        revision = self._offer.revision
        self._answered = True
        if status.running_revision == revision:
            self.state = "trial" if status.state == "trial" else "confirmed"
        elif status.reason == "unexpected":
            # The device restarted or lost its position: offer the model again to learn it.
            self._sent = 0
            return (self._offer,)
        elif status.reason != "none":
            self.state, self.reason = "refused", status.reason
        elif status.update_revision != revision:
            return (self._offer,)
        elif status.state == "ready":
            self.state = "ready"
        else:
            return tuple(self._next(status.offset))
        return ()

    def _next(self, offset: int) -> Iterator[Message]:
        if offset < self.offset or self._sent < offset:
            self._sent = offset
        self.offset = offset
        if offset == len(self._body):
            yield UpdateCommit(self._offer.revision)
        while self._sent < min(len(self._body), offset + CHUNKS_AHEAD * self._chunk_bytes):
            data = self._body[self._sent : self._sent + self._chunk_bytes]
            yield UpdateChunk(self._sent, data)
            self._sent += len(data)
