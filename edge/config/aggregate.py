"""The section [aggregate] of auricle.toml: sums of many devices, as one contribution."""

from typing import Annotated

import msgspec

from ..core import limits as core_limits
from .commands import KeyText, key_bytes
from .fleet import Name

EVERY_CHILD = "*"
"""In `children`: every device that the broker lets publish to the fleet."""


class AggregateSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[aggregate]: the contributions to the fleet `fleet` are summed, and their sum is published as
    the contribution `name` to the fleet `parent`, which is empty at the root.

    children: devices whose contributions are summed, or "*".  key: private key file, relative to
    the home.  keys: public keys of the children, and of the aggregator above; if any is given,
    unsigned messages are refused.  publish_after_s: shortest time between two sums; a withdrawal is
    passed on at once.  queue_bytes_max: messages in memory that are not on the disk yet.
    payload_bytes_max, concepts_max, messages_per_hour: of each child; facts_per_concept: of each
    device, as in [knowledge], so that no member outweighs one whose concepts are full;
    devices_max: devices that a child may be the sum of, more than 1 for aggregators.
    check_after_s: how often all children are compared.
    """

    name: Name
    fleet: Name
    parent: str = ""
    children: tuple[Name, ...] = (EVERY_CHILD,)
    key: str = ""
    keys: dict[str, KeyText] = {}
    publish_after_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 30.0
    queue_bytes_max: Annotated[int, msgspec.Meta(ge=1_024, le=1 << 40)] = 64 << 20
    payload_bytes_max: Annotated[int, msgspec.Meta(ge=1_024, le=256 << 20)] = 8 << 20
    concepts_max: Annotated[int, msgspec.Meta(ge=1, le=core_limits.CONTRIBUTED_CONCEPTS_MAX)] = (
        core_limits.CONTRIBUTED_CONCEPTS_MAX
    )
    facts_per_concept: Annotated[
        int, msgspec.Meta(ge=1, le=core_limits.CONTRIBUTED_SAMPLES_MAX)
    ] = core_limits.FACTS_PER_CONCEPT_MAX
    devices_max: Annotated[int, msgspec.Meta(ge=1, le=1 << 24)] = 1
    messages_per_hour: Annotated[float, msgspec.Meta(gt=0, le=1_000_000)] = 60.0
    check_after_s: Annotated[float, msgspec.Meta(ge=1, le=31_536_000)] = 3_600.0

    def __post_init__(self) -> None:
        """Raise ValueError for an invalid or a missing key, or a fleet that is its own parent."""
        for name, text in self.keys.items():
            key_bytes(text, f"aggregate.keys.{name}")
        if self.parent == self.fleet:
            raise ValueError(
                f"parent: {self.parent} is also the fleet of the children; a sum that is summed"
                " again would grow without end"
            )
        missing = sorted(set(self.children) - {EVERY_CHILD} - set(self.keys))
        if self.keys and missing:
            raise ValueError(f"keys: {missing[0]} has none; give one to each child or to none")

    def admits(self, device: str) -> bool:
        """Return whether a device's contributions are summed."""
        return device != self.name and (EVERY_CHILD in self.children or device in self.children)
