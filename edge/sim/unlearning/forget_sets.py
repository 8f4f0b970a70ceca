"""The requests on which methods are compared, and the sets of rows that they refer to."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SHARES: Final = (1, 5, 10)
"""Percentages of the random requests."""
SUBJECT_FACTS: Final = 25
"""Rows of a subject: pictures of one thing look alike.  Chosen by hand."""
WORST_SHARE: Final = 0.05
"""Share of the rows in the worst case.  Chosen by hand."""
POISONED_MAX: Final = 100
"""Most rows with a wrong label."""
IDENTIFIED: Final = (10, 50)
"""Percentages of the poison that are identified.  Goel et al. 2024 vary 10 to 100 %."""
ODD_SHIFT: Final = 2.0
"""Added to the values of the odd stretch, in standard deviations: a private event.  Chosen by
hand."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class UnlearningSet:
    """Rows to learn and held-out rows.

    rows: float32 [n, columns], standardised; targets: int64 [n] label numbers, or float32 [n]
    values with mean 0 and variance 1 in order of time; groups: number of the domain of each row;
    test_*: the same for held-out rows.
    """

    name: str
    answers: Literal["labels", "values"]
    rows: Tensor = field(repr=False)
    targets: Tensor = field(repr=False)
    groups: NDArray[np.int64] = field(repr=False)
    test_rows: Tensor = field(repr=False)
    test_targets: Tensor = field(repr=False)
    test_groups: NDArray[np.int64] = field(repr=False)

    @property
    def outputs(self) -> int:
        """Labels, or 1 for values."""
        if self.answers == "values":
            return 1
        return int(max(self.targets.max(), self.test_targets.max())) + 1


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ForgetSet:
    """A request.

    forget: the rows whose trace must go, sorted; identified: those that are named, the same but for
    poison.  alike: held-out rows that resemble the forgotten ones; counted: held-out rows whose
    accuracy must stay.
    """

    name: str
    forget: NDArray[np.int64]
    identified: NDArray[np.int64]
    alike: NDArray[np.bool_]
    counted: NDArray[np.bool_]


def standardise_columns(features: NDArray[np.uint8], known: slice) -> Tensor:
    """Return the square roots of features, centred and scaled by the known rows: float32 tensor.

    The offset keeps columns that hardly vary from being blown up.
    """
    roots = np.sqrt(features.astype(np.float32))
    return torch.from_numpy((roots - roots[known].mean(0)) / (roots[known].std(0) + 0.1))


def make_requests(data: UnlearningSet, memorised: NDArray[np.float64]) -> Iterator[ForgetSet]:
    """Yield the requests of a set of labelled rows, from a generator of its own seed.

    memorised: of each row (`ShadowModels`): the worst case takes the most memorised rows, a
    first-order form of the bi-level search of Challenging Forgets (Fan et al. 2024).
    """
    random = np.random.default_rng(len(data.rows))
    count, targets = len(data.rows), data.targets.numpy()
    tests = data.test_targets.numpy()
    everywhere = np.ones(len(tests), bool)

    def request(name: str, rows: NDArray[np.int64]) -> ForgetSet:
        at = np.sort(rows)
        return ForgetSet(name=name, forget=at, identified=at, alike=everywhere, counted=everywhere)

    for share in SHARES:
        size = max(1, count * share // 100)
        yield request(f"random {share} %", random.choice(count, size, replace=False))
    label = _middle_label(targets)
    same = tests == label
    at = np.flatnonzero(targets == label)
    yield ForgetSet(name="class", forget=at, identified=at, alike=same, counted=~same)
    yield request("subject", _subject(data.rows, targets, int(random.integers(count))))
    numbers, sizes = np.unique(data.groups, return_counts=True)
    if len(numbers) > 1:
        group = numbers[sizes.argmin()]
        inside, at = data.test_groups == group, np.flatnonzero(data.groups == group)
        yield ForgetSet(name="domain", forget=at, identified=at, alike=inside, counted=~inside)
    worst = np.argsort(-memorised, kind="stable")[: max(1, round(count * WORST_SHARE))]
    yield request("worst case", worst)


def poison_labels(data: UnlearningSet) -> tuple[UnlearningSet, tuple[ForgetSet, ...]]:
    """Return the set with rows of one label under another, and a request for each identified part
    (confusion, Goel et al. 2024)."""
    random = np.random.default_rng(len(data.rows) + 1)
    targets = data.targets.numpy().copy()
    numbers = np.argsort(-np.bincount(targets), kind="stable")
    true, told = int(numbers[0]), int(numbers[1])
    of_label = np.flatnonzero(targets == true)
    size = min(POISONED_MAX, len(of_label) // 2)
    poison = np.sort(random.choice(of_label, size, replace=False))
    targets[poison] = told
    affected = data.test_targets.numpy() == true
    requests = tuple(
        ForgetSet(
            name=f"poison, {share} % known",
            forget=poison,
            identified=np.sort(random.choice(poison, max(1, size * share // 100), replace=False)),
            alike=affected,
            counted=affected,
        )
        for share in IDENTIFIED
    )
    return _with_targets(data, torch.from_numpy(targets)), requests


def disturb_values(data: UnlearningSet) -> Iterator[tuple[UnlearningSet, ForgetSet]]:
    """Yield a series and a request for a stretch of it: once with shifted values, once as it is."""
    count = len(data.rows)
    size = max(1, count // 15)
    at = np.arange(count // 3, count // 3 + size)
    everywhere = np.ones(len(data.test_rows), bool)
    shifted = data.targets.clone()
    shifted[at] += ODD_SHIFT
    for name, targets in (("odd stretch", shifted), ("plain stretch", data.targets)):
        yield (
            _with_targets(data, targets),
            ForgetSet(name=name, forget=at, identified=at, alike=everywhere, counted=everywhere),
        )


def _with_targets(data: UnlearningSet, targets: Tensor) -> UnlearningSet:
    return UnlearningSet(
        name=data.name,
        answers=data.answers,
        rows=data.rows,
        targets=targets,
        groups=data.groups,
        test_rows=data.test_rows,
        test_targets=data.test_targets,
        test_groups=data.test_groups,
    )


def _middle_label(targets: NDArray[np.int64]) -> int:
    """Return the label of median size: neither the easiest nor the hardest to forget."""
    sizes = np.bincount(targets)
    known = np.flatnonzero(sizes)
    return int(known[np.argsort(sizes[known], kind="stable")[len(known) // 2]])


def _subject(rows: Tensor, targets: NDArray[np.int64], of: int) -> NDArray[np.int64]:
    """Return the rows of one label that are nearest to a row."""
    same = np.flatnonzero(targets == targets[of])
    distances = torch.cdist(rows[of : of + 1], rows[torch.from_numpy(same)])[0]
    nearest: NDArray[np.int64] = distances.argsort(stable=True)[:SUBJECT_FACTS].numpy()
    return same[nearest]
