"""The web console: pages for people, in a process of their own.

It talks to the daemon over the local control socket and loads no numerical package.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .common import ROUTES
    from .links import ROLES, make_link, print_link, running_address
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "common": ("ROUTES",),
            "links": ("ROLES", "make_link", "print_link", "running_address"),
        },
    )

__all__ = ["ROLES", "ROUTES", "make_link", "print_link", "running_address"]
