from __future__ import annotations

import pytest

from edge.core.config import Config
from edge.core.errors import ConfigError, EdgeError


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", -1),
        ("seed", 2**32),
        ("false_alarm_rate", 0.0),
        ("false_alarm_rate", 0.5),
        ("false_alarm_rate", float("nan")),
        ("window", 0),
        ("window", 65),
        ("facts_per_concept", 0),
        ("first_domain", " "),
        ("first_domain", "two\nlines"),
        ("first_domain", "d" * 201),
    ],
)
def test_an_unusable_value_names_its_key(key, value):
    """An invalid setting is refused with its name, the expected and the found value."""
    with pytest.raises(ConfigError) as caught:
        Config(**{key: value})
    assert key in caught.value.message
    assert caught.value.hint
    assert isinstance(caught.value, EdgeError)


def test_the_bounds_themselves_are_fine():
    """The ends of every range are taken."""
    Config(seed=0, window=1, facts_per_concept=1)
    Config(seed=2**32 - 1, window=64, false_alarm_rate=0.49)
