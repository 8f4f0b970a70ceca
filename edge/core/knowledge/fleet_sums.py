"""The running sum of many contributions, and the thresholds that it carries.

Sums add up and subtract exactly, so a sum of sums is that of all devices, in any tree and order.
Thresholds do not add up: each comes from the one device that ranks highest, by the held-out samples
of its domain and then by a digest of its numbers.  A maximum over a total order depends on no
order and no tree either.  `ranks` carries the ranks of a sum's rows to the next level.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

import hdc

from .contributions import RANKS, Arrays, Concept, concepts_of, shrink_sums

DOMAIN: Final = ""
"""Stands in place of a label for what a domain's concepts share: its held-out scores."""

TIE_BYTES: Final = 7
"""Bytes of a digest that breaks ties, so that it fits an SQLite integer.  Two of a million devices
with equally many samples have one digest with a probability of 10^-5."""


ThresholdPart = tuple[NDArray[Any], Any]
"""The numbers of an offer: of a domain its scores and its skew, of a concept its scales and its
reference scores."""


class ThresholdOffer(NamedTuple):
    """The rank of a contribution's thresholds of a concept, or of a domain; the highest is used.

    samples, tie: held-out samples of the domain at the device they are from, and a digest of their
    scores.  row: a digest of the concept's own row, 0 for a domain.
    """

    domain: str
    label: str
    samples: int
    tie: int
    row: int

    @property
    def rank(self) -> tuple[int, int, int]:
        """What is compared."""
        return self.samples, self.tie, self.row


class _Sum:
    """The sums of one concept."""

    __slots__ = ("count", "features", "ones", "values")

    def __init__(self, bits: int, values: int, columns: int) -> None:
        self.count = 0
        self.ones = np.zeros(bits, np.int32)
        self.values = np.zeros(values, np.int64)
        self.features = np.zeros(columns, np.int64)


class FleetSums:
    """Sums of contributions of one geometry.  Memory: 4 bytes a bit and 8 a value and column for
    each concept, and half a Gram matrix, however many contributions it sums."""

    def __init__(self, geometry: hdc.Geometry) -> None:
        self.geometry = geometry
        self.samples = 0
        self._columns = geometry.slices[0][1]
        self._sums: dict[Concept, _Sum] = {}
        self._gram: NDArray[np.int64] | None = None

    @property
    def counts(self) -> dict[Concept, int]:
        """The number of facts of each concept, sorted."""
        return {concept: self._sums[concept].count for concept in sorted(self._sums)}

    def change(self, arrays: Arrays, sign: int) -> None:
        """Add (sign 1) or subtract (-1) the arrays of a valid contribution, exactly.

        Only what was added may be subtracted.  Cost: one pass over the arrays.
        """
        counts = arrays["counts"].tolist()
        rows = zip(arrays["ones"], arrays["sums"], arrays["features"], strict=True)
        for concept, count, row in zip(concepts_of(arrays), counts, rows, strict=True):
            self._change(concept, sign * count, row, sign)
        self.samples += sign * sum(counts)
        gram = arrays["gram"]
        if self._gram is None:
            self._gram = np.zeros(len(gram), np.int64)
        _shift(self._gram, gram, sign)

    def _change(
        self, concept: Concept, count: int, row: tuple[NDArray[Any], ...], sign: int
    ) -> None:
        found = self._sums.get(concept)
        if found is None:
            found = _Sum(self.geometry.bits, self.geometry.values, self._columns)
            self._sums[concept] = found
        found.count += count
        assert found.count >= 0, "only what was added is subtracted"
        sums: tuple[NDArray[Any], ...] = (found.ones, found.values, found.features)
        for held, part in zip(sums, row, strict=True):
            _shift(held, part, sign)
        if not found.count:
            del self._sums[concept]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of a contribution without its thresholds; at least one concept."""
        keys = sorted(self._sums)
        rows = [self._sums[key] for key in keys]
        gram = self._gram if self._gram is not None else np.zeros(0, np.int64)
        made: dict[str, NDArray[Any]] = {
            "names": np.frombuffer("\n".join(map("\t".join, keys)).encode(), np.uint8),
            "counts": np.array([row.count for row in rows], np.int64),
            "ones": np.array([row.ones for row in rows]),
            "sums": np.array([row.values for row in rows]),
            "features": np.array([row.features for row in rows]),
            "gram": gram,
        }
        return {name: shrink_sums(array) for name, array in made.items()}

    def digest(self) -> str:
        """Return the hex SHA-256 of all sums; equal sums have equal ones, whatever their order."""
        return digest_sums(self.arrays() if self._sums else {})


def _shift(held: NDArray[Any], part: NDArray[Any], sign: int) -> None:
    """Add to whole numbers in place, or subtract from them; the types hold all that is accepted."""
    change = np.add if sign > 0 else np.subtract
    change(held, part, out=held, casting="same_kind")


def digest_sums(arrays: Arrays) -> str:
    """Return the hex SHA-256 of a contribution's sums, without its thresholds."""
    state = hashlib.sha256()
    for name in ("names", "counts", "ones", "sums", "features", "gram") if arrays else ():
        array = shrink_sums(arrays[name])
        state.update(f"{name} {array.dtype.str} {array.shape};".encode() + array.tobytes())
    return state.hexdigest()


def count_differing(one: Arrays, other: Arrays) -> int:
    """Return in how many bits the sums of two contributions differ, as 64-bit integers; those of a
    concept that only one has count whole."""
    differing = 0
    names = [set(concepts_of(arrays)) if arrays else set() for arrays in (one, other)]
    places = [
        {key: at for at, key in enumerate(concepts_of(arrays))} if arrays else {}
        for arrays in (one, other)
    ]
    for key in sorted(names[0] | names[1]):
        for name in ("counts", "ones", "sums", "features"):
            rows = [
                arrays[name][at[key]].astype(np.int64) if key in at else np.int64(0)
                for arrays, at in zip((one, other), places, strict=True)
            ]
            differing += int(np.bitwise_count(rows[0] ^ rows[1]).sum())
    grams = [arrays["gram"].astype(np.int64) if arrays else np.int64(0) for arrays in (one, other)]
    return differing + int(np.bitwise_count(grams[0] ^ grams[1]).sum())


def threshold_offers(arrays: Arrays) -> Iterator[ThresholdOffer]:
    """Yield what a valid contribution offers: first its domains, then its concepts."""
    names = concepts_of(arrays)
    held = [names[place] for place in arrays["held"].tolist()]
    ranks: dict[str, tuple[int, int]] = {}
    for domain, (scores, skew) in _domains(arrays, held).items():
        ranks[domain] = len(scores), _tie(scores, skew)
        yield ThresholdOffer(domain, DOMAIN, *ranks[domain], 0)
    carried = arrays.get(RANKS)
    for place, (domain, label) in enumerate(held):
        samples, tie = ranks[domain] if carried is None else carried[place].tolist()
        row = _tie(arrays["scales"][place], arrays["usual"][place])
        yield ThresholdOffer(domain, label, samples, tie, row)


def take_thresholds(
    arrays: Arrays, offers: Iterable[ThresholdOffer]
) -> Iterator[tuple[ThresholdOffer, ThresholdPart]]:
    """Yield the numbers of some offers of a contribution."""
    names = concepts_of(arrays)
    held = [names[place] for place in arrays["held"].tolist()]
    domains = _domains(arrays, held)
    for offer in offers:
        if offer.label == DOMAIN:
            scores, skew = domains[offer.domain]
            yield offer, (scores.copy(), np.int64(skew))
        else:
            place = held.index((offer.domain, offer.label))
            yield offer, (arrays["scales"][place].copy(), arrays["usual"][place].copy())


def join_thresholds(
    chosen: Mapping[ThresholdOffer, ThresholdPart], concepts: Iterable[Concept]
) -> dict[str, NDArray[Any]]:
    """Return the threshold arrays of a sum.  chosen: the highest offer of each domain and concept,
    with its numbers.  concepts: of the sum, sorted."""
    at = {concept: place for place, concept in enumerate(concepts)}
    domains = [chosen[one] for one in sorted(chosen) if one.label == DOMAIN]
    offers = [one for one in sorted(chosen) if one.label != DOMAIN]
    rows = [chosen[one] for one in offers]
    blocks = len(rows[0][0]) if rows else 1
    made = {
        "held": np.array([at[one.domain, one.label] for one in offers], np.int64),
        "scales": np.array([row[0] for row in rows], np.int64).reshape(-1, blocks, 2),
        "usual": np.array([row[1] for row in rows], np.int64).reshape(-1, 3),
        "sizes": np.array([len(scores) for scores, _ in domains], np.int64),
        "skews": np.array([skew for _, skew in domains], np.int64),
        "scores": np.concatenate([np.zeros(0, np.int64), *(scores for scores, _ in domains)]),
        RANKS: np.array([one.rank[:2] for one in offers], np.int64).reshape(-1, 2),
    }
    return {name: shrink_sums(array) for name, array in made.items()}


def _domains(arrays: Arrays, held: list[Concept]) -> dict[str, tuple[NDArray[Any], int]]:
    """Return the scores and the skew of each domain of a contribution."""
    edges = np.cumsum(arrays["sizes"].astype(np.int64))[:-1]
    parts = np.split(arrays["scores"], edges)
    names = sorted({domain for domain, _ in held})
    return dict(zip(names, zip(parts, arrays["skews"].tolist(), strict=True), strict=bool(names)))


def _tie(*parts: Any) -> int:
    joined = b"".join(np.asarray(part, "<i8").tobytes() for part in parts)
    return int.from_bytes(hashlib.sha256(joined).digest()[:TIE_BYTES])
