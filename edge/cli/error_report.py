"""Error reports of a verb: two lines and an exit status."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from ..core import EXPECTED_ERRORS

INTERRUPTED: Final = 130
"""128 + 2 (SIGINT): the exit status that POSIX shells report for an interrupted process."""


@contextmanager
def report_errors(errors: tuple[type[Any], ...] = EXPECTED_ERRORS) -> Iterator[None]:
    """Turn errors into two lines and exit status 1, an interruption into one and status 130."""
    try:
        yield
    except errors as error:
        status, message, hint = 1, error.message, error.hint
    except BrokenPipeError:
        raise
    except OSError as error:
        status, message, hint = 1, f"{error.filename or 'input or output'}: {error.strerror}", ""
    except KeyboardInterrupt:
        message, hint = "interrupted: reported results are kept, the rest is undone", ""
        status = INTERRUPTED
    else:
        return
    # Imported only to report an error: a daemon that starts does not need rich.
    from .views import show_error

    show_error(message, hint)
    raise SystemExit(status)
