"""The daemon: one loop that takes measurements and orders, decides, and tells."""

from .settings import DeviceSettings, HttpSettings

__all__ = ["DeviceSettings", "HttpSettings"]
