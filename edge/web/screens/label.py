"""The screen Label: labelling many observations by sight."""

from typing import Final

from microdot import Request, Response

from ..console import Console
from ..screen import Route, Screen


async def page(console: Console, _request: Request) -> Response:
    """Show the screen."""
    return console.render("label.html")


ROUTES: Final = (Route("GET", "label", page, "labeller"),)
SCREEN: Final = Screen("label", "Label", "l", "labeller", ROUTES)
