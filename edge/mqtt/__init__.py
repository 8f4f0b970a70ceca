"""MQTT 5: topics, message envelope and schemas, Home Assistant discovery, Sparkplug B."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .client.mqtt_client import MqttClient
    from .client.transport import make_tls_context, read_password
    from .client.waker import Waker
    from .envelope import MessageEncoder, mark_historical
    from .homeassistant.controls import (
        Control,
        InvalidControl,
        LabelControl,
        NotNewControl,
        RateControl,
    )
    from .homeassistant.device import (
        AnnouncedDevice,
        AnnouncedHome,
        AnnouncedStream,
        ControlAnswer,
        FlaggedState,
        InstalledBundle,
    )
    from .messages import (
        ALIVE_S,
        AdaptorStatus,
        BrokerStatus,
        BundleTrialReport,
        ClockJump,
        DaemonStatus,
        HomeStatus,
        OutboxGap,
        OutboxStatus,
        Response,
        StreamStatus,
    )
    from .packets import LOST, InboundMessage, PublishedMessage, ReplyAddress
    from .presence import Channels, SilentPresence, Streams
    from .presences import StatusPresence, make_presence, make_sparkplug
    from .schemas import message_schemas
    from .topics import FLEET_PURPOSES, TopicAddress, Topics, encode_level, kind_of
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "client.mqtt_client": ("MqttClient",),
            "client.transport": ("make_tls_context", "read_password"),
            "client.waker": ("Waker",),
            "envelope": ("MessageEncoder", "mark_historical"),
            "homeassistant.controls": (
                "Control",
                "InvalidControl",
                "LabelControl",
                "NotNewControl",
                "RateControl",
            ),
            "homeassistant.device": (
                "AnnouncedDevice",
                "AnnouncedHome",
                "AnnouncedStream",
                "ControlAnswer",
                "FlaggedState",
                "InstalledBundle",
            ),
            "messages": (
                "ALIVE_S",
                "AdaptorStatus",
                "BrokerStatus",
                "BundleTrialReport",
                "ClockJump",
                "DaemonStatus",
                "HomeStatus",
                "OutboxGap",
                "OutboxStatus",
                "Response",
                "StreamStatus",
            ),
            "packets": ("InboundMessage", "LOST", "PublishedMessage", "ReplyAddress"),
            "presence": ("Channels", "SilentPresence", "Streams"),
            "presences": ("StatusPresence", "make_presence", "make_sparkplug"),
            "schemas": ("message_schemas",),
            "topics": ("FLEET_PURPOSES", "TopicAddress", "Topics", "encode_level", "kind_of"),
        },
    )

__all__ = [
    "ALIVE_S",
    "FLEET_PURPOSES",
    "LOST",
    "AdaptorStatus",
    "AnnouncedDevice",
    "AnnouncedHome",
    "AnnouncedStream",
    "BrokerStatus",
    "BundleTrialReport",
    "Channels",
    "ClockJump",
    "Control",
    "ControlAnswer",
    "DaemonStatus",
    "FlaggedState",
    "HomeStatus",
    "InboundMessage",
    "InstalledBundle",
    "InvalidControl",
    "LabelControl",
    "MessageEncoder",
    "MqttClient",
    "NotNewControl",
    "OutboxGap",
    "OutboxStatus",
    "PublishedMessage",
    "RateControl",
    "ReplyAddress",
    "Response",
    "SilentPresence",
    "StatusPresence",
    "StreamStatus",
    "Streams",
    "TopicAddress",
    "Topics",
    "Waker",
    "encode_level",
    "kind_of",
    "make_presence",
    "make_sparkplug",
    "make_tls_context",
    "mark_historical",
    "message_schemas",
    "read_password",
]
