"""Waking the loop from threads and signal handlers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from edge.mqtt.client.waker import Waker

LIMIT_S = 5.0


@pytest.fixture
def handlers() -> Iterator[None]:
    """The handlers of two signals, restored afterwards."""
    numbers = (signal.SIGUSR1, signal.SIGALRM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_a_signal_handler_may_wake_the_loop_while_it_is_being_woken(
    monkeypatch: pytest.MonkeyPatch,
):
    """SIGTERM during the wake-up of a SIGHUP handler does not deadlock, and the loop wakes up."""
    waker = Waker()
    handled: list[int] = []

    def handle(number: int, _frame: object) -> None:
        handled.append(number)
        waker.wake()

    def time_out(*_: object) -> None:
        raise AssertionError("waking waits for itself")

    def write(descriptor: int, data: bytes) -> int:
        if not handled:
            signal.raise_signal(signal.SIGUSR1)
        return written(descriptor, data)

    written = os.write
    signal.signal(signal.SIGUSR1, handle)
    signal.signal(signal.SIGALRM, time_out)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    monkeypatch.setattr(os, "write", write)
    waker.wake()
    assert handled == [signal.SIGUSR1]
    assert waker.wait(None, 0.0, reading=True) is False
    waker.close()
