"""MQTT 5: topics, message envelope and schemas, Home Assistant discovery, Sparkplug B."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .client.broker import MqttClient
    from .client.connect import read_password, wrap_tls
    from .client.waker import Waker
    from .envelope import MessageEncoder, mark_historical
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
    from .packets import LOST, InboundMessage, PublishedMessage, ReplyAddress, SilentPresence
    from .presences import make_presence, make_sparkplug
    from .schemas import message_schemas
    from .status import StatusPresence
    from .streams import Channels, Streams
    from .topics import TopicAddress, Topics, encode_level

__all__ = [
    "ALIVE_S",
    "LOST",
    "AdaptorStatus",
    "BrokerStatus",
    "BundleTrialReport",
    "Channels",
    "ClockJump",
    "DaemonStatus",
    "HomeStatus",
    "InboundMessage",
    "MessageEncoder",
    "MqttClient",
    "OutboxGap",
    "OutboxStatus",
    "PublishedMessage",
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
    "make_presence",
    "make_sparkplug",
    "mark_historical",
    "message_schemas",
    "read_password",
    "wrap_tls",
]

__getattr__ = lazy_names(
    __name__,
    {
        "client.broker": ("MqttClient",),
        "client.connect": ("read_password", "wrap_tls"),
        "client.waker": ("Waker",),
        "envelope": ("MessageEncoder", "mark_historical"),
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
        "packets": ("InboundMessage", "LOST", "PublishedMessage", "ReplyAddress", "SilentPresence"),
        "presences": ("make_presence", "make_sparkplug"),
        "schemas": ("message_schemas",),
        "status": ("StatusPresence",),
        "streams": ("Channels", "Streams"),
        "topics": ("TopicAddress", "Topics", "encode_level"),
    },
)
