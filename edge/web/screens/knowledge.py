"""The screen Knowledge: what has been learned."""

from typing import Final

from microdot import Request, Response

from ..console import Console
from ..screen import Route, Screen


async def page(console: Console, _request: Request) -> Response:
    """Show the screen."""
    return console.render("knowledge.html")


ROUTES: Final = (Route("GET", "knowledge", page, "viewer"),)
SCREEN: Final = Screen("knowledge", "Knowledge", "k", "viewer", ROUTES)
