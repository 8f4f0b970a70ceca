"""A Sparkplug B edge node: births, deaths, numbers and aliases.  No socket and no clock in here.

Eclipse Sparkplug 3.0.0, sections 5 and 6.  A stream is a device of the node.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from ...config import SparkplugSettings
from ..packets import InboundMessage, OutboundMessage
from ..streams import Streams
from ..topics import encode_level
from .metrics import MetricValue, kinds_of
from .payload import DataType, Metric, Value, decode_metrics, encode_payload

NAMESPACE: Final = "spBv1.0"
REBIRTH: Final = "Node Control/Rebirth"
NUMBERS: Final = 256
"""Sequence numbers and birth-death numbers count modulo this."""

_DEATH_ALIAS: Final = 1
_VERSION_ALIAS: Final = 2
_FIRST_ALIAS: Final = 3


class HostState(msgspec.Struct, frozen=True):
    """What a host application says of itself; timestamp: milliseconds since 1970."""

    online: bool
    timestamp: int


class EdgeNode:
    """One node.  streams: its devices and their metrics, fixed at birth; new ones need a rebirth.

    bd_seq: the first birth-death number.  `born` says whether data may be published.
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
        self._told_at_ms: dict[str, int] = {}
        self._bd_seq = (bd_seq - 1) % NUMBERS
        self._seq = 0
        self._host_at_ms = -1
        self.host_online = not self._host
        self.born = False
        self.rebirth_asked = False
        self.leave_asked = False

    def filters(self) -> tuple[str, ...]:
        """Return what a node listens to: commands, and the state of its primary host."""
        state = (f"{NAMESPACE}/STATE/{encode_level(self._host)}",) if self._host else ()
        return (self._topic("NCMD"), self._topic("DCMD", "+"), *state)

    def next_will(self, at_ms: int) -> OutboundMessage:
        """Begin a connection: return its NDEATH, with a birth-death number of its own."""
        self._bd_seq = (self._bd_seq + 1) % NUMBERS
        self.born = self.leave_asked = False
        self.host_online = not self._host
        self._host_at_ms = -1
        return self.death(at_ms)

    def death(self, at_ms: int) -> OutboundMessage:
        """Return the NDEATH of this connection."""
        self.born = False
        metric = Metric("bdSeq", 0, DataType.INT64, self._bd_seq, at_ms)
        return OutboundMessage(self._topic("NDEATH"), encode_payload([metric], at_ms, None), qos=1)

    def restream(self, streams: Streams, at_ms: int) -> list[OutboundMessage]:
        """Serve other streams: return a DDEATH of each that is gone; what is new asks for a
        rebirth."""
        gone = [name for name in self._kinds if name not in streams]
        for name in gone:
            del self._kinds[name], self._values[name]
            self._told_at_ms.pop(name, None)
        for name, channels in streams.items():
            kinds = kinds_of(channels)
            if self._kinds.get(name) != kinds:
                self._values[name] = {}
                self._kinds[name] = kinds
                self.rebirth_asked = True
        return [self._letter("DDEATH", name, (), at_ms) for name in gone] if self.born else []

    def births(self, at_ms: int) -> list[OutboundMessage]:
        """Return NBIRTH and every DBIRTH, with the newest values of all metrics."""
        self._seq = 0
        self.born, self.rebirth_asked = True, False
        node = (
            Metric("bdSeq", _DEATH_ALIAS, DataType.INT64, self._bd_seq, at_ms),
            Metric(REBIRTH, 0, DataType.BOOLEAN, value=False, at_ms=at_ms),
            Metric("Properties/Version", _VERSION_ALIAS, DataType.STRING, self._version, at_ms),
        )
        letters = [self._letter("NBIRTH", "", node, at_ms)]
        for stream, kinds in self._kinds.items():
            told_at_ms = self._told_at_ms.get(stream, at_ms)
            values = self._values[stream]
            metrics = [
                Metric(name, self._alias(stream, name), kind, values.get(name), told_at_ms)
                for name, kind in kinds.items()
            ]
            letters.append(self._letter("DBIRTH", stream, metrics, at_ms))
        return letters

    def tell(
        self, measured: MetricValue, at_ms: int, *, historical: bool = False
    ) -> OutboundMessage | None:
        """Return the DDATA of a message: what differs from what was told before, by alias.

        None before birth, and where a rebirth is due, as it is for a new stream or metric: no data
        may go before it.  at_ms: now.
        """
        stream = measured.stream
        self._extend(stream, measured.kinds)
        if self.rebirth_asked or not self.born:
            return None
        values = self._values[stream]
        metrics = [
            Metric("", self._alias(stream, name), None, value, measured.at_ms, historical)
            for name, value in measured.values.items()
            if historical or name not in values or values[name] != value
        ]
        if not historical:
            values.update(measured.values)
            self._told_at_ms[stream] = measured.at_ms
        return self._letter("DDATA", stream, metrics, at_ms)

    def _extend(self, stream: str, kinds: dict[str, DataType]) -> None:
        """Give a stream metrics that it has not had, and ask for a rebirth where there are some."""
        known = self._kinds.get(stream, {})
        if kinds.keys() <= known.keys():
            return
        self._kinds[stream] = known | kinds
        self._values.setdefault(stream, {})
        self.rebirth_asked = True

    def _alias(self, stream: str, metric: str) -> int:
        """Return the alias of a metric: unique over all devices of the node, the same for ever."""
        return self._aliases.setdefault((stream, metric), _FIRST_ALIAS + len(self._aliases))

    def hear(self, arrival: InboundMessage) -> bool:
        """Take in a command or the state of the primary host; True where it was one."""
        if self._host and arrival.topic == f"{NAMESPACE}/STATE/{encode_level(self._host)}":
            self._hear_host(arrival.payload)
            return True
        if arrival.topic == self._topic("NCMD"):
            asked = decode_metrics(arrival.payload) or {}
            self.rebirth_asked = self.rebirth_asked or asked.get(REBIRTH) is True
            return True
        return arrival.topic.startswith(f"{NAMESPACE}/")

    def _hear_host(self, payload: bytes) -> None:
        """Follow the newest state of the host; an older one, or what is no state, counts for
        nothing."""
        try:
            state = msgspec.json.decode(payload, type=HostState)
        except msgspec.DecodeError:
            return
        if state.timestamp < self._host_at_ms:
            return
        self._host_at_ms = state.timestamp
        self.host_online = state.online
        self.leave_asked = self.leave_asked or (not state.online and self.born)

    def _letter(
        self, kind: str, stream: str, metrics: Iterable[Metric], at_ms: int
    ) -> OutboundMessage:
        seq, self._seq = self._seq, (self._seq + 1) % NUMBERS
        return OutboundMessage(
            self._topic(kind, stream), encode_payload(metrics, at_ms, seq), qos=0
        )

    def _topic(self, kind: str, stream: str = "") -> str:
        """Return a topic of the node, or of one of its devices; "+" stands for all of them."""
        topic = f"{NAMESPACE}/{self._group}/{kind}/{self._node}"
        return f"{topic}/{stream if stream == '+' else encode_level(stream)}" if stream else topic
