"""The section [web] of auricle.toml: the web console."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .mqtt import CONSOLE

Name = Annotated[str, Meta(min_length=1, max_length=255)]


class WebSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[web]: the web console.

    enabled: the daemon starts it, restarts it and ends it.  host, port: where it listens.  names:
    host names under which browsers may reach it.  ingress: the
    role of people who come through Home Assistant's ingress, which has checked who they are; empty:
    ingress is refused.
    """

    enabled: bool = False
    host: Name = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65_535)] = 9465
    names: tuple[Name, ...] = ()
    ingress: Literal["", "viewer", "labeller", "owner"] = ""

    @property
    def link(self) -> str:
        """The address by the first of `names`; empty if the console is off or has none."""
        link = f"http://{self.names[0]}:{self.port}/" if self.enabled and self.names else ""
        return link if CONSOLE.fullmatch(link) else ""
