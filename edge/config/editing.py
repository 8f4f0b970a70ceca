"""Changes one value in the text of auricle.toml, and leaves the rest as the user wrote it."""

import re
import tomllib
from typing import Final

from ..core import ConfigError

_HEADER: Final = re.compile(r"^[ \t]*\[([^\[\]\n]+)\][ \t]*(?:#.*)?\r?$", re.MULTILINE)
_NEXT: Final = re.compile(r"^[ \t]*\[", re.MULTILINE)


def with_value(text: str, table: str, key: str, value: float | str) -> str:
    """Return the text of settings with one number or one word of a table changed.

    The rest stays, with its comments.  Raises ConfigError if the text is written in a way that this
    cannot change safely, such as an inline table.
    """
    written = f'"{value}"' if isinstance(value, str) else f"{value!r}"
    changed = _replaced(text, table, key, written)
    wanted = tomllib.loads(text)
    wanted.setdefault(table, {})[key] = value
    try:
        same = tomllib.loads(changed) == wanted
    except tomllib.TOMLDecodeError:
        same = False
    if not same:
        raise ConfigError(
            f"changing {table}.{key}: the file is written in a way that only a person can edit",
            f"set {key} = {written} in [{table}] by hand, and reload",
        )
    return changed


def _replaced(text: str, table: str, key: str, written: str) -> str:
    header = next((one for one in _HEADER.finditer(text) if one[1].strip() == table), None)
    if header is None:
        return f"{text.rstrip()}\n\n[{table}]\n{key} = {written}\n".lstrip()
    after = _NEXT.search(text, header.end())
    end = after.start() if after else len(text)
    line = re.compile(rf"^([ \t]*{re.escape(key)}[ \t]*=[ \t]*)[^\s#]+", re.MULTILINE)
    found = line.search(text, header.end(), end)
    if found is None:
        return f"{text[: header.end()]}\n{key} = {written}{text[header.end() :]}"
    return f"{text[: found.start()]}{found[1]}{written}{text[found.end() :]}"
