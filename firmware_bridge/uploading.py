"""The host's side of a model update: statuses in -> messages to send."""

from collections.abc import Callable, Iterator
from hashlib import sha512
from typing import Final

from .records import (
    Message,
    UpdateAsk,
    UpdateBegin,
    UpdateChunk,
    UpdateCommit,
    UpdateConfirm,
    UpdateStatus,
)
from .slots import WORD_BYTES, SlotManifest
from .updating import signed_bytes

CHUNKS_AHEAD: Final = 4
ASK_AGAIN_NS: Final = 1_000_000_000


def offer_model(body: bytes, revision: int, sign: Callable[[bytes], bytes]) -> UpdateBegin:
    """The message that offers a model. sign: the Ed25519 signature (64 bytes) over a message."""
    digest = sha512(body).digest()
    unsigned = SlotManifest(revision, len(body), digest, bytes(64))
    return UpdateBegin(revision, len(body), digest, sign(signed_bytes(unsigned)))


class Upload:
    """Sends one model. Hand every UpdateStatus to `answer`, and call `poll` a few times a second,
    with the time: both give the messages to send next. Call `open` when the device connected anew.

    state: `sending`, `ready` (at its next start the device tries the model), `trial` (it runs:
    send what `confirm` gives once it works), `confirmed`, `refused` (see `reason`).
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
        self._asked_at_ns: int | None = None

    def open(self) -> tuple[Message, ...]:
        """What to send when the device has connected."""
        return (UpdateAsk(),)

    def poll(self, now_ns: int) -> tuple[Message, ...]:
        """What to send when no answer has come for a second: a device whose link has no room for an
        answer drops it, and one that is to try the model may take its time."""
        if self._answered:
            self._answered, self._asked_at_ns = False, now_ns
        done = self.state in {"confirmed", "refused"}
        if done or (self._asked_at_ns is not None and now_ns - self._asked_at_ns < ASK_AGAIN_NS):
            return ()
        self._asked_at_ns = now_ns
        return (UpdateAsk(),)

    def confirm(self) -> tuple[Message, ...]:
        """What to send when the model on trial works."""
        return (UpdateConfirm(self._offer.revision),)

    def answer(self, status: UpdateStatus) -> tuple[Message, ...]:
        """What to send next."""
        revision = self._offer.revision
        self._answered = True
        if status.running_revision == revision:
            self.state = "trial" if status.state == "trial" else "confirmed"
        elif status.reason == "unexpected":
            # It started anew, or lost its place: ask for where it stands by offering again.
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
