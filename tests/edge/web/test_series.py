"""Series that pages share, and the coverage that Forecast reports, without a browser: its driver
occupies the thread's event loop."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from edge.web.client import AskError
from edge.web.screens.forecast import coverage_rows
from edge.web.series import SHARED_MAX, SharedAnswers


def test_many_pages_cost_the_daemon_one_answer() -> None:
    """Pages that ask together share an answer and its failure; the next one after a while, and
    another series, are requested again."""

    class Asked:
        """Counts what the daemon is asked."""

        count = 0
        parts = SimpleNamespace(live=SimpleNamespace(cursor=7))

        async def ask(self, *_: Any, stream: str, **__: Any) -> dict[str, Any]:
            """Answer after a moment; one series is not there."""
            self.count += 1
            await asyncio.sleep(0)
            if stream == "none":
                raise AskError("no such series")
            return {"stream": stream}

    async def run() -> None:
        asked: Any = Asked()
        shared = SharedAnswers()
        found = await asyncio.gather(*(shared.ask(asked, "a", "", 1) for _ in range(10)))
        assert found == [{"stream": "a"}] * 10
        assert await shared.ask(asked, "a", "", 1) == {"stream": "a"}
        assert asked.count == 1
        failed = (shared.ask(asked, "none", "", 1) for _ in range(3))
        assert all(
            isinstance(one, AskError)
            for one in await asyncio.gather(*failed, return_exceptions=True)
        )
        for number in range(3 * SHARED_MAX):
            await shared.ask(asked, f"s{number}", "", 1)
        assert asked.count == 2 + 3 * SHARED_MAX
        await shared.ask(asked, "a", "", 1)
        assert asked.count == 3 + 3 * SHARED_MAX
        asked.parts.live.cursor = 8
        await shared.ask(asked, "a", "", 1)
        assert asked.count == 4 + 3 * SHARED_MAX, "news came since the answer"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("share", "tone"), [(0.9, "good"), (0.7, "warn"), (0.99, "warn"), (None, "quiet")]
)
def test_coverage_is_judged_beside_what_is_stated(share: float | None, tone: str) -> None:
    """Observed coverage near 90 % is as stated; well below or above it is marked, and too few
    forecasts are not judged."""
    shown = {"horizons": [6], "coverage": [share], "at_ns": range(200)}
    assert coverage_rows(shown)[0]["tone"] == tone
    few = {"horizons": [6], "coverage": [0.5], "at_ns": range(20)}
    assert coverage_rows(few)[0]["tone"] == "quiet"
