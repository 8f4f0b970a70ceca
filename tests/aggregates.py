"""Aggregators for tests, over contributions of small worlds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from edge.config.aggregate import AggregateSettings
from edge.core.facts import Fact
from edge.core.knowledge.contributions import MEMBERS, RANKS, Contribution
from edge.core.knowledge.fleet_members import member_number
from edge.core.knowledge.fleet_sums import FleetSums
from edge.fleet.aggregator import AggregatePlace, Aggregator
from edge.fleet.contribution_message import write_contribution
from edge.storage.aggregate_file import AggregateFile
from tests.worlds import World, clouds

HOUR_NS = 3_600 * 10**9
NOW_NS = 1_800_000_000 * 10**9

EMPTY = World()
PLACE = AggregatePlace(EMPTY.runtime.knowledge.geometry, EMPTY.model.card.fingerprint)


def sent(
    device: str, revision: int = 1, *, seed: int = 0, count: int = 8, labels: str = "ab"
) -> Contribution:
    """A contribution of `count` facts of each label."""
    centres = [ord(label) for label in labels]
    rows = clouds(centres, count, seed=sum(device.encode()) + seed)
    facts = [
        Fact(
            id=f"{device}-{seed}-{place}",
            stream="s",
            domain="hall",
            label=labels[place // count],
            captured_at_ns=place,
            features=row.tobytes(),
        )
        for place, row in enumerate(rows)
    ]
    return World(facts).runtime.contribute(device, revision).contribution


def raw(one: Contribution, **changes: Any) -> tuple[str, bytes]:
    """A message, with the device of its topic."""
    made = replace(one, **changes)
    return made.device, write_contribution(made, None)


def empty(device: str, revision: int) -> tuple[str, bytes]:
    """A withdrawal."""
    return raw(sent(device).without_sums, revision=revision)


def settings(**changes: Any) -> AggregateSettings:
    """Settings of an aggregator that takes what comes."""
    usual: dict[str, Any] = {"name": "site", "fleet": "hall", "messages_per_hour": 1_000_000.0}
    return AggregateSettings(**(usual | changes))


@contextmanager
def aggregating(
    path: Path, place: AggregatePlace = PLACE, keys: Mapping[str, Any] | None = None, **changes: Any
) -> Iterator[Aggregator]:
    """An aggregator that is left as a crash leaves it: nothing is saved at the end."""
    with AggregateFile(path, writable=True) as file:
        yield Aggregator(file, place, settings(**changes), keys or {})


def digest_of(*parts: Contribution) -> str:
    """The digest of the sum of some contributions."""
    sums = FleetSums(PLACE.geometry)
    for one in parts:
        if one.samples:
            sums.change(one.arrays, 1)
    return sums.digest()


def as_sum(one: Contribution, members: Sequence[str], device: str = "") -> Contribution:
    """The same facts as the sum of some devices, as an aggregator publishes it."""
    held = one.arrays["held"]
    ranks = np.tile(np.array([1, 5], np.int64), (len(held), 1))
    numbers = np.array(sorted(member_number(name, one.geometry) for name in members), np.int64)
    arrays = {**one.arrays, RANKS: ranks, MEMBERS: numbers}
    return replace(one, device=device or one.device, arrays=arrays, devices=len(members))
