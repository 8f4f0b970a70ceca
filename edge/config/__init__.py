"""Every section of auricle.toml as a strict structure; docs/reference/config.md has every key."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .aggregate import AggregateSettings
    from .commands import PREFIX, CommandSettings, KeyText, key_bytes
    from .device import HttpSettings, OutboxSettings
    from .editing import with_value
    from .fleet import BundleSettings, FleetSettings
    from .mqtt import (
        SECONDS_MAX,
        HomeAssistantSettings,
        MqttSettings,
        SparkplugSettings,
        TlsSettings,
    )
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
        ColumnStream,
        FolderStream,
        HttpStream,
        ModbusRegister,
        ModbusStream,
        OpcUaNode,
        OpcUaStream,
        PlantPoint,
        PlantStream,
        PortStream,
        SentStream,
        SoundStream,
        StdinStream,
        StreamSettings,
        TopicStream,
    )
    from .web import WebSettings
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "aggregate": ("AggregateSettings",),
            "commands": ("CommandSettings", "KeyText", "PREFIX", "key_bytes"),
            "device": ("HttpSettings", "OutboxSettings"),
            "editing": ("with_value",),
            "fleet": ("BundleSettings", "FleetSettings"),
            "mqtt": (
                "HomeAssistantSettings",
                "MqttSettings",
                "SECONDS_MAX",
                "SparkplugSettings",
                "TlsSettings",
            ),
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
                "ColumnStream",
                "FolderStream",
                "HttpStream",
                "ModbusRegister",
                "ModbusStream",
                "OpcUaNode",
                "OpcUaStream",
                "PlantPoint",
                "PlantStream",
                "PortStream",
                "SentStream",
                "SoundStream",
                "StdinStream",
                "StreamSettings",
                "TopicStream",
            ),
            "web": ("WebSettings",),
        },
    )

__all__ = [
    "PREFIX",
    "SECONDS_MAX",
    "SETTINGS",
    "TEMPLATE",
    "AggregateSettings",
    "BundleSettings",
    "CameraStream",
    "ColumnStream",
    "CommandSettings",
    "EncoderSettings",
    "FleetSettings",
    "FolderStream",
    "HomeAssistantSettings",
    "HttpSettings",
    "HttpStream",
    "KeyText",
    "ModbusRegister",
    "ModbusStream",
    "MqttSettings",
    "OpcUaNode",
    "OpcUaStream",
    "OutboxSettings",
    "PlantPoint",
    "PlantStream",
    "PortStream",
    "SentStream",
    "Settings",
    "SoundStream",
    "SparkplugSettings",
    "StdinStream",
    "StreamSettings",
    "TlsSettings",
    "TopicStream",
    "WebSettings",
    "key_bytes",
    "parse_settings",
    "read_settings",
    "read_text",
    "with_value",
]
