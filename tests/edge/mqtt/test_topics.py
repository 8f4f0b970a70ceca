from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import Decision, EdgeError, Receipt
from edge.mqtt.topics import TopicAddress, Topics, decode_level, encode_level, kind_of

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


@given(NAMES)
def test_a_name_is_one_level_and_round_trips(name: str) -> None:
    """The level of any name has no character with a meaning in topics, and decodes to the same
    name."""
    level = encode_level(name)
    assert not set(level) & set("/+#\0\n\x7f\x85")
    assert decode_level(level) == name


@given(st.text(min_size=0, max_size=20))
def test_a_level_has_one_name(level: str) -> None:
    """A level that `encode_level` never writes is no name: two topics never mean one stream."""
    name = decode_level(level)
    assert name is None or encode_level(name) == level


@pytest.mark.parametrize("level", ["", "a%2fb", "%41", "%", "%zz", "%80", "a/b", "x\ny"])
def test_malformed_levels_are_no_names(level: str) -> None:
    """Lower-case, needless and broken escapes are refused, as are characters that must be
    escaped."""
    assert decode_level(level) is None


@pytest.mark.parametrize("name", ["", "\ud800"])
def test_invalid_text_is_no_name(name: str) -> None:
    """An empty name and a lone surrogate are refused with a hint."""
    with pytest.raises(EdgeError, match="is not a name"):
        encode_level(name)


def test_a_device_cannot_be_named_fleet() -> None:
    """The branch of the fleets belongs to no device."""
    with pytest.raises(EdgeError, match="cannot be named fleet"):
        Topics("fleet")


def test_messages_have_their_topics() -> None:
    """Kinds of the topic tree keep their names, all others are events, with their stream if they
    have one."""
    topics = Topics("gw/1")
    assert topics.message_topic(kind_of(Decision), "cam 1") == "auricle/v1/gw%2F1/decision/cam 1"
    assert topics.message_topic(kind_of(Receipt)) == "auricle/v1/gw%2F1/receipt"
    assert topics.message_topic("mood", "a") == "auricle/v1/gw%2F1/event/mood/a"
    assert topics.message_topic("drift-found") == "auricle/v1/gw%2F1/event/drift-found"


def test_topics_are_parsed() -> None:
    """Observations, commands and contributions are distinguished; everything else is other."""
    topics = Topics("gw1")
    assert topics.parse("auricle/v1/gw1/observe/cam%2F1") == TopicAddress("observe", "cam/1")
    assert topics.parse("auricle/v1/gw1/command/forget") == TopicAddress("command", "forget")
    there = Topics("gw2").fleet_topic("site a", "contribution")
    assert topics.parse(there) == TopicAddress("contribution", "gw2", "site a")
    for topic in ("", "x", "auricle/v1/gw2/command/forget", "auricle/v1/gw1/observe/a/b"):
        assert topics.parse(topic) == TopicAddress("other")


@pytest.mark.parametrize(
    ("topic", "fine"),
    [
        ("auricle/v1/gw1/response", True),
        ("auricle/v1/console/response/7", True),
        ("auricle/v1/gw2/command/forget", False),
        ("auricle/v1/gw1/status", False),
        ("auricle/v1/gw1/response/#", False),
        ("auricle/v1/gw1/response/+", False),
        ("auricle/v1/+/response", False),
        ("auricle/v1/gw1/response/", False),
        ("auricle/v1/gw1/response/\0", False),
        ("auricle/v1/gw1/response/\ud800", False),
        ("auricle/v1/gw1/response/" + "x" * 65_536, False),
        ("elsewhere/response", False),
        ("", False),
    ],
)
def test_a_response_goes_to_a_response_topic_only(topic: str, fine: bool) -> None:
    """A response cannot be directed to a topic of commands, status or other messages."""
    assert Topics("gw1").allows_response(topic) is fine
