"""The router: which domain a sample belongs to, from its features alone.

A ridge regression on the domains (Hoerl & Kennard 1970) takes in all facts at hand; kernel ridge
regression over landmarks corrects it where domains meet, and is asked only there.  Half of the
landmarks are the facts that the ridge, without the fact itself, puts nearest to a wrong domain or
into one: few facts are hard, and they alone say where the border runs.  Everything follows from the
set of facts, so a router made again after a crash is the same.  Constants and what they were
measured by: docs/decisions/0008-routing.md.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .errors import ModelMismatchError
from .facts import FactBatch

FACTS_MAX: Final = 8_192
"""Facts a router is fitted to, over all domains."""

LANDMARKS_MAX: Final = 1_024
"""Facts that a sample is compared with."""

STRAYS: Final = 0.001
"""Share of facts that the ridge may put farther into a wrong domain than where landmarks are asked:
a single one that is hopeless would else have them asked everywhere."""

RIDGE: Final = 0.05
KERNEL_RIDGE: Final = 0.3
CHUNK: Final = 256
SHARPNESSES: Final = np.geomspace(1, 50, 24)

Floats = NDArray[np.float32]
Span = tuple[int, int]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Router:
    """Log-probabilities of `domains`, sorted, for uint8 features of `width` columns.

    span: the columns it reads.  centre, factor: of these columns.  weights, bias: the ridge.
    landmarks: standardised rows [m, columns], with their votes [m, domains]; reach: how fast
    votes fade with the squared distance.  lead: of the ridge's first domain over its second, from
    which on landmarks are not asked.  sharpness: turns sums into probabilities.
    """

    domains: tuple[str, ...]
    width: int
    span: Span
    centre: Floats = field(repr=False)
    factor: Floats = field(repr=False)
    weights: Floats = field(repr=False)
    bias: Floats = field(repr=False)
    landmarks: Floats = field(repr=False)
    votes: Floats = field(repr=False)
    reach: float = 1.0
    lead: float = np.inf
    sharpness: float = 1.0

    @property
    def nbytes(self) -> int:
        """Bytes of its parameters."""
        parts = (self.centre, self.factor, self.weights, self.bias, self.landmarks, self.votes)
        return sum(int(part.nbytes) for part in parts)

    def scores(self, features: NDArray[np.uint8]) -> Floats:
        """Log-probabilities float32 [..., domains] of uint8 [..., width] features.

        Costs and raises what `logits` does.
        """
        return _log_softmax(self.logits(features))

    def logits(self, features: NDArray[np.uint8]) -> Floats:
        """`scores` before they are made to sum up to one: float32 [..., domains].

        Cost: columns x domains multiply-adds a sample, and where the ridge is not sure
        (columns + domains) x landmarks more.
        Raises ModelMismatchError for features of another width or type.
        """
        if features.dtype != np.uint8 or features.shape[-1:] != (self.width,):
            raise ModelMismatchError(
                f"routing expects uint8 features [..., {self.width}], found {features.dtype} "
                f"{features.shape}",
                "encode with the model that the ledger's facts come from",
            )
        if len(self.domains) == 1:
            return np.zeros((*features.shape[:-1], 1), np.float32)
        rows = np.subtract(features[..., slice(*self.span)], self.centre, dtype=np.float32)
        rows *= self.factor
        flat = rows.reshape(-1, rows.shape[-1])
        found = np.empty((len(flat), len(self.domains)), np.float32)
        # Row by row: how a product of many rows is rounded depends on how many there are.
        for at in range(len(flat)):
            self._score(flat[at : at + 1], found[at : at + 1])
        return found.reshape(*rows.shape[:-1], -1)

    def _score(self, row: Floats, made: Floats) -> None:
        """Write the logits [1, domains] of one standardised row [1, columns]."""
        np.matmul(row, self.weights, out=made)
        made += self.bias
        if len(self.landmarks) and _leads(made)[0] < self.lead:
            made += _kernel(row, self.landmarks, self.reach) @ self.votes
        made *= np.float32(self.sharpness)


def fit_router(batches: Iterable[FactBatch], spans: tuple[Span, ...]) -> Router:
    """Fit a router to at least one fact, at most `FACTS_MAX` of them, in any order.

    spans: (start, stop) columns of the encoder's taps.  With several taps all but the first are
    read: style shows in the earlier ones.  A domain's facts share the root of their number as
    weight, so that a new domain of a few facts is heard.  Cost: O(facts columns^2 + landmarks^3).
    """
    span = (spans[min(1, len(spans) - 1)][0], spans[-1][1])
    rows = _gather(batches, span)
    if len(rows.domains) == 1:
        return _only(rows.domains, spans[-1][1], span)
    ridge = _fit_ridge(rows)
    margins = _margins(ridge.left, rows.owners)
    at = _choose_landmarks(rows, margins)
    if margins.min() > 0:
        return _straight(rows, ridge, at, spans[-1][1], span)
    landmarks = ridge.standardise(rows.features[at])
    squares = _squares(landmarks, landmarks)
    reach = 1 / max(float(squares.mean(dtype=np.float64)), 1e-6)
    kernel = np.exp(-reach * squares)
    kernel.flat[:: len(at) + 1] += KERNEL_RIDGE / rows.weights[at]
    inverse = np.linalg.inv(kernel)
    votes = np.asarray(inverse @ ridge.left[at], np.float32)
    # What would be said of a landmark without it (Allen 1974): its target less what is left over.
    lead = _sure_lead(margins)
    target = np.eye(len(rows.domains), dtype=np.float32)[rows.owners[at]]
    alone = target - ridge.left[at]
    both = target - votes / np.diagonal(inverse)[:, None]
    held_out = np.where((_leads(alone) < lead)[:, None], both, alone)
    sharpness = _calibrate(held_out, rows.owners[at], _shares(len(rows.owners), len(at)))
    return Router(
        domains=rows.domains,
        width=spans[-1][1],
        span=span,
        centre=ridge.centre,
        factor=ridge.factor,
        weights=ridge.weights,
        bias=ridge.bias,
        landmarks=landmarks,
        votes=votes,
        reach=reach,
        lead=lead,
        sharpness=sharpness,
    )


def assign_folds(counts: Mapping[str, int]) -> dict[str, int]:
    """Share `FACTS_MAX` out over domains of so many facts: equally, and what one leaves, others
    take.  Each domain gets one fact at least."""
    made: dict[str, int] = {}
    left = FACTS_MAX
    for place, (name, count) in enumerate(sorted(counts.items(), key=lambda pair: pair[::-1])):
        made[name] = min(count, max(1, left // (len(counts) - place)))
        left -= made[name]
    return made


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Facts, sorted by domain and id.  owners: places in `domains`.  ranks: hashes of ids."""

    domains: tuple[str, ...]
    features: NDArray[np.uint8]
    owners: NDArray[np.intp]
    weights: Floats
    ranks: NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class _Ridge:
    """A fitted ridge.  left: what it leaves of each fact's target, fitted without the fact."""

    centre: Floats
    factor: Floats
    weights: Floats
    bias: Floats
    left: Floats

    def standardise(self, features: NDArray[np.uint8]) -> Floats:
        return np.asarray((features - self.centre) * self.factor, np.float32)


def _only(domains: tuple[str, ...], width: int, span: Span) -> Router:
    """Make a router that knows one domain, and needs to look at nothing."""
    still = np.zeros(span[1] - span[0], np.float32)
    nothing = np.zeros((0, len(still)), np.float32)
    return Router(
        domains=domains,
        width=width,
        span=span,
        centre=still,
        factor=still,
        weights=still[:, None],
        bias=np.zeros(1, np.float32),
        landmarks=nothing,
        votes=nothing[:, :1],
    )


def _straight(rows: _Rows, ridge: _Ridge, at: NDArray[np.intp], width: int, span: Span) -> Router:
    """Make a router of a ridge that puts every fact, unseen, into its own domain: landmarks would
    never be asked, and cost more than the rest."""
    target = np.eye(len(rows.domains), dtype=np.float32)[rows.owners[at]]
    shares = _shares(len(rows.owners), len(at))
    sharpness = _calibrate(target - ridge.left[at], rows.owners[at], shares)
    nothing = np.zeros((0, span[1] - span[0]), np.float32)
    return Router(
        domains=rows.domains,
        width=width,
        span=span,
        centre=ridge.centre,
        factor=ridge.factor,
        weights=ridge.weights,
        bias=ridge.bias,
        landmarks=nothing,
        votes=np.zeros((0, len(rows.domains)), np.float32),
        sharpness=sharpness,
    )


def _gather(batches: Iterable[FactBatch], span: Span) -> _Rows:
    held = [(b, np.ascontiguousarray(b.features[:, slice(*span)])) for b in batches if len(b)]
    assert held, "a router is fitted to at least one fact"
    names = [name for batch, _ in held for name in batch.domains]
    ids = [name for batch, _ in held for name in batch.ids]
    order = sorted(range(len(ids)), key=lambda row: (names[row], ids[row]))
    domains, owners = np.unique(np.array(names)[order], return_inverse=True)
    weights = 1 / np.sqrt(np.bincount(owners))[owners]
    digests = (hashlib.blake2b(ids[row].encode(), digest_size=8).digest() for row in order)
    return _Rows(
        tuple(str(name) for name in domains),
        np.concatenate([features for _, features in held])[order],
        owners,
        (weights / weights.mean()).astype(np.float32),
        np.frombuffer(b"".join(digests), np.uint64),
    )


def _parts(count: int) -> Iterator[slice]:
    return (slice(at, at + CHUNK) for at in range(0, count, CHUNK))


def _fit_ridge(rows: _Rows) -> _Ridge:
    """Weighted ridge regression on the domains, and its exact residuals left out one by one."""
    count, columns = rows.features.shape
    share = (rows.weights / rows.weights.sum(dtype=np.float64)).astype(np.float32)
    centre = np.asarray(
        sum(share[part] @ rows.features[part] for part in _parts(count)), np.float32
    )
    variance = sum(share[part] @ np.square(rows.features[part] - centre) for part in _parts(count))
    # The one quantisation step that cannot be told apart keeps dead columns quiet.
    factor = np.asarray(1 / (np.sqrt(variance) + 1), np.float32)
    usual = np.bincount(rows.owners, share).astype(np.float32)
    shifted = np.eye(len(rows.domains), dtype=np.float32) - usual
    gram = np.zeros((columns, columns), np.float32)
    sought = np.zeros((columns, len(rows.domains)), np.float32)
    for part in _parts(count):
        inputs = (rows.features[part] - centre) * factor
        # The same matrix twice: its products are symmetric, and half of them are enough.
        inputs *= np.sqrt(rows.weights[part, None])
        gram += inputs.T @ inputs
        targets = shifted[rows.owners[part]] * np.sqrt(rows.weights[part, None])
        sought += inputs.T @ targets
    gram.flat[:: columns + 1] += RIDGE * np.trace(gram) / count + 1e-3
    inverse = np.linalg.inv(gram)
    weights = np.asarray(inverse @ sought, np.float32)
    left = np.empty((count, len(shifted)), np.float32)
    for part in _parts(count):
        inputs = (rows.features[part] - centre) * factor
        leverage = rows.weights[part] * np.vecdot(inputs @ inverse, inputs)
        leverage = np.clip(leverage + share[part], 0, 0.999)
        left[part] = (shifted[rows.owners[part]] - inputs @ weights) / (1 - leverage)[:, None]
    return _Ridge(centre, factor, weights, usual, left)


def _choose_landmarks(rows: _Rows, margins: Floats) -> NDArray[np.intp]:
    """Rows of the hardest facts, the hardest first, then as many again of those whose ids hash
    lowest."""
    count = len(rows.owners)
    hard = min(count, LANDMARKS_MAX) // 2
    hardest = np.argsort(margins, kind="stable")
    rest = hardest[hard:]
    rest = rest[np.argsort(rows.ranks[rest], kind="stable")]
    return np.concatenate([hardest[:hard], rest[: min(count, LANDMARKS_MAX) - hard]])


def _margins(left: Floats, owners: NDArray[np.intp]) -> Floats:
    """How far the own domain is ahead of the next, [n], of what is left of the targets."""
    return np.concatenate([_ahead(left[part], owners[part]) for part in _parts(len(owners))])


def _ahead(left: Floats, owners: NDArray[np.intp]) -> Floats:
    everyone = np.arange(len(owners))
    said = np.eye(left.shape[1], dtype=np.float32)[owners] - left
    own = said[everyone, owners]
    said[everyone, owners] = -np.inf
    return np.asarray(own - said.max(axis=1), np.float32)


def _sure_lead(margins: Floats) -> float:
    """Return the lead beyond which the ridge, without the fact itself, has erred on no more than
    `STRAYS` of the facts."""
    hopeless = int(STRAYS * len(margins))
    return max(0.0, -float(np.partition(margins, hopeless)[hopeless])) + 1e-6


def _leads(found: Floats) -> Floats:
    """How far the first domain is ahead of the second, [n]."""
    two = np.partition(found, -2, axis=1)[:, -2:]
    return np.asarray(two[:, 1] - two[:, 0], np.float32)


def _shares(count: int, landmarks: int) -> NDArray[np.float64]:
    """For how many facts each landmark stands: the hard ones for themselves."""
    hard = min(count, LANDMARKS_MAX) // 2
    rest = landmarks - hard
    return np.concatenate([np.ones(hard), np.full(rest, (count - hard) / max(1, rest))])


def _calibrate(held_out: Floats, owners: NDArray[np.intp], shares: NDArray[np.float64]) -> float:
    """Find the sharpness that makes held-out facts likeliest (temperature scaling, Guo et al.
    2017)."""
    losses = [
        -float(shares @ _log_softmax(held_out * np.float32(s))[np.arange(len(owners)), owners])
        for s in SHARPNESSES
    ]
    return float(SHARPNESSES[int(np.argmin(losses))])


def _squares(rows: Floats, others: Floats) -> Floats:
    """Squared distances float32 [n, m]."""
    lengths = np.vecdot(rows, rows)[:, None] + np.vecdot(others, others)
    return np.asarray(np.maximum(lengths - 2 * (rows @ others.T), 0), np.float32)


def _kernel(rows: Floats, landmarks: Floats, reach: float) -> Floats:
    return np.asarray(np.exp(np.float32(-reach) * _squares(rows, landmarks)), np.float32)


def _log_softmax(values: Floats) -> Floats:
    above = values - values.max(axis=-1, keepdims=True)
    return np.asarray(above - np.log(np.exp(above).sum(axis=-1, keepdims=True)), np.float32)
