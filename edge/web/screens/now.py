"""The screen Now: a card for each stream, live."""

from typing import Final

from microdot import Request, Response

from ..console import Console
from ..screen import Route, Screen


async def page(console: Console, _request: Request) -> Response:
    """Show the screen; before there is a home, the first run."""
    if not (console.folder / "auricle.toml").exists():
        return Response(b"", 303, {"Location": "first-run"})
    return console.render("now.html", status=await console.ask("status"))


async def cards(console: Console, _request: Request) -> Response:
    """Show the cards alone, for a page that is open."""
    return console.render("now_cards.html", status=await console.ask("status"))


SCREEN: Final = Screen(
    "now", "Now", "n", "viewer", (Route("GET", "", page), Route("GET", "now-cards", cards))
)
