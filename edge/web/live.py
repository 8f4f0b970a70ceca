"""Live data: one poll of the daemon a second for all open pages, sent to each as events (SSE).

Without an open page nothing is asked.  A page that does not keep up loses its queue, is sent
`lagging` instead, and fetches its content again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, Final

import msgspec

from .client import AskError, DaemonClient, DaemonOfflineError

POLL_S: Final = 1.0
"""Seconds between two questions to the daemon."""

QUEUE_MAX: Final = 16
"""Events that wait for one page: as many seconds.  Chosen by hand; effect not measured."""

PAGES_MAX: Final = 64
"""Pages with live data at once: half of the server's connections."""

HEARTBEAT_S: Final = 15.0
"""Seconds without an event until a comment keeps the connection alive: proxies end silent ones
after 30 to 60."""

Queue = asyncio.Queue[bytes]


def event(name: str, content: Any) -> bytes:
    """Return one event of a stream; JSON has no line breaks."""
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(content) + b"\n\n"


class Live:
    """Polls a daemon and sends its news to every page.

    `state`: "up" or "down", and `reason` while it is down.
    """

    def __init__(self, client: DaemonClient) -> None:
        self._client = client
        self._queues: set[Queue] = set()
        self._cursor = 0
        self._wanted = asyncio.Event()
        self.state, self.reason = "up", ""

    async def run(self) -> None:
        """Poll while pages are open, until cancelled."""
        while True:
            if not self._queues:
                self._wanted.clear()
                await self._wanted.wait()
            await self._poll()
            await asyncio.sleep(POLL_S)

    async def _poll(self) -> None:
        try:
            news = await self._client.ask("feed", {"since": self._cursor}, wait_s=5 * POLL_S)
        except DaemonOfflineError as error:
            if self.state != "down":
                self._send(event("down", {"reason": error.reason, "hint": error.hint}))
            self.state, self.reason, self._cursor = "down", error.reason, 0
            return
        except AskError as error:
            news = {"cursor": self._cursor, "messages": [], "trouble": error.reason}
            with suppress(AskError):
                news["status"] = await self._client.ask("status", {})
        if self.state != "up":
            self._send(event("up", {}))
        self.state, self.reason = "up", ""
        self._cursor = int(news.get("cursor", 0))
        self._send(event("feed", news))

    def _send(self, text: bytes) -> None:
        for queue in self._queues:
            try:
                queue.put_nowait(text)
            except asyncio.QueueFull:
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(event("lagging", {}))

    async def events(self, may_go_on: Callable[[], bool]) -> AsyncIterator[bytes]:
        """Yield the events for one page.  may_go_on: whether its session still holds."""
        if len(self._queues) >= PAGES_MAX:
            yield event("full", {"reason": "too many open pages; this one shows no live data"})
            return
        queue: Queue = asyncio.Queue(QUEUE_MAX)
        self._queues.add(queue)
        self._wanted.set()
        try:
            yield event(self.state, {"reason": self.reason})
            while may_go_on():
                try:
                    async with asyncio.timeout(HEARTBEAT_S):
                        text = await queue.get()
                except TimeoutError:
                    text = b": heartbeat\n\n"
                yield text
            yield event("ended", {})
        finally:
            self._queues.discard(queue)
