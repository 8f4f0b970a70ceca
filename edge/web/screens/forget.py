"""The screen Forget: forgetting with preview and receipt."""

from typing import Final

from microdot import Request, Response

from ..console import Console
from ..screen import Route, Screen


async def page(console: Console, _request: Request) -> Response:
    """Show the screen."""
    return console.render("forget.html")


ROUTES: Final = (Route("GET", "forget", page, "owner"),)
SCREEN: Final = Screen("forget", "Forget", "e", "owner", ROUTES)
