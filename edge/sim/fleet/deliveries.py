"""A network that loses, repeats, delays and reorders messages, and still delivers the newest.

As with MQTT at QoS 1 and retained messages: what is lost is sent again until it arrives, what is
late may come after what replaced it, and an old message may come back months later.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

LOST: Final = 0.2
"""Share of the transmissions that are lost, and sent again."""

DOUBLED: Final = 0.3
"""Share of the messages that arrive twice."""

REPLAYED: Final = 0.1
"""Share of the messages that come back at the end, long after they were replaced."""

DELAY: Final = 5.0
"""Mean delay of a transmission, in units of the time between two messages of a device: several
newer ones overtake it.  All four rates are chosen by hand."""

Message = tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class Delivered:
    """What arrives, in order, and how many transmissions were lost, doubled or replayed."""

    messages: tuple[Message, ...]
    lost: int
    doubled: int
    replayed: int


def deliver(sent: Iterable[tuple[str, tuple[bytes, ...]]], seed: int) -> Delivered:
    """Return the deliveries of devices' messages; deterministic per seed."""
    random = np.random.default_rng([seed, 11])
    arrivals: list[tuple[float, int, Message]] = []
    lost = doubled = replayed = 0
    for device, messages in sent:
        for place, raw in enumerate(messages):
            at = place + random.exponential(DELAY)
            while random.random() < LOST:
                lost += 1
                at += random.exponential(DELAY)
            times = [at]
            if random.random() < DOUBLED:
                doubled += 1
                times.append(place + random.exponential(DELAY))
            if random.random() < REPLAYED:
                replayed += 1
                times.append(1_000.0 + random.random())
            arrivals += [(one, len(arrivals), (device, raw)) for one in times]
    return Delivered(tuple(one for *_, one in sorted(arrivals)), lost, doubled, replayed)
