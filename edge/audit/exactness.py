"""Bit-for-bit comparison of a home with a twin that never saw the forgotten facts.

The twin is derived from the remaining facts alone, by the same program, in memory.  Where a part of
the home has the digest of the twin's, it is the twin's, and no attack on it can succeed.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import msgspec
import numpy as np

from ..core import Runtime
from ..storage import Store
from .answers import AuditedModel
from .findings import Finding
from .rehearsal import Rehearsal


def digest_arrays(value: object) -> str:
    """Return a hex digest of everything in a value: arrays, numbers and texts in dataclasses,
    Structs, mappings and sequences.  Equal digests mean equal bits."""
    state = hashlib.sha256()
    _update(state, value)
    return state.hexdigest()


def _update(state: Any, value: object) -> None:
    if isinstance(value, np.ndarray):
        whole = np.ascontiguousarray(value)
        state.update(f"{whole.dtype.str} {whole.shape};".encode())
        state.update(whole.tobytes())
    elif is_dataclass(value) and not isinstance(value, type):
        state.update(type(value).__name__.encode())
        for one in fields(value):
            _update(state, getattr(value, one.name))
    elif isinstance(value, msgspec.Struct):
        state.update(type(value).__name__.encode())
        for name in value.__struct_fields__:
            _update(state, getattr(value, name))
    elif isinstance(value, Mapping):
        for key in sorted(value):
            _update(state, key)
            _update(state, value[key])
    elif isinstance(value, tuple | list):
        state.update(f"{len(value)};".encode())
        for one in value:
            _update(state, one)
    else:
        state.update(f"{value!r};".encode())


def compare_parts(
    store: Store,
    runtime: Runtime,
    twin: Rehearsal,
    models: tuple[AuditedModel, AuditedModel],
) -> tuple[Finding, ...]:
    """Compare a home, opened from its file, with its twin, part by part.

    models: the frozen answers of both.
    """
    knowledge, other = runtime.knowledge, twin.runtime.knowledge
    served, expected = models
    parts = (
        ("facts", "Facts", store.digest(), twin.facts_digest()),
        ("sums", "Sums of concepts", knowledge.memory.digest(), other.memory.digest()),
        (
            "thresholds",
            "Thresholds of the detector",
            knowledge.calibration().digest() if knowledge.memory.keys else "",
            other.calibration().digest() if other.memory.keys else "",
        ),
        ("router", "Router", digest_arrays(served.router), digest_arrays(expected.router)),
        (
            "classifiers",
            "Classifiers of the domains",
            digest_arrays(served.adaptors),
            digest_arrays(expected.adaptors),
        ),
        ("knowledge_digest", "Digest of the knowledge", runtime.digest(), twin.digest()),
    )
    return tuple(_part(*one) for one in parts)


def _part(key: str, title: str, found: str, expected: str) -> Finding:
    same = found == expected
    return Finding(
        key=key,
        title=title,
        evidence="proven",
        outcome="holds" if same else "fails",
        text="Equal, bit for bit, to those of a twin that never saw the forgotten facts."
        if same
        else "Different from those of a twin that never saw the forgotten facts.",
        todo="" if same else "Run `auricle verify`; grow adaptors again; then audit again.",
    )


def compare_geometry(store: Store, twin: Rehearsal, *, shared: bool, rehearsed: bool) -> Finding:
    """Compare the frozen geometry with one fitted to the remaining facts.  shared: a fleet keeps
    it.  rehearsed: it was fitted a moment ago, so that it must be equal."""
    mine = store.geometry()
    title = "Geometry"
    if mine is None:
        return Finding(
            key="geometry",
            title=title,
            evidence="proven",
            outcome="holds",
            text="No geometry was fitted, so none depends on facts.",
        )
    # Without facts there is nothing to fit, and a home goes back to the geometry of a new one.
    expected = twin.ledger.geometry() or twin.runtime.knowledge.geometry.pack()
    if digest_arrays(dict(mine)) == digest_arrays(dict(expected)):
        return Finding(
            key="geometry",
            title=title,
            evidence="proven",
            outcome="holds",
            text="Equal, bit for bit, to a geometry fitted to the remaining facts alone.",
        )
    if shared:
        text = "The devices of a fleet share this geometry, and it may have been fitted to the"
        text += " forgotten facts."
        todo = "Fit and share a new geometry: `auricle fit-geometry` on every device."
    elif rehearsed:
        text, todo = (
            "The geometry still depends on the forgotten facts.",
            "Run `auricle fit-geometry`.",
        )
    else:
        text = "The geometry was fitted to other facts than those of today, so it cannot be derived"
        text += " again for a comparison."
        todo = "Run `auricle fit-geometry`, then audit again."
    return Finding(
        key="geometry",
        title=title,
        evidence="proven" if rehearsed and not shared else "not covered",
        outcome="fails" if rehearsed and not shared else "open",
        text=text,
        todo=todo,
    )
