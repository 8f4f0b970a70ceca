"""The sections [fleet] and [bundles] of auricle.toml: knowledge that devices exchange, and the keys
that they trust."""

from typing import Annotated

import msgspec

from ..core import limits as core_limits
from .commands import KeyText, key_bytes

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=core_limits.TEXT_CHARS_MAX)]

Devices = Annotated[tuple[Name, ...], msgspec.Meta(max_length=core_limits.CONTRIBUTIONS_MAX)]

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class FleetSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[fleet]: contributions are exchanged in the fleet `name`, and adopted from `devices` alone.

    key: private key file that signs this device's contributions, relative to the home.  keys: the
    public keys of the other devices; if any is given, unsigned contributions are refused.
    publish_after_s: how long the ledger must be unchanged before the next contribution; after a
    forget it is published at once.
    """

    name: Name
    devices: Devices = ()
    key: str = ""
    keys: dict[str, KeyText] = {}
    publish_after_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 30.0
    payload_bytes_max: Annotated[int, msgspec.Meta(ge=1_024, le=256 << 20)] = 8 << 20

    def __post_init__(self) -> None:
        """Raise ValueError for an invalid or a missing key."""
        for name, text in self.keys.items():
            key_bytes(text, f"fleet.keys.{name}")
        missing = sorted(set(self.devices) - set(self.keys))
        if self.keys and missing:
            raise ValueError(f"keys: {missing[0]} has none; give one to each device or to none")


class BundleSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """[bundles]: keys: the publishers' public keys; without any, no bundle is imported.

    trial_s: a bundle that is not confirmed within this time is reverted.  observations_min:
    decisions, or labels, before the trial is judged by them.  unknown_share_max: share of decisions
    that are novel or abstained.  agreement_min: share of labels that agree with the decision.
    """

    keys: dict[str, KeyText] = {}
    trial_s: Annotated[float, msgspec.Meta(gt=0, le=31_536_000)] = 86_400.0
    observations_min: Annotated[int, msgspec.Meta(ge=1, le=4_096)] = 32
    unknown_share_max: Share = 0.5
    agreement_min: Share = 0.5

    def __post_init__(self) -> None:
        """Raise ValueError for an invalid key."""
        for name, text in self.keys.items():
            key_bytes(text, f"bundles.keys.{name}")
