"""Messages of other members of the network: a fleet member, Home Assistant, a Sparkplug host.

Structure-aware: valid contributions are signed with one thing broken in them, or broken after
signing.  Valid messages are sent at the end and must still be processed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from edge.core import Contribution
from edge.core.knowledge import derive_knowledge
from edge.fleet import write_contribution
from edge.home import Home

OTHER = "south"
FLEET = "hall"
GROUP = "plant"
SUMS = f"auricle/v1/fleet/{FLEET}/contribution/{OTHER}"
HOME_ASSISTANT = "homeassistant/status"
REVISION_MAX = 1_000
"""Broken contributions carry revisions below it, so that PROPER_REVISION is always newer."""
VALID_REVISION = 1_000_000
"""Above every revision of a broken contribution."""
REBIRTH = b"\n\x14Node Control/Rebirth \x0bp\x01"
"""A metric in protobuf's wire format: name, datatype boolean, true."""
SETTINGS = f"""
[mqtt.homeassistant]
[fleet]
name = "{FLEET}"
devices = ["{OTHER}"]
"""
SPARKPLUG = '[mqtt.sparkplug]\ngroup = "{group}"\nedge_node = "{device}"\n'


class NetworkMessages:
    """Creates messages.  home: a closed home like that of the device.  bend: breaks bytes."""

    def __init__(
        self, home: Path, device: str, chance: random.Random, bend: Callable[[bytes], bytes]
    ) -> None:
        self._chance, self._bend = chance, bend
        self.command = f"spBv1.0/{GROUP}/NCMD/{device}" if has_sparkplug() else ""
        with Home(home, writable=False) as opened:
            known = derive_knowledge(opened.store, opened.runtime.knowledge.geometry)
            self._sums = known.contribute(OTHER, opened.model.card.fingerprint, 1).contribution

    def message(self) -> tuple[str, bytes]:
        """Return a topic and a payload that is mostly invalid for it."""
        topic = self._chance.choice((SUMS, SUMS, HOME_ASSISTANT, self.command or SUMS))
        if topic == HOME_ASSISTANT:
            return topic, self._bend(self._chance.choice((b"online", b"offline", b"\xff", b"{}")))
        if topic == SUMS:
            return topic, self._bend(write_contribution(self._wrong(), None))
        return topic, self._bend(_payload(REBIRTH))

    def valid_messages(self) -> list[tuple[str, bytes]]:
        """Return valid messages: contributions, a Home Assistant birth, a Sparkplug rebirth
        request."""
        sums = write_contribution(replace(self._sums, revision=VALID_REVISION), None)
        messages = [(SUMS, sums), (HOME_ASSISTANT, b"online")]
        return [*messages, (self.command, _payload(REBIRTH))] if self.command else messages

    def _wrong(self) -> Contribution:
        """Return a contribution with one thing broken, or None."""
        chance = self._chance
        made = replace(self._sums, revision=chance.randrange(1, REVISION_MAX))
        arrays: dict[str, Any] = dict(made.arrays)
        name = chance.choice(sorted(arrays))
        match chance.randrange(8):
            case 0:
                del arrays[name]
            case 1:
                arrays[name] = arrays[name].ravel()[:-1]
            case 2:
                arrays[name] = np.zeros_like(arrays[name])
            case 3:
                arrays[name] = np.full(3, np.nan, np.float32)
            case 4:
                samples = chance.choice((0, 1 << 24, 1 << 62))
                return replace(made, samples=samples)
            case 5:
                return replace(made, device=chance.choice(("", "north", "x" * 300)))
            case 6:
                return replace(made, seed=made.seed + 1, geometry=chance.choice(("", "other")))
            case _:
                pass
        return replace(made, arrays=arrays)


def settings(device: str) -> str:
    """Return the sections of auricle.toml for these messages."""
    more = SPARKPLUG.format(group=GROUP, device=device) if has_sparkplug() else ""
    return SETTINGS + more


def has_sparkplug() -> bool:
    """Return whether the extra is installed."""
    return find_spec("google") is not None and find_spec("google.protobuf") is not None


def _payload(metric: bytes) -> bytes:
    return b"\x08\x01\x12" + bytes([len(metric)]) + metric
