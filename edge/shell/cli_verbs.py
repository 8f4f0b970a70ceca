"""What all verbs share: an error becomes two lines and an exit status."""

from typing import Any, ClassVar

from typer.core import TyperGroup

from .complaints import ERRORS, complaining


class Verbs(TyperGroup):
    """Turns errors into two lines and exit status 1."""

    errors: ClassVar[tuple[type[Any], ...]] = ERRORS

    def invoke(self, ctx: Any) -> Any:
        """Run a verb."""
        with complaining(self.errors):
            return super().invoke(ctx)
