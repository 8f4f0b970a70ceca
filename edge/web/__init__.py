"""The web console: pages for people, in a process of their own.

It talks to the daemon over the local control socket and loads no numerical package.
"""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .common import ROUTES
    from .links import ROLES, make_link, print_link, running_address
    from .pictures import picture_of
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "common": ("ROUTES",),
            "links": ("ROLES", "make_link", "print_link", "running_address"),
            "pictures": ("picture_of",),
        },
    )

__all__ = ["ROLES", "ROUTES", "make_link", "picture_of", "print_link", "running_address"]
