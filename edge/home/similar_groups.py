"""Groups of similar observations, computed in a thread of low priority."""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..worker import lower_priority

SKETCH_BYTES: Final = 128
"""Bytes of a hypervector that stand for an observation.  On six sets 77 % of a group have its most
frequent label; 73 % with 32 bytes, 80 % with all features."""

PART_ROWS: Final = 2_048
"""Rows that are unpacked at a time, eight megabytes."""

GROUP_SIZE: Final = 12
"""Observations that a group has on average: about one row of pictures on a screen."""

GROUPS_MAX: Final = 96
"""Most groups: the time to compute them grows with their number."""

ROUNDS: Final = 8
"""Rounds of k-means.  Chosen by hand; effect not measured."""

CHANGE_MIN: Final = 0.1
"""Share of observations that must be new before groups are computed again, so that a page keeps
its order while a person works through it; fewer join the nearest group.  Chosen by hand; effect
not measured."""

Floats = NDArray[np.float32]


class GroupingThread:
    """Computes groups in the background.  groups: by observation; similar groups have neighbouring
    numbers."""

    def __init__(self) -> None:
        self.groups: Mapping[str, int] = {}
        self._centres: Floats | None = None
        self._computed_for = self._added = 0
        self._thread: threading.Thread | None = None
        self._at_work: Mapping[str, bytes] = {}
        self._lock = threading.Lock()

    @property
    def active(self) -> bool:
        """True while groups are computed."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, sketches: Mapping[str, bytes]) -> None:
        """Compute groups of observations, unless some are computed: of all of them, or, while few
        are new since then, only the new ones' nearest groups."""
        if self.active:
            return
        new = {key: one for key, one in sketches.items() if key not in self.groups}
        if not new:
            return
        centres, added = self._centres, self._added + len(new)
        if centres is None or added > CHANGE_MIN * self._computed_for:
            centres, added, new = None, 0, dict(sketches)
        self._added, self._at_work = added, new
        self._thread = threading.Thread(target=self._work, args=(new, centres), name="groups")
        self._thread.daemon = True
        self._thread.start()

    def drop(self, ids: Iterable[str]) -> None:
        """Drop observations, and all groups if they had a part in any: these are computed again."""
        with self._lock:
            if any(key in self.groups or key in self._at_work for key in ids):
                self.groups, self._centres, self._at_work = {}, None, {}

    def _work(self, sketches: Mapping[str, bytes], centres: Floats | None) -> None:
        """Compute groups, of observations that join those of `centres` if there are any."""
        lower_priority()
        rows, count = _unpacked(sketches), len(sketches)
        if centres is None:
            members, found = _clusters(rows, count)
        else:
            parts = [_nearest(rows(part), centres) for part in _parts(count)]
            members, found = np.concatenate(parts).tolist(), centres
        with self._lock:
            if self._at_work is not sketches:
                return  # Some of them were dropped meanwhile.
            before = {} if centres is None else self.groups
            self.groups = {**before, **dict(zip(sketches, members, strict=True))}
            self._centres, self._at_work = found, {}
            if centres is None:
                self._computed_for = count


def _unpacked(sketches: Mapping[str, bytes]) -> Callable[[slice], Floats]:
    """Return a function that unpacks a part of sketches."""
    packed = np.frombuffer(b"".join(sketches.values()), np.uint8).reshape(len(sketches), -1)

    def rows(part: slice) -> Floats:
        return np.unpackbits(packed[part], axis=1).astype(np.float32) - np.float32(0.5)

    return rows


def group_rows(rows: Callable[[slice], Floats], count: int) -> list[int]:
    """Return the group of each of `count` rows by spherical k-means (Dhillon & Modha 2001),
    numbered so that neighbours are similar.  Deterministic.

    rows: returns a part of them, float32 [n, m], of about equal lengths.  Cost: `ROUNDS` products
    of all rows and the centres, and ten megabytes.
    """
    return _clusters(rows, count)[0]


def _clusters(rows: Callable[[slice], Floats], count: int) -> tuple[list[int], Floats]:
    """As `group_rows`; also return the groups' centres, in the groups' order."""
    parts = _parts(count)
    groups = max(1, min(GROUPS_MAX, count // GROUP_SIZE))
    first = np.concatenate([rows(part)[:: len(parts)] for part in parts])
    centres = _unit(first[_spread(first, min(groups, len(first)))])
    member = np.zeros(count, np.intp)
    for _ in range(ROUNDS):
        sums = np.zeros_like(centres)
        before = member.copy()
        for part in parts:
            held = rows(part)
            found = member[part] = _nearest(held, centres)
            # Rows are added by their group in one product.
            sums += (np.arange(len(centres))[:, None] == found).astype(np.float32) @ held
        if (member == before).all():
            break
        filled = np.bincount(member, minlength=len(centres)) > 0
        centres[filled] = _unit(sums[filled])
    order = _chain(centres)
    return [int(one) for one in np.argsort(order)[member]], centres[order]


def _parts(count: int) -> list[slice]:
    return [slice(at, min(at + PART_ROWS, count)) for at in range(0, count, PART_ROWS)]


def _nearest(rows: Floats, centres: Floats) -> NDArray[np.intp]:
    return np.asarray((rows @ centres.T).argmax(axis=1), np.intp)


def _spread(rows: Floats, count: int) -> list[int]:
    """Return rows far from each other (greedy k-centres, Gonzalez 1985)."""
    chosen = [0]
    near = rows @ rows[0]
    while len(chosen) < count:
        chosen.append(int(near.argmin()))
        near = np.maximum(near, rows @ rows[chosen[-1]])
    return chosen


def _unit(rows: Floats) -> Floats:
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-6), np.float32)


def _chain(centres: Floats) -> NDArray[np.intp]:
    """Return the centres in an order in which each is followed by the nearest one left."""
    close = centres @ centres.T
    left = set(range(1, len(centres)))
    order = [0]
    while left:
        last = close[order[-1]]
        order.append(max(left, key=lambda at: (last[at], -at)))
        left.remove(order[-1])
    return np.array(order, np.intp)
