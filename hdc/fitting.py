"""Fitting a geometry to enrolment samples, once; equal samples give equal bits on every machine.

The plane is a whitening with a shrunk covariance (Ledoit and Wolf 2004).  It keeps the leading
directions and one variance for the rest (probabilistic principal component analysis, Tipping and
Bishop 1999).  What it whitens depends on the samples.  Where the nearest neighbour of a sample is
much nearer than the mean of its class, classes are clusters, as in measured quantities: the plane
takes the levels of all taps.  Elsewhere a class is one cloud in many directions, as in embeddings:
the plane takes the last tap divided by its norm (Mahalanobis++, arXiv 2505.18032).
"""

from collections.abc import Sequence
from dataclasses import replace
from math import isqrt

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .blocks import L1_MAX, LENGTH_BITS, SHIFT, UNIT, Columns, Norms, Plane, tap_norm
from .errors import DimensionError
from .exact import Reals, eigen, total
from .geometry import (
    FittedGeometry,
    Geometry,
    Slices,
    Words,
    identity_geometry,
    keys_of,
    random_words,
)
from .integers import Ints, mean, root
from .memory import PLANE, Fold, Memory
from .time_blocks import TimeOrder
from .whitening import (
    Groups,
    Rows,
    Whitening,
    class_sums,
    covariance_of_few,
    distances_without,
    whiten,
)

# Few samples are held out in many folds: a fit to four fifths of few samples differs from the full
# fit.  The three numbers bound the time of fitting; chosen by hand, effect not measured.
FOLDS_MIN = 5  # see above
FOLDS_MAX = 20  # see above
FOLDED_ROWS = 4000  # see above

SCALE_MAX = 255  # level sizes as 8-bit numbers, which exports to microcontrollers store
ZERO_MAX = 4096  # fits the int16 of extracts; squared norms of 7,000 columns stay exact in float64

COLUMN_FLOOR = 0.05
"""Share of the mean deviation added to every column's, so that a nearly constant column does not
dominate.  Chosen by hand; effect not measured."""

CLUSTERED_MAX = 0.72
"""Classes are clusters where the median distance to the nearest neighbour is at most this share of
the median distance to the mean.  Development sets: 0.08 to 0.59 on tables, 0.47 to 0.76 on sound,
0.76 to 0.96 on embeddings of images and speech (docs/decisions/0002)."""

# Samples of a class, and how many of them look for their nearest neighbour among these.  Chosen by
# hand, to bound the time of fitting: 0.3 s for seven classes of 2,064 columns.
CLUSTER_ROWS = 256  # see above
CLUSTER_ASKED = 64  # see above

DOUBLINGS_MAX = 3
"""Doublings of a class up to CLUSTER_ROWS that are extrapolated: 32 samples and more are treated as
256.  Without a limit, 20 windows of an accelerometer count as clusters, and lose 2 points of AUROC
(docs/decisions/0017)."""

SPARE_MIN = 2  # samples beyond one per class: with fewer there is no within-class covariance

_CONTENT_SEED = 0x726F77  # "row" in ASCII: any constant will do, changing it changes all digests
_CONTENT_ROWS = 256  # bounds the memory of the products while rows are hashed


def fit_geometry(
    features: NDArray[np.uint8],
    labels: ArrayLike,
    slices: Slices,
    seed: int,
    bits: int = 8192,
    zeros: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    orders: Sequence[TimeOrder | None] | None = None,
) -> Geometry:
    """Fit a geometry to features uint8 [n, width], n >= 1, with labels int [n], one per concept.

    zeros: int [width], the level that stands for zero per column; 0 by default.
    weights: positive float [width], the size of a level per column; all equal by default.
    Both come from the quantiser.  orders: of each label's samples, where their order in time is
    known; scales are then those of samples held out in blocks.  With fewer than two samples more
    than labels the geometry has hypervectors only.  The order of the samples does not matter.
    Raises DimensionError.  Costs 6 to 21 whitenings, see `whitening`: each about five products of
    the covariance of the last tap with 128 columns.
    """
    rows = np.atleast_2d(np.asarray(features))
    base = identity_geometry(rows.shape[1], slices, seed, bits)
    codes = base.project(rows)
    _, group = np.unique(np.asarray(labels), return_inverse=True)
    if group.shape != (len(rows),):
        raise DimensionError(
            f"fitting a geometry expects {len(rows)} labels, found shape {group.shape}",
            "give one label per row",
        )
    order = np.lexsort((_places(group, orders), _contents(rows), group, keys_of(codes)))
    in_time = _Folds.make(group, orders, order)
    rows, group = rows[order], group[order]
    if len(rows) - (int(group.max()) + 1 if len(rows) else 0) < SPARE_MIN:
        return base
    level = _Levels.make(rows.shape[1], zeros, weights)
    columns, norms = _fit_columns(rows, group, base.slices), None
    if _is_clustered(columns, rows, group, in_time):
        source = _Source.levels(rows)
    else:
        source = _Source(base.slices[-1], level)
        if len(base.slices) > 1:
            columns = _fit_columns(rows, group, base.slices[1:])
            norms = _fit_norms(rows, group, base.slices, level)
    values = Rows.make(source.rows(rows))
    whitening = whiten(values, group)
    made = replace(
        base,
        columns=columns,
        plane=_fit_plane(rows, source, whitening),
        norms=norms,
        scales=np.ones((4 if norms else 3, 2), dtype=np.int64),
    )
    return _with_scales(made, rows, group, _Excess(values, whitening.leading), in_time)


def _is_clustered(
    columns: Columns, rows: NDArray[np.uint8], group: NDArray[np.intp], folds: "_Folds"
) -> bool:
    """Say whether samples are much nearer to their nearest neighbour than to the mean of their
    class without them, by columns, in classes of CLUSTER_ROWS samples.

    rows: in the order of their keys.  Samples of the same block of time are no neighbours.  In
    smaller classes the nearest neighbour is farther away.  It comes nearer with the number of
    samples by a power law (Cover and Hart 1967; the exponent is one over the dimension that the
    samples fill), whose factor for a doubling follows from the nearest one of every second sample.
    Samples without a neighbour in that half say nothing, neither of distances nor of sizes.
    """
    near: list[int] = []
    of_half: list[int] = []
    far: list[int] = []
    sizes: list[int] = []
    for number in range(int(group.max()) + 1):
        mine = columns.code(rows[group == number][:CLUSTER_ROWS]).astype(np.float32)
        if len(mine) > 1:
            asked = mine[:CLUSTER_ASKED]
            sums = mine.astype(np.int64).sum(axis=0) - asked.astype(np.int64)
            to_mean = columns.distance(asked, mean(sums, len(mine) - 1)).tolist()
            others = ~np.eye(len(mine), dtype=np.bool_)[: len(asked)]
            for scored, left_out in folds.per_class[number] or ():
                others[scored[scored < len(asked)]] &= ~left_out[: len(mine)]
            for place, (row, rest) in enumerate(zip(asked, others, strict=True)):
                apart = columns.distance(mine, row)
                half = rest.copy()
                half[1 - place % 2 :: 2] = False
                if half.any():
                    near.append(int(apart[rest].min()))
                    of_half.append(int(apart[half].min()))
                    far.append(to_mean[place])
                    sizes.append(len(mine))
    if not near:
        return False
    within, across = float(_middle(near)), float(_middle(far))
    doublings = (CLUSTER_ROWS // _middle(sizes)).bit_length() - 1
    if within < across:
        nearer = within / max(1, _middle(of_half))
        # Multiplied one by one: powers of floats depend on the processor's library.
        for _ in range(min(doublings, DOUBLINGS_MAX)):
            within *= nearer
    return within <= CLUSTERED_MAX * across


def _middle(numbers: list[int]) -> int:
    return sorted(numbers)[len(numbers) // 2]


def _places(group: Groups, orders: Sequence[TimeOrder | None] | None) -> Ints:
    """Return the place in time of each sample, int64 [n], to order equal rows of a class; 0 where
    it is not known."""
    made = np.zeros(len(group), dtype=np.int64)
    for number, order in enumerate(orders or ()):
        if order is not None:
            made[group == number] = order.place
    return made


def _contents(rows: NDArray[np.uint8]) -> Words:
    """Return a word uint64 [n] per row: a seeded hash of its levels, to order rows of one key."""
    odd = random_words(_CONTENT_SEED, rows.shape[1]) | np.uint64(1)
    made = np.empty(len(rows), dtype=np.uint64)
    for at in range(0, len(rows), _CONTENT_ROWS):
        part = rows[at : at + _CONTENT_ROWS]
        made[at : at + _CONTENT_ROWS] = (part * odd).sum(axis=1, dtype=np.uint64)
    return made


class _Folds(msgspec.Struct, frozen=True, eq=False):
    """Folds of the samples.

    per_class: as `Memory.distances_held_out` takes them, None to hold out each sample alone.
    joint: rows to score and a mask of the rows left out with them, over all classes.
    """

    per_class: tuple[tuple[Fold, ...] | None, ...]
    joint: tuple[Fold, ...]

    @staticmethod
    def make(
        group: NDArray[np.intp], orders: Sequence[TimeOrder | None] | None, order: NDArray[np.intp]
    ) -> "_Folds":
        """Return the folds of samples that are about to be reordered."""
        count = len(group)
        new = np.empty(count, dtype=np.intp)
        new[order] = np.arange(count)
        number = min(FOLDS_MAX, max(FOLDS_MIN, FOLDED_ROWS // max(1, count)))
        folds = [(np.zeros(count, np.bool_), np.zeros(count, np.bool_)) for _ in range(number)]
        per_class: list[tuple[Fold, ...] | None] = []
        for name in range(int(group.max()) + 1 if count else 0):
            rows = new[group == name]
            # `_with_scales` takes each class's rows in their new order.
            within = rows.argsort(kind="stable").argsort(kind="stable")
            known = orders[name] if orders is not None else None
            if known is None or not known.splits:
                per_class.append(None)
                for row in rows.tolist():
                    for part in folds[row % number]:
                        part[row] = True
                continue
            held = tuple(known.folds())
            moved = []
            for at, (scored, left_out) in enumerate(held):
                mask = np.zeros(len(rows), dtype=np.bool_)
                mask[within[left_out]] = True
                moved.append((within[scored], mask))
                folds[at][0][rows[scored]] = True
                folds[at][1][rows[left_out]] = True
            per_class.append(tuple(moved))
        joint = tuple((np.flatnonzero(scored), left_out) for scored, left_out in folds)
        return _Folds(tuple(per_class), joint)


class _Levels(msgspec.Struct, frozen=True, eq=False):
    zeros: Reals
    scale: Reals

    @staticmethod
    def make(width: int, zeros: ArrayLike | None, weights: ArrayLike | None) -> "_Levels":
        zero = np.zeros(width) if zeros is None else np.asarray(zeros)
        size = np.ones(width) if weights is None else np.asarray(weights, dtype=np.float64)
        if zero.shape != (width,) or size.shape != (width,) or not (size > 0).all():
            raise DimensionError(
                f"fitting a geometry expects {width} zeros and {width} positive weights, found "
                f"{zero.shape} and {size.shape}",
                "take both from the quantiser of the features",
            )
        equal = np.ptp(size) == 0
        whole = np.ones(width) if equal else np.rint(size / size.max() * SCALE_MAX)
        clipped = np.rint(np.clip(zero, -ZERO_MAX, ZERO_MAX)).astype(np.float64) + 0.0
        return _Levels(clipped, np.maximum(whole, 1))


class _Source(msgspec.Struct, frozen=True, eq=False):
    """What the plane whitens: columns [start, stop), divided by each row's norm or, unless 0, by
    `fixed`."""

    span: tuple[int, int]
    level: _Levels
    fixed: int = 0

    @staticmethod
    def levels(rows: NDArray[np.uint8]) -> "_Source":
        """Return the levels of all columns minus their means, divided by the largest norm that
        they can have."""
        width = rows.shape[1]
        centre = mean(rows.sum(axis=0, dtype=np.int64), len(rows)).astype(np.float64)
        return _Source((0, width), _Levels(centre, np.ones(width)), isqrt(width * 255**2) + 1)

    def rows(self, rows: NDArray[np.uint8]) -> Reals:
        """Return what is whitened, [n, w]."""
        part = slice(*self.span)
        tap, scale, zeros = rows[:, part], self.level.scale[part], self.level.zeros[part]
        values = (tap - zeros) * scale
        if self.fixed:
            return np.asarray(values / self.fixed)
        return np.asarray(values / tap_norm(tap, scale, zeros)[:, None])


def _spread(rows: NDArray[np.uint8], group: Groups) -> Reals:
    """Return the deviation of every column within its class, [w]."""
    levels = rows.astype(np.float64)
    sums = class_sums(levels, group)
    squares = np.square(levels, out=levels).sum(axis=0)
    squares -= total(np.square(sums) / np.bincount(group)[:, None], 0)
    return np.asarray(np.sqrt(np.maximum(squares, 0) / len(rows)))


def _fit_columns(rows: NDArray[np.uint8], group: Groups, taps: Slices) -> Columns:
    span = np.asarray([taps[0][0], taps[-1][1]], dtype=np.int64)
    spread = _spread(rows[:, span[0] : span[1]], group)
    for start, stop in ((a - span[0], b - span[0]) for a, b in taps):
        mean_spread = float(total(spread[start:stop])) / (stop - start)
        spread[start:stop] += COLUMN_FLOOR * mean_spread + 1e-3
        spread[start:stop] *= stop - start
    gains = np.maximum(np.floor(L1_MAX / float(total(1 / spread)) / spread), 1)
    return Columns(span, gains.astype(np.float32))


def _fit_norms(rows: NDArray[np.uint8], group: Groups, slices: Slices, level: _Levels) -> Norms:
    spans = np.asarray(slices, dtype=np.int64)
    bare = Norms(spans, level.scale, level.zeros, np.eye(len(spans), dtype=np.int64))
    values, vectors = eigen(covariance_of_few(Rows.make(bare.logs(rows).astype(np.float64)), group))
    axes = vectors / np.sqrt(np.maximum(values, 1.0)) * (UNIT << 16)
    return msgspec.structs.replace(bare, axes=np.rint(axes).astype(np.int64))


def _fit_plane(rows: NDArray[np.uint8], source: _Source, whitening: Whitening) -> Plane:
    part = slice(*source.span)
    scale, zeros = source.level.scale[part], source.level.zeros[part]
    tall = whitening.axes * scale[:, None]
    axes = np.rint(tall * (L1_MAX - len(tall) / 2) / np.maximum(total(np.abs(tall), 0), 1e-9))
    axes += 0.0  # no negative zeros: their sign would be part of the fingerprint
    # Rounding changes the axes' lengths a little.  The length outside is a small difference, so it
    # needs the exact ones.
    sizes = np.maximum(np.sqrt(total(np.square(axes / scale[:, None]), 0)), 1e-9)
    spread = np.sqrt(whitening.variances)
    gains = np.rint(UNIT * (1 << SHIFT) / (sizes * spread)).astype(np.int64)
    lengths = np.rint((1 << SHIFT + LENGTH_BITS) / sizes).astype(np.int64)
    rest = 0 if not whitening.rest else round(UNIT * 4096 / float(np.sqrt(whitening.rest)))
    bare = Plane(
        span=np.asarray(source.span, dtype=np.int64),
        fixed=np.asarray([source.fixed], dtype=np.int64),
        scale=scale,
        zeros=zeros,
        axes=axes.astype(np.float32),
        offset=(zeros @ axes).astype(np.int64),
        gains=gains,
        centre=np.zeros(len(gains), dtype=np.int64),
        lengths=lengths,
        rest=np.asarray([rest], dtype=np.int64),
    )
    return msgspec.structs.replace(
        bare, centre=mean(bare.code(rows)[:, :-1].sum(axis=0), len(rows))
    )


def _with_scales(
    geometry: Geometry, rows: NDArray[np.uint8], group: Groups, excess: "_Excess", folds: _Folds
) -> Geometry:
    """Add the scales of held-out samples, and the excess of the fitted ones."""
    codes = geometry.project(rows)
    memory = Memory(geometry)
    names = [str(number) for number in range(int(group.max()) + 1)]
    for number, name in enumerate(names):
        memory.add("", name, codes[group == number])
    own = np.zeros((len(rows), 1 + len(geometry.blocks)), dtype=np.int64)
    for number, name in enumerate(names):
        mine, column = group == number, memory.keys.index(("", name))
        only = slice(column, column + 1)
        held = memory.distances_held_out("", name, codes[mine], only, folds.per_class[number])
        own[mine] = held[:, 0]
    more = excess.beyond(own[:, PLANE], group, folds.joint)
    own[:, PLANE] += more
    centre = mean(own.sum(axis=0), len(own))
    spread = np.maximum(root(mean(np.square(own - centre).sum(axis=0), len(own))), 1)
    keys, first = np.unique(keys_of(codes), return_index=True)
    return replace(
        geometry,
        scales=np.stack([centre, spread], axis=1),
        fitted=FittedGeometry(keys, more[first]),
    )


class _Excess(msgspec.Struct, frozen=True, eq=False):
    """What it takes to whiten without some rows."""

    values: Rows
    start: Reals | None

    def beyond(self, fitted: Ints, group: Groups, folds: tuple[Fold, ...]) -> Ints:
        """Return how much farther each row lies from its class when the whitening excludes it.

        fitted: distances int64 [n].  Rows that no fold could score get the median of the others.
        """
        excess, found = np.zeros(len(group), dtype=np.int64), np.zeros(len(group), dtype=np.bool_)
        for scored, left_out in folds:
            kept = ~left_out
            classes = np.unique(group[kept])
            out = scored[np.isin(group[scored], classes)]
            if len(out) and np.count_nonzero(kept) - len(classes) >= SPARE_MIN:
                apart = distances_without(self.values, group, out, kept, self.start)
                excess[out] = np.rint(UNIT * apart).astype(np.int64) - fitted[out]
                found[out] = True
        if found.any():
            excess[~found] = np.sort(excess[found])[np.count_nonzero(found) // 2]
        return excess
