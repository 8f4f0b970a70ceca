"""Thresholds, router and adaptors kept in the ledger, so that the first decisions after opening it
do not wait until they are fitted again.

A kept part is of exactly the facts, geometry and record that its key names; it is then the one that
would be fitted, bit for bit.  Any other, or a damaged one, is left out.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

import hdc
from nas import Blueprint

from ..adaptors import (
    Adaptor,
    AdaptorRecord,
    Evidence,
    FittedHead,
    KernelMachine,
    Landmarks,
    Transform,
    TunedKernel,
)
from ..facts import Concept, Derived, Ledger, SampleScope
from ..router import Router
from .refits import HeadRefit, RouterRefit

VERSION: Final = 7
"""Part of every key: raise it when the same facts give other thresholds, router or adaptors, or
when the fields of one of `KINDS` change."""

STRUCTURE: Final = "structure"
"""Name of the array that holds everything but the arrays, as JSON in UTF-8."""

KINDS: Final[Mapping[str, type]] = {
    one.__name__: one
    for one in (
        *(Blueprint, Evidence, FittedHead, KernelMachine, Landmarks, Transform),
        *(Router, SampleScope, hdc.Calibration, hdc.Exemplars),
        *(hdc.SwitchStatistics, hdc.TimeStatistics),
    )
}
"""The classes that a kept part may consist of."""

Arrays = dict[str, NDArray[Any]]


class SavedParts:
    """Reads and makes the entries of a ledger.  geometry: in use."""

    def __init__(self, ledger: Ledger, geometry: hdc.Geometry) -> None:
        self._ledger, self._geometry = ledger, geometry
        self._kept: dict[tuple[str, str], str] = {}

    def thresholds(self, domains: Iterable[str]) -> dict[str, hdc.Calibration]:
        """Return the kept calibrations of some domains."""
        made: dict[str, hdc.Calibration] = {}
        for domain, key in self._domain_keys(domains):
            found = self._read("thresholds", domain, key, {"domain": domain})
            if isinstance(found, hdc.Calibration):
                made[domain] = found
        return made

    def router(self, refit: RouterRefit) -> bool:
        """Complete a refit with the kept router; False if there is none."""
        found = self._read("router", "", self._key(self._ledger.contents(), ""), {})
        match found:
            case (Router() as made, dict() as scopes):
                refit.made, refit.scopes = made, scopes
                return True
        return False

    def head(self, refit: HeadRefit) -> bool:
        """Complete a refit with the kept adaptor of its domain; False if there is none."""
        key = self._head_key(refit.record)
        found = self._read("head", refit.domain, key, {"part": refit.domain})
        match found:
            case (
                FittedHead() | KernelMachine() as made,
                SampleScope() as own,
                SampleScope() as rest,
                None | (bytes(), dict(), np.ndarray(), SampleScope(), bool()) as tuned,
            ):
                refit.made, refit.scopes = made, (own, rest)
                if tuned is not None:
                    refit.tuned.put(refit.domain, TunedKernel._make(tuned))
                return True
        return False

    def thresholds_entries(self, current: Mapping[str, hdc.Calibration]) -> Iterator[Derived]:
        """Yield the entries of calibrations, of exactly the ledger's facts, that are new."""
        for domain, key in self._domain_keys(current):
            yield from self._entry("thresholds", domain, key, current[domain])

    def router_entry(self, router: RouterRefit) -> Iterator[Derived]:
        """Yield the entry of the router, likewise."""
        key = self._key(self._ledger.contents(), "")
        yield from self._entry("router", "", key, (router.made, router.scopes))

    def head_entry(
        self,
        domain: str,
        record: AdaptorRecord | None,
        solved: tuple[Adaptor, tuple[SampleScope, SampleScope], TunedKernel | None],
    ) -> Iterator[Derived]:
        """Yield the entry of a domain's adaptor, likewise, with the kernel that was tuned to judge
        it, so that it need not be tuned again for facts that it was not tuned on."""
        made, scopes, tuned = solved
        if isinstance(made, FittedHead | KernelMachine):
            kept = made, *scopes, None if record is not None else tuned
            yield from self._entry("head", domain, self._head_key(record), kept)

    def _domain_keys(self, domains: Iterable[str]) -> Iterator[tuple[str, str]]:
        """Yield domains with the keys of their thresholds, which follow from their own facts."""
        groups: dict[str, list[Concept]] = {domain: [] for domain in domains}
        for concept in self._ledger.contents() if groups else ():
            if concept[0] in groups:
                groups[concept[0]].append(concept)
        return ((domain, self._key(concepts, "")) for domain, concepts in groups.items())

    def _head_key(self, record: AdaptorRecord | None) -> str:
        return self._key(self._ledger.contents(), record.digest if record is not None else "")

    def _key(self, concepts: Iterable[Concept], record: str) -> str:
        """Return the digest of all that a part follows from."""
        contents = self._ledger.contents()
        rows = [(*concept, contents[concept]) for concept in concepts]
        inputs = (VERSION, self._geometry.fingerprint, record, rows)
        return hashlib.sha256(json.dumps(inputs).encode()).hexdigest()

    def _read(self, name: str, part: str, key: str, where: Mapping[str, str]) -> object:
        arrays = self._ledger.derived(name, key, **where)
        found = None if arrays is None else unpack_value(arrays)
        if found is not None:
            self._kept[name, part] = key
        return found

    def _entry(self, name: str, part: str, key: str, value: object) -> Iterator[Derived]:
        if self._kept.get((name, part)) != key:
            self._kept[name, part] = key
            where = {"domain": part} if name == "thresholds" else {"part": part}
            yield Derived(name=name, key=key, arrays=pack_value(value), **where)


def pack_value(value: object) -> Arrays:
    """Return arrays from which `unpack_value` restores a value of arrays, numbers, texts, bytes,
    tuples, mappings and the classes of `KINDS`."""
    arrays: Arrays = {}
    structure = json.dumps(_describe(value, arrays))
    return {**arrays, STRUCTURE: np.frombuffer(structure.encode(), np.uint8)}


def unpack_value(arrays: Mapping[str, NDArray[Any]]) -> object:
    """Restore a packed value; None if the arrays do not hold one."""
    try:
        return _restore(json.loads(arrays[STRUCTURE].tobytes()), arrays)
    except (LookupError, TypeError, ValueError):
        return None


def _describe(value: object, arrays: Arrays) -> object:
    match value:
        case np.ndarray():
            name = f"a{len(arrays)}"
            arrays[name] = value
            return {"array": name}
        case np.generic():
            return value.item()
        case bytes():
            return {"bytes": value.hex()}
        case tuple():
            return [_describe(one, arrays) for one in value]
        case Mapping():
            return {"items": [[key, _describe(one, arrays)] for key, one in value.items()]}
        case None | bool() | int() | float() | str():
            return value
    assert type(value).__name__ in KINDS, f"cannot keep {type(value)}"
    parts = {name: _describe(getattr(value, name), arrays) for name in _fields_of(value)}
    return {"kind": type(value).__name__, "fields": parts}


def _fields_of(value: object) -> list[str]:
    """Return the names of the public fields of a dataclass or a Struct."""
    if isinstance(value, msgspec.Struct):
        names = value.__struct_fields__
    else:
        assert is_dataclass(value), f"cannot keep {type(value)}"
        names = tuple(one.name for one in fields(value))
    return [name for name in names if not name.startswith("_")]


def _restore(found: Any, arrays: Mapping[str, NDArray[Any]]) -> object:
    if isinstance(found, list):
        return tuple(_restore(one, arrays) for one in found)
    if not isinstance(found, dict):
        return found
    if "array" in found:
        return arrays[found["array"]]
    if "bytes" in found:
        return bytes.fromhex(found["bytes"])
    if "items" in found:
        return {key: _restore(one, arrays) for key, one in found["items"]}
    parts = {name: _restore(one, arrays) for name, one in found["fields"].items()}
    return KINDS[found["kind"]](**parts)
