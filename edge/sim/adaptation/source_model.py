"""The model that policies adapt: the mean of the product's heads on frozen features."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ...core import FactBatch, untimed_batch
from ...core.adaptors import LEVELS, FittedHead, Spans, fit_head

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]

SUPPORT_MAX: Final = 1_024
"""Facts of other domains that support a domain's head.  Bounds the time of a fit."""
SHARPNESS_SHARE: Final = 0.5
"""Probabilities are taken at this share of the sharpness calibrated on the source: heads are
overconfident on other domains.  From the prototype, chosen on its development streams."""
SHARPNESSES: Final = np.exp(np.linspace(0, np.log(40), 30))
"""Sharpnesses from which the calibration chooses, by the loss on a fifth of the facts."""
CALIBRATION_PARTS: Final = 5
"""One part in so many calibrates the sharpness."""
VARIANCE_MIN: Final = 1e-6
"""Keeps the variance of constant columns positive."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledRows:
    """uint8 features [n, columns] with the numbers of their labels, int64 [n]."""

    features: Bytes = field(repr=False)
    targets: Ints = field(repr=False)

    def __len__(self) -> int:
        return len(self.targets)

    def select(self, rows: NDArray[np.integer]) -> "LabelledRows":
        """Return some rows, in that order."""
        return LabelledRows(self.features[rows], self.targets[rows])


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DomainExpert:
    """The head of one source domain: ((root of level - centre) * factor) @ weights + bias, as it
    was fitted to its facts."""

    head: FittedHead = field(repr=False)
    batch: FactBatch = field(repr=False)
    centre: Floats = field(repr=False)
    factor: Floats = field(repr=False)
    weights: Floats = field(repr=False)
    bias: Floats = field(repr=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class SourceModel:
    """The mean of the heads of the known domains: scores = rows @ weights + bias.

    rows of a sample: (root of level - centre) * factor, float32 [columns]; aligned_bias: the bias
    where the sample's own domain mean was subtracted instead.  facts, targets, fact_domains: what
    was learned, each row about its own domain's mean; labels: the numbers of the labels, in the
    order of the scores; class_means [labels, columns], within and variance [columns]: of the facts;
    prior: shares of the labels; sharpness: from scores to logits.
    """

    spans: Spans
    labels: Ints
    centre: Floats = field(repr=False)
    factor: Floats = field(repr=False)
    weights: Floats = field(repr=False)
    bias: Floats = field(repr=False)
    aligned_bias: Floats = field(repr=False)
    experts: tuple[DomainExpert, ...] = field(repr=False)
    facts: Floats = field(repr=False)
    targets: Ints = field(repr=False)
    fact_domains: Ints = field(repr=False)
    class_means: Floats = field(repr=False)
    within: Floats = field(repr=False)
    variance: Floats = field(repr=False)
    prior: Doubles = field(repr=False)
    sharpness: float

    @property
    def columns(self) -> int:
        """Columns of a row."""
        return len(self.centre)

    def standardise(self, features: Bytes) -> Floats:
        """Return the rows of uint8 features [n, columns]."""
        return np.asarray((LEVELS[features] - self.centre) * self.factor)

    def logits(self, rows: Floats, shares: Floats) -> Floats:
        """Return logits [n, labels] of rows; shares [n]: how much of the domain's own mean was
        subtracted, 0 for none."""
        bias = self.bias + shares[:, None] * (self.aligned_bias - self.bias)
        return np.asarray(self.sharpness * (rows @ self.weights + bias), np.float32)


def solve_source(domains: Mapping[str, LabelledRows], spans: Spans, seed: int = 0) -> SourceModel:
    """Solve the heads of the known domains and calibrate their sharpness.

    Deterministic in its arguments.  Cost: two fits a domain, seconds for 2,000 facts of 2,064
    columns.
    """
    fitted, held_out = {}, {}
    for name, rows in domains.items():
        order = seeded("calibration", seed, name).permutation(len(rows))
        cut = len(rows) // CALIBRATION_PARTS
        held_out[name], fitted[name] = rows.select(order[:cut]), rows.select(order[cut:])
    trial = _solve(fitted, spans, seed, 1.0)
    return _solve(domains, spans, seed, SHARPNESS_SHARE * _best_sharpness(trial, held_out))


def seeded(*keys: object) -> np.random.Generator:
    """Return a generator that depends on the keys alone."""
    return np.random.default_rng(zlib.crc32(repr(keys).encode()))


def softmax(logits: NDArray[np.floating]) -> Doubles:
    """Return probabilities [n, labels] of logits."""
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(powers / powers.sum(1, keepdims=True), np.float64)


def _solve(
    domains: Mapping[str, LabelledRows], spans: Spans, seed: int, sharpness: float
) -> SourceModel:
    batches = [_batch(name, rows) for name, rows in domains.items()]
    labels = np.unique(np.concatenate([rows.targets for rows in domains.values()]))
    experts = [
        _expert(fit_head(own, _support(batches, place, seed), spans), own, labels)
        for place, own in enumerate(batches)
    ]
    centre = np.mean([one.centre for one in experts], axis=0)
    factor = np.mean([one.factor for one in experts], axis=0)
    joint = np.mean([one.factor[:, None] * one.weights for one in experts], axis=0)
    apart = [((centre - one.centre) * one.factor) @ one.weights for one in experts]
    bias = np.mean([one.bias for one in experts], axis=0)
    facts = np.concatenate(
        [
            (LEVELS[rows.features] - expert.centre) * factor
            for rows, expert in zip(domains.values(), experts, strict=True)
        ]
    )
    targets = np.searchsorted(labels, np.concatenate([r.targets for r in domains.values()]))
    means = np.stack([facts[targets == one].mean(axis=0) for one in range(len(labels))])
    sizes = [len(rows) for rows in domains.values()]
    return SourceModel(
        spans=spans,
        labels=labels,
        centre=centre,
        factor=factor,
        weights=np.asarray(joint / factor[:, None], np.float32),
        bias=np.asarray(bias + np.mean(apart, axis=0), np.float32),
        aligned_bias=bias,
        experts=tuple(experts),
        facts=facts,
        targets=targets.astype(np.int64),
        fact_domains=np.repeat(np.arange(len(sizes)), sizes),
        class_means=means,
        within=np.square(facts - means[targets]).mean(axis=0) + np.float32(VARIANCE_MIN),
        variance=facts.var(axis=0) + np.float32(VARIANCE_MIN),
        prior=np.bincount(targets, minlength=len(labels)) / len(targets),
        sharpness=sharpness,
    )


def _batch(name: str, rows: LabelledRows) -> FactBatch:
    return untimed_batch(
        tuple(f"{name}-{row:06}" for row in range(len(rows))),
        (name,) * len(rows),
        tuple(f"{target:04}" for target in rows.targets),
        np.ascontiguousarray(rows.features),
    )


def _support(batches: Sequence[FactBatch], place: int, seed: int) -> FactBatch:
    """Return a sample of the facts of the other domains."""
    others = [one for at, one in enumerate(batches) if at != place]
    if not others:
        return untimed_batch((), (), (), np.zeros((0, batches[0].features.shape[1]), np.uint8))
    ids = [one for batch in others for one in batch.ids]
    chosen = np.sort(seeded("support", seed, place).permutation(len(ids))[:SUPPORT_MAX])
    names = [one for batch in others for one in batch.domains]
    labels = [one for batch in others for one in batch.labels]
    return untimed_batch(
        tuple(ids[row] for row in chosen),
        tuple(names[row] for row in chosen),
        tuple(labels[row] for row in chosen),
        np.concatenate([batch.features for batch in others])[chosen],
    )


def _expert(head: FittedHead, batch: FactBatch, labels: Ints) -> DomainExpert:
    """Return a head with its columns in the order of the labels; each must be known to it."""
    order = [head.labels.index(f"{label:04}") for label in labels]
    arrays = head.transform.arrays
    return DomainExpert(
        head=head,
        batch=batch,
        centre=arrays["centre"],
        factor=arrays["factor"],
        weights=head.weights[:, order],
        bias=head.bias[order],
    )


def _best_sharpness(model: SourceModel, held_out: Mapping[str, LabelledRows]) -> float:
    scores, targets = [], []
    for rows, expert in zip(held_out.values(), model.experts, strict=True):
        known = rows.select(np.flatnonzero(np.isin(rows.targets, model.labels)))
        about = (LEVELS[known.features] - expert.centre) * expert.factor
        scores.append(about @ expert.weights + expert.bias)
        targets.append(np.searchsorted(model.labels, known.targets))
    joined, wanted = np.concatenate(scores), np.concatenate(targets)

    def loss(sharpness: float) -> float:
        logits = sharpness * joined
        own = logits[np.arange(len(wanted)), wanted]
        return float((np.logaddexp.reduce(logits, axis=1) - own).mean())

    return float(min(SHARPNESSES, key=loss))
