"""[fleet] of auricle.toml: whose sums are adopted, and how this device signs its own."""

from typing import Annotated

import msgspec

from ..core import limits as core_limits
from .commands import KeyText, key_bytes

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=core_limits.TEXT_CHARS_MAX)]

Devices = Annotated[tuple[Name, ...], msgspec.Meta(max_length=core_limits.CONTRIBUTIONS_MAX)]


class FleetSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[fleet]: sums are exchanged under `name`, and adopted from `devices` alone.

    key: a private key file, from the home's folder, to sign the own ones with.  keys: the others'
    public keys by device; where there are any, only signed sums are adopted.  publish_after_s: how
    long facts must be unchanged before they are summed up again; a forget does not wait.
    """

    name: Name
    devices: Annotated[
        tuple[Name, ...], msgspec.Meta(max_length=core_limits.CONTRIBUTIONS_MAX)
    ] = ()
    key: str = ""
    keys: dict[str, KeyText] = {}
    publish_after_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 30.0
    payload_bytes_max: Annotated[int, msgspec.Meta(ge=1_024, le=256 << 20)] = 8 << 20

    def __post_init__(self) -> None:
        """Raise ValueError for a key that is none, or that is missing."""
        for name, text in self.keys.items():
            key_bytes(text, f"fleet.keys.{name}")
        missing = sorted(set(self.devices) - set(self.keys))
        if self.keys and missing:
            raise ValueError(f"keys: {missing[0]} has none; give one to each device or to none")
