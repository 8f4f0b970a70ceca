"""The record of a trained adaptor, without its head.

The head is solved again from the facts whenever they change, so that it follows every new label and
gets a column for every new class; the trained part stays as it was accepted.
"""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas import Blueprint


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class AdaptorRecord:
    """One version of a domain's adaptor.

    arrays: trained parameters by name.  facts: sorted ids of all facts that influenced it, held-out
    ones included: forgetting any of them removes the adaptor.  own: number of facts of the domain
    itself.  accuracy, incumbent: accuracy on the held-out facts of this adaptor and of the one that
    served before it.
    """

    domain: str
    version: int
    blueprint: Blueprint
    arrays: Mapping[str, NDArray[Any]] = field(repr=False)
    facts: tuple[str, ...] = field(repr=False)
    own: int
    seed: int
    accuracy: float
    incumbent: float

    @property
    def digest(self) -> str:
        """Hex SHA-256 of domain, blueprint, parameters, facts and seed, without the version:
        bit-equal on one machine."""
        state = hashlib.sha256(repr((self.domain, self.blueprint, self.seed, self.facts)).encode())
        for name in sorted(self.arrays):
            array = np.ascontiguousarray(self.arrays[name])
            head = f"{name} {array.dtype.str} {array.shape}".encode()
            state.update(struct.pack("<I", len(head)) + head + array.tobytes())
        return state.hexdigest()
