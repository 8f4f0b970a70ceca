from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.editing import with_value
from edge.config.settings import TEMPLATE
from edge.core.errors import ConfigError

SETTINGS = TEMPLATE.format(card='"card.json"')


def test_only_the_number_changes() -> None:
    """Comments, order and spaces stay as the user wrote them."""
    changed = with_value(SETTINGS, "detector", "false_alarm_rate", 0.025)
    assert changed == SETTINGS.replace("false_alarm_rate = 0.01 ", "false_alarm_rate = 0.025 ")
    assert with_value(changed, "detector", "false_alarm_rate", 0.01) == SETTINGS


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[device]\nname = 'x'\n",
        "[detector]\nwindow = 4\n[device]\nname = 'false_alarm_rate = 3'\n",
        "  [ detector ]   # rates\n# false_alarm_rate = 7\nwindow = 4\n",
        "[detector]\r\nfalse_alarm_rate=0.3# high\r\nwindow = 4\r\n",
        "[streams.detector]\nfalse_alarm_rate = 1\n[detector]",
    ],
)
def test_every_usual_way_of_writing_is_changed(text: str) -> None:
    """A missing table, a missing key, comments and line ends of Windows."""
    changed = with_value(text, "detector", "false_alarm_rate", 0.05)
    wanted = tomllib.loads(text)
    wanted.setdefault("detector", {})["false_alarm_rate"] = 0.05
    assert tomllib.loads(changed) == wanted


@pytest.mark.parametrize(
    "text",
    ["detector = {false_alarm_rate = 0.01}\n", "detector.false_alarm_rate = 0.01\n"],
)
def test_what_cannot_be_changed_safely_is_refused(text: str) -> None:
    """The error names the line to write by hand."""
    with pytest.raises(ConfigError) as caught:
        with_value(text, "detector", "false_alarm_rate", 0.05)
    assert "false_alarm_rate = 0.05" in caught.value.hint


def test_a_word_is_written_in_quotes() -> None:
    """A word of a new table, and of one that is there, is what is read again."""
    changed = with_value(SETTINGS, "adaptation", "policy", "off")
    assert tomllib.loads(changed)["adaptation"] == {"policy": "off"}
    again = with_value(changed, "adaptation", "policy", "auto")
    assert tomllib.loads(again) == tomllib.loads(SETTINGS) | {"adaptation": {"policy": "auto"}}


@given(st.floats(min_value=1e-9, max_value=0.499))
def test_any_rate_is_written_exactly(rate: float) -> None:
    """What is read again is the number that was given."""
    changed = with_value(SETTINGS, "detector", "false_alarm_rate", rate)
    assert tomllib.loads(changed)["detector"]["false_alarm_rate"] == rate
