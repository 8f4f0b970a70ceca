"""The learning curve of a domain: errors of facts that are left out, and the expected gain of more
labels.

Each fact is answered by a ridge regression on all others of its domain, with a sample of the other
domains' facts at a lower weight, as the heads that serve are.  Errors of a learner fall with a
power of the number of its examples (Hestness et al. 2017, "Deep learning scaling is predictable,
empirically"), so that the next labels gain about power x error x log(new labels / old labels).  The
errors of a few dozen facts, and differences between them, say too little about the power of one
domain: the one measured on development sets is used.  A label that was given once only says how
often labels that are still unknown will turn up (Good 1953): they add to the gain.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from .learned import Domain, Floats, standardised
from .suspicious import LEFT_OUT_MAX

Wrong = NDArray[np.bool_]

GAIN_LABELS: Final = 10
"""Labels whose gain is predicted: what a person gives in a few minutes."""

PENALTY, OTHER_WEIGHT = 0.3, 0.1
"""The ridge penalty, and the weight of another domain's fact: defaults of
`edge.core.adaptors.weighting`."""

OTHERS_MAX: Final = 256
"""Facts of other domains that take part.  Chosen by hand; effect not measured."""


def left_out_errors(domain: Domain, others: tuple[Domain, ...]) -> Wrong:
    """Return which facts are answered wrong by the other facts of their domain, with the support of
    other domains: bool [n].  Cost: the cube of at most `LEFT_OUT_MAX` facts, for each so many."""
    wrong = np.zeros(len(domain), np.bool_)
    parts = -(-len(domain) // LEFT_OUT_MAX)
    for part in range(parts):
        rows = np.arange(part, len(domain), parts)
        wrong[rows] = _errors(domain, rows, others)
    return wrong


def _errors(domain: Domain, rows: NDArray[np.intp], others: tuple[Domain, ...]) -> Wrong:
    inputs, names = standardised(domain.features[rows]), list(domain.labels)
    truth = np.array(domain.labels)[domain.given[rows]]
    kernel = inputs @ inputs.T + 1
    support = [_sampled(one, len(others)) for one in others if len(one)]
    names = sorted({*names, *(label for _, labels in support for label in labels.tolist())})
    at = {name: column for column, name in enumerate(names)}
    wanted = _one_hot(truth, at)
    prior = np.zeros_like(wanted)
    if support:
        known = np.concatenate([one for one, _ in support])
        targets = np.concatenate([_one_hot(labels, at) for _, labels in support])
        across = known @ inputs.T + 1
        system = known @ known.T + 1
        system.flat[:: len(known) + 1] += PENALTY / OTHER_WEIGHT
        solved = np.linalg.solve(system, np.concatenate([across, targets], axis=1))
        kernel -= across.T @ solved[:, : len(rows)]
        prior = across.T @ solved[:, len(rows) :]
    kernel.flat[:: len(rows) + 1] += PENALTY
    inverse = np.linalg.inv(kernel)
    # The residual of a left-out row is the dual coefficient over the diagonal of the inverse.
    scores = wanted - inverse @ (wanted - prior) / np.diag(inverse)[:, None]
    return np.asarray(scores.argmax(axis=1) != wanted.argmax(axis=1))


def _sampled(domain: Domain, count: int) -> tuple[Floats, NDArray[np.str_]]:
    """Return evenly spread facts of another domain, so that all together are at most
    `OTHERS_MAX`."""
    step = -(-len(domain) * count // OTHERS_MAX)
    rows = standardised(domain.features)[:: max(1, step)]
    return rows, np.array(domain.labels)[domain.given[:: max(1, step)]]


def _one_hot(labels: NDArray[np.str_], at: dict[str, int]) -> Floats:
    made = np.zeros((len(labels), len(at)), np.float32)
    made[np.arange(len(labels)), [at[label] for label in labels.tolist()]] = 1
    return made
