"""Chooses single settings of a home in its settings file, the one place where they are set."""

from ..config import SETTINGS, parse_settings, read_text, with_value
from ..core import StateError
from ..storage import write_text
from .home import Home


def choose_rate(home: Home, rate: float) -> None:
    """Choose a false-alarm rate, 0 to 0.5; see `_choose`."""
    _choose(home, "detector", "false_alarm_rate", rate)


def choose_policy(home: Home, policy: str) -> None:
    """Choose a policy of adaptation, one of `core.config.ADAPTATIONS`; see `_choose`."""
    _choose(home, "adaptation", "policy", policy)


def _choose(home: Home, table: str, key: str, value: float | str) -> None:
    """Write a value into the settings file of an opened home; it takes effect when the settings are
    read again.  Raises EdgeError, with the file as it was."""
    path = home.folder / SETTINGS
    text = read_text(home.folder)
    parse_settings(text, path)
    changed = with_value(text, table, key, value)
    parse_settings(changed, path)
    if changed == text:
        return
    try:
        write_text(path, changed)
    except OSError as error:
        raise StateError(
            f"changing {table}.{key}: {path} cannot be written: {error.strerror}",
            "check its permissions and the disk",
        ) from error
