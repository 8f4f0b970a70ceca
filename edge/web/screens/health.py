"""The screen Health: the daemon, its machine and its settings."""

from typing import Final

from microdot import Request, Response

from ..console import Console
from ..screen import Route, Screen


async def page(console: Console, _request: Request) -> Response:
    """Show the screen."""
    return console.render("health.html")


ROUTES: Final = (Route("GET", "health", page, "viewer"),)
SCREEN: Final = Screen("health", "Health", "s", "viewer", ROUTES)
