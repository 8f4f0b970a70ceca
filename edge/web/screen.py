"""What a screen is: an entry of the navigation, with the routes that belong to it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from microdot import Request, Response

from .links import Role
from .server import BODY_BYTES_MAX

if TYPE_CHECKING:
    from .console import Console

Handler = Callable[["Console", Request], Awaitable[Response]]


@dataclass(frozen=True)
class Route:
    """One address.  path: a single name, so that every relative address works from every page;
    empty for the first page.  role: who may use it."""

    method: Literal["GET", "POST"]
    path: str
    handler: Handler
    role: Role = "viewer"
    body_bytes_max: int = BODY_BYTES_MAX


@dataclass(frozen=True)
class Screen:
    """One screen.  name: of its main address; key: after `g` it opens the screen; role: who sees it
    in the navigation; routes: the first one is its page."""

    name: str
    title: str
    key: str
    role: Role
    routes: tuple[Route, ...]

    @property
    def path(self) -> str:
        """The relative address of its page."""
        return self.routes[0].path or "./"
