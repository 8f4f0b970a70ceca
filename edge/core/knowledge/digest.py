"""The digest of knowledge, computed from a frozen state of it in any thread."""

import hashlib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import msgspec

import hdc

from ..facts import Concept, Ledger
from .refits import NOTHING, Changes

DigestInputs = tuple[str, Mapping[Concept, str]]
"""The fingerprint of the geometry, and the content of each concept in the ledger."""


class DigestedState(msgspec.Struct, frozen=True, eq=False):
    """What a digest states.  card: fingerprint of the encoder card.  memory: the sums; nothing else
    changes them.  thresholds: None without concepts.  contributed: each device's name and
    content."""

    card: str
    memory: hdc.Memory
    thresholds: hdc.Calibration | None
    contributed: tuple[str, ...]

    def compute(self) -> str:
        """Return the hex digest.  Cost: two passes over all sums and thresholds, 15 to 30 ms for
        210 concepts of 8,192 bits."""
        thresholds = "" if self.thresholds is None else self.thresholds.digest()
        parts = (self.card, self.memory.geometry.fingerprint, self.memory.digest(), thresholds)
        return hashlib.sha256("\n".join((*parts, *self.contributed)).encode()).hexdigest()


class DigestRefit(msgspec.Struct, eq=False):
    """A digest, computed in the background.  inputs: what it follows from.  made: the result, of
    `solve`."""

    inputs: DigestInputs
    state: DigestedState | None
    made: str = ""

    @property
    def name(self) -> str:
        """See `Refit`."""
        return "digest"

    def gather(self, ledger: Ledger, without: AbstractSet[str] = NOTHING) -> None:
        """See `Refit`: it needs no facts."""

    def prepare(self, _changes: Changes, /) -> bool:
        """See `Refit`."""
        return True

    def solve(self) -> None:
        """See `Refit`."""
        assert self.state is not None, "it is solved once"
        self.made, self.state = self.state.compute(), None

    def is_current(self, _changes: Changes) -> bool:
        """See `Refit`; `inputs` say what the result stands for."""
        return True
