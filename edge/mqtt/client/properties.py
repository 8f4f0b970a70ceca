"""The MQTT 5 properties that are sent, made in one place."""

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from ...config import SECONDS_MAX, MqttSettings
from ..packets import ReplyAddress


def connect_properties(settings: MqttSettings) -> Properties:
    """Say how long the session is kept, and how much may come at a time."""
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = settings.session_expiry_s
    properties.ReceiveMaximum = settings.receiving_max
    properties.MaximumPacketSize = settings.packet_bytes_max
    return properties


def will_properties(settings: MqttSettings) -> Properties:
    """Say how long the broker waits for the client to come back before it publishes the will."""
    properties = Properties(PacketTypes.WILLMESSAGE)
    properties.WillDelayInterval = settings.will_delay_s
    return properties


def publish_properties(response: ReplyAddress | None, expiry_s: int) -> Properties | None:
    """Make those of a PUBLISH, None where it has none.  expiry_s: 0 for ever."""
    if response is None and not expiry_s:
        return None
    properties = Properties(PacketTypes.PUBLISH)
    if expiry_s:
        properties.MessageExpiryInterval = min(expiry_s, SECONDS_MAX)
    if response is not None:
        properties.CorrelationData = response.correlation
        if response.user:
            properties.UserProperty = list(response.user)
    return properties
