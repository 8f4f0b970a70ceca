"""The channel without a broker: each message is a line of standard output."""

from collections.abc import Iterable
from typing import BinaryIO, Final

from ..mqtt import LOST, PublishedMessage, Waker

ROOM: Final = 1_000
"""Messages written per turn of the loop.  Chosen by hand; effect not measured."""


class StdoutClient:
    """Has the methods of `MqttClient`.  output: a file; None: messages are discarded.  A written
    message counts as delivered."""

    def __init__(self, output: BinaryIO | None) -> None:
        self.problem = ""
        self._output = output
        self._sent: list[PublishedMessage] = []
        self._waker = Waker()

    @property
    def online(self) -> bool:
        """True until the output's reader is gone."""
        return not self.problem

    @property
    def unclean_disconnects(self) -> int:
        """Always 0: output has no connection to lose."""
        return 0

    @property
    def send_quota(self) -> int:
        """Messages that may be written now."""
        return 0 if self.problem else ROOM

    def start(self) -> None:
        """Do nothing: the output is open."""

    def wake(self) -> None:
        """End the wait of `pump`; from any thread."""
        self._waker.wake()

    def pump(self, wait_s: float, *, reading: bool = True) -> None:
        """Flush the output, and wait."""
        try:
            if self._output is not None:
                self._output.flush()
        except (OSError, ValueError) as error:
            self.problem = f"standard output: {error}"
            self._sent = [PublishedMessage(one.message_id, LOST) for one in self._sent]
        self._waker.wait(None, wait_s, reading=reading)

    def publish(self, _topic: str, payload: bytes, **_more: object) -> int | None:
        """Write a message; its schema and stream replace the topic."""
        try:
            if self._output is not None:
                self._output.write(payload + b"\n")
        except (OSError, ValueError) as error:
            self.problem = f"standard output: {error}"
            return None
        self._sent.append(PublishedMessage(len(self._sent) + 1, 0))
        return len(self._sent)

    def acked(self) -> tuple[PublishedMessage, ...]:
        """Return the outcomes of messages since the last call."""
        sent, self._sent = tuple(self._sent), []
        return sent

    def subscribe(self, filters: Iterable[str]) -> None:
        """Do nothing: output has no arrivals."""

    def resubscribe(self, filters: Iterable[str]) -> None:
        """Do nothing: output has no arrivals."""

    def rebirth(self) -> None:
        """Do nothing: output needs no announcement."""

    def acknowledge(self, ticket: int) -> None:
        """Do nothing: output has no arrivals."""

    def stop(self, _timeout_s: float) -> None:
        """Flush the output."""
        self.pump(0.0)

    def close(self) -> None:
        """Close the wake pipe."""
        self._waker.close()
