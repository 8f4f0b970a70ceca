"""Waits for a socket, a deadline, or a wake-up from another thread, whichever comes first."""

import os
import select
import threading
from typing import Final

from .transport import BufferedSocket

DRAIN_BYTES: Final = 4096
"""Bytes read from the wake pipe at once; each wake-up writes one.  Chosen by hand."""


class Waker:
    """Polls a socket together with a wake pipe.

    `wake` may be called from any thread and from signal handlers, the other methods from one
    thread.
    """

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        # Reentrant: a signal handler may call `wake` while the code that it interrupted in the same
        # thread, or another handler, holds the lock.  A plain lock would deadlock.
        self._lock = threading.RLock()
        self._closed = False

    def wake(self) -> None:
        """Make `wait` return; does nothing after `close`."""
        with self._lock:
            if not self._closed:
                self._write_byte()

    def wait(self, link: BufferedSocket | None, wait_s: float, *, reading: bool) -> bool:
        """Wait at most `wait_s` seconds; True if the link is readable or broken.

        reading: False waits only until the link can send its backlog, or breaks.
        """
        ready = link is not None and (link.broken or (reading and link.readable))
        poll = select.poll()
        poll.register(self._read, select.POLLIN)
        if link is not None:
            wanted = select.POLLIN if reading else 0
            poll.register(link, wanted | (select.POLLOUT if link.backlog else 0))
        for descriptor, events in poll.poll(0 if ready else max(wait_s, 0.0) * 1000):
            if descriptor == self._read:
                self._drain()
            else:
                ready = ready or events & ~select.POLLOUT != 0
        return ready

    def close(self) -> None:
        """Close the wake pipe."""
        with self._lock:
            self._closed = True
            os.close(self._read)
            os.close(self._write)

    def _write_byte(self) -> None:
        try:
            os.write(self._write, b"\0")
        except BlockingIOError:
            return  # the pipe is full: `wait` will return anyway

    def _drain(self) -> None:
        try:
            while len(os.read(self._read, DRAIN_BYTES)) == DRAIN_BYTES:
                continue
        except BlockingIOError:
            return
