"""What all verbs share: an error becomes two lines and an exit status."""

from typing import Any, ClassVar, Final

import typer
from typer.core import TyperGroup

import encoder
import hdc

from ..core import EdgeError

INTERRUPTED: Final = 130


class Verbs(TyperGroup):
    """Turns errors into two lines and exit status 1."""

    errors: ClassVar[tuple[type[Any], ...]] = (EdgeError, encoder.EncoderError, hdc.HdcError)

    def invoke(self, ctx: Any) -> Any:
        """Run a verb."""
        try:
            return super().invoke(ctx)
        except self.errors as error:
            said, hint = error.message, error.hint
        except BrokenPipeError:
            raise
        except OSError as error:
            said, hint = f"{error.filename or 'input or output'}: {error.strerror}", ""
        except KeyboardInterrupt:
            said, hint = "interrupted: what was reported done is kept, the rest is undone", ""
            _show(said, hint)
            raise typer.Exit(INTERRUPTED) from None
        _show(said, hint)
        raise typer.Exit(1)


def _show(said: str, hint: str) -> None:
    from . import views

    views.show_error(said, hint)
