"""Zero-shot search compared with other methods, against the ground truth of training the whole
space.

Ground truth: every fourth blueprint of the space trained once on each task with the code of growth,
and scored on held-out facts; all methods choose among these.  Parameters and MACs count in the
better of their two directions on each task, which no user could know.  Seconds are CPU seconds of
one thread.

Regret is counted twice.  The best of hundreds of accuracies on the same facts is mostly lucky, so
no choice can reach it: `regret_points` counts that luck as a loss.  `independent_regret_points`
finds the best blueprint on one half of the held-out facts, and compares it with the choice on the
other half; below 0, the choice is better than the blueprint that hundreds of labels would choose.
`half_regret_points` counts the regret of the choice as the first does, on one half, and
`half_regret_of_labels` that of the blueprint which the other half's hundreds of labels would
choose: what the luck costs a chooser that knows far more than any search.
Bidirectional learning chooses by the other tasks' scores: of the six blueprints that growth fits
there, and of a fleet, all that are trained there.
"""

import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import nas
from edge.sim import Backend, require_backend, run_parallel

from ..report import BenchmarkReport, BenchmarkRow
from .tasks import SearchTask, list_space, load_tasks

OURS = "auricle"
OWN = ("tangent", "smoothed")
SIZES = ("parameters", "macs")
FITTED = "auricle, chosen by fitting"
FITS = (3, 6, 12)
"""Candidates of the short list that are fitted before one is chosen."""
BIDIRECTIONAL = ("bidirectional", "bidirectional, design", "bidirectional of a fleet")
HALVINGS = 20
"""Halves of the held-out facts that are drawn: their mean changes by a tenth of a point at most."""
FLEET_STEP = 3
"""Each third blueprint of a fleet's tasks: the fit takes the cube of their number in time."""
CANDIDATES = 6
"""Blueprints that growth fits: edge.growth.search.CANDIDATES, without loading torch here."""
GROWN = f"{FITTED} {CANDIDATES}"
OPEN = nas.AdaptorBudget(1 << 40, 1 << 40, 1e9)
DEVICE = nas.DeviceSpeed(0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOutcome:
    """The result of one task.  taus: by proxy; regrets: points of accuracy below the best of the
    space for the proxy's first choice, or for the choice of a few after fitting; independent: the
    same on other facts than the best was found on; half: the regret of our first choice on one half
    of the facts, and of the best by the other half; seconds: of search, of halving, of the most
    fits."""

    task: str
    taus: dict[str, float]
    regrets: dict[str, float]
    independent: dict[str, float]
    half: tuple[float, float]
    search_s: float
    halving_s: float
    fits_s: float = 0.0


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class _Evaluated:
    """A task's outcome, what it would add to a history, its truth bool [blueprints, held], and the
    zero-shot ranks of its space."""

    outcome: SearchOutcome
    few: nas.TaskScores
    all: nas.TaskScores
    right: NDArray[np.bool_]
    ranks: NDArray[np.float64]


def run(data: Path | None, *, backend: Backend = "loky") -> BenchmarkReport:
    """Run all tasks, spread over the cores: some five minutes of CPU, a few with cached ground
    truth.

    The cache is the folder AURICLE_CACHE, else one in the temporary folder.  backend: "ray" for a
    Ray cluster, whose nodes cache for themselves.
    """
    # One thread per process: on many small matrices threads only wait for each other.
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    folder = Path(os.environ.get("AURICLE_CACHE", Path(tempfile.gettempdir()) / "auricle-cache"))
    tasks, notes = load_tasks(data)
    if backend == "ray":
        require_backend(backend)
        calls = [(task, folder) for task in tasks]
        done = dict(run_parallel(evaluate_task, calls, len(tasks), backend))
        found = [done[place] for place in range(len(tasks))]
    else:
        with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
            found = list(pool.map(evaluate_task, tasks, [folder] * len(tasks)))
    for one in found:
        add_bidirectional(one, [other for other in found if other is not one])
    outcomes = [one.outcome for one in found]
    return BenchmarkReport("nas", tuple(_rows(outcomes)), summarise(outcomes), tuple(notes))


def evaluate_task(task: SearchTask, folder: Path) -> _Evaluated:
    """Compare every proxy with the ground truth of a task."""
    from .ground_truth import build_network, find_truth, run_fits, run_halving

    right = find_truth(task, folder)
    sketch = task.sketch()
    space = list_space(len(task.spans))
    scores = {name: proxy(space, sketch, build_network, 0) for name, proxy in nas.PROXIES.items()}
    started = time.process_time()
    ranking = rank(sketch, space)
    search_s = time.process_time() - started
    places = {one: place for place, one in enumerate(ranking.ranking)}
    scores[OURS] = np.array([-float(places[one]) for one in space])
    few = ranking.shortlist(max(FITS))
    fits = run_fits(task, few)
    chosen = {name: int(np.argmax(values)) for name, values in scores.items()}
    for count in FITS:
        chosen[f"{FITTED} {count}"] = space.index(few[fits.choose(count)])
    chosen["halving"], halving_s = run_halving(task, folder)
    truth = right.mean(axis=1)
    taus = {name: agreement(values, truth, name) for name, values in scores.items()}
    outcome = SearchOutcome(
        task=task.name,
        taus=taus,
        regrets={name: points_lost(truth, place) for name, place in chosen.items()},
        independent={name: independent_loss(right, place) for name, place in chosen.items()},
        half=half_losses(right, chosen[OURS]),
        search_s=search_s,
        halving_s=halving_s,
        fits_s=fits.seconds,
    )
    ranks = 1 - np.array([places[one] for one in space]) / max(1, len(space) - 1)
    some = range(0, len(space), FLEET_STEP)
    tried = [space.index(one) for one in few[:CANDIDATES]]
    return _Evaluated(
        outcome=outcome,
        few=_scores(task, tried, ranks, fits.accuracies[:CANDIDATES]),
        all=_scores(task, some, ranks, truth[some]),
        right=right,
        ranks=ranks,
    )


def _scores(
    task: SearchTask, places: Sequence[int], ranks: NDArray[np.float64], truth: Sequence[float]
) -> nas.TaskScores:
    space = list_space(len(task.spans))
    return nas.TaskScores(
        blueprints=tuple(space[place] for place in places),
        taps=len(task.spans),
        proxies=tuple(float(ranks[place]) for place in places),
        accuracies=tuple(map(float, truth)),
        facts=task.own.ids,
    )


def add_bidirectional(one: _Evaluated, others: Sequence[_Evaluated]) -> None:
    """Add bidirectional learning from the scores of other tasks to the outcome of a task."""
    taps = one.few.taps
    space = list_space(taps)
    few, fleet = [other.few for other in others], [other.all for other in others]
    scored = nas.score_bidirectional(space, taps, one.ranks, few)
    ruled = nas.score_bidirectional(space, taps, one.ranks, fleet)
    designed = nas.design_blueprint(space, taps, one.ranks, few)
    truth, outcome = one.right.mean(axis=1), one.outcome
    places = int(scored.argmax()), space.index(designed), int(ruled.argmax())
    for name, place in zip(BIDIRECTIONAL, places, strict=True):
        outcome.regrets[name] = points_lost(truth, place)
        outcome.independent[name] = independent_loss(one.right, place)
    outcome.taus[BIDIRECTIONAL[0]] = agreement(scored, truth, BIDIRECTIONAL[0])
    outcome.taus[BIDIRECTIONAL[2]] = agreement(ruled, truth, BIDIRECTIONAL[2])


def rank(sketch: nas.TaskSketch, space: list[nas.Blueprint]) -> nas.SearchChoice:
    """Search without limits; keep the blueprints of the trained space."""
    choice, trained = nas.search(sketch, OPEN, DEVICE), set(space)
    assert isinstance(choice, nas.SearchChoice)
    kept = [pair for pair in zip(choice.ranking, choice.scores, strict=True) if pair[0] in trained]
    ranking, scores = zip(*kept, strict=True)
    return nas.SearchChoice(ranking, scores, choice.considered)


def agreement(scores: NDArray[np.float64], truth: NDArray[np.float64], name: str) -> float:
    """Return Kendall's tau-b with the ground truth (Kendall 1945); sizes in their better
    direction."""
    finite = np.nan_to_num(scores, nan=-np.inf)
    above, better = (np.sign(np.subtract.outer(v, v)) for v in (_places(finite), truth))
    pairs = np.sqrt(np.square(above).sum() * np.square(better).sum())
    tau = float((above * better).sum() / max(pairs, 1.0))
    return abs(tau) if name in SIZES else tau


def _places(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return ranks among the distinct values, so that infinite values can be compared."""
    return np.asarray(np.unique(values, return_inverse=True)[1], np.int64)


def points_lost(truth: NDArray[np.float64], place: int) -> float:
    """Return the points of accuracy below the best of the space."""
    return float(100 * (truth.max() - truth[place]))


def independent_loss(right: NDArray[np.bool_], place: int) -> float:
    """Return the points of accuracy below the blueprint that is best on the other half of the
    facts: the mean over drawn halves.  right: bool [blueprints, held]."""
    losses = [judged[best] - judged[place] for best, judged in _halves(right)]
    return float(100 * np.mean(losses))


def half_losses(right: NDArray[np.bool_], place: int) -> tuple[float, float]:
    """Return the points below the best of the space on one half of the facts: of a blueprint, and
    of the one that is best on the other half, each the mean over drawn halves."""
    found = [(judged.max() - judged[[place, best]]) for best, judged in _halves(right)]
    own, other = 100 * np.mean(found, axis=0)
    return float(own), float(other)


def _halves(right: NDArray[np.bool_]) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield the place of the best blueprint on one half of the facts, and all accuracies on the
    other half."""
    for draw in range(HALVINGS):
        order = np.random.default_rng(draw).permutation(right.shape[1])
        finding, judging = np.array_split(order, 2)
        yield int(right[:, finding].mean(axis=1).argmax()), right[:, judging].mean(axis=1)


def _rows(outcomes: list[SearchOutcome]) -> list[BenchmarkRow]:
    rows = []
    for one in outcomes:
        rows += [BenchmarkRow(name, f"tau_{one.task}", value) for name, value in one.taus.items()]
        rows += [
            BenchmarkRow(name, f"regret_{one.task}", value) for name, value in one.regrets.items()
        ]
        rows += [
            BenchmarkRow(name, f"independent_regret_{one.task}", value)
            for name, value in one.independent.items()
        ]
    return rows


def summarise(outcomes: list[SearchOutcome]) -> dict[str, float]:
    """Return the summary: means over tasks, seconds of the slowest search."""
    mean = {name: _mean([one.taus[name] for one in outcomes]) for name in outcomes[0].taus}
    rivals = [name for name in nas.PROXIES if name not in OWN]
    above = [[one.taus[OURS] > one.taus[name] for name in rivals] for one in outcomes]
    sizes = [[one.taus[OURS] > one.taus[name] for name in SIZES] for one in outcomes]
    return {
        "kendall_tau_mean": mean[OURS],
        "best_baseline_tau": max(mean[name] for name in rivals),
        "regret_points": _mean([one.regrets[OURS] for one in outcomes]),
        "fits_regret_points": _mean([one.regrets[GROWN] for one in outcomes]),
        "halving_regret_points": _mean([one.regrets["halving"] for one in outcomes]),
        "independent_regret_points": _mean([one.independent[OURS] for one in outcomes]),
        "independent_fits_regret_points": _mean([one.independent[GROWN] for one in outcomes]),
        "independent_halving_regret_points": _mean(
            [one.independent["halving"] for one in outcomes]
        ),
        "half_regret_points": _mean([one.half[0] for one in outcomes]),
        "half_regret_of_labels": _mean([one.half[1] for one in outcomes]),
        "bidirectional_regret_points": _mean([one.regrets[BIDIRECTIONAL[0]] for one in outcomes]),
        "fleet_regret_points": _mean([one.regrets[BIDIRECTIONAL[2]] for one in outcomes]),
        "search_s": max(one.search_s for one in outcomes),
        "fits_s": max(one.fits_s for one in outcomes) * CANDIDATES / max(FITS),
        "halving_s": _mean([one.halving_s for one in outcomes]),
        "tasks": len(outcomes),
        "tasks_above_every_rival": sum(map(all, above)),
        "tasks_above_parameters_and_macs": sum(map(all, sizes)),
    }


def _mean(values: list[float]) -> float:
    return float(np.mean(values))
