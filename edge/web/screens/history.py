"""The screen History: what happened, newest first."""

from typing import Final

from microdot import Request, Response

from ..console import Console
from ..screen import Route, Screen


async def page(console: Console, _request: Request) -> Response:
    """Show the screen."""
    return console.render("history.html")


ROUTES: Final = (Route("GET", "history", page, "viewer"),)
SCREEN: Final = Screen("history", "History", "h", "viewer", ROUTES)
