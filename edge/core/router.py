"""The router: classifies the domain of a sample from its features alone.

A ridge regression on the domains (Hoerl & Kennard 1970) is fitted to all facts; kernel ridge
regression over landmarks corrects its residuals, and is evaluated only where the ridge is unsure.
Half of the landmarks are the facts with the smallest leave-one-out margin: few facts are hard, and
they alone define the decision boundary.  The router is a function of the set of facts, so it is the
same after a restart.  Measurements: docs/decisions/0008-routing.md.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

import hdc

from .errors import ModelMismatchError
from .facts import FactBatch

FACTS_MAX: Final = 8_192
"""Facts that a router is fitted to, over all domains.  Chosen by hand; effect not measured."""

LANDMARKS_MAX: Final = 1_024
"""Facts that a sample is compared with; docs/decisions/0008-routing.md has the accuracy."""

HOPELESS_SHARE: Final = 0.001
"""Share of facts whose errors the ridge's sure lead may ignore: one hopeless fact would otherwise
have landmarks evaluated for every sample.  Measured: docs/decisions/0008-routing.md."""

RIDGE: Final = 0.05
"""Ridge penalty, times the Gram matrix's trace per fact.  Chosen by hand; effect not measured."""

KERNEL_RIDGE: Final = 0.3
"""Penalty of the kernel ridge regression at unit weight.  Chosen by hand; effect not measured."""

CHUNK: Final = 256
"""Facts per matrix product: bounds working memory.  Chosen by hand; effect not measured."""

INVERSE_TEMPERATURES: Final = np.geomspace(1, 50, 24)
"""Candidates for the inverse temperature, 18 % apart.  Chosen by hand; effect not measured."""

PLAIN_LEVELS: Final = np.arange(256, dtype=np.float32)
"""The value of each level of a feature: the level."""

Floats = NDArray[np.float32]
Span = tuple[int, int]


@dataclass(frozen=True, eq=False, kw_only=True)
class Router:
    """Log-probabilities of `domains`, sorted, for uint8 features of `width` columns.

    span: the columns it reads.  centre, factor: standardise these columns.  weights, bias: the
    ridge.  landmarks: standardised rows [m, columns]; votes: their coefficients [m, domains];
    gamma: of their Gaussian kernel.  sure_lead: lead of the ridge's first domain over its second
    above which landmarks are not evaluated.  inverse_temperature: scales logits to probabilities.
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
    gamma: float = 1.0
    sure_lead: float = np.inf
    inverse_temperature: float = 1.0

    @property
    def nbytes(self) -> int:
        """Bytes of its parameters."""
        parts = (self.centre, self.factor, self.weights, self.bias, self.landmarks, self.votes)
        return sum(int(part.nbytes) for part in parts)

    def scores(self, features: NDArray[np.uint8]) -> Floats:
        """Return log-probabilities float32 [..., domains] of features uint8 [..., width].

        Cost and errors: as `logits`.
        """
        return _log_softmax(self.logits(features))

    def logits(self, features: NDArray[np.uint8]) -> Floats:
        """Return unnormalised `scores`: float32 [..., domains].

        Cost: columns x domains multiply-adds per sample; (columns + domains) x landmarks more if
        the ridge is unsure.  Raises ModelMismatchError for features of another width or type.
        """
        if features.dtype != np.uint8 or features.shape[-1:] != (self.width,):
            raise ModelMismatchError(
                f"routing expects uint8 features [..., {self.width}], found {features.dtype} "
                f"{features.shape}",
                "encode with the model that the ledger's facts come from",
            )
        if len(self.domains) == 1:
            return np.zeros((*features.shape[:-1], 1), np.float32)
        rows = features[..., self.span[0] : self.span[1]]
        if rows.ndim == 1:
            return self._score(rows)
        # Row by row: the rounding of a matrix product depends on its number of rows.
        flat = rows.reshape(-1, rows.shape[-1])
        found = [self._score(row) for row in flat]
        return np.array(found, np.float32).reshape(*rows.shape[:-1], len(self.domains))

    def _score(self, row: NDArray[np.uint8]) -> Floats:
        """Return the logits [domains] of the columns that it reads of one row."""
        made = hdc.linear_scores(row, PLAIN_LEVELS, *self._folded)
        if len(self.landmarks) and _lead(made.tolist()) < self.sure_lead:
            standard = np.subtract(row, self.centre, dtype=np.float32)
            standard *= self.factor
            made += (_kernel(standard[None], self.landmarks, self.gamma) @ self.votes)[0]
        made *= self._scale
        return np.asarray(made)

    @cached_property
    def _folded(self) -> tuple[Floats, Floats]:
        """Weights [domains, columns] and bias of the ridge for levels as they are, not
        standardised."""
        weights = self.factor.astype(np.float64)[:, None] * self.weights
        bias = self.bias - self.centre.astype(np.float64) @ weights
        # Domain by domain, each sum runs through memory in order: half the time.
        return np.ascontiguousarray(weights.T, np.float32), bias.astype(np.float32)

    @cached_property
    def places(self) -> Mapping[str, int]:
        """The place of each domain."""
        return {name: place for place, name in enumerate(self.domains)}

    @cached_property
    def _scale(self) -> np.float32:
        return np.float32(self.inverse_temperature)


def fit_router(batches: Iterable[FactBatch], spans: tuple[Span, ...]) -> Router:
    """Fit a router to at least one fact, at most `FACTS_MAX` of them, in any order.

    batches: of all columns, or of the `router_columns` alone.  spans: (start, stop) columns of the
    encoder's taps.  The weight of a domain is the square root of its number of facts, so
    that a new domain with few facts counts.  Cost: O(facts columns^2 + landmarks^3).
    """
    span = router_columns(spans)
    rows = _gather(batches, span)
    if len(rows.domains) == 1:
        return _single_domain_router(rows.domains, spans[-1][1], span)
    ridge = _fit_ridge(rows)
    margins = _margins(ridge.residuals, rows.owners)
    at = _choose_landmarks(rows, margins)
    if margins.min() > 0:
        return _ridge_router(rows, ridge, at, spans[-1][1], span)
    landmarks = ridge.standardise(rows.features[at])
    squares = _squared_distances(landmarks, landmarks)
    gamma = 1 / max(float(squares.mean(dtype=np.float64)), 1e-6)
    kernel = np.exp(-gamma * squares)
    kernel.flat[:: len(at) + 1] += KERNEL_RIDGE / rows.weights[at]
    inverse = np.linalg.inv(kernel)
    votes = np.asarray(inverse @ ridge.residuals[at], np.float32)
    # The leave-one-out prediction of a landmark is its target less its residual (Allen 1974).
    sure_lead = _sure_lead(margins)
    target = np.eye(len(rows.domains), dtype=np.float32)[rows.owners[at]]
    ridge_only = target - ridge.residuals[at]
    corrected = target - votes / np.diagonal(inverse)[:, None]
    held_out = np.where((_leads(ridge_only) < sure_lead)[:, None], corrected, ridge_only)
    inverse_temperature = _calibrate(held_out, rows.owners[at], _shares(len(rows.owners), len(at)))
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
        gamma=gamma,
        sure_lead=sure_lead,
        inverse_temperature=inverse_temperature,
    )


def router_columns(spans: tuple[Span, ...]) -> Span:
    """Return the columns that a router reads: with several taps, all but the first, which carry
    style."""
    return spans[min(1, len(spans) - 1)][0], spans[-1][1]


def allot_facts(counts: Mapping[str, int]) -> dict[str, int]:
    """Divide `FACTS_MAX` among domains with so many facts: equally, with the unused share of small
    domains passed on to larger ones.  Each domain gets at least one fact."""
    made: dict[str, int] = {}
    left = FACTS_MAX
    for place, (name, count) in enumerate(sorted(counts.items(), key=lambda pair: pair[::-1])):
        made[name] = min(count, max(1, left // (len(counts) - place)))
        left -= made[name]
    return made


class _Rows(msgspec.Struct, frozen=True, eq=False):
    """Facts, sorted by domain and id.  owners: indices into `domains`.  ranks: hashes of ids."""

    domains: tuple[str, ...]
    features: NDArray[np.uint8]
    owners: NDArray[np.intp]
    weights: Floats
    ranks: NDArray[np.uint64]


class _Ridge(msgspec.Struct, frozen=True, eq=False):
    """A fitted ridge.  residuals: leave-one-out residuals of each fact's target."""

    centre: Floats
    factor: Floats
    weights: Floats
    bias: Floats
    residuals: Floats

    def standardise(self, features: NDArray[np.uint8]) -> Floats:
        return np.asarray((features - self.centre) * self.factor, np.float32)


def _single_domain_router(domains: tuple[str, ...], width: int, span: Span) -> Router:
    """Return a router for one domain; it evaluates nothing."""
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


def _ridge_router(
    rows: _Rows, ridge: _Ridge, at: NDArray[np.intp], width: int, span: Span
) -> Router:
    """Return a router without landmarks, for a ridge whose leave-one-out predictions are all right:
    landmarks would never be evaluated."""
    target = np.eye(len(rows.domains), dtype=np.float32)[rows.owners[at]]
    shares = _shares(len(rows.owners), len(at))
    inverse_temperature = _calibrate(target - ridge.residuals[at], rows.owners[at], shares)
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
        inverse_temperature=inverse_temperature,
    )


def _gather(batches: Iterable[FactBatch], span: Span) -> _Rows:
    width = span[1] - span[0]
    parts = [
        (
            b,
            np.ascontiguousarray(b.features[:, slice(*span)])
            if b.features.shape[1] > width
            else b.features,
        )
        for b in batches
        if len(b)
    ]
    assert parts, "a router is fitted to at least one fact"
    names = [name for batch, _ in parts for name in batch.domains]
    ids = [name for batch, _ in parts for name in batch.ids]
    order = sorted(range(len(ids)), key=lambda row: (names[row], ids[row]))
    domains, owners = np.unique(np.array(names)[order], return_inverse=True)
    weights = 1 / np.sqrt(np.bincount(owners))[owners]
    digests = (hashlib.blake2b(ids[row].encode(), digest_size=8).digest() for row in order)
    return _Rows(
        tuple(str(name) for name in domains),
        np.concatenate([features for _, features in parts])[order],
        owners,
        (weights / weights.mean()).astype(np.float32),
        np.frombuffer(b"".join(digests), np.uint64),
    )


def _parts(count: int) -> Iterator[slice]:
    return (slice(at, at + CHUNK) for at in range(0, count, CHUNK))


def _fit_ridge(rows: _Rows) -> _Ridge:
    """Fit a weighted ridge regression on the domains, with exact leave-one-out residuals."""
    count, columns = rows.features.shape
    share = (rows.weights / rows.weights.sum(dtype=np.float64)).astype(np.float32)
    centre = np.asarray(
        sum(share[part] @ rows.features[part] for part in _parts(count)), np.float32
    )
    variance = sum(share[part] @ np.square(rows.features[part] - centre) for part in _parts(count))
    # One quantisation step is the resolution: it bounds the factor of constant columns.
    factor = np.asarray(1 / (np.sqrt(variance) + 1), np.float32)
    priors = np.bincount(rows.owners, share).astype(np.float32)
    shifted = np.eye(len(rows.domains), dtype=np.float32) - priors
    gram = np.zeros((columns, columns), np.float32)
    products = np.zeros((columns, len(rows.domains)), np.float32)
    for part in _parts(count):
        inputs = (rows.features[part] - centre) * factor
        # Both factors are the same array: BLAS then computes half of a symmetric product.
        inputs *= np.sqrt(rows.weights[part, None])
        gram += inputs.T @ inputs
        targets = shifted[rows.owners[part]] * np.sqrt(rows.weights[part, None])
        products += inputs.T @ targets
    gram.flat[:: columns + 1] += RIDGE * np.trace(gram) / count + 1e-3
    inverse = np.linalg.inv(gram)
    weights = np.asarray(inverse @ products, np.float32)
    residuals = np.empty((count, len(shifted)), np.float32)
    for part in _parts(count):
        inputs = (rows.features[part] - centre) * factor
        leverage = rows.weights[part] * np.vecdot(inputs @ inverse, inputs)
        leverage = np.clip(leverage + share[part], 0, 0.999)
        errors = shifted[rows.owners[part]] - inputs @ weights
        residuals[part] = errors / (1 - leverage)[:, None]
    return _Ridge(centre, factor, weights, priors, residuals)


def _choose_landmarks(rows: _Rows, margins: Floats) -> NDArray[np.intp]:
    """Return the rows of the hardest facts, hardest first, then as many of those whose ids hash
    lowest."""
    count = len(rows.owners)
    hard = min(count, LANDMARKS_MAX) // 2
    hardest = np.argsort(margins, kind="stable")
    rest = hardest[hard:]
    rest = rest[np.argsort(rows.ranks[rest], kind="stable")]
    return np.concatenate([hardest[:hard], rest[: min(count, LANDMARKS_MAX) - hard]])


def _margins(residuals: Floats, owners: NDArray[np.intp]) -> Floats:
    """Leave-one-out margins [n]: prediction of the own domain less that of the best other."""
    parts = _parts(len(owners))
    return np.concatenate([_part_margins(residuals[part], owners[part]) for part in parts])


def _part_margins(residuals: Floats, owners: NDArray[np.intp]) -> Floats:
    rows = np.arange(len(owners))
    predicted = np.eye(residuals.shape[1], dtype=np.float32)[owners] - residuals
    own = predicted[rows, owners]
    predicted[rows, owners] = -np.inf
    return np.asarray(own - predicted.max(axis=1), np.float32)


def _sure_lead(margins: Floats) -> float:
    """Return the lead above which the ridge's leave-one-out predictions err on no more than
    `HOPELESS_SHARE` of the facts."""
    hopeless = int(HOPELESS_SHARE * len(margins))
    return max(0.0, -float(np.partition(margins, hopeless)[hopeless])) + 1e-6


def _lead(scores: list[float]) -> float:
    """Lead of the first of at least two domains over the second."""
    second, first = sorted(scores)[-2:]
    return first - second


def _leads(found: Floats) -> Floats:
    """Leads [n] of the first domain over the second."""
    two = np.partition(found, -2, axis=1)[:, -2:]
    return np.asarray(two[:, 1] - two[:, 0], np.float32)


def _shares(count: int, landmarks: int) -> NDArray[np.float64]:
    """Return how many facts each landmark represents: hard ones represent only themselves."""
    hard = min(count, LANDMARKS_MAX) // 2
    rest = landmarks - hard
    return np.concatenate([np.ones(hard), np.full(rest, (count - hard) / max(1, rest))])


def _calibrate(held_out: Floats, owners: NDArray[np.intp], shares: NDArray[np.float64]) -> float:
    """Return the inverse temperature that maximises the likelihood of held-out facts (temperature
    scaling, Guo et al. 2017)."""
    losses = [
        -float(shares @ _log_softmax(held_out * np.float32(s))[np.arange(len(owners)), owners])
        for s in INVERSE_TEMPERATURES
    ]
    return float(INVERSE_TEMPERATURES[int(np.argmin(losses))])


def _squared_distances(rows: Floats, others: Floats) -> Floats:
    """Squared distances float32 [n, m]."""
    lengths = np.vecdot(rows, rows)[:, None] + np.vecdot(others, others)
    return np.asarray(np.maximum(lengths - 2 * (rows @ others.T), 0), np.float32)


def _kernel(rows: Floats, landmarks: Floats, gamma: float) -> Floats:
    return np.asarray(np.exp(np.float32(-gamma) * _squared_distances(rows, landmarks)), np.float32)


def _log_softmax(values: Floats) -> Floats:
    above = values - values.max(axis=-1, keepdims=True)
    return np.asarray(above - np.log(np.exp(above).sum(axis=-1, keepdims=True)), np.float32)
