from __future__ import annotations

import pytest

from edge.core import ConfigError
from edge.home.chosen_settings import choose_policy, choose_rate
from edge.home.home import Home
from tests.drifts import timed_home


def test_chosen_settings_are_in_force_when_the_home_is_opened_again(tmp_path):
    """Rate and policy are written into the settings file, which a home reads when it opens."""
    folder = timed_home(tmp_path / "home")
    with Home(folder) as home:
        assert home.runtime.config.adaptation == "auto"
        choose_policy(home, "off")
        choose_rate(home, 0.02)
    with Home(folder) as home:
        assert home.runtime.config.adaptation == "off"
        assert home.runtime.config.false_alarm_rate == 0.02


def test_a_policy_that_does_not_exist_changes_nothing(tmp_path):
    """The error lists the policies, and the file stays as it was."""
    folder = timed_home(tmp_path / "home")
    before = (folder / "auricle.toml").read_text("utf-8")
    with Home(folder) as home, pytest.raises(ConfigError) as caught:
        choose_policy(home, "of")
    assert "auto, off" in caught.value.hint
    assert (folder / "auricle.toml").read_text("utf-8") == before
