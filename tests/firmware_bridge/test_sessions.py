"""Restarts of either side, at any time and over any wire: the link always comes back."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.bridge.native import NativeLink
from firmware_bridge import (
    Event,
    Link,
    LinkConnected,
    LinkSettings,
    Log,
    Loopback,
    Reading,
    WireFaults,
)
from tests.bridges import DEVICE, SECOND_NS, reading, wired

Side = Link | NativeLink
SHARES = (0, 0.01, 0.1, 0.25)
BYTE_NS = (1_000, 10_000, 86_806)
DELAYS_NS = (0, 100_000, 10_000_000, 100_000_000)
WAITS_NS = (0, 10**5, 10**6, 10**7, 10**8, 10**9, 7 * 10**9)


class Story:
    """A random life of a link: readings either way, and restarts, over a wire with faults."""

    def __init__(self, seed: int, native: NativeLink | None = None) -> None:
        self._chosen = random.Random(seed)
        self._native = native
        self._sessions = [100, 200]
        share = self._chosen.choice(SHARES)
        bytewise = self._chosen.random() < 0.3
        share = share / 30 if bytewise else share
        self.loopback: Loopback = wired(
            (self._start(0), self._start(1)),
            seed,
            WireFaults(share, share, share, share, bytewise=bytewise),
            byte_ns=self._chosen.choice(BYTE_NS),
            delay_ns=self._chosen.choice(DELAYS_NS),
        )
        self._number = 0

    def _start(self, side: int) -> Side:
        self._sessions[side] += 1
        if side and self._native:
            self._native.restart(self._sessions[side])
            return self._native
        return Link(self._sessions[side], DEVICE if side else LinkSettings())

    def live(self) -> None:
        """A few readings, waits and restarts."""
        for _ in range(self._chosen.randrange(1, 8)):
            self.loopback.run(lambda: False, self._chosen.choice(WAITS_NS))
            for _ in range(self._chosen.randrange(6)):
                side = self._side(self._chosen.randrange(2))
                side.send(reading(self._number, self._chosen.randrange(60)))
                self._number += 1
            self.loopback.run(lambda: False, self._chosen.choice(WAITS_NS[:5]))
            if self._chosen.random() < 0.6:
                side_number = self._chosen.randrange(2)
                self.loopback.ends[side_number] = self._start(side_number)

    def _side(self, number: int) -> Side:
        side = self.loopback.ends[number]
        assert isinstance(side, Link | NativeLink)
        return side

    def settles(self) -> bool:
        """Whether everything is delivered in the end, and a new message each way too."""
        waiting = [0, 1]

        def done() -> bool:
            for side in tuple(waiting):
                if self._side(side).send(Log("info", side, "last")):
                    waiting.remove(side)
            return not waiting and self._side(0).idle and self._side(1).idle

        return self.loopback.run(done, 2000 * SECOND_NS) and all(
            Log("info", 1 - side, "last") in self.loopback.received[side] for side in (0, 1)
        )


def require_once(events: list[Event]) -> None:
    """Between two connections no reading comes twice, and none is changed."""
    seen: set[int] = set()
    for event in events:
        if isinstance(event, LinkConnected):
            seen.clear()
        if isinstance(event, Reading):
            assert event.sequence not in seen
            assert event == reading(event.sequence, len(event.values))
            seen.add(event.sequence)


@given(st.integers(0, 1 << 32))
def test_a_link_always_comes_back(seed: int) -> None:
    """Whatever restarts and faults there were, late hellos of ended sessions among them, both sides
    meet again, all that is kept is delivered, and nothing twice in a session.
    """
    story = Story(seed)
    story.live()
    assert story.settles()
    for heard in story.loopback.received:
        require_once(heard)


@pytest.mark.parametrize("seed", [*range(30), 40, 135, 924, 1110, 1301])
def test_a_c_link_always_comes_back(seed: int, native: NativeLink) -> None:
    """The same with a device in C."""
    story = Story(seed, native)
    story.live()
    assert story.settles()
    for heard in story.loopback.received:
        require_once(heard)


def test_a_replaced_session_that_goes_on_is_found_again() -> None:
    """Where a late hello made a host take a dead session for the live one, both sides start a new
    session once the host has heard nothing for five seconds.
    """
    host, device = Link(11), Link(22, DEVICE)
    late = Link(21, DEVICE).next_bytes(0)
    loopback = wired((host, device), 1)
    assert device.send(reading(0))
    assert loopback.run(lambda: device.idle, SECOND_NS)
    host.receive(late, loopback.now_ns)
    assert not host.connected
    assert device.send(reading(1))
    assert loopback.run(lambda: host.connected and device.idle, 20 * SECOND_NS)
    heard = [event.sequence for event in loopback.received[0] if isinstance(event, Reading)]
    assert heard == [0, 1]
    assert host.session != 11
