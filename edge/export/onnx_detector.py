"""The detector as ONNX.  It computes with whole numbers, which float64 holds exactly below 2^53, so
that scores are equal to the runtime's, bit by bit."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

import hdc

from ..core import EdgeError
from .onnx_graph import GraphBuilder

CONCEPTS_MAX: Final = 32
"""Up to this many concepts the detector compares a sample with all of them; with more it makes a
shortlist first, which the graph does not have (`MANY` in hdc/detector.py)."""

ONE: Final = 1024.0  # a deviation in scores (`ONE` in hdc/integers.py)
BELOW: Final = 2 * ONE  # the excess starts two deviations below the mean (`BELOW` there)
FAR: Final = float(1 << 16)  # caps a block at 64 deviations (`_LIMIT` there)
EXACT: Final = float(1 << 53)  # whole numbers below it are exact in float64 (IEEE 754)
SHORTLIST: Final = 8  # concepts whose exemplars are compared (`EXEMPLAR_SHORTLIST` in hdc/joint.py)
HIDDEN: Final = float(1 << 40)  # above every score: concepts of other domains

WORD_BITS: Final = 64  # of a word of a hypervector
HADAMARD: Final = 64  # side of the matrices that the transform is split into
LOG_STEPS: Final = 1024  # steps of the table of logarithms (hdc/integers.py)
LOG_UNIT: Final = 4096.0  # logarithms are in units of 1 / 4,096 (there)
EXPONENTS: Final = 53  # powers of two that a float64 compares exactly


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectedValues:
    """Names of the values that the detector returns.

    novelty: float64 [batch], the joint score.  limit: float64 [batch], the highest score that is
    known at the nearest concept.  domain: int64 [batch], place among the sorted domains.
    nearest: float64 [batch, domains], novelty to each domain.
    """

    novelty: str
    limit: str
    domain: str
    nearest: str


def add_detector(
    graph: GraphBuilder, memory: hdc.Memory, calibration: hdc.Calibration, levels: str, rate: float
) -> DetectedValues:
    """Add the detector.  levels: float32 [batch, width].  Raises EdgeError for more concepts than
    `CONCEPTS_MAX`."""
    keys, domains = memory.keys, sorted({domain for domain, _ in memory.keys})
    if len(keys) > CONCEPTS_MAX:
        raise EdgeError(
            f"writing ONNX: the novelty of {len(keys)} concepts (labels in domains) cannot be "
            f"exported, expected {CONCEPTS_MAX} at most",
            "leave the novelty out: --without-novelty",
        )
    codes = _Codes(graph, memory.geometry, levels)
    distances = _distances(graph, memory, codes)
    offset, deviations = calibration.offsets_and_deviations(memory)
    votes = memory.geometry.votes
    common = _combine(graph, distances, offset[0], deviations[0], votes)
    own = _combine(graph, distances, offset[1], deviations[1], votes)
    owners = np.array([domains.index(domain) for domain, _ in keys])
    first = graph.op("ArgMax", graph.op("Neg", common), axis=1, keepdims=0)
    domain = graph.op("Gather", graph.hold(owners, "int64"), first, axis=0)
    scores = _with_exemplars(graph, memory, calibration, codes, (distances, own, owners))
    inside = graph.op("Equal", graph.reshape(domain, (-1, 1)), graph.hold(owners[None], "int64"))
    scores = graph.op("Where", inside, scores, graph.hold(HIDDEN, "float64"))
    nearest = graph.op("ArgMax", graph.op("Neg", scores), axis=1, keepdims=0)
    limits = [hdc.known_limit(key, calibration, rate) for key in keys]
    by_domain = [
        graph.reduce("ReduceMin", graph.columns(common, at, len(keys)), (1,), keep=True)
        for at in (np.flatnonzero(owners == place) for place in range(len(domains)))
    ]
    return DetectedValues(
        novelty=graph.reduce("ReduceMin", scores, (1,)),
        limit=graph.op("Gather", graph.hold(limits, "float64"), nearest, axis=0),
        domain=domain,
        nearest=graph.op("Concat", *by_domain, axis=1),
    )


class _Codes:
    """The code of a sample: hypervector, and the coordinates of the blocks.

    bits: float32 [batch, bits], 0 and 1.  columns, plane, norms: float64 [batch, ...] or "".
    """

    def __init__(self, graph: GraphBuilder, geometry: hdc.Geometry, levels: str) -> None:
        self._graph, self._geometry, self._levels = graph, geometry, levels
        self.bits = self._hypervector()
        self.columns = self._columns()
        self.plane = self._plane()
        self.norms = self._norms()

    def _hypervector(self) -> str:
        """Flip signs, transform, keep the signs of the sums: exact in float32, as in
        `hadamard_sums`."""
        graph, geometry = self._graph, self._geometry
        (start, stop), bits = geometry.slices[0], geometry.bits
        width = stop - start
        padded = 1 << max(0, width - 1).bit_length()
        rounds = -(-bits // padded)
        words = -(-rounds * padded // WORD_BITS)
        random = hdc.random_vectors(geometry.seed, 1, words * WORD_BITS).astype("<u8")
        drawn = np.unpackbits(random.view(np.uint8).ravel(), bitorder="little")
        flips = np.where(drawn[: rounds * padded], -1, 1).reshape(1, rounds, padded)
        tap = graph.columns(self._levels, np.arange(start, stop), geometry.width)
        pads = graph.hold([0, 0, 0, padded - width], "int64")
        tap = graph.reshape(graph.op("Pad", tap, pads), (-1, 1, padded))
        signs = graph.cast(graph.hold(flips, "int8"), "float32")
        values = graph.mul(tap, signs)
        done = min(HADAMARD, padded)
        values = graph.matmul(graph.reshape(values, (-1, done)), graph.hold(_hadamard(done)))
        while done < padded:
            block = min(HADAMARD, padded // done)
            matrix = graph.hold(_hadamard(block))
            values = graph.matmul(matrix, graph.reshape(values, (-1, block, done)))
            done *= block
        sums = graph.reshape(values, (-1, rounds * padded))
        sums = graph.columns(sums, np.arange(bits), rounds * padded)
        return graph.cast(graph.op("Less", sums, graph.hold(0.0)), "float32")

    def _tap(self, span: NDArray[np.integer]) -> str:
        places = np.arange(int(span[0]), int(span[1]))
        return self._graph.columns(self._levels, places, self._geometry.width)

    def _columns(self) -> str:
        block, graph = self._geometry.columns, self._graph
        if block is None:
            return ""
        coded = graph.mul(self._tap(block.span), graph.hold(block.gains))
        return graph.cast(graph.op("Floor", coded), "float64")

    def _plane(self) -> str:
        block, graph = self._geometry.plane, self._graph
        if block is None:
            return ""
        tap, fixed = self._tap(block.span), int(block.fixed[0])
        wide = graph.cast(tap, "float64")
        values = graph.sub(wide, graph.hold(block.zeros, "float64"))
        values = graph.mul(values, graph.hold(block.scale, "float64"))
        norm = graph.root(graph.total(graph.mul(values, values), 1, keep=True))
        norm = graph.op("Max", norm, graph.hold(1.0, "float64"))
        divisor = graph.hold([[fixed]], "float64") if fixed else norm
        divisor = graph.cast(graph.mul(divisor, graph.hold(1024.0, "float64")), "int64")
        along = graph.cast(graph.matmul(tap, graph.hold(block.axes)), "int64")
        along = graph.sub(along, graph.hold(block.offset, "int64"))
        inside = self._divided(graph.mul(along, graph.hold(block.gains, "int64")), divisor)
        inside = graph.sub(inside, graph.hold(block.centre, "int64"))
        if not block.rest[0]:
            outside = graph.mul(graph.cast(norm, "int64"), graph.hold(0, "int64"))
        else:
            outside = self._outside(block, along, (divisor, norm))
        both = graph.op("Concat", inside, outside, axis=1)
        return graph.cast(both, "float64")

    def _outside(self, block: hdc.Plane, along: str, by: tuple[str, str]) -> str:
        """Return the gain of the length outside the axes, int64 [batch, 1].  by: divisor, norm."""
        graph, one, fixed = self._graph, float(1 << 20), int(block.fixed[0])
        unit = self._divided(graph.mul(along, graph.hold(block.lengths, "int64")), by[0])
        unit = graph.cast(unit, "float64")
        whole = graph.hold([[one * one]], "float64")
        if fixed:
            scaled = graph.mul(by[1], graph.hold(one, "float64"))
            scaled = graph.floor_divide(scaled, graph.hold(float(fixed), "float64"))
            whole = graph.mul(scaled, scaled)
        left = graph.sub(whole, graph.total(graph.mul(unit, unit), 1, keep=True))
        left = graph.root(graph.op("Max", left, graph.hold(0.0, "float64")))
        gained = graph.mul(graph.cast(left, "int64"), graph.hold(block.rest, "int64"))
        return self._divided(gained, graph.hold(1 << 32, "int64"))

    def _norms(self) -> str:
        block, graph = self._geometry.norms, self._graph
        if block is None:
            return ""
        if np.abs(block.axes).sum(axis=0).max() * EXPONENTS * LOG_UNIT >= EXACT:
            raise EdgeError("writing ONNX: the norms of the taps are too large", "report this")
        values = graph.sub(graph.cast(self._levels, "float64"), graph.hold(block.zeros, "float64"))
        values = graph.mul(values, graph.hold(block.scale, "float64"))
        squares = graph.mul(values, values)
        edges = [*block.spans[:, 0].tolist(), self._geometry.width]
        belongs = np.zeros((self._geometry.width, len(edges) - 1))
        for place, (start, stop) in enumerate(pairwise(edges)):
            belongs[start:stop, place] = 1
        logs = self._log2(graph.matmul(squares, graph.hold(belongs, "float64")))
        product = graph.matmul(logs, graph.hold(block.axes, "float64"))
        return graph.floor_divide(product, graph.hold(65536.0, "float64"))

    def _log2(self, value: str) -> str:
        """Return `hdc.integers.log2`: exponent and ten bits of a float64, without its bits."""
        graph = self._graph
        value = graph.op("Max", value, graph.hold(1.0, "float64"))
        powers = 2.0 ** np.arange(1, EXPONENTS)
        reached = graph.op(
            "GreaterOrEqual",
            graph.op("Unsqueeze", value, graph.hold([2], "int64")),
            graph.hold(powers, "float64"),
        )
        exponent = graph.total(graph.cast(reached, "int64"), 2)
        inverse = graph.hold(2.0 ** -np.arange(EXPONENTS, dtype=np.float64), "float64")
        fraction = graph.mul(value, graph.op("Gather", inverse, exponent, axis=0))
        steps = graph.sub(fraction, graph.hold(1.0, "float64"))
        steps = graph.op("Floor", graph.mul(steps, graph.hold(float(LOG_STEPS), "float64")))
        table = graph.hold(hdc.log_table(), "float64")
        found = graph.op("Gather", table, graph.cast(steps, "int64"), axis=0)
        whole = graph.mul(graph.cast(exponent, "float64"), graph.hold(LOG_UNIT, "float64"))
        return graph.add(found, whole)

    def _divided(self, value: str, divisor: str) -> str:
        """Return int64 numbers over positive others, rounded down."""
        graph = self._graph
        rest = graph.op("Mod", value, divisor)
        return graph.op("Div", graph.sub(value, rest), divisor)


def _distances(graph: GraphBuilder, memory: hdc.Memory, codes: _Codes) -> str:
    """Return the distances of a sample to all concepts, float64 [batch, concepts, blocks]."""
    geometry, held = memory.geometry, memory.pack()
    counts = held["counts"].astype(np.int64)[:, None]
    majority = held["ones"].astype(np.int64) > counts // 2
    sums = held["sums"].astype(np.int64)
    means = np.floor_divide(sums + counts // 2, counts).astype(np.float64)
    marked = graph.small(majority.T.astype(np.uint8))
    shared = graph.mul(graph.matmul(codes.bits, marked), graph.hold(2.0))
    apart = graph.sub(graph.total(codes.bits, 1, keep=True), shared)
    apart = graph.add(apart, graph.hold(majority.sum(axis=1)[None]))
    made = [graph.cast(apart, "float64")]
    blocks = ((codes.columns, "city"), (codes.plane, "plane"), (codes.norms, "norms"))
    for (value, kind), (start, stop) in zip(
        [one for one in blocks if one[0]], geometry.spans, strict=True
    ):
        made.append(_block_distance(graph, value, kind, means[:, start:stop]))
    deep = [graph.op("Unsqueeze", one, graph.hold([2], "int64")) for one in made]
    return graph.op("Concat", *deep, axis=2)


def _block_distance(graph: GraphBuilder, value: str, kind: str, means: NDArray[np.float64]) -> str:
    """Return the distances of a block, float64 [batch, concepts]."""
    centres = means.copy()
    if kind == "plane":
        centres[:, -1] = 0  # the length outside the axes counts whole
    row = graph.reshape(value, (-1, 1, means.shape[1]))
    apart = graph.sub(row, graph.hold(centres[None], "float64"))
    if kind == "city":
        return graph.total(graph.op("Abs", apart), 2)
    return graph.root(graph.total(graph.mul(apart, apart), 2))


def _combine(
    graph: GraphBuilder,
    distances: str,
    offset: NDArray[np.int64],
    deviations: NDArray[np.int64],
    votes: NDArray[np.int64],
) -> str:
    """Return the joint scores of distances [batch, concepts, blocks], float64 [batch, concepts]."""
    above = graph.mul(distances, graph.hold(ONE, "float64"))
    above = graph.add(above, graph.hold(offset, "float64"))
    above = graph.floor_divide(above, graph.hold(deviations, "float64"))
    above = graph.op("Max", above, graph.hold(0.0, "float64"))
    above = graph.op("Min", above, graph.hold(FAR, "float64"))
    squares = graph.matmul(graph.mul(above, above), graph.hold(votes[:, None], "float64"))
    return graph.root(graph.reshape(squares, (-1, len(offset))))


def _with_exemplars(
    graph: GraphBuilder,
    memory: hdc.Memory,
    calibration: hdc.Calibration,
    codes: _Codes,
    compared: tuple[str, str, NDArray[np.intp]],
) -> str:
    """Return the scores with the nearest exemplars, float64 [batch, concepts]; those without them
    if the geometry keeps none.  compared: distances, scores without them, and domains."""
    distances, own, owners = compared
    near = calibration.exemplars_for(memory, range(len(memory.keys)))
    if near is None:
        return own
    inside = graph.columns(codes.plane, np.arange(memory.plane_width), memory.plane_width + 1)
    rows = [
        _nearest_exemplar(graph, held, typical, codes.columns, inside)
        for held, typical in zip(near.exemplars, near.scales.astype(np.float64), strict=True)
    ]
    apart = graph.op("Concat", *rows, axis=1)
    scales = np.concatenate([calibration.scales_for(memory), near.scales], axis=1)
    offset = (BELOW * scales[..., 1] - ONE * scales[..., 0]).astype(np.int64)
    votes = np.concatenate([memory.geometry.votes, memory.geometry.exemplar_votes])
    both = graph.op("Concat", distances, apart, axis=2)
    joined = _combine(graph, both, offset, scales[..., 1], votes)
    if max(np.bincount(owners)) <= SHORTLIST:
        # Exemplars only raise a score: trying all concepts finds the same as stopping early does.
        return joined
    rank = graph.ranks(own, owners[:, None] == owners)
    listed = graph.op("Less", rank, graph.hold(SHORTLIST, "int64"))
    return graph.op("Where", listed, joined, graph.hold(HIDDEN, "float64"))


def _nearest_exemplar(
    graph: GraphBuilder,
    held: hdc.Exemplars | None,
    typical: NDArray[np.float64],
    columns: str,
    plane: str,
) -> str:
    """Return the distances of a sample to a concept's nearest exemplar, float64 [batch, 1, 2]; the
    mean ones for a concept without exemplars."""
    if held is None or not len(held):
        nothing = graph.mul(graph.total(columns, 1, keep=True), graph.hold(0.0, "float64"))
        return graph.op(
            "Unsqueeze",
            graph.add(nothing, graph.hold(typical[None, :, 0], "float64")),
            graph.hold([1], "int64"),
        )
    row = graph.op("Unsqueeze", columns, graph.hold([1], "int64"))
    stored = graph.cast(graph.hold(held.columns[None], "int32"), "float64")
    city = graph.total(graph.op("Abs", graph.sub(row, stored)), 2)
    inside = graph.op("Unsqueeze", plane, graph.hold([1], "int64"))
    stored = graph.cast(graph.hold(held.plane[None], "int32"), "float64")
    away = graph.sub(inside, stored)
    euclidean = graph.root(graph.total(graph.mul(away, away), 2))
    least = [graph.reduce("ReduceMin", one, (1,), keep=True) for one in (city, euclidean)]
    return graph.op("Unsqueeze", graph.op("Concat", *least, axis=1), graph.hold([1], "int64"))


def _hadamard(size: int) -> NDArray[np.float32]:
    matrix = np.ones((1, 1), np.float32)
    while len(matrix) < size:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix
