"""The screen First run: from an empty folder to a working stream."""

from typing import Final

from microdot import Request, Response

from ..console import Console
from ..screen import Route, Screen


async def page(console: Console, _request: Request) -> Response:
    """Show the screen."""
    return console.render("first_run.html")


ROUTES: Final = (Route("GET", "first-run", page, "owner"),)
SCREEN: Final = Screen("first-run", "First run", "a", "owner", ROUTES)
