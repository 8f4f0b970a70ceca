"""A Sparkplug B edge node without I/O or a clock: births, deaths, sequence numbers and aliases.

Eclipse Sparkplug 3.0.0, sections 5 and 6.  A stream is a device of the node.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from ...config import SparkplugSettings
from ..packets import InboundMessage, OutboundMessage
from ..presence import Streams
from ..topics import encode_level
from .metrics import MetricValue, kinds_of
from .payload import DataType, Metric, Value, decode_metrics, encode_payload

NAMESPACE: Final = "spBv1.0"
REBIRTH: Final = "Node Control/Rebirth"
NUMBERS: Final = 256
"""Sequence numbers and birth-death numbers wrap here (Sparkplug 3.0.0, section 6.4)."""

_DEATH_ALIAS: Final = 1
"""Alias of bdSeq; 0 stands for no alias."""
_VERSION_ALIAS: Final = 2
"""Alias of the program version, the second metric of the node."""
_FIRST_ALIAS: Final = 3
"""First alias of stream metrics: the node's own come before."""


class HostState(msgspec.Struct, frozen=True):
    """The STATE message of a host application.  timestamp: milliseconds since 1970."""

    online: bool
    timestamp: int


class EdgeNode:
    """One edge node.  streams: its devices and their metrics, fixed at birth; new ones require a
    rebirth.  bd_seq: the first birth-death number.  `born`: data may be published.
    """

    def __init__(
        self, settings: SparkplugSettings, version: str, streams: Streams, bd_seq: int = 0
    ) -> None:
        self._group, self._node = encode_level(settings.group), encode_level(settings.edge_node)
        self._host = settings.primary_host
        self._version = version
        self._kinds = {name: kinds_of(channels) for name, channels in streams.items()}
        self._values: dict[str, dict[str, Value]] = {name: {} for name in self._kinds}
        self._aliases: dict[tuple[str, str], int] = {}
        self._published_at_ms: dict[str, int] = {}
        self._bd_seq = (bd_seq - 1) % NUMBERS
        self._seq = 0
        self._host_at_ms = -1
        self.host_online = not self._host
        self.born = False
        self.rebirth_requested = False
        self.reconnect_requested = False

    def filters(self) -> tuple[str, ...]:
        """Return the filters of commands and of the primary host's state."""
        state = (f"{NAMESPACE}/STATE/{encode_level(self._host)}",) if self._host else ()
        return (self._topic("NCMD"), self._topic("DCMD", "+"), *state)

    def next_will(self, at_ms: int) -> OutboundMessage:
        """Begin a connection: return its will, an NDEATH with the next birth-death number."""
        self._bd_seq = (self._bd_seq + 1) % NUMBERS
        self.born = self.reconnect_requested = False
        self.host_online = not self._host
        self._host_at_ms = -1
        return self.death(at_ms)

    def death(self, at_ms: int) -> OutboundMessage:
        """Return the NDEATH of this connection."""
        self.born = False
        metric = Metric(name="bdSeq", alias=0, kind=DataType.INT64, value=self._bd_seq, at_ms=at_ms)
        return OutboundMessage(self._topic("NDEATH"), encode_payload([metric], at_ms, None), qos=1)

    def set_streams(self, streams: Streams, at_ms: int) -> list[OutboundMessage]:
        """Replace the streams: return a DDEATH for each that is gone; a new one requests a
        rebirth."""
        gone = [name for name in self._kinds if name not in streams]
        for name in gone:
            del self._kinds[name], self._values[name]
            self._published_at_ms.pop(name, None)
        for name, channels in streams.items():
            kinds = kinds_of(channels)
            if self._kinds.get(name) != kinds:
                self._values[name] = {}
                self._kinds[name] = kinds
                self.rebirth_requested = True
        return [self._message("DDEATH", name, (), at_ms) for name in gone] if self.born else []

    def births(self, at_ms: int) -> list[OutboundMessage]:
        """Return the NBIRTH and all DBIRTHs, with the newest values of all metrics."""
        self._seq = 0
        self.born, self.rebirth_requested = True, False
        node = (
            Metric(
                name="bdSeq",
                alias=_DEATH_ALIAS,
                kind=DataType.INT64,
                value=self._bd_seq,
                at_ms=at_ms,
            ),
            Metric(name=REBIRTH, alias=0, kind=DataType.BOOLEAN, value=False, at_ms=at_ms),
            Metric(
                name="Properties/Version",
                alias=_VERSION_ALIAS,
                kind=DataType.STRING,
                value=self._version,
                at_ms=at_ms,
            ),
        )
        messages = [self._message("NBIRTH", "", node, at_ms)]
        for stream, kinds in self._kinds.items():
            published_at_ms = self._published_at_ms.get(stream, at_ms)
            values = self._values[stream]
            metrics = [
                Metric(
                    name=name,
                    alias=self._alias(stream, name),
                    kind=kind,
                    value=values.get(name),
                    at_ms=published_at_ms,
                )
                for name, kind in kinds.items()
            ]
            messages.append(self._message("DBIRTH", stream, metrics, at_ms))
        return messages

    def data(
        self, measured: MetricValue, at_ms: int, *, historical: bool = False
    ) -> OutboundMessage | None:
        """Return the DDATA of a message: the values that changed, by alias.

        None before birth and while a rebirth is due, as it is for a new stream or metric: data may
        only follow a birth.  at_ms: now.
        """
        stream = measured.stream
        self._extend(stream, measured.kinds)
        if self.rebirth_requested or not self.born:
            return None
        values = self._values[stream]
        metrics = [
            Metric(
                name="",
                alias=self._alias(stream, name),
                kind=None,
                value=value,
                at_ms=measured.at_ms,
                historical=historical,
            )
            for name, value in measured.values.items()
            if historical or name not in values or values[name] != value
        ]
        if not historical:
            values.update(measured.values)
            self._published_at_ms[stream] = measured.at_ms
        return self._message("DDATA", stream, metrics, at_ms)

    def _extend(self, stream: str, kinds: dict[str, DataType]) -> None:
        """Add metrics that are new to a stream, and request a rebirth if there are any."""
        known = self._kinds.get(stream, {})
        if kinds.keys() <= known.keys():
            return
        self._kinds[stream] = known | kinds
        self._values.setdefault(stream, {})
        self.rebirth_requested = True

    def _alias(self, stream: str, metric: str) -> int:
        """Return the alias of a metric: unique within the node, and constant."""
        return self._aliases.setdefault((stream, metric), _FIRST_ALIAS + len(self._aliases))

    def handle(self, message: InboundMessage) -> bool:
        """Handle a command or the state of the primary host; True if it was one."""
        if self._host and message.topic == f"{NAMESPACE}/STATE/{encode_level(self._host)}":
            self._follow_host(message.payload)
            return True
        if message.topic == self._topic("NCMD"):
            command = decode_metrics(message.payload) or {}
            self.rebirth_requested = self.rebirth_requested or command.get(REBIRTH) is True
            return True
        return message.topic.startswith(f"{NAMESPACE}/")

    def _follow_host(self, payload: bytes) -> None:
        """Follow the newest state of the host; ignore older and malformed ones."""
        try:
            state = msgspec.json.decode(payload, type=HostState)
        except msgspec.DecodeError:
            return
        if state.timestamp < self._host_at_ms:
            return
        self._host_at_ms = state.timestamp
        self.host_online = state.online
        self.reconnect_requested = self.reconnect_requested or (not state.online and self.born)

    def _message(
        self, kind: str, stream: str, metrics: Iterable[Metric], at_ms: int
    ) -> OutboundMessage:
        seq, self._seq = self._seq, (self._seq + 1) % NUMBERS
        return OutboundMessage(
            self._topic(kind, stream), encode_payload(metrics, at_ms, seq), qos=0
        )

    def _topic(self, kind: str, stream: str = "") -> str:
        """Return a topic of the node, or of one of its devices; "+" matches all devices."""
        topic = f"{NAMESPACE}/{self._group}/{kind}/{self._node}"
        return f"{topic}/{stream if stream == '+' else encode_level(stream)}" if stream else topic
