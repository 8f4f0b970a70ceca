"""Live data: one poll of the daemon a second for all open pages, sent to each as events (SSE).

Without an open page nothing is asked.  A page that does not keep up loses its queue, is sent
`lagging` instead, and fetches its content again.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from .client import DaemonClient, DaemonOfflineError

POLL_S: Final = 1.0
"""Seconds between two questions to the daemon."""

QUEUE_MAX: Final = 16
"""Events that wait for one page: as many seconds.  Chosen by hand; effect not measured."""

PAGES_MAX: Final = 64
"""Pages with live data at once: half of the server's connections."""

HEARTBEAT_S: Final = 15.0
"""Seconds without an event until a comment keeps the connection alive: proxies end silent ones
after 30 to 60."""

TRAIL_MAX: Final = 60
"""Newest p-values kept of a stream: a sparkline has room for one each four pixels."""

STREAMS_MAX: Final = 256
"""Streams whose newest decision is kept.  Chosen by hand; effect not measured."""

Queue = asyncio.Queue[bytes]


def event(name: str, content: Any) -> bytes:
    """Return one event of a stream; JSON has no line breaks."""
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(content) + b"\n\n"


@dataclass
class StreamNews:
    """The newest decision on a stream, and the newest p-values, oldest first."""

    decision: dict[str, Any]
    p_values: deque[float] = field(default_factory=lambda: deque(maxlen=TRAIL_MAX))


class Live:
    """Polls a daemon and sends its news to every page.

    state: "up" or "down", and `reason` while it is down.  status: the newest status of the daemon.
    streams: news by stream.  cursor: number of the newest message that was polled.  polls: how
    often the daemon was asked.
    """

    def __init__(self, client: DaemonClient) -> None:
        self.state, self.reason = "up", ""
        self.status: dict[str, Any] = {}
        self.streams: dict[str, StreamNews] = {}
        self._client = client
        self._queues: set[Queue] = set()
        self.cursor = self.polls = 0
        self._polled_s = 0.0
        self._polling = asyncio.Lock()
        self._wanted = asyncio.Event()

    async def run(self) -> None:
        """Poll while pages are open, until cancelled."""
        while True:
            if not self._queues:
                self._wanted.clear()
                await self._wanted.wait()
            async with self._polling:
                await self._poll()
            await asyncio.sleep(POLL_S)

    async def refresh(self) -> None:
        """Poll now, unless the last poll is fresh.  Raises DaemonOfflineError without a daemon."""
        async with self._polling:
            if self.state != "up" or time.monotonic() - self._polled_s > POLL_S:
                await self._poll()
        if self.state != "up":
            raise DaemonOfflineError(self.reason, "it may be stopped or starting")

    async def _poll(self) -> None:
        self.polls += 1
        try:
            news = await self._client.ask("feed", {"since": self.cursor}, wait_s=5 * POLL_S)
        except DaemonOfflineError as error:
            if self.state != "down":
                self._send(event("down", {"reason": error.reason, "hint": error.hint}))
            self.state, self.reason, self.cursor = "down", error.reason, 0
            return
        self._polled_s = time.monotonic()
        if self.state != "up":
            self._send(event("up", {}))
        self.state, self.reason = "up", ""
        self.cursor = int(news["cursor"])
        self.status = news["status"]
        for message in news["messages"]:
            if message["kind"] == "decision":
                self._keep(message)
            elif message["kind"] == "receipt":
                # What was forgotten must not stay here.
                self.streams.clear()
        self._send(event("feed", news))

    def _keep(self, decision: dict[str, Any]) -> None:
        name = str(decision["stream"])
        news = self.streams.pop(name, None) or StreamNews(decision)
        news.decision = decision
        news.p_values.append(float(decision["p_value"]))
        self.streams[name] = news
        while len(self.streams) > STREAMS_MAX:
            del self.streams[next(iter(self.streams))]

    def _send(self, text: bytes) -> None:
        for queue in self._queues:
            try:
                queue.put_nowait(text)
            except asyncio.QueueFull:
                while not queue.empty():
                    queue.get_nowait()
                queue.put_nowait(event("lagging", {}))

    async def events(
        self, may_go_on: Callable[[], bool], since: int = -1
    ) -> AsyncGenerator[bytes, None]:
        """Yield the events for one page.  may_go_on: whether its session still holds.  since: the
        cursor from before the page was made, negative if unknown; if messages came after it, the
        page is sent `lagging`."""
        if len(self._queues) >= PAGES_MAX:
            yield event("full", {"reason": "too many open pages: no live data here"})
            return
        queue: Queue = asyncio.Queue(QUEUE_MAX)
        self._queues.add(queue)
        self._wanted.set()
        try:
            behind = since >= 0 and since != self.cursor
            yield event(self.state, {"reason": self.reason})
            if behind:
                yield event("lagging", {})
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
