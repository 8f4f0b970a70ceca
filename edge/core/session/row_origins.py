"""The origins of unlabelled rows that something was learned from, by which a forget request finds
them after they have left the label buffer."""

import hashlib
from typing import Final

import msgspec

from .. import limits
from ..adaptation import ID_BYTES
from ..events import Observation
from ..facts import Selector
from .label_buffer import BufferedObservation

NAMES_MAX: Final = limits.RECALIBRATION_KEYS_MAX
"""Streams, subjects and recordings noted for an opened domain, each; with more, a forget request
that names any drops it."""

KINDS: Final = ("stream", "subject", "recording")
"""What is noted of each row's origin."""


class RowOrigins(msgspec.Struct):
    """The streams, subjects and recordings of rows, as hashes, and the times; bounded."""

    names: dict[str, set[bytes]] = msgspec.field(
        default_factory=lambda: {kind: set() for kind in KINDS}
    )
    from_ns: int = 0
    until_ns: int = 0

    def add(self, event: Observation | BufferedObservation) -> None:
        """Note the origin of a row."""
        for kind, seen in self.names.items():
            if len(seen) <= NAMES_MAX:
                seen.add(hashed(getattr(event, kind)))
        at = event.captured_at_ns
        self.from_ns, self.until_ns = min(self.from_ns or at, at), max(self.until_ns, at + 1)

    def may_match(self, selector: Selector) -> bool:
        """Return whether a selector may match one of the rows.  When in doubt, True: what is
        dropped is learned again."""
        if selector.domain is not None or selector.label is not None:
            return False
        for kind, seen in self.names.items():
            asked = getattr(selector, kind)
            if asked is not None and hashed(asked) not in seen and len(seen) <= NAMES_MAX:
                return False
        late = selector.from_ns is not None and self.until_ns <= selector.from_ns
        early = selector.until_ns is not None and self.from_ns >= selector.until_ns
        return not (late or early)


def hashed(name: str) -> bytes:
    """Return the hash of an id or name."""
    return hashlib.blake2b(name.encode(), digest_size=ID_BYTES).digest()
