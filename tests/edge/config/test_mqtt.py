from __future__ import annotations

import msgspec
import pytest

from edge.config.mqtt import MqttSettings


def test_the_usual_port_follows_from_tls() -> None:
    """Without a port it is 1883, with TLS 8883; a port that is given counts."""
    assert MqttSettings().address == ("localhost", 1883)
    assert msgspec.convert({"tls": {}}, MqttSettings).address == ("localhost", 8883)
    assert MqttSettings(port=5).address == ("localhost", 5)


def test_a_password_in_the_settings_is_refused() -> None:
    """Settings name where the password is; there is no key to write it down."""
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
def test_settings_that_make_no_sense_are_refused(given: dict[str, object], words: str) -> None:
    """Each with words that say what is wrong."""
    with pytest.raises(msgspec.ValidationError, match=words):
        msgspec.convert(given, MqttSettings)
