"""The screen Fleet: who contributed what and when, what waits, and what was refused and why."""

from typing import Final
from urllib.parse import urlencode

from microdot import Request, Response

from ..common import field, whole
from ..console import Console
from ..screen import Route, Screen

STATES: Final = {
    "summed": "good",
    "withdrawn": "quiet",
    "refused": "warn",
    "dropped": "bad",
}
"""States of an aggregator's children, with the tone of their badge."""

FIND_CHARS_MAX: Final = 200
"""Characters of a name that is looked for: those of the longest name."""

OFFSET_MAX: Final = 10**9
"""Farthest page: beyond any fleet."""


async def page(console: Console, request: Request) -> Response:
    """Show the fleet as this device knows it: names, numbers and times, and no fact."""
    state = field(request, "state")
    state = state if state in STATES else ""
    find = field(request, "find")[:FIND_CHARS_MAX].strip()
    offset = whole(field(request, "offset"), 0, OFFSET_MAX)
    found = await console.ask("fleet", state=state, find=find, offset=offset)

    def address(**changes: str | int) -> str:
        """The address of this screen with other filters."""
        chosen = {"state": state, "find": find, "offset": 0} | changes
        return "fleet?" + urlencode({name: one for name, one in chosen.items() if one})

    return console.render(
        "fleet.html",
        fleet=found,
        state=state,
        find=find,
        states=STATES,
        address=address,
    )


SCREEN: Final = Screen("fleet", "Fleet", "t", "viewer", (Route("GET", "fleet", page),))
