"""Bytes <-> frames <-> readings and commands, and knowledge -> C for microcontrollers."""

from .clocks import PeerClock
from .codec import decode_message, encode_message
from .errors import BridgeError, MessageError, WireError
from .evaluator import combine, decide, head_scores, random_features
from .events import Event, LinkConnected, LinkFault, LinkGap, LinkSilent, LinkUndelivered
from .export import (
    SHIFT_MAX,
    UNDECIDED,
    ColumnsPart,
    ExportError,
    Extract,
    HeadPart,
    PlanePart,
    RandomPart,
    power_of_two,
)
from .export import SUM_MAX as SCORE_MAX
from .export_c import code_bytes, decision_words, ram_bytes, write_c
from .export_image import pack as pack_extract
from .export_liquid import liquid_bytes, liquid_words, quantise_liquid, write_liquid_c
from .export_package import PACKAGE_KINDS, PackageKind, make_package
from .frames import FaultKind
from .link import Link, LinkSettings
from .liquid import LiquidPart, step_liquid, to_fixed
from .loopback import Loopback, Wire, WireFaults
from .messages import ABSTAINS, DTYPES
from .records import (
    Ack,
    Actuate,
    Command,
    Counters,
    DeviceDecision,
    Log,
    Message,
    Reading,
    StreamInfo,
    UpdateBegin,
    UpdateChunk,
    UpdateCommit,
    UpdateConfirm,
    UpdateQuery,
    UpdateStatus,
)
from .slots import Flash
from .transports import Transport, exchange, open_transport
from .updating import Updater, Upload, offer_model

__all__ = [
    "ABSTAINS",
    "DTYPES",
    "PACKAGE_KINDS",
    "SCORE_MAX",
    "SHIFT_MAX",
    "UNDECIDED",
    "Ack",
    "Actuate",
    "BridgeError",
    "ColumnsPart",
    "Command",
    "Counters",
    "DeviceDecision",
    "Event",
    "ExportError",
    "Extract",
    "FaultKind",
    "Flash",
    "HeadPart",
    "Link",
    "LinkConnected",
    "LinkFault",
    "LinkGap",
    "LinkSettings",
    "LinkSilent",
    "LinkUndelivered",
    "LiquidPart",
    "Log",
    "Loopback",
    "Message",
    "MessageError",
    "PackageKind",
    "PeerClock",
    "PlanePart",
    "RandomPart",
    "Reading",
    "StreamInfo",
    "Transport",
    "UpdateBegin",
    "UpdateChunk",
    "UpdateCommit",
    "UpdateConfirm",
    "UpdateQuery",
    "UpdateStatus",
    "Updater",
    "Upload",
    "Wire",
    "WireError",
    "WireFaults",
    "code_bytes",
    "combine",
    "decide",
    "decision_words",
    "decode_message",
    "encode_message",
    "exchange",
    "head_scores",
    "liquid_bytes",
    "liquid_words",
    "make_package",
    "offer_model",
    "open_transport",
    "pack_extract",
    "power_of_two",
    "quantise_liquid",
    "ram_bytes",
    "random_features",
    "step_liquid",
    "to_fixed",
    "write_c",
    "write_liquid_c",
]
