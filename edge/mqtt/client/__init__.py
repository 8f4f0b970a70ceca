"""The MQTT client: connects, reconnects, publishes, receives, acknowledges."""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .broker import MqttClient

__all__ = ["MqttClient"]

__getattr__ = lazy_names(__name__, {"broker": ("MqttClient",)})
