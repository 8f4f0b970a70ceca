"""Relearn time: how many steps bring the forgotten facts back.

A model that still holds traces learns its forgotten facts sooner than one that never saw them
(Golatkar et al. 2020, "Eternal sunshine of the spotless net", section 5; "relearn time").  Here the
head takes steps of gradient descent on the forgotten facts alone, from the home's and from the
twin's answers, until it answers them as well as the home did before.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..core import FactBatch
from ..core.adaptors import LEVELS, Adaptor, FittedHead, KernelMachine
from .answers import AuditedModel
from .findings import Figure, Finding

Floats = NDArray[np.float64]

STEPS_MAX: Final = 1 << 20
"""Most steps that are told apart: both models have then learned all that the facts allow."""

SLACK: Final = 1.05
"""The loss to reach, relative to that before: the last percents take most of the steps.  Chosen by
hand; effect not measured."""

LEFT_SHARE: Final = 0.1
"""Share of the twin's loss that counts as learned in any case, for the same reason."""


def squared_loss(model: AuditedModel, rows: FactBatch) -> float:
    """Return the mean squared distance of a model's scores to the facts' labels."""
    total = sum(float((errors**2).sum()) for errors, _ in _errors(model, rows))
    return total / max(1, len(rows))


def steps_to_relearn(model: AuditedModel, rows: FactBatch, goal: float) -> int:
    """Return the steps until the loss on some facts falls to a goal, `STEPS_MAX` at most.

    Gradient descent on a linear head is computed on its answers: a step of length 1 / L, L the
    largest eigenvalue, multiplies the errors by I - K / L with the products K of the inputs.  Along
    an eigenvector, t steps multiply them by (1 - eigenvalue / L)^t, so no step is taken one by one.
    """
    rates, energies = [], []
    for errors, inputs in _errors(model, rows):
        values, vectors = np.linalg.eigh(inputs @ inputs.T + 1)
        rates.append(np.clip(1 - values / values[-1], 0, 1))
        energies.append(((vectors.T @ errors) ** 2).sum(axis=1) / max(1, len(rows)))
    if not rates:
        return STEPS_MAX  # No domain is left, so there is no head to teach.
    rate, energy = np.concatenate(rates), np.concatenate(energies)
    low, high = 0, STEPS_MAX
    while low < high:
        middle = (low + high) // 2
        if float(energy @ rate ** (2 * middle)) <= goal:
            high = middle
        else:
            low = middle + 1
    return low


def relearning_finding(
    served: AuditedModel, twin: AuditedModel, rows: FactBatch, before: float
) -> Finding:
    """Compare the relearn times of the home and of its twin.  before: the loss on the facts while
    they were learned."""
    goal = max(SLACK * before, LEFT_SHARE * squared_loss(twin, rows))
    steps = [steps_to_relearn(model, rows, goal) for model in (served, twin)]
    faster = steps[0] < steps[1]
    return Finding(
        key="relearn_time",
        title="Relearn time",
        evidence="tested",
        outcome="fails" if faster else "holds",
        text="The home learns the forgotten facts again in fewer steps than a twin that never saw"
        " them."
        if faster
        else "The home needs no fewer steps to learn the forgotten facts again than a twin that"
        " never saw them.",
        source="Golatkar et al. 2020, Eternal sunshine of the spotless net, section 5",
        figures=(
            Figure(name="steps of the home", value=steps[0]),
            Figure(name="steps of the twin", value=steps[1]),
        ),
    )


def _errors(model: AuditedModel, rows: FactBatch) -> list[tuple[Floats, Floats]]:
    """Return errors [k, labels] of each adaptor's facts, and inputs of its head [k, columns]."""
    wanted = tuple(sorted(set(rows.labels)))
    found = []
    for at, adaptor in model.groups(rows.domains, rows.features):
        features = rows.features[at]
        scores = adaptor.answer(features).astype(np.float64)
        labels = tuple(dict.fromkeys((*adaptor.labels, *wanted)))
        padded = np.zeros((len(at), len(labels)))
        padded[:, : scores.shape[1]] = scores
        columns = {label: column for column, label in enumerate(labels)}
        padded[np.arange(len(at)), [columns[rows.labels[row]] for row in at]] -= 1
        found.append((padded, _head_inputs(adaptor, features)))
    return found


def _head_inputs(adaptor: Adaptor, features: NDArray[np.uint8]) -> Floats:
    """Return what the head multiplies: the transform's columns, or a kernel's similarities."""
    if isinstance(adaptor, FittedHead):
        return adaptor.transform(features).astype(np.float64)
    if isinstance(adaptor, KernelMachine):
        landmarks = adaptor.landmarks
        return landmarks.similarity(landmarks.transform(features)).astype(np.float64)
    return LEVELS[features].astype(np.float64)
