"""The templates that reports and the web console share, and how both are filled in."""

from functools import cache
from typing import Final

from jinja2 import ChoiceLoader, Environment, PackageLoader, PrefixLoader, StrictUndefined

from . import formats

SHARED: Final = "pages"
"""Prefix of the shared templates: `pages/macros.html`, `pages/tokens.css`."""


@cache
def environment(package: str) -> Environment:
    """Return the environment for the templates in `templates/` of a package, by its dotted name.

    Every value is escaped, and a name that is not given raises `jinja2.UndefinedError` instead of
    leaving a gap.  The shared templates are found under `pages/`.  Filters: the functions of
    formats.py.  Cost: one millisecond once; each template is compiled on first use.
    """
    shared = PrefixLoader({SHARED: PackageLoader("edge.pages")})
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package), shared]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # Templates ship with the program, so a file that is open is never a newer one.
        auto_reload=False,
    )
    made.filters |= formats.FILTERS
    return made
