"""The screen Forecast: series with their forecasts."""

from typing import Final

from microdot import Request, Response

from ..console import Console
from ..screen import Route, Screen


async def page(console: Console, _request: Request) -> Response:
    """Show the screen."""
    return console.render("forecast.html")


ROUTES: Final = (Route("GET", "forecast", page, "viewer"),)
SCREEN: Final = Screen("forecast", "Forecast", "f", "viewer", ROUTES)
