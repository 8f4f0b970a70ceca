"""Chooses the false-alarm rate of a home in its settings file, the one place where it is set."""

from ..config import SETTINGS, parse_settings, read_text, with_number
from ..core import StateError
from ..storage import write_text
from .home import Home


def choose_rate(home: Home, rate: float) -> None:
    """Write a false-alarm rate, 0 to 0.5, into the settings file of an opened home; it takes effect
    when the settings are read again.  Raises EdgeError, with the file as it was."""
    path = home.folder / SETTINGS
    text = read_text(home.folder)
    parse_settings(text, path)
    changed = with_number(text, "detector", "false_alarm_rate", rate)
    parse_settings(changed, path)
    if changed == text:
        return
    try:
        write_text(path, changed)
    except OSError as error:
        raise StateError(
            f"changing the false-alarm rate: {path} cannot be written: {error.strerror}",
            "check its permissions and the disk",
        ) from error
