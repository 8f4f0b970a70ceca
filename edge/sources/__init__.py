"""Sources of measurements: folders, cameras, sound, standard input, serial ports, MQTT, HTTP."""

from typing import TYPE_CHECKING

from ..lazy import lazy_names

if TYPE_CHECKING:
    from .factory import SourceContext, open_source, probe_controller
    from .measurement import (
        InvalidMeasurement,
        Measurement,
        MeasurementMetadata,
        Sink,
        Source,
        content_id,
        daily_recording,
        recording_of_file,
        session_recording,
    )
    from .payloads import decode_payload, read_properties
    from .plant import ProbedValue
    from .polling import PollingSource, UnavailableError
    from .serial_port import PortDevice, SerialPortSource, open_link
    from .sound import NS_PER_S, read_wav
else:
    __getattr__ = lazy_names(
        __name__,
        {
            "factory": ("SourceContext", "open_source", "probe_controller"),
            "measurement": (
                "InvalidMeasurement",
                "Measurement",
                "MeasurementMetadata",
                "Sink",
                "Source",
                "content_id",
                "daily_recording",
                "recording_of_file",
                "session_recording",
            ),
            "payloads": ("decode_payload", "read_properties"),
            "plant": ("ProbedValue",),
            "polling": ("PollingSource", "UnavailableError"),
            "serial_port": ("PortDevice", "SerialPortSource", "open_link"),
            "sound": ("NS_PER_S", "read_wav"),
        },
    )

__all__ = [
    "NS_PER_S",
    "InvalidMeasurement",
    "Measurement",
    "MeasurementMetadata",
    "PollingSource",
    "PortDevice",
    "ProbedValue",
    "SerialPortSource",
    "Sink",
    "Source",
    "SourceContext",
    "UnavailableError",
    "content_id",
    "daily_recording",
    "decode_payload",
    "open_link",
    "open_source",
    "probe_controller",
    "read_properties",
    "read_wav",
    "recording_of_file",
    "session_recording",
]
