"""What the home still answers after a request, and what requests cost, one after another.

MUSE asks an unlearned model for its utility, for scalability with the size of a request and for
sustainability over a sequence of requests (Shi et al. 2024, "MUSE: machine unlearning six-way
evaluation for language models", section 3).
"""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..core import FactBatch
from .answers import AuditedModel
from .findings import Figure, Finding, counted
from .rehearsal import HomeState, Rehearsal, make_twin

MUSE: Final = "Shi et al. 2024, MUSE, section 3"

REQUESTS: Final = 4
"""Requests of a sequence: MUSE's figure 6 shows four."""

SHARES: Final = (0.01, 0.1)
"""Sizes of requests, as shares of the facts: the ends of what the literature forgets."""


@dataclass(frozen=True, slots=True)
class RequestRun:
    """A rehearsed request.  facts: forgotten by it.  exact: whether facts and knowledge then had
    the digests of a twin; None if they were not compared."""

    facts: int
    seconds: float
    exact: bool | None


def utility_finding(
    models: tuple[AuditedModel, AuditedModel],
    before: AuditedModel | None,
    retained: FactBatch,
    unseen: NDArray[np.float64],
) -> Finding:
    """Compare the answers on retained facts.  models: the home and its twin.  unseen: margins of
    facts under models that never learned them, to estimate the accuracy on new data."""
    served, twin = (model.answers(retained) for model in models)
    differing = sum(one != other for one, other in zip(served, twin, strict=True))
    figures = [
        Figure(name=f"right, {name}", value=100 * model.accuracy(retained), unit="%")
        for name, model in zip(("home", "twin"), models, strict=True)
        if len(retained)
    ]
    if len(unseen):
        right = 100 * float((unseen > 0).mean())
        figures.append(Figure(name="right on new data, estimate", value=right, unit="%"))
    if before is not None and len(retained):
        accuracy = 100 * before.accuracy(retained)
        figures.insert(0, Figure(name="right before the request", value=accuracy, unit="%"))
    return Finding(
        key="utility",
        title="Utility of what remains",
        evidence="proven" if len(retained) else "not covered",
        outcome="fails" if differing else "holds" if len(retained) else "open",
        text=f"{differing} of {len(retained)} answers on retained facts differ from the twin's."
        if differing
        else f"All {len(retained)} examined retained facts are answered as by the twin."
        if len(retained)
        else "No fact remains.",
        source=MUSE,
        figures=tuple(figures),
    )


def run_requests(
    state: HomeState,
    requests: Sequence[AbstractSet[str]],
    tick: Callable[[int, int], None],
    compared: int = 1,
) -> tuple[RequestRun, ...]:
    """Forget sets of facts one after another in one rehearsal, compared with a twin after each of
    the first `compared` requests, and after the last one.

    Adaptors are left out: the worker process trains them again.  Cost: about as to open the home
    once, and once for each comparison.
    """
    home = Rehearsal(state, state.facts.values())
    gone: set[str] = set()
    runs = []
    for number, ids in enumerate(requests, 1):
        _, seconds = home.forget(ids, f"audit {number}")
        gone |= ids
        exact = None
        if number <= compared or number == len(requests):
            twin = make_twin(state, gone)
            same = home.facts_digest() == twin.facts_digest()
            exact = same and home.digest() == twin.digest()
        runs.append(RequestRun(len(ids), seconds, exact))
        tick(number, len(requests))
    return tuple(runs)


def random_requests(
    state: HomeState, sizes: tuple[int, ...], seed: int
) -> tuple[frozenset[str], ...]:
    """Return disjoint random sets of facts of these sizes, as far as the facts suffice."""
    ids = sorted(state.facts)
    np.random.default_rng(seed).shuffle(ids)
    found, at = [], 0
    for size in sizes:
        chosen = frozenset(ids[at : at + max(1, size)])
        if len(chosen) == max(1, size) and at + size < len(ids):
            found.append(chosen)
        at += max(1, size)
    return tuple(found)


def sequence_findings(
    sizes: tuple[RequestRun, ...], sequence: tuple[RequestRun, ...]
) -> tuple[Finding, ...]:
    """Return the findings on requests of growing size and on a sequence of requests."""
    return (
        _requests("scalability", "Requests of growing size", sizes),
        _requests("sustainability", "Requests one after another", sequence),
    )


def _requests(key: str, title: str, runs: tuple[RequestRun, ...]) -> Finding:
    inexact = sum(run.exact is False for run in runs)
    compared = sum(run.exact is not None for run in runs)
    return Finding(
        key=key,
        title=title,
        evidence="proven" if runs else "not covered",
        outcome="fails" if inexact else "holds" if runs else "open",
        text=f"{inexact} of {len(runs)} rehearsed requests left other knowledge than a twin's."
        if inexact
        else f"{len(runs)} rehearsed requests left exactly the knowledge of a twin, compared"
        f" {'after each' if compared == len(runs) else 'after the last'}."
        if runs
        else "Too few facts for a rehearsal.",
        source=MUSE,
        figures=tuple(
            Figure(
                name=f"request {number}, {counted(run.facts, 'fact')}", value=run.seconds, unit="s"
            )
            for number, run in enumerate(runs, 1)
        ),
    )
