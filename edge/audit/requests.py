"""Rehearsed requests: the worst one, ones of growing size, and several in a row.

MUSE asks an unlearned model for scalability with the size of a request and for sustainability over
a sequence of requests (Shi et al. 2024, "MUSE: machine unlearning six-way evaluation for language
models", section 3).
"""

from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .findings import Figure, Finding, counted, not_covered
from .rehearsal import HomeState, Rehearsal, make_twin
from .shadows import Pool, Shadows
from .utility import MUSE
from .worst_case import worst_forget_set

Progress = Callable[[str, int, int], None]
"""Called with what is being done, and with how many of how many steps are done."""

SEED: Final = 1
"""Of shadow models, searches and bootstrap samples: the same home gives the same report."""

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


def rehearse_requests(
    state: HomeState, pool: Pool, shadows: Shadows, forgotten: int, tick: Progress
) -> tuple[Finding, ...]:
    """Rehearse the worst request of the same size, requests of growing size, and several of the
    same size, one after another.  forgotten: facts of the audited request, 0 if unknown."""
    count, retained = len(state.facts), pool.retained_rows
    size = max(1, min(forgotten or count // 20, count // 10))
    worst: NDArray[np.intp] = np.empty(0, np.intp)
    if len(retained) > size and len(set(retained.labels)) > 1:
        worst = worst_forget_set(retained, size)
    hardest = frozenset(retained.ids[row] for row in worst)
    sizes = [max(1, int(share * count)) for share in SHARES]
    others = random_requests(state.facts.keys() - hardest, [*sizes, *[size] * REQUESTS], SEED)
    requests = (hardest, *others) if hardest else others
    first, compared = int(bool(hardest)), int(bool(hardest)) + len(sizes)
    runs = run_requests(
        state,
        requests,
        lambda done, total: tick("rehearsing requests", done, total),
        compared,
    )
    found = sequence_findings(runs[first:compared], runs[compared:])
    if not hardest:
        return (not_covered("worst_case", "Worst facts to forget", "Too few facts remain."), *found)
    return (_worst_finding(runs[0], *shadows.centres(worst + pool.forgotten)), *found)


def _worst_finding(
    run: RequestRun, inside: NDArray[np.float64], outside: NDArray[np.float64]
) -> Finding:
    """inside, outside: margins of these facts under models that did and did not learn them."""
    what = f"The {counted(run.facts, 'fact')} hardest to forget"
    return Finding(
        key="worst_case",
        title="Worst facts to forget",
        evidence="proven",
        outcome="holds" if run.exact else "fails",
        text=f"{what} were forgotten in a rehearsal. It left exactly the knowledge of a twin."
        if run.exact
        else f"{what} were forgotten in a rehearsal. It left other knowledge than a twin's.",
        source="Fan et al. 2024, Challenging forgets, section 4",
        figures=(
            Figure(name="facts", value=run.facts),
            Figure(
                name="still answered by models without them",
                value=100 * float((outside > 0).mean()),
                unit="%",
            ),
            Figure(
                name="what membership adds to their margins",
                value=float((inside - outside).mean()),
            ),
            Figure(name="duration", value=run.seconds, unit="s"),
        ),
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
    facts: AbstractSet[str], sizes: Sequence[int], seed: int
) -> tuple[frozenset[str], ...]:
    """Return disjoint random sets of facts of these sizes, as far as the facts suffice."""
    ids = sorted(facts)
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
