"""paho's `Properties` with shared tables behave as before."""

from __future__ import annotations

import copy
from importlib import util
from typing import Any

import pytest
from paho.mqtt import MQTTException, properties
from paho.mqtt.packettypes import PacketTypes

from edge.mqtt.client import property_tables
from edge.mqtt.client.property_tables import OWN, share_property_tables


@pytest.fixture
def kind(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The class of paho as it is installed, whatever connections other tests have made."""
    fresh = util.spec_from_file_location("paho.mqtt.fresh", properties.__file__)
    assert fresh is not None
    assert fresh.loader is not None
    made = util.module_from_spec(fresh)
    fresh.loader.exec_module(made)
    monkeypatch.setattr(property_tables, "Properties", made.Properties)
    return made.Properties


def packed(kind: Any) -> bytes:
    """A PUBLISH's properties with one value, bytes, and two pairs."""
    made = kind(PacketTypes.PUBLISH)
    made.MessageExpiryInterval = 7
    made.CorrelationData = b"abc"
    made.UserProperty = [("a", "1"), ("a", "2")]
    return bytes(made.pack())


def test_properties_are_read_and_written_as_before(kind: Any) -> None:
    """What is packed is unpacked; each object holds its own properties; a wrong one raises."""
    before = packed(kind)
    expected = kind(PacketTypes.PUBLISH)
    expected.unpack(before)
    assert share_property_tables()
    assert share_property_tables(), "once more changes nothing"
    assert packed(kind) == before
    read = kind(PacketTypes.PUBLISH)
    assert read.unpack(before)[1] == len(before)
    assert vars(read) == vars(expected)
    assert read.json() == expected.json()
    assert copy.copy(read).json() == read.json()
    assert kind(PacketTypes.PUBLISH).isEmpty()
    read.clear()
    assert read.isEmpty()
    assert vars(read).keys() == OWN
    with pytest.raises(MQTTException, match="must be one of"):
        read.Unknown = 1
    with pytest.raises(MQTTException, match="does not apply"):
        kind(PacketTypes.PUBACK).TopicAlias = 1


def test_another_version_of_paho_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Properties with further attributes are not touched."""

    class Other:
        def __init__(self, packet_type: int) -> None:
            self.packetType, self.more = packet_type, 1

    monkeypatch.setattr(property_tables, "Properties", Other)
    assert not share_property_tables()
    assert not hasattr(Other, "tables_shared")
