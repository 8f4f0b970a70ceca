"""Parts of pages that all open pages share, without a browser: its driver occupies the thread's
event loop."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from edge.web.client import AskError
from edge.web.shared_parts import SharedParts


class Page:
    """A console's request of one session; counts what is rendered."""

    rendered = 0

    def __init__(self, live: Any, role: str, csrf: str) -> None:
        self.parts = SimpleNamespace(live=live)
        self.session = SimpleNamespace(role=role, csrf=csrf)

    def text(self, template: str, **values: Any) -> str:
        """Render a part."""
        Page.rendered += 1
        return f"{template} {values['name']} {self.session.role} {values['csrf']}"

    def page(self, text: str) -> str:
        """Return the response."""
        return text


class Live:
    """Live data of a daemon."""

    polls = 1

    async def refresh(self) -> None:
        """Do nothing: the last poll is fresh."""


def test_many_pages_cost_one_rendering() -> None:
    """Pages of a role share a part with their own token, until the daemon was asked again; a
    failure is not kept."""

    async def content(_: Any) -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"name": "gate"}

    async def fail(_: Any) -> dict[str, Any]:
        raise AskError("no such series")

    async def run() -> None:
        live = Live()
        shared: Any = SharedParts()  # its responses are texts here
        pages: list[Any] = [Page(live, "owner", f"token{number}") for number in range(10)]
        found = await asyncio.gather(*(shared.render(one, "cards", content) for one in pages))
        assert found == [f"cards gate owner token{number}" for number in range(10)]
        assert Page.rendered == 1
        viewer: Any = Page(live, "viewer", "v")
        assert await shared.render(viewer, "cards", content) == "cards gate viewer v"
        live.polls = 2
        await shared.render(viewer, "cards", content)
        assert Page.rendered == 3
        for _ in range(2):
            with pytest.raises(AskError, match="no such series"):
                await shared.render(viewer, "health", fail)
        assert await shared.render(viewer, "health", content) == "health gate viewer v"

    asyncio.run(run())
