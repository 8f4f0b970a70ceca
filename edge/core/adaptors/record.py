"""The record of a trained adaptor, without its head, and what is kept of one that a forget ended.

The head is solved again from the facts whenever they change, so that it follows every new label and
gets a column for every new class; the trained part stays as it was accepted.
"""

import hashlib
import struct
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from nas import Blueprint

from ..structs import FrozenStruct

SOLVED_KINDS: Final = ("none", "random", "kernel")
"""Kinds whose parameters follow from the facts in closed form; all others are trained."""


class AdaptorRecord(FrozenStruct, frozen=True, kw_only=True, eq=False):
    """One version of a domain's adaptor.

    arrays: trained parameters by name.  facts: sorted ids of all facts that shaped it or had a say
    in its acceptance, held-out ones included: forgetting any of them removes the adaptor.  own:
    number of facts of the domain itself.  accuracy, incumbent: accuracy on the held-out facts of
    this adaptor and of the one that served before it; NaN if unknown.  provisional: trained again
    after a forget, from the blueprint of the version before; growth has not judged it yet.
    """

    domain: str
    version: int
    blueprint: Blueprint
    arrays: Mapping[str, NDArray[Any]]
    facts: tuple[str, ...]
    own: int
    seed: int
    accuracy: float
    incumbent: float
    provisional: bool = False

    @property
    def digest(self) -> str:
        """Hex SHA-256 of domain, blueprint, parameters, facts and seed, without the version and
        without who judged it: bit-equal on one machine."""
        state = hashlib.sha256(repr((self.domain, self.blueprint, self.seed, self.facts)).encode())
        for name in sorted(self.arrays):
            array = np.ascontiguousarray(self.arrays[name])
            head = f"{name} {array.dtype.str} {array.shape}".encode()
            state.update(struct.pack("<I", len(head)) + head + array.tobytes())
        return state.hexdigest()


class PendingAdaptor(FrozenStruct, frozen=True, kw_only=True):
    """What is left of an adaptor that a forget ended: how it was made, until it is made again from
    the remaining facts.

    version: of the adaptor to come.
    """

    domain: str
    version: int
    blueprint: Blueprint
    seed: int

    @property
    def solved(self) -> bool:
        """True if it is made again in closed form, without a worker process."""
        return self.blueprint.kind in SOLVED_KINDS


def end_adaptors(
    adaptors: Mapping[str, tuple[AdaptorRecord, ...]],
    pending: Mapping[str, PendingAdaptor],
    ids: AbstractSet[str],
) -> dict[str, PendingAdaptor]:
    """Return by domain what is left once these facts are forgotten: of the serving adaptors that
    any of them shaped, and of those that ended before.

    adaptors: each domain's versions, newest first; the first serves.
    """
    left = dict(pending)
    for domain, (serving, *_) in adaptors.items():
        version = serving.version + 1
        newer = domain not in left or left[domain].version < version
        if newer and not ids.isdisjoint(serving.facts):
            left[domain] = PendingAdaptor(
                domain=domain, version=version, blueprint=serving.blueprint, seed=serving.seed
            )
    return left
