"""Every section of auricle.toml as a strict structure; docs/reference/config.md has every key."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .bundles import BundleSettings
    from .commands import PREFIX, CommandSettings, KeyText, key_bytes
    from .device import HttpSettings
    from .fleet import FleetSettings
    from .mqtt import (
        SECONDS_MAX,
        HomeAssistantSettings,
        MqttSettings,
        SparkplugSettings,
        TlsSettings,
    )
    from .outbox import OutboxSettings
    from .settings import (
        SETTINGS,
        TEMPLATE,
        EncoderSettings,
        Settings,
        parse_settings,
        read_settings,
        read_text,
    )
    from .streams import (
        CameraStream,
        FolderStream,
        HttpStream,
        Named,
        PortStream,
        SentStream,
        SoundStream,
        StdinStream,
        StreamSettings,
        TopicStream,
    )

__all__ = [
    "PREFIX",
    "SECONDS_MAX",
    "SETTINGS",
    "TEMPLATE",
    "BundleSettings",
    "CameraStream",
    "CommandSettings",
    "EncoderSettings",
    "FleetSettings",
    "FolderStream",
    "HomeAssistantSettings",
    "HttpSettings",
    "HttpStream",
    "KeyText",
    "MqttSettings",
    "Named",
    "OutboxSettings",
    "PortStream",
    "SentStream",
    "Settings",
    "SoundStream",
    "SparkplugSettings",
    "StdinStream",
    "StreamSettings",
    "TlsSettings",
    "TopicStream",
    "key_bytes",
    "parse_settings",
    "read_settings",
    "read_text",
]

__getattr__ = lazy_names(
    __name__,
    {
        "bundles": ("BundleSettings",),
        "commands": ("CommandSettings", "KeyText", "PREFIX", "key_bytes"),
        "device": ("HttpSettings",),
        "fleet": ("FleetSettings",),
        "mqtt": (
            "HomeAssistantSettings",
            "MqttSettings",
            "SECONDS_MAX",
            "SparkplugSettings",
            "TlsSettings",
        ),
        "outbox": ("OutboxSettings",),
        "settings": (
            "EncoderSettings",
            "SETTINGS",
            "Settings",
            "TEMPLATE",
            "parse_settings",
            "read_settings",
            "read_text",
        ),
        "streams": (
            "CameraStream",
            "FolderStream",
            "HttpStream",
            "Named",
            "PortStream",
            "SentStream",
            "SoundStream",
            "StdinStream",
            "StreamSettings",
            "TopicStream",
        ),
    },
)
