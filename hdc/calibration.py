"""What scores known samples get, measured on the samples themselves, each held out."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .codes import Codes
from .errors import FormatError
from .geometry import Packed, fingerprint_of
from .memory import Memory

Fact = tuple[str, str, Codes]


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Sorted held-out scores int64 per domain."""

    scores: dict[str, NDArray[np.int64]]

    def digest(self) -> str:
        """Hex SHA-256 of the scores."""
        return fingerprint_of(self.pack())

    def pack(self) -> Packed:
        """Arrays that `unpack` makes the same calibration of."""
        domains = sorted(self.scores)
        held = [self.scores[domain] for domain in domains]
        return {
            "domains": np.asarray(domains, dtype=np.str_),
            "sizes": np.asarray([len(scores) for scores in held], dtype=np.int64),
            "scores": np.concatenate([np.empty(0, dtype=np.int64), *held]),
        }

    @staticmethod
    def unpack(packed: Packed) -> "Calibration":
        """The calibration that `pack` gave; raises FormatError where the arrays are not one."""
        try:
            parts = np.split(packed["scores"], np.cumsum(packed["sizes"])[:-1])
            domains = [str(domain) for domain in packed["domains"]]
            return Calibration(dict(zip(domains, parts, strict=bool(domains))))
        except (KeyError, ValueError, TypeError) as error:
            raise FormatError(f"unpacking a calibration failed: {error!r}", "calibrate") from error


def calibrate(memory: Memory, facts: Iterable[Fact]) -> Calibration:
    """Held-out scores of facts (domain, label, codes) that are all in the memory, in any order."""
    columns = {domain: [key[0] == domain for key in memory.keys] for domain, _ in memory.keys}
    held: dict[str, list[NDArray[np.int64]]] = {}
    for domain, label, codes in facts:
        scores = memory.score_held_out(domain, label, codes)
        held.setdefault(domain, []).append(scores[:, columns[domain]].min(axis=1))
    return Calibration({d: np.sort(np.concatenate(parts)) for d, parts in sorted(held.items())})
