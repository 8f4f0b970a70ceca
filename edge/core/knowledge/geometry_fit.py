"""The geometry: fitted to a sample of the ledger's facts, with a mark of that sample.

The sample is the facts whose ids hash lowest, so most facts of a large ledger are not in it.  To
forget one of these leaves the geometry as it is, bit for bit: the mark says whether the geometry in
use is that of today's sample.
"""

import hashlib
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import encoder
import hdc

from .. import limits
from ..facts import FactBatch, Ledger, Rank, SampleScope, hash_rank, rank_number, scope_of
from .time_sample import orders_in_time

MARK: Final = "fitted_to"
"""Name of the mark among the geometry's packed arrays; `hdc.Geometry.unpack` does not read it."""

REACH: Final = "fitted_up_to"
"""Name of the rank that no fact of the sample exceeds, likewise."""

RANK_MAX: Final = np.iinfo(np.int64).max
"""The reach of a sample of all facts."""

NOTHING: Final[AbstractSet[str]] = frozenset()

Spans = tuple[tuple[int, int], ...]
Packed = dict[str, NDArray[Any]]


class GeometryFitter:
    """Fits geometries for one encoder.

    spans: (start, stop) columns of the encoder's taps.  quantiser: of the features; gives the level
    of zero and the size of a level.
    """

    def __init__(self, spans: Spans, seed: int, quantiser: encoder.Quantiser | None = None) -> None:
        self._spans, self._seed, self._quantiser = spans, seed, quantiser

    def fit(
        self, ledger: Ledger, without: AbstractSet[str] = NOTHING
    ) -> tuple[hdc.Geometry, Packed]:
        """Fit a geometry to a ledger without some ids, as `fit_sample` does."""
        return self.fit_sample(self.sample(ledger, without))

    def sample(self, ledger: Ledger, without: AbstractSet[str] = NOTHING) -> FactBatch:
        """Return the facts that the geometry of a ledger without some ids is fitted to."""
        return ledger.sample(self.size, None, without)

    def fit_sample(self, rows: FactBatch) -> tuple[hdc.Geometry, Packed]:
        """Fit a geometry to a `sample`; return it, and its arrays with the mark of that sample.  A
        class is a (domain, label) pair."""
        geometry = self._fit(rows)
        reach = max(map(rank_number, rows.ids)) if len(rows) == self.size else RANK_MAX
        marks: dict[str, NDArray[Any]] = {
            MARK: self._mark(rows),
            REACH: np.array([reach], np.int64),
        }
        return geometry, {**geometry.pack(), **marks}

    @property
    def size(self) -> int:
        """Facts that a geometry is fitted to."""
        return limits.GEOMETRY_FACTS_MAX

    def shaped_by(self, packed: Mapping[str, NDArray[Any]], ids: AbstractSet[str]) -> bool:
        """Return whether the geometry with these arrays may have been fitted to any of these facts,
        which were in the ledger then or since."""
        reach = int(packed[REACH][0]) if REACH in packed else RANK_MAX
        return any(rank_number(one) <= reach for one in ids)

    def stays(
        self, packed: Mapping[str, NDArray[Any]] | None, ledger: Ledger, ids: AbstractSet[str]
    ) -> bool:
        """Return whether a ledger without `ids` has the geometry with these arrays: it was fitted
        to the sample that the ledger has now, and that holds none of them.

        Cost: reads the sample.
        """
        return self.fits(packed, self.sample(ledger, ids))

    def fits(self, packed: Mapping[str, NDArray[Any]] | None, rows: FactBatch) -> bool:
        """Return whether the geometry with these arrays was fitted to this `sample`."""
        if packed is None or MARK not in packed:
            return False
        return bool(np.array_equal(packed[MARK], self._mark(rows)))

    def scope(self, rows: FactBatch) -> SampleScope:
        """Return which facts, added or removed, change a `sample`."""
        return scope_of(rows, self.size)

    @staticmethod
    def was_fitted(packed: Mapping[str, NDArray[Any]]) -> bool:
        """Return whether a geometry with these arrays was fitted to facts of this ledger, and does
        not come from another device."""
        return MARK in packed

    def _fit(self, rows: FactBatch) -> hdc.Geometry:
        names = sorted(set(zip(rows.domains, rows.labels, strict=True)))
        at = {name: index for index, name in enumerate(names)}
        pairs = zip(rows.domains, rows.labels, strict=True)
        labels = np.array([at[pair] for pair in pairs], np.int64)
        quantiser = self._quantiser
        zeros, weights = (quantiser.zero, quantiser.scale) if quantiser else (None, None)
        found = orders_in_time(rows)
        orders = [found.get(name) for name in names]
        return hdc.fit_geometry(
            rows.features,
            labels,
            self._spans,
            self._seed,
            zeros=zeros,
            weights=weights,
            orders=orders,
        )

    def _mark(self, rows: FactBatch) -> NDArray[np.uint8]:
        """Return the SHA-256 of everything that decides a geometry, uint8 [32]."""
        quantiser = self._quantiser
        texts = (rows.ids, rows.domains, rows.labels, rows.recordings, rows.subjects)
        state = hashlib.sha256(
            repr((hdc.GEOMETRY_VERSION, self._spans, self._seed, texts)).encode()
        )
        levels = (quantiser.zero, quantiser.scale) if quantiser else ()
        for array in (rows.features, rows.captured_at_ns, *levels):
            whole = np.ascontiguousarray(array)
            state.update(f"{whole.dtype.str} {whole.shape};".encode())
            state.update(whole.tobytes())
        return np.frombuffer(state.digest(), np.uint8)


class KnownSample:
    """Whether the geometry in use is known to be that of today's sample: it is once that was
    checked, until a fact of the sample comes or goes."""

    def __init__(self) -> None:
        self._scope: SampleScope | None = None

    def note(self, scope: SampleScope | None) -> None:
        """Note that the geometry is that of today's sample, which these facts change; None: that
        is not known."""
        self._scope = scope

    def change(self, rank: Rank) -> None:
        """Note that a fact of this rank was added or removed."""
        if self._scope is not None and self._scope.changes(rank):
            self._scope = None

    def stays(self, ids: AbstractSet[str]) -> bool:
        """Return whether the geometry is known to stay without these facts.  Reads nothing."""
        scope = self._scope
        return scope is not None and not any(scope.changes(hash_rank(one)) for one in ids)


def fit_geometry(
    ledger: Ledger,
    spans: Spans,
    seed: int,
    without: AbstractSet[str] = NOTHING,
    quantiser: encoder.Quantiser | None = None,
) -> hdc.Geometry:
    """Fit a geometry to a sample of the ledger's facts; see `GeometryFitter`."""
    return GeometryFitter(spans, seed, quantiser).fit(ledger, without)[0]
