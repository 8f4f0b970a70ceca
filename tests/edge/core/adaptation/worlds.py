"""A known domain of three classes, and the same classes seen through another sensor."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from edge.core.adaptation import Basis, KnownDomain, build_basis
from edge.core.adaptors import fit_head
from edge.core.facts import FactBatch, untimed_batch

WIDTH: Final = 48
LABELS: Final = ("a", "b", "c")
SPREAD: Final = 9.0

Rows = NDArray[np.uint8]
Numbers = NDArray[np.intp]


def seen(labels: Numbers, shift: float = 0.0, seed: int = 0, spread: float = SPREAD) -> Rows:
    """Samples of the classes `labels`, moved by `shift` so that classes mix up."""
    random = np.random.default_rng(7)
    means = 120 + random.normal(0, 14, (len(LABELS), WIDTH))
    towards = means[1] - means[0] + random.normal(0, 6, WIDTH)
    noise = np.random.default_rng(seed).normal(0, spread, (len(labels), WIDTH))
    return np.asarray(np.clip(means[labels] + shift * towards + noise, 0, 255), np.uint8)


def drawn(count: int, shares: tuple[float, ...] = (1, 1, 1), seed: int = 1) -> Numbers:
    """So many shuffled classes, drawn by shares."""
    weights = np.array(shares) / sum(shares)
    return np.random.default_rng(seed).choice(len(LABELS), count, p=weights)


def facts(
    domain: str = "home", shift: float = 0.0, spread: float = SPREAD, seed: int = 3
) -> FactBatch:
    """Facts of one domain."""
    count = 240
    classes = drawn(count, seed=seed)
    ids = tuple(f"{domain}-{at:04}" for at in range(count))
    labels = tuple(LABELS[one] for one in classes)
    return untimed_batch(ids, (domain,) * count, labels, seen(classes, shift, seed, spread))


def basis(*domains: FactBatch) -> Basis:
    """The basis of domains, by default of one."""
    given = domains or (facts(),)
    nothing = untimed_batch((), (), (), np.zeros((0, WIDTH), np.uint8))
    spans = ((0, WIDTH),)
    known = [KnownDomain(fit_head(one, nothing, spans), one) for one in given]
    return build_basis(known)


def accuracy(answers: Numbers, classes: Numbers) -> float:
    """Share of right answers."""
    return float(np.mean(answers == classes))
