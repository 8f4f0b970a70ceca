"""In place of a broker, where none is set: each message is a line of standard output."""

from collections.abc import Iterable
from typing import BinaryIO, Final

from ..mqtt import LOST, PublishedMessage, Waker

ROOM: Final = 1_000


class StdoutClient:
    """Speaks like `Broker`, to a file; None: to nobody.  What is written counts as delivered."""

    def __init__(self, output: BinaryIO | None) -> None:
        self.problem = ""
        self._output = output
        self._sent: list[PublishedMessage] = []
        self._waker = Waker()

    @property
    def online(self) -> bool:
        """True until the reader of the output has gone."""
        return not self.problem

    @property
    def unclean_disconnects(self) -> int:
        """Nothing that was written is taken back."""
        return 0

    @property
    def send_quota(self) -> int:
        """Messages that may be written now."""
        return 0 if self.problem else ROOM

    def start(self) -> None:
        """Nothing has to be opened."""

    def wake(self) -> None:
        """Let a waiting `pump` return; from any thread."""
        self._waker.wake()

    def pump(self, wait_s: float, *, reading: bool = True) -> None:
        """Write what was published, and wait."""
        try:
            if self._output is not None:
                self._output.flush()
        except (OSError, ValueError) as error:
            self.problem = f"standard output: {error}"
            self._sent = [PublishedMessage(one.message_id, LOST) for one in self._sent]
        self._waker.wait(None, wait_s, reading=reading)

    def publish(self, _topic: str, payload: bytes, **_more: object) -> int | None:
        """Write a message; the topic is in its schema and stream."""
        try:
            if self._output is not None:
                self._output.write(payload + b"\n")
        except (OSError, ValueError) as error:
            self.problem = f"standard output: {error}"
            return None
        self._sent.append(PublishedMessage(len(self._sent) + 1, 0))
        return len(self._sent)

    def acked(self) -> tuple[PublishedMessage, ...]:
        """Return what was written since last asked."""
        sent, self._sent = tuple(self._sent), []
        return sent

    def subscribe(self, filters: Iterable[str]) -> None:
        """Nothing comes in this way."""

    def rebirth(self) -> None:
        """Nobody has to be told again."""

    def acknowledge(self, ticket: int) -> None:
        """Nothing comes in this way."""

    def stop(self, _timeout_s: float) -> None:
        """Write what is left."""
        self.pump(0.0)

    def close(self) -> None:
        """Give the wake pipe back."""
        self._waker.close()
