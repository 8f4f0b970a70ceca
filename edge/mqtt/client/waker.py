"""Waiting for a socket, a deadline, or a word from another thread, whichever comes first."""

import os
import select
import threading

from .buffered_socket import BufferedSocket

DRAIN_BYTES = 4096


class Waker:
    """A wake pipe and the wait on it.  `wake` is for any thread and for signal handlers, the rest
    for one thread."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        # Reentrant: a signal handler may call `wake` while another, or the code that it interrupted
        # in the same thread, holds the lock.  A plain lock would then wait for itself.
        self._lock = threading.RLock()
        self._closed = False

    def wake(self) -> None:
        """Let `wait` return; harmless after `close`."""
        with self._lock:
            if not self._closed:
                self._write_byte()

    def wait(self, link: BufferedSocket | None, wait_s: float, *, reading: bool) -> bool:
        """Wait at most `wait_s`; True where a link has something to read, or broke.

        reading: False waits only for the link to take what is to be sent, or to break.
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
        """Give the pipe back."""
        with self._lock:
            self._closed = True
            os.close(self._read)
            os.close(self._write)

    def _write_byte(self) -> None:
        try:
            os.write(self._write, b"\0")
        except BlockingIOError:
            return  # it is full of reasons to wake up already

    def _drain(self) -> None:
        try:
            while len(os.read(self._read, DRAIN_BYTES)) == DRAIN_BYTES:
                continue
        except BlockingIOError:
            return
