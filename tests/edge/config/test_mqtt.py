from __future__ import annotations

import msgspec
import pytest

from edge.config.mqtt import MqttSettings


def test_the_default_port_follows_from_tls() -> None:
    """The default port is 1883, with TLS 8883; a configured port takes precedence."""
    assert MqttSettings().address == ("localhost", 1883)
    assert msgspec.convert({"tls": {}}, MqttSettings).address == ("localhost", 8883)
    assert MqttSettings(port=5).address == ("localhost", 5)


def test_a_password_in_the_settings_is_refused() -> None:
    """The settings name the source of the password and have no key for the password itself."""
    with pytest.raises(msgspec.ValidationError, match="unknown field `password`"):
        msgspec.convert({"username": "a", "password": "secret"}, MqttSettings)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"port": 65_536}, "65535"),
        ({"keepalive_s": 0}, ">= 1"),
        ({"host": ""}, "length"),
        ({"reconnect_s_min": 5, "reconnect_s_max": 1}, "below reconnect_s_min"),
        ({"username": "a", "password_file": "x", "password_env": "Y"}, "not both"),
        ({"password_file": "x"}, "needs a username"),
        ({"tls": {"certificate": "x"}}, "come together"),
        ({"tls": {"minimum_version": "1.1"}}, "1.1"),
        ({"tls": {"insecure": True}}, "unknown field"),
        ({"homeassistant": {"on": True}}, "unknown field"),
    ],
)
def test_conflicting_settings_are_refused(given: dict[str, object], words: str) -> None:
    """Conflicting values are refused with a reason."""
    with pytest.raises(msgspec.ValidationError, match=words):
        msgspec.convert(given, MqttSettings)
