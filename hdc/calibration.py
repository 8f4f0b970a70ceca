"""What known samples usually get, measured on the samples themselves, each held out."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .blocks import Packed
from .codes import Codes
from .errors import FormatError
from .geometry import fingerprint_of
from .integers import Ints, mean, root
from .memory import Key, Memory
from .scoring import combine

Fact = tuple[str, str, Codes]

# A concept's own scales lean on its domain's as if that many samples had said the same.
CENTRE_PRIOR = 5
SPREAD_PRIOR = 20


@dataclass(frozen=True, slots=True, eq=False)
class Usual:
    """Held-out scores of one concept's samples, those nearest to it: count, mean and spread."""

    count: int
    centre: int
    spread: int


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """Whole numbers only, whatever the order of the facts.

    keys: the concepts covered, sorted.  scales: int64 [keys, blocks, 2], usual distance and
    spread.  usual: int64 [keys, 3], see `Usual`.  scores: sorted held-out scores per domain.
    skews: 1,024 x the skewness of standardised scores per domain.
    """

    keys: tuple[Key, ...]
    scales: Ints
    usual: Ints
    scores: dict[str, Ints]
    skews: dict[str, int]
    _aligned: list[tuple[tuple[Key, ...], Ints]] = field(default_factory=list)

    def scales_for(self, memory: Memory) -> Ints:
        """Scales int64 [concepts, blocks, 2] for the memory's columns; the geometry's where the
        calibration does not cover a concept."""
        keys = memory.keys
        # The keys of an unchanged memory are the very same object; comparing them would take long.
        if not self._aligned or self._aligned[0][0] is not keys:
            places = {key: place for place, key in enumerate(self.keys)}
            default = memory.geometry.scales
            rows = [self.scales[places[k]] if k in places else default for k in keys]
            scales = np.asarray(rows, dtype=np.int64).reshape(-1, *default.shape)
            self._aligned[:] = [(keys, scales)]
        return self._aligned[0][1]

    def usual_of(self, key: Key) -> Usual | None:
        """What samples nearest to a concept score, or None where too few were held out."""
        if key not in self.keys:
            return None
        count, centre, spread = self.usual[self.keys.index(key)].tolist()
        return Usual(count, centre, spread) if count else None

    def digest(self) -> str:
        """Hex SHA-256 of all numbers."""
        return fingerprint_of(self.pack())

    def pack(self) -> Packed:
        """Arrays that `unpack` makes the same calibration of."""
        domains = sorted(self.scores)
        held = [self.scores[domain] for domain in domains]
        return {
            "concepts": np.asarray(self.keys, dtype=np.str_).reshape(len(self.keys), 2),
            "scales": self.scales,
            "usual": self.usual,
            "domains": np.asarray(domains, dtype=np.str_),
            "sizes": np.asarray([len(scores) for scores in held], dtype=np.int64),
            "skews": np.asarray([self.skews[domain] for domain in domains], dtype=np.int64),
            "scores": np.concatenate([np.empty(0, dtype=np.int64), *held]),
        }

    @staticmethod
    def unpack(packed: Packed) -> "Calibration":
        """The calibration that `pack` gave; raises FormatError where the arrays are not one."""
        try:
            domains = [str(domain) for domain in packed["domains"]]
            parts = np.split(packed["scores"].astype(np.int64), np.cumsum(packed["sizes"])[:-1])
            return Calibration(
                tuple((str(domain), str(label)) for domain, label in packed["concepts"]),
                packed["scales"].astype(np.int64),
                packed["usual"].astype(np.int64),
                dict(zip(domains, parts, strict=bool(domains))),
                dict(zip(domains, packed["skews"].tolist(), strict=True)),
            )
        except (KeyError, ValueError, TypeError, AttributeError) as error:
            raise FormatError(f"unpacking a calibration failed: {error!r}", "calibrate") from error


def calibrate(memory: Memory, facts: Iterable[Fact]) -> Calibration:
    """Held-out scores of facts (domain, label, codes) that are all in the memory, in any order.

    Concepts of a single sample are left out: without it there is nothing to compare with.
    """
    held: dict[Key, list[Ints]] = {}
    counts = memory.counts
    for domain, label, codes in facts:
        if len(codes) and counts.get((domain, label), 0) != 1:
            found = memory.distances_held_out(domain, label, codes)
            held.setdefault((domain, label), []).append(found)
    joined = {key: np.concatenate(held[key]) for key in sorted(held)}
    keys = tuple(joined)
    blocks = len(memory.geometry.scales)
    scales = np.empty((len(keys), blocks, 2), dtype=np.int64)
    for domain in sorted({domain for domain, _ in keys}):
        mine = [place for place, key in enumerate(keys) if key[0] == domain]
        own = [joined[keys[place]][:, memory.keys.index(keys[place])] for place in mine]
        scales[mine] = _scales(own)
    made = Calibration(keys, scales, np.zeros((len(keys), 3), dtype=np.int64), {}, {})
    for domain in sorted({domain for domain, _ in keys}):
        _settle(made, memory, domain, {k: d for k, d in joined.items() if k[0] == domain})
    return made


def _scales(own: list[Ints]) -> Ints:
    """Usual distance and spread int64 [labels, blocks, 2], each leaning on those of all labels."""
    together = np.concatenate(own)
    centre = mean(together.sum(axis=0), len(together))
    variance = mean(np.square(together - centre).sum(axis=0), len(together))
    made = np.empty((len(own), together.shape[1], 2), dtype=np.int64)
    for place, rows in enumerate(own):
        mine = mean(rows.sum(axis=0) + CENTRE_PRIOR * centre, len(rows) + CENTRE_PRIOR)
        squares = np.square(rows - mine).sum(axis=0) + SPREAD_PRIOR * variance
        made[place, :, 0] = mine
        made[place, :, 1] = np.maximum(root(mean(squares, len(rows) + SPREAD_PRIOR)), 1)
    return made


def _settle(made: Calibration, memory: Memory, domain: str, held: dict[Key, Ints]) -> None:
    """Fill in what one domain's held-out samples score against the domain's concepts."""
    columns = [place for place, key in enumerate(memory.keys) if key[0] == domain]
    distances = np.concatenate([rows[:, columns] for rows in held.values()])
    scores = combine(distances, made.scales_for(memory)[columns], memory.geometry.votes)
    lowest = scores.min(axis=1)
    made.scores[domain] = np.sort(lowest)
    nearest = np.asarray(columns)[scores.argmin(axis=1)]
    centre = int(mean(lowest.sum(), len(lowest)))
    variance = int(mean(np.square(lowest - centre).sum(), len(lowest)))
    apart = np.zeros(len(lowest), dtype=np.int64)
    for place, key in enumerate(made.keys):
        if key[0] == domain:
            mine = nearest == memory.keys.index(key)
            made.usual[place] = _usual(lowest[mine], centre, variance)
            apart[mine] = (lowest[mine] - made.usual[place, 1]) * 1024 // made.usual[place, 2]
    made.skews[domain] = _skew(apart)


def _usual(scores: Ints, centre: int, variance: int) -> tuple[int, int, int]:
    count = len(scores)
    mine = int(mean(scores.sum() + CENTRE_PRIOR * centre, count + CENTRE_PRIOR))
    squares = np.square(scores - mine).sum() + SPREAD_PRIOR * variance
    return count, mine, max(1, int(root(mean(squares, count + SPREAD_PRIOR))))


def _skew(apart: NDArray[np.int64]) -> int:
    """1,024 x the third moment of deviations given as 1,024 a unit, cut at four units."""
    cut = np.clip(apart, -4096, 4096)
    return int(mean((cut**3 // 1024**2).sum(), len(cut)))
