"""Names as states of Home Assistant.

Home Assistant gives some states a meaning of its own ("unknown", "unavailable", "None"), and strips
white space around a rendered template.  A label may have any of these names, so such a name is
shown within quotation marks, and so is a name that begins and ends with them: `name_of` returns
exactly the name that `state_of` was given.
"""

from typing import Final

NEW: Final = "(new)"
UNDECIDED: Final = "(undecided)"
"""States of an observation without a label: it is novel, or too few facts are known to decide."""

RESERVED: Final = ("", "unknown", "unavailable", "none", NEW, UNDECIDED)
"""States that never are a name as it is; capitals make no difference.  The first four have a
meaning in Home Assistant (homeassistant/const.py, components/mqtt/const.py)."""

STATE_CHARS_MAX: Final = 255
"""Longest state; a longer one is dropped (homeassistant/const.py, MAX_LENGTH_STATE_STATE)."""

_QUOTE: Final = '"'


def state_of(name: str) -> str:
    """Return a name as a state; never a reserved one."""
    quoted = name.startswith(_QUOTE) and name.endswith(_QUOTE)
    if quoted or name.lower() in RESERVED or name != name.strip():
        return f"{_QUOTE}{name}{_QUOTE}"
    return name


def name_of(state: str) -> str:
    """Return the name that `state_of` made a state from."""
    quoted = len(state) > 1 and state.startswith(_QUOTE) and state.endswith(_QUOTE)
    return state[1:-1] if quoted else state


def shortened(text: str, most: int = STATE_CHARS_MAX) -> str:
    """Return a text of at most `most` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"


def state_template(value: str, absent: str) -> str:
    """Return the template that shows a name as `state_of` does; a historical message leaves the
    state as it is.

    value: expression of the name.  absent: expression of the state where that is null.
    """
    reserved = ", ".join(map(literal, RESERVED))
    return (
        f"{{%- set v = {value} -%}}"
        "{%- if value_json.get('historical') -%}"
        "{{ none if this.state in ['unknown', 'unavailable'] else this.state }}"
        f"{{%- elif v is none -%}}{{{{ {absent} }}}}"
        f"{{%- elif v | lower in [{reserved}] or v != v | trim"
        " or (v[:1] == '\"' and v[-1:] == '\"') -%}"
        '"{{ v }}"'
        "{%- else -%}{{ v }}{%- endif -%}"
    )


def literal(text: str) -> str:
    """Return a text as a string of a template."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
