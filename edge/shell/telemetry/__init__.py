"""Telemetry: MQTT 5 in and out, the topic tree, the wording of messages, and who else listens.

What needs the MQTT client is loaded when it is asked for, so that reading settings costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from .letters import LOST, Arrival, Letter, Presence, Reply, Sent, Silence
from .settings import MqttSettings, TlsSettings
from .streams import Channels, Streams
from .topics import Address, Topics
from .wording import Worded, Wording, historical

if TYPE_CHECKING:
    from .broker import Broker
    from .presence import make_presence, make_sparkplug
    from .status import StatusPresence

__all__ = [
    "LOST",
    "Address",
    "Arrival",
    "Broker",
    "Channels",
    "Letter",
    "MqttSettings",
    "Presence",
    "Reply",
    "Sent",
    "Silence",
    "StatusPresence",
    "Streams",
    "TlsSettings",
    "Topics",
    "Worded",
    "Wording",
    "historical",
    "make_presence",
    "make_sparkplug",
]

_LATER: Final = {
    "Broker": "broker",
    "StatusPresence": "status",
    "make_presence": "presence",
    "make_sparkplug": "presence",
}


def __getattr__(name: str) -> Any:
    """Load a name that stands on the MQTT client."""
    if name in _LATER:
        return getattr(import_module(f".{_LATER[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
