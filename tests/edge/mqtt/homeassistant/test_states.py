from __future__ import annotations

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge.core.limits import TEXT_CHARS_MAX

pytest.importorskip("jinja2", reason="needs jinja2, whose templates Home Assistant uses")

from edge.mqtt.homeassistant.states import (
    NEW,
    RESERVED,
    STATE_CHARS_MAX,
    literal,
    name_of,
    shortened,
    state_of,
    state_template,
)
from tests.edge.mqtt.homeassistant.panels import shown

NAMES = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["unknown", "Unavailable", "None", "NONE", NEW, '"unknown"', '"', '""', " a "]),
)


@given(NAMES)
@example("unknown")
@example('"')
@example('"unknown"')
def test_a_name_survives_as_a_state(name: str) -> None:
    """No state is one that Home Assistant gives a meaning, and each returns its own name."""
    state = state_of(name)
    assert state.strip() == state
    assert state.lower() not in RESERVED
    assert name_of(state) == name


@given(st.lists(NAMES, min_size=2, max_size=2, unique=True))
def test_two_names_have_two_states(names: list[str]) -> None:
    """Different names never share a state."""
    assert state_of(names[0]) != state_of(names[1])


@given(NAMES)
def test_the_template_shows_a_name_as_the_function_does(name: str) -> None:
    """The template that Home Assistant renders gives the same state."""
    body = msgspec.json.encode({"label": name})
    assert shown(state_template("value_json.label", "'absent'"), body) == state_of(name)


def test_an_absent_name_and_an_old_message_are_distinguished() -> None:
    """Null shows what stands for it; a historical message keeps the state, unless it was none."""
    template = state_template("value_json.label", "'absent'")
    assert shown(template, b'{"label": null}') == "absent"
    assert shown(template, b'{"label": "cat", "historical": true}') == "before"
    assert shown(template, b'{"label": "cat", "historical": true}', "unavailable") == "None"


@given(st.text(max_size=12))
@example("it's {{ 1 }} \\ {% raw %} 😀")
def test_any_text_is_a_literal_of_a_template(text: str) -> None:
    """A name of a home or stream cannot become an expression.  Line ends never are in a name."""
    plain = "".join(one for one in text if one.isprintable())
    made = shown(f"{{{{ {literal(plain)} | tojson }}}}", b"{}")
    assert msgspec.json.decode(made) == plain


def test_the_longest_name_fits_a_state() -> None:
    """A label of the longest allowed length fits, in quotation marks too; longer texts are cut."""
    assert len(state_of(" " * TEXT_CHARS_MAX)) <= STATE_CHARS_MAX
    assert len(shortened("x" * 300)) == STATE_CHARS_MAX
