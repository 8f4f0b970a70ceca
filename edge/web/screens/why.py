"""The screen Why: why an observation was answered as it was."""

from typing import Final

from microdot import Request, Response

from ..console import Console
from ..screen import Route, Screen


async def page(console: Console, _request: Request) -> Response:
    """Show the screen."""
    return console.render("why.html")


ROUTES: Final = (Route("GET", "why", page, "viewer"),)
SCREEN: Final = Screen("why", "Why", "w", "viewer", ROUTES)
