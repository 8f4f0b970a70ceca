"""The table of other devices' contributions in the knowledge file."""

import hashlib
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from numpy.typing import NDArray

from ..core import Contribution
from .lazy_arrays import LazyArrays
from .serialization import pack_arrays, unpack_arrays

COLUMNS: Final = "device, card, geometry, seed, revision, samples, columns"
"""Columns of `contributions` without the arrays and their checksum."""


def put_contribution(db: sqlite3.Connection, one: Contribution) -> None:
    """Write a device's contribution in place of the one before, within its caller's transaction."""
    body = pack_arrays(one.arrays) if one.samples else b""
    head = (one.device, one.card, one.geometry, one.seed, one.revision, one.samples)
    columns = msgspec.json.encode(one.columns).decode()
    db.execute(
        "INSERT OR REPLACE INTO contributions (device, card, geometry, seed, revision, samples,"
        " columns, arrays, sha256) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*head, columns, body, hashlib.sha256(body).digest()),
    )


def contribution_of(
    row: tuple[Any, ...], load: Callable[[str], Mapping[str, NDArray[Any]]]
) -> Contribution:
    """Make the contribution of a row of COLUMNS; its arrays are loaded when looked at.  Raises
    ValueError for names that cannot be read."""
    device, card, geometry, seed, revision, samples, columns = row
    names = msgspec.json.decode(columns, type=tuple[str, ...])
    arrays = LazyArrays(lambda: load(device)) if samples else {}
    return Contribution(
        device=device,
        card=card,
        geometry=geometry,
        seed=seed,
        revision=revision,
        samples=samples,
        arrays=arrays,
        columns=names,
    )


def arrays_of(body: bytes, sha256: bytes) -> Mapping[str, NDArray[Any]]:
    """Return the arrays of a stored body; raises ValueError where it is damaged."""
    if hashlib.sha256(body).digest() != sha256:
        raise ValueError("the checksum differs")
    return unpack_arrays(body)
