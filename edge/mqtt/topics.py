"""The topic tree: `auricle/v1/<device>/...`.  docs/reference/topics.md documents every topic.

A name (device, stream, verb) is one level of a topic.  `/ + # %` and control characters in it are
percent-encoded as UTF-8, so that every printable name has exactly one topic, and back.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Final, Literal
from urllib.parse import unquote

import msgspec

from ..core import ConfigError

ROOT: Final = "auricle/v1"
FLEET: Final = f"{ROOT}/fleet"
TOPIC_BYTES_MAX: Final = 65_535
NAMES_CACHED: Final = 2_048

_RESERVED: Final = re.compile(r"[/+#%\x00-\x1f\x7f-\x9f\u2028\u2029]")
_WORD_START: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

Purpose = Literal["observe", "command", "contribution", "other"]


class TopicAddress(msgspec.Struct, frozen=True):
    """What a topic that came in is about.  name: of the stream, the verb, or the device that
    contributes; fleet: of a contribution."""

    purpose: Purpose
    name: str = ""
    fleet: str = ""


@lru_cache(NAMES_CACHED)
def encode_level(name: str) -> str:
    """Write a name as one level of a topic; raises ConfigError for one that can't be."""
    if not name or any(unicodedata.category(sign) == "Cs" for sign in name):
        raise ConfigError(
            f"making a topic: {name!r} is no name", "names are text of one character or more"
        )
    return _RESERVED.sub(_percent, name)


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found.group().encode())


def decode_level(level: str) -> str | None:
    """Read a name from a level of a topic; None where `encode` would never have written it."""
    try:
        name = unquote(level, errors="strict")
        return name if encode_level(name) == level else None
    except (UnicodeDecodeError, ConfigError):
        return None


def kind_of(message: type) -> str:
    """Name a class of messages in topics and schemas: `DriftAlarm` -> "drift-alarm"."""
    return _SHORT.get(message.__name__) or _WORD_START.sub("-", message.__name__).lower()


# The names of the topic tree, where they aren't the name of the class.
_SHORT: Final = {
    "DriftAlarm": "alarm",
    "DaemonStatus": "health",
    "Acknowledgement": "ack",
    "SeriesForecast": "forecast",
    "GrowthReport": "growth",
    "OutboxGap": "gap",
    "DeviceStatus": "status",
    "BundleTrialReport": "bundle-trial",
}

# Kinds with a branch of their own; the others are events.
_WITH_STREAM: Final = frozenset({"decision", "alarm", "label-request", "forecast", "change-point"})
_PLAIN: Final = frozenset(
    {"ack", "gap", "growth", "health", "receipt", "rejected", "response", "status", "bundle-trial"}
)


class Topics:
    """The topics of one device.  Raises ConfigError for a name that can't be a device's."""

    def __init__(self, device: str) -> None:
        if device == "fleet":
            raise ConfigError("a device can't be called fleet", "the topic tree uses this name")
        self.base = f"{ROOT}/{encode_level(device)}"
        self.status = f"{self.base}/status"
        self.health = f"{self.base}/health"
        self.gap = f"{self.base}/gap"
        self.response = f"{self.base}/response"

    def telling(self, kind: str, stream: str = "") -> str:
        """Return where a message of a kind goes; stream: where it is about one."""
        if kind in _PLAIN or (kind in _WITH_STREAM and not stream):
            return f"{self.base}/{kind}"
        branch = kind if kind in _WITH_STREAM else f"event/{kind}"
        return f"{self.base}/{branch}/{encode_level(stream)}" if stream else f"{self.base}/{branch}"

    def observing(self) -> str:
        """Return the filter of observations."""
        return f"{self.base}/observe/+"

    def commanding(self) -> str:
        """Return the filter of commands."""
        return f"{self.base}/command/+"

    def contributing(self, fleet: str) -> str:
        """Return the filter of the contributions to a fleet."""
        return f"{FLEET}/{encode_level(fleet)}/contribution/+"

    def contribution(self, fleet: str) -> str:
        """Return where this device's contribution to a fleet goes."""
        return f"{FLEET}/{encode_level(fleet)}/contribution/{self.base.rpartition('/')[2]}"

    def read(self, topic: str) -> TopicAddress:
        """Say what a topic that came in is about; "other" for what nobody here asked for."""
        head, _, level = topic.rpartition("/")
        name = decode_level(level)
        if name is None:
            return TopicAddress("other")
        if head == f"{self.base}/observe":
            return TopicAddress("observe", name)
        if head == f"{self.base}/command":
            return TopicAddress("command", name)
        if head.startswith(f"{FLEET}/") and head.endswith("/contribution"):
            fleet = decode_level(head[len(FLEET) + 1 : -len("/contribution")])
            return TopicAddress("contribution", name, fleet) if fleet else TopicAddress("other")
        return TopicAddress("other")

    def answerable(self, topic: str) -> bool:
        """Say whether an answer may go to a response topic: one below `response` of this device or
        of somebody else's branch.  Anywhere else an answer could pass for a message or a command.
        """
        levels = topic.split("/")
        return (
            topic.startswith(f"{ROOT}/")
            and len(levels) >= 4
            and levels[3] == "response"
            and all(levels)
            and len(topic.encode(errors="replace")) <= TOPIC_BYTES_MAX
            and not re.search(r"[+#\x00-\x1f\x7f-\x9f\ud800-\udfff]", topic)
        )
