"""Which waiting messages a forget request reaches besides those about its facts.

Most observations never become facts, so that only the messages about them say of whom they are.
Each such message carries a mark: its time, and keyed hashes of subject, recording and stream, which
a request is compared with, also after a restart.
"""

import re
from collections.abc import Callable
from typing import Final

import msgspec

from ..core import Observation, Selector
from ..outbox import OutboxEntry

MARK: Final = "\tabout"
"""Begins a mark: no id of an observation begins with a tab."""

HASH_HEX: Final = 16
"""Digits of a hash in a mark: of two subjects of a device one in 2^64 is alike."""

FIELDS: Final = ("subject", "recording", "stream")

Hash = Callable[[str], str]
"""Returns the keyed hash of a text, see `Store.hash_name`."""


def mark_of(event: Observation, hashed: Hash) -> str:
    """Return the mark of messages about an observation.  Cost: three hashes."""
    names = (event.subject, event.recording, event.stream)  # FIELDS
    subject, recording, stream = [hashed(name)[:HASH_HEX] if name else "-" for name in names]
    return f"{MARK} {event.captured_at_ns} {subject} {recording} {stream}"


class ForgottenMessages(msgspec.Struct, frozen=True):
    """What a completed request forgets of messages.  names: finds its names in a body."""

    selector: Selector
    hashed: Hash
    names: re.Pattern[bytes] | None

    def reaches(self, entry: OutboxEntry) -> bool:
        """Return whether a waiting message goes.  One without a number is an answer, which only the
        person who asked receives."""
        if not entry.sequence:
            return False
        if self.names is not None and self.names.search(entry.body):
            return True
        return any(self._marked(key, entry.body) for key in entry.keys if key.startswith(MARK))

    def _marked(self, mark: str, body: bytes) -> bool:
        one = self.selector
        if one.ids is not None or one.label is not None:
            return False  # their observations are known by id; none of them has a label
        _, at_ns, *shown = mark.split(" ")
        given = [getattr(one, name) for name in FIELDS]
        if one.domain is not None:
            domain = b'"domain":' + msgspec.json.encode(one.domain)
            if domain not in body:
                return False
        return (
            all(
                name is None or self.hashed(name)[:HASH_HEX] == found
                for name, found in zip(given, shown, strict=True)
            )
            and (one.from_ns is None or int(at_ns) >= one.from_ns)
            and (one.until_ns is None or int(at_ns) < one.until_ns)
        )
