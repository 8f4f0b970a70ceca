from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from edge.web import live
from edge.web.client import AskError, DaemonOfflineError
from edge.web.live import Live

STATUS: dict[str, Any] = {"state": "serving", "streams": [], "homes": []}


class Daemon:
    """Answers `feed` as a daemon does.  now: what it does next."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.number = 0
        self.messages: list[dict[str, Any]] = []
        self.offline = False

    async def ask(self, verb: str, fields: dict[str, Any], wait_s: float = 1.0) -> Any:
        """Answer."""
        assert verb == "feed"
        assert wait_s > 0
        self.asked.append(fields["since"])
        if self.offline:
            raise DaemonOfflineError("the daemon is not responding", "start one")
        self.number += 1
        return {"cursor": self.number, "status": STATUS, "messages": self.messages}


def decision(stream: str, p_value: float) -> dict[str, Any]:
    """A decision as `feed` reports it."""
    return {"kind": "decision", "stream": stream, "p_value": p_value, "observation_id": "x"}


@pytest.fixture(autouse=True)
def quick(monkeypatch) -> None:
    """Poll often."""
    monkeypatch.setattr(live, "POLL_S", 0.01)
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.05)


def run(act: Callable[[Live, Daemon], Any]) -> None:
    """Run a coroutine with a live feed that polls."""

    async def main() -> None:
        daemon = Daemon()
        made = Live(daemon)  # type: ignore[arg-type]
        polling = asyncio.create_task(made.run())
        try:
            async with asyncio.timeout(10):
                await act(made, daemon)
        finally:
            polling.cancel()

    asyncio.run(main())


def read(text: bytes) -> tuple[str, Any]:
    """The name and the content of an event."""
    name, data, *_ = text.decode().split("\n")
    return name.removeprefix("event: "), json.loads(data.removeprefix("data: "))


def test_nothing_is_asked_without_a_page() -> None:
    """The daemon is asked only while a page is open."""

    async def act(made: Live, daemon: Daemon) -> None:
        await asyncio.sleep(0.05)
        assert daemon.asked == []
        events = made.events(lambda: True)
        assert read(await anext(events)) == ("up", {"reason": ""})
        assert read(await anext(events))[0] == "feed"
        await events.aclose()
        await asyncio.sleep(0.05)
        asked = len(daemon.asked)
        await asyncio.sleep(0.1)
        assert len(daemon.asked) <= asked + 1

    run(act)


def test_news_between_a_page_and_its_events_are_announced() -> None:
    """A page made before the newest poll is asked to fetch its content again, one made after it is
    not."""

    async def act(made: Live, daemon: Daemon) -> None:
        other = made.events(lambda: True)
        while made.cursor < 2:
            await anext(other)
        old = made.events(lambda: True, since=made.cursor - 1)
        assert [read(await anext(old))[0] for _ in range(3)] == ["up", "lagging", "feed"]
        new = made.events(lambda: True, since=made.cursor)
        assert [read(await anext(new))[0] for _ in range(2)] == ["up", "feed"]

    run(act)


def test_ten_pages_share_one_poll() -> None:
    """Each page gets each event, and the daemon is asked once for all."""

    async def act(made: Live, daemon: Daemon) -> None:
        pages = [made.events(lambda: True) for _ in range(10)]
        for one in pages:
            await anext(one)
        found = [[read(await anext(one))[1]["cursor"] for _ in range(5)] for one in pages]
        assert all(one == found[0] for one in found)
        assert daemon.asked == list(range(len(daemon.asked)))

    run(act)


def test_a_page_that_does_not_read_costs_a_bounded_queue(monkeypatch) -> None:
    """Its queue is dropped for one event `lagging`, and others are not affected."""
    monkeypatch.setattr(live, "QUEUE_MAX", 4)

    async def act(made: Live, daemon: Daemon) -> None:
        slow, fast = made.events(lambda: True), made.events(lambda: True)
        await anext(slow)
        await anext(fast)
        for _ in range(12):
            assert read(await anext(fast))[0] == "feed"
        names = [read(await anext(slow))[0] for _ in range(3)]
        assert "lagging" in names

    run(act)


def test_a_daemon_that_goes_and_comes_is_reported_once_each() -> None:
    """`down` comes once, then `up`; after a new start everything is asked for again."""

    async def act(made: Live, daemon: Daemon) -> None:
        events = made.events(lambda: True)
        await anext(events)
        await anext(events)
        daemon.offline = True
        while (found := read(await anext(events)))[0] == "feed":
            continue
        assert found[0] == "down"
        assert (await anext(events)).startswith(b": heartbeat")
        with pytest.raises(DaemonOfflineError):
            await made.refresh()
        daemon.offline = False
        while (text := await anext(events)).startswith(b":"):
            continue
        assert read(text)[0] == "up"
        assert 0 in daemon.asked[2:]

    run(act)


def test_a_page_ends_with_its_session() -> None:
    """Once the session is over the page gets a message, and gets nothing more."""

    async def act(made: Live, daemon: Daemon) -> None:
        holds = [True]
        events = made.events(lambda: holds[0])
        await anext(events)
        await anext(events)
        holds[0] = False
        rest = [read(one)[0] async for one in events]
        assert rest[-1] == "ended"

    run(act)


def test_pages_are_bounded(monkeypatch) -> None:
    """One page too many gets a message and costs nothing more."""
    monkeypatch.setattr(live, "PAGES_MAX", 1)

    async def act(made: Live, daemon: Daemon) -> None:
        first = made.events(lambda: True)
        await anext(first)
        assert [read(one)[0] async for one in made.events(lambda: True)] == ["full"]

    run(act)


def test_what_is_kept_is_bounded_and_goes_with_a_forget(monkeypatch) -> None:
    """The newest decision of a bounded number of streams is kept, until a receipt arrives."""
    monkeypatch.setattr(live, "STREAMS_MAX", 3)

    async def act(made: Live, daemon: Daemon) -> None:
        daemon.messages = [decision(f"s{n % 5}", n / 1000) for n in range(500)]
        await made.refresh()
        assert list(made.streams) == ["s2", "s3", "s4"]
        assert made.streams["s4"].decision["p_value"] == 0.499
        daemon.messages = [decision("s4", n / 1000) for n in range(100)]
        await asyncio.sleep(0.05)
        await made.refresh()
        assert list(made.streams["s4"].p_values) == [n / 1000 for n in range(40, 100)]
        daemon.messages = [{"kind": "receipt"}]
        await asyncio.sleep(0.05)
        await made.refresh()
        assert made.streams == {}

    run(act)


def test_a_refusal_is_an_error() -> None:
    """The base error has its reason and hint."""
    error = AskError("no", "do")
    assert (error.reason, error.hint, str(error)) == ("no", "do", "no")
