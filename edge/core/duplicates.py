"""Duplicates of what was forgotten: the same content under another id, or nearly the same content.

Exact duplicates are found by a keyed hash of the features.  Near ones by a sketch: random
projections of the square roots of the features, whose distances are those of the roots within a
few percent (Johnson & Lindenstrauss 1984; Achlioptas 2003, "Database-friendly random projections",
theorem 1.1).  A copy is near if its squared distance to what was forgotten is a small part of the
spread, the squared distance of what was forgotten to the mean of the facts.  Nothing but the sketch
and this one number is kept.  Who has the file can test a guess against either.
"""

import hashlib
import hmac
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from .events import EraseFacts, ForgetRequest
from .facts import Ledger
from .pending_forgets import ExcludeFacts

SKETCH_SIZE: Final = 32
"""Projections of a sketch.  Measured on PACS: 24 refuse 99 % of the copies of cosine 0.97 at 0.1 %
to 0.2 % false refusals, 32 at 0.1 %, 128 at 0.04 %; fewer give less of the content away."""

NEAR_MAX: Final = 0.105
"""Largest squared distance of a copy, in spreads.  A copy of cosine 0.97 with the facts' mean as
origin is at 0.06, and 99.4 % of their sketches are below (PACS, CIFAR-10)."""

SKETCHES_MAX: Final = 10_000
"""Sketches kept, the newest: as many as false refusals were measured with."""

CONTENTS_MAX: Final = 100_000
"""Hashes of contents kept, the newest: 4 MB of the file."""

FALSE_REFUSALS_MAX: Final = 0.003
"""Share of other facts that near duplicates of `SKETCHES_MAX` forgotten ones may refuse: asked for
by the users of the option."""

SAMPLE_FACTS: Final = 2_048
"""Facts that the mean and the false refusals are estimated from: as many as a geometry."""

SPREAD_FACTS: Final = 256
"""Facts whose mean a spread is measured from: so many change it by a quarter of a percent, and are
read in a few milliseconds while facts are erased between decisions."""

FACTS_MIN: Final = 256
"""Fewest facts that stay, for both estimates: fewer hold too few pairs to compare."""

COLUMNS_MIN: Final = 4 * SKETCH_SIZE
"""Fewest columns of features: of fewer, the projections would give the content away."""

CLOSEST_PAIRS: Final = 64
"""Closest pairs from which the number of closer ones is extrapolated.  Chosen by hand; effect not
measured."""

SIGNS_CACHED: Final = 8
"""Keys whose signs are kept in memory, 260 KB each: a ledger has one, and one for each ledger that
was merged into it.  Chosen by hand; effect not measured."""

SPREAD_MIN: Final = 1e-6
"""Smallest spread that is divided by: that of facts that are all equal is 0."""

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


class ContentRows(msgspec.Struct, frozen=True):
    """What is kept of contents under one key.  hashes: see `hash_content`.  sketches: float32
    [SKETCH_SIZE + 1] as bytes, little-endian, the last number is the spread."""

    hashes: Sequence[bytes] = ()
    sketches: Sequence[bytes] = ()

    def newest(self, later: "ContentRows") -> "ContentRows":
        """Return these and later ones, as many as are kept."""
        hashes = tuple(dict.fromkeys((*self.hashes, *later.hashes)))
        sketches = tuple(dict.fromkeys((*self.sketches, *later.sketches)))
        return ContentRows(hashes[-CONTENTS_MAX:], sketches[-SKETCHES_MAX:])


class Sketches:
    """Sketches of forgotten facts under one key, see `ContentRows`.  Cost of a check: a tenth of a
    millisecond beside 10,000 of them."""

    def __init__(self, key: bytes, packed: Sequence[bytes]) -> None:
        numbers = np.frombuffer(b"".join(packed), "<f4").reshape(-1, SKETCH_SIZE + 1)
        self._key, self._rows = key, np.ascontiguousarray(numbers[:, :-1])
        # Near if |x|^2 + |t|^2 - 2 x.t is at most the limit, summed over the projections.
        limits = NEAR_MAX * SKETCH_SIZE * numbers[:, -1]
        self._offsets = np.square(self._rows).sum(axis=1) - limits

    def resemble(self, features: bytes) -> bool:
        """Return whether a content is a near duplicate of a forgotten one."""
        row = sketch(self._key, np.frombuffer(features, np.uint8)[None])[0]
        return bool((self._offsets - 2 * (self._rows @ row)).min() <= -float(row @ row))


def hash_content(key: bytes, features: bytes) -> bytes:
    """Return the tombstone of a content: the HMAC-SHA256 of its features under a key."""
    return hmac.digest(key, b"content\0" + features, hashlib.sha256)


def rows_to_bury(effect: EraseFacts | ExcludeFacts, ledger: Ledger, key: bytes) -> ContentRows:
    """Return the rows of the contents that are erased, as strictly as the request wants: of facts,
    of label candidates, and of observations that the ledger does not hold.  Call it while the
    ledger holds them."""
    wanted = effect.duplicates
    if wanted == "off":
        return ContentRows()
    held = (ledger.get(name) or ledger.candidate(name) for name in effect.ids)
    found = (one.features for one in held if one is not None)
    different = tuple(dict.fromkeys((*found, *effect.contents)))
    hashes = [hash_content(key, one) for one in different]
    if wanted == "exact" or not different:
        return ContentRows(hashes)
    rows = np.frombuffer(b"".join(different), np.uint8).reshape(len(different), -1)
    staying = ledger.sample(SPREAD_FACTS, without=frozenset(effect.ids)).features
    apart = spreads(rows, staying)
    numbers = np.concatenate([sketch(key, rows), apart[:, None]], axis=1).astype("<f4")
    return ContentRows(hashes, [row.tobytes() for row in numbers])


def sketch(key: bytes, rows: Bytes) -> Floats:
    """Return the sketches of features, uint8 [n, width]: float32 [n, SKETCH_SIZE]."""
    return np.asarray(_roots(rows) @ _signs(key, rows.shape[1]))


def spreads(rows: Bytes, others: Bytes) -> Floats:
    """Return the spread of features, uint8 [n, width], around the mean of others; 0 without others,
    so that only copies are near."""
    if not len(others):
        return np.zeros(len(rows), np.float32)
    return np.asarray(np.square(_roots(rows) - _roots(others).mean(axis=0)).sum(axis=1))


@lru_cache(maxsize=SIGNS_CACHED)
def _signs(key: bytes, width: int) -> Floats:
    """Return the signs of the projections, float32 [width, SKETCH_SIZE].  They follow from the key
    on every machine and with every version of numpy."""
    drawn = hashlib.shake_256(b"sketch\0" + key).digest(SKETCH_SIZE * width // 8)
    bits = np.unpackbits(np.frombuffer(drawn, np.uint8)).reshape(width, SKETCH_SIZE)
    signs = np.where(bits, np.float32(1), np.float32(-1))
    signs.setflags(write=False)
    return signs


def guard_obstacle(event: ForgetRequest, ledger: Ledger) -> str:
    """Return why a request cannot have near duplicates refused; '' if it can, or does not want
    that."""
    if event.duplicates != "near":
        return ""
    obstacle = _near_obstacle(ledger, frozenset(ledger.select(event.selector)))
    return f"forgetting, and refusing near duplicates: {obstacle}" if obstacle else ""


def _near_obstacle(ledger: Ledger, without: AbstractSet[str]) -> str:
    """Return why near duplicates cannot be refused in a ledger without some facts, '' if they can.
    Cost: a tenth of a second."""
    rows = ledger.sample(SAMPLE_FACTS, without=without).features
    if len(rows) < FACTS_MIN:
        return f"{len(rows)} facts stay, and {FACTS_MIN} are needed to know what is near"
    if rows.shape[1] < COLUMNS_MIN:
        return (
            f"the features have {rows.shape[1]} columns; of fewer than {COLUMNS_MIN}, a sketch"
            " would give the content away"
        )
    share = false_refusals(rows)
    if share > FALSE_REFUSALS_MAX:
        return (
            f"different facts are too similar here: beside {SKETCHES_MAX:,} forgotten ones, about"
            f" {share:.1%} of the others would be refused wrongly"
        )
    return ""


def false_refusals(rows: Bytes) -> float:
    """Return the share of facts that would be refused beside `SKETCHES_MAX` forgotten others.

    rows: uint8 [n, width].  The number of pairs closer than a distance grows with a power of it
    (Levina & Bickel 2004, "Maximum likelihood estimation of intrinsic dimension", equation 8); the
    power follows from the closest pairs.  If more pairs are near than that predicts by chance, they
    are counted instead: real data hold copies.
    """
    count, closest = len(rows), np.maximum(_closest_pairs(rows), SPREAD_MIN)
    near, farthest = int((closest <= NEAR_MAX).sum()), float(closest[-1])
    logs = np.log(farthest / closest[:-1])
    power = len(logs) / max(float(logs.sum()), SPREAD_MIN)
    predicted = len(closest) * min(1.0, NEAR_MAX / farthest) ** power
    allowed = FALSE_REFUSALS_MAX * count * (count - 1) / (2 * SKETCHES_MAX)
    by_chance = allowed + 2 * allowed**0.5 + 1
    pairs = predicted if near <= by_chance else max(predicted, near)
    return float(min(1.0, 2 * pairs / count * SKETCHES_MAX / (count - 1)))


def _closest_pairs(rows: Bytes) -> NDArray[np.float64]:
    """Return the squared distances of the sketches of the closest pairs, in spreads of the wider
    one, ascending."""
    made, spread = sketch(b"", rows), spreads(rows, rows)
    lengths = np.square(made).sum(axis=1)
    away = lengths[:, None] + lengths - 2 * (made @ made.T)
    away /= SKETCH_SIZE * np.maximum(np.maximum(spread[:, None], spread), SPREAD_MIN)
    pairs = away[np.tri(len(rows), k=-1, dtype=bool)]
    return np.sort(np.partition(pairs, CLOSEST_PAIRS)[:CLOSEST_PAIRS]).astype(np.float64)


def _roots(rows: Bytes) -> Floats:
    """Return square roots: they even out the variance of counts and rectified features (Bartlett
    1936)."""
    return np.sqrt(rows.astype(np.float32))
