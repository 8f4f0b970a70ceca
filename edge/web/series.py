"""The newest answers about series, shared by all open pages."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

from .console import Console

SHARED_S: Final = 2.0
"""Seconds for which an answer serves every open page if nothing new was reported meanwhile, so
that many pages cost the daemon what one does."""

SHARED_MAX: Final = 16
"""Answers that are kept.  Chosen by hand; effect not measured."""

Key = tuple[str, str, int, int]
"""Home, stream, number of forecasts, and cursor of the live data when it was asked."""


class SharedAnswers:
    """The newest answer about each series, for all pages of this console."""

    def __init__(self) -> None:
        self._answers: dict[Key, tuple[float, Mapping[str, Any]]] = {}
        self._asking: dict[Key, asyncio.Task[Mapping[str, Any]]] = {}

    async def ask(
        self, console: Console, stream: str, home: str, forecasts: int
    ) -> Mapping[str, Any]:
        """Return a series with its newest forecasts; raises AskError.  Pages that ask at once get
        the same answer."""
        key = (home, stream, forecasts, console.parts.live.cursor)
        at_s, body = self._answers.get(key, (-SHARED_S, {}))
        if time.monotonic() - at_s < SHARED_S:
            return body
        if key not in self._asking:
            self._asking[key] = asyncio.create_task(self._ask(console, key))
        # A page that is closed must not cancel the answer of the others.
        return await asyncio.shield(self._asking[key])

    async def _ask(self, console: Console, key: Key) -> Mapping[str, Any]:
        home, stream, forecasts, _ = key
        self._answers.pop(key, None)
        try:
            body: Mapping[str, Any] = await console.ask(
                "series", stream=stream, home=home, forecasts=forecasts
            )
        finally:
            del self._asking[key]
        self._answers[key] = time.monotonic(), body
        while len(self._answers) > SHARED_MAX:
            del self._answers[next(iter(self._answers))]
        return body


SHARED: Final = SharedAnswers()
"""Of this process; a console serves one daemon."""
