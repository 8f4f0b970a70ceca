"""The screen Fleet: who contributed what and when, what waits, and what was refused and why."""

from typing import Final

from microdot import Request, Response

from ..common import field
from ..console import Console
from ..screen import Route, Screen

STATES: Final = {
    "summed": "good",
    "withdrawn": "quiet",
    "refused": "warn",
    "dropped": "bad",
}
"""States of an aggregator's children, with the tone of their badge."""


async def page(console: Console, request: Request) -> Response:
    """Show the fleet as this device knows it: names, numbers and times, and no fact."""
    state = field(request, "state")
    state = state if state in STATES else ""
    found = await console.ask("fleet", state=state)
    return console.render("fleet.html", fleet=found, state=state, states=STATES)


SCREEN: Final = Screen("fleet", "Fleet", "t", "viewer", (Route("GET", "fleet", page),))
