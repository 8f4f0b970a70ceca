"""What the pages of reports and of the web console share: templates, colours and print rules."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .formats import number, percent, plural, sentence
    from .rendering import environment
else:
    __getattr__ = lazy_names(
        __name__,
        {"formats": ("number", "percent", "plural", "sentence"), "rendering": ("environment",)},
    )

__all__ = ["environment", "number", "percent", "plural", "sentence"]
