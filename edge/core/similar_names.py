"""The known name that a wrong one was probably meant to be, for hints of errors."""

from collections.abc import Iterable


def nearest_name(found: str, known: Iterable[str]) -> str:
    """Return the known name most similar to a wrong one, "" if none is near."""
    import difflib  # only for errors: a start of the daemon does without

    return next(iter(difflib.get_close_matches(found, list(known), n=1)), "")
