"""The MQTT client: connects, reconnects, publishes, receives, acknowledges."""

from typing import TYPE_CHECKING

from ...lazy import lazy_names

if TYPE_CHECKING:
    from .mqtt_client import MqttClient
else:
    __getattr__ = lazy_names(__name__, {"mqtt_client": ("MqttClient",)})

__all__ = ["MqttClient"]
