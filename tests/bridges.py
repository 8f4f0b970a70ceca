"""Messages at random, and links that talk to each other, for the tests of firmware_bridge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from firmware_bridge import (
    DTYPES,
    Event,
    Link,
    LinkGap,
    LinkSettings,
    Loopback,
    Message,
    Reading,
    Wire,
    WireFaults,
)
from firmware_bridge.loopback import Endpoint
from firmware_bridge.messages import CHOICES, SCALARS, TABLE, MessageField, MessageKind, class_name
from firmware_bridge.records import CLASSES

SECOND_NS = 1_000_000_000
# A device of the size that c/auricle_link.h has by default.
DEVICE = LinkSettings(288, 8, 512, 2048, sync_clock=False)


def messages() -> st.SearchStrategy[Message]:
    """Messages of every kind, with any values that the table allows."""
    return st.one_of([_of_kind(kind) for kind in TABLE])


def _of_kind(kind: MessageKind) -> st.SearchStrategy[Message]:
    made: Any = CLASSES[kind.name]
    assert made.__name__ == class_name(kind)
    if kind.fields and kind.fields[-1].kind == "vector":
        return st.sampled_from(sorted(DTYPES)).flatmap(
            lambda dtype: st.builds(
                made,
                **{
                    **{field.name: _of_field(field) for field in kind.fields[:-1]},
                    "dtype": st.just(dtype),
                    "values": st.integers(0, 12).flatmap(lambda n: _exactly(n * _size(dtype))),
                },
            )
        )
    return st.builds(made, **{field.name: _of_field(field) for field in kind.fields})


def _size(dtype: str) -> int:
    return DTYPES[dtype] & 15


def _exactly(size: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=size, max_size=size)


def _of_field(field: MessageField) -> st.SearchStrategy[object]:
    if field.choices:
        return st.sampled_from(sorted(CHOICES[field.choices]))
    if field.kind == "i32":
        return st.integers(-(1 << 31), (1 << 31) - 1)
    if field.kind in SCALARS:
        return st.integers(0, (1 << 8 * SCALARS[field.kind]) - 1)
    if field.kind == "text":
        return st.text(max_size=40)
    return _exactly(field.size) if field.kind == "fixed" else st.binary(max_size=80)


def reading(number: int, size: int = 16, stream: int = 1) -> Reading:
    """Reading `number` of a stream, with bytes that follow from the number."""
    values = bytes((number * 7 + place) & 255 for place in range(size))
    return Reading(stream, "uint8", number, number * 1000, values)


@dataclass
class Sent:
    """Readings passed to a device's link: `kept`, or `refused` for lack of room."""

    kept: list[int]
    refused: list[int]


def pair(
    seed: int,
    faults: WireFaults | None = None,
    *,
    host: LinkSettings | None = None,
    device: LinkSettings = DEVICE,
    byte_ns: int = 10_000,
    delay_ns: int = 200_000,
) -> tuple[Link, Link, Loopback]:
    """A host, a device, and the wires between them."""
    ends = Link(11, host), Link(22, device)
    return *ends, wired(ends, seed, faults, byte_ns=byte_ns, delay_ns=delay_ns)


def wired(
    ends: tuple[Endpoint, Endpoint],
    seed: int,
    faults: WireFaults | None = None,
    *,
    byte_ns: int = 10_000,
    delay_ns: int = 200_000,
) -> Loopback:
    """Two wires with the same faults between two ends."""
    wires = [Wire(seed + n, faults, byte_ns=byte_ns, delay_ns=delay_ns) for n in (0, 1)]
    return Loopback(ends, (wires[0], wires[1]))


def readings(events: list[Event]) -> list[Reading]:
    """The readings among events."""
    return [event for event in events if isinstance(event, Reading)]


def gone(events: list[Event]) -> Iterator[int]:
    """The numbers of the readings that gaps report."""
    for event in events:
        if isinstance(event, LinkGap):
            yield from range(event.first, event.first + event.count)
