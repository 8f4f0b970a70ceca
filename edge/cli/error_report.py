"""What goes wrong under a verb, told in two lines and an exit status."""

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
        status, said, hint = 1, error.message, error.hint
    except BrokenPipeError:
        raise
    except OSError as error:
        status, said, hint = 1, f"{error.filename or 'input or output'}: {error.strerror}", ""
    except KeyboardInterrupt:
        said, hint = "interrupted: what was reported done is kept, the rest is undone", ""
        status = INTERRUPTED
    else:
        return
    # Loaded where there is something to complain of: a daemon that starts needs no colours.
    from .views import show_error

    show_error(said, hint)
    raise SystemExit(status)
