"""Error rates of growth's acceptance test, compared with McNemar's test.

No better: random labels.  Equivalent: heads on other halves of shuffled columns than the serving
half; an error is an accepted one that is worse on fresh facts.  Both on 60 to 400 handwritten
digits.  Better: the kernel over facts of PACS's sketches, which is 2 points more accurate.  Each
trial draws new facts.  `kernels` counts better, worse and meaningless kernels on many sets.
"""

from collections.abc import Sequence
from math import comb
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

import nas
from edge.core import GrowthJob, untimed_batch
from edge.core.adaptors import build_transform, solve_adaptor, standardise
from edge.growth import (
    ScoredCandidate,
    choose_candidate,
    is_accepted,
    score_blueprint,
    score_head,
    screen_candidates,
    split_holdout,
    train_adaptor,
)

from ..continual.data import PACS, load_pacs, missing
from ..report import BenchmarkReport, BenchmarkRow
from .kernels import DRAWS, kernel_rows

TRIALS = 100
"""A rate of 5 % is then known to 2.2 points (standard error)."""
BETTER_TRIALS = 10
"""Chosen by hand: each trains adaptors."""
KERNEL_DRAWS = DRAWS
"""Draws of each size of each set of `kernels`, with all trials."""
SIZES = (60, 150, 400)
"""Facts of the new domain: few, usual, many.  Chosen by hand."""
SKETCHES = (1_500, 3_000)
"""Facts of the real domain, for which an adaptor helps.  Chosen by hand."""
DOUBT = 0.05
"""The level at which McNemar's test is customarily read."""
OPEN = nas.AdaptorBudget(1 << 40, 1 << 40, 1e9)
TAPS = tuple((at, at + 8) for at in range(0, 64, 8))
HALVES = ((4, 5, 6, 7), (2, 3, 4, 5), (0, 2, 4, 6), (1, 3, 5, 7))
"""Halves of the eight taps that candidates read: any is as good as any other here."""
OURS, EXACT = "auricle", "exact McNemar over candidates"


def run(data: Path | None, trials: int = TRIALS) -> BenchmarkReport:
    """Run a number of trials of each kind and size, a tenth of them on sketches."""
    rows: list[BenchmarkRow] = []
    digits = load_digits()
    features, label = (15 * digits.data).astype(np.uint8), digits.target
    for count in SIZES:
        found = np.array([noise(features, label, count, s) for s in range(trials)])
        rows += _rates(f"accepted_of_noise_{count}", found)
        gains = np.array([alike(features, label, count, s) for s in range(trials)])
        rows += _rates(f"accepted_of_much_alike_{count}", ~np.isnan(gains))
        rows += _rates(f"accepted_and_worse_{count}", gains < 0)
        rows += _rates(f"points_gained_{count}", 100 * np.nan_to_num(gains))
    note = missing(data, *PACS)
    if not note and data is not None:
        samples = load_pacs(data)
        mine = samples.train[samples.domain[samples.train] == samples.domains - 1]
        for count in SKETCHES:
            found = np.array(
                [
                    sketches(
                        samples.features[mine], samples.label[mine], samples.spans, count, seed
                    )
                    for seed in range(BETTER_TRIALS)
                ]
            )
            rows += _rates(f"acceptance_of_the_better_{count}", found)
    counted, notes = kernel_rows(data, max(1, trials * KERNEL_DRAWS // TRIALS))
    rows += counted
    summary = {row.metric: row.value for row in rows if row.method == OURS}
    return BenchmarkReport("acceptance", tuple(rows), summary, (*filter(None, [note]), *notes))


def noise(
    features: NDArray[np.uint8], label: NDArray[np.int64], count: int, seed: int
) -> tuple[bool, bool]:
    """Test four candidates on random labels."""
    random = np.random.default_rng(seed)
    job = _job(features, random.permutation(label), TAPS, count, random)
    every = tuple(range(len(TAPS)))
    tried = (
        nas.Blueprint(kind="none", taps=(0, 1, 2, 3)),
        nas.Blueprint(kind="none", taps=(4, 5, 6, 7)),
        nas.Blueprint(kind="random", taps=every, width=256, activation="relu"),
        nas.Blueprint(kind="kernel", taps=every, width=3_840),
    )
    parts = split_holdout(job.own, job.others)
    return _test(job, score_head(job, parts), tried)


def alike(
    features: NDArray[np.uint8], label: NDArray[np.int64], count: int, seed: int
) -> tuple[float, float]:
    """Test heads on four halves of the columns against another half, drawn again each time; returns
    the gain of the accepted one on all other digits, NaN if none is accepted."""
    random = np.random.default_rng(seed)
    features = features[:, random.permutation(64)]
    job = _job(features, label, TAPS, count, random)
    parts = split_holdout(job.own, job.others)
    tried = [nas.Blueprint(kind="none", taps=half) for half in HALVES]
    served = nas.Blueprint(kind="none", taps=(0, 1, 2, 3))
    serving = score_blueprint(served, train_adaptor, job, parts)
    fresh = np.setdiff1d(np.arange(len(label)), [int(one[-5:]) for one in job.own.ids])
    right = {one: _right(one, job, features[fresh], label[fresh]) for one in (*tried, served)}
    scored = [score_blueprint(one, train_adaptor, job, parts) for one in tried]
    chosen = (
        scored[choose_candidate([one.held_out for one in scored])],
        max(scored, key=lambda one: one.accuracy),
    )
    accepted = _test(job, serving, tried)
    ours, exact = (
        right[one.blueprint] - right[served] if fine else float("nan")
        for one, fine in zip(chosen, accepted, strict=True)
    )
    return ours, exact


def _right(
    blueprint: nas.Blueprint, job: GrowthJob, features: NDArray[np.uint8], label: NDArray[np.int64]
) -> float:
    arrays = train_adaptor(blueprint, job.own, job.others, job.spans, 1)
    standard = standardise(job.own, job.others, job.spans)
    fitted = solve_adaptor(
        build_transform((blueprint, arrays), job.spans), job.own, job.others, standard
    )
    answers = np.array(fitted.labels, np.int64)[fitted.answer(features).argmax(axis=1)]
    return float((answers == label).mean())


def sketches(
    features: NDArray[np.uint8],
    label: NDArray[np.int64],
    spans: tuple[tuple[int, int], ...],
    count: int,
    seed: int,
) -> tuple[bool, bool]:
    """Test the kernel against the head alone."""
    job = _job(features, label, spans, count, np.random.default_rng(seed))
    parts = split_holdout(job.own, job.others)
    kernel = nas.Blueprint(kind="kernel", taps=tuple(range(len(spans))), width=3_840)
    return _test(job, score_head(job, parts), [kernel])


def _test(
    job: GrowthJob, serving: ScoredCandidate, tried: Sequence[nas.Blueprint]
) -> tuple[bool, bool]:
    """Return whether growth's test accepts, and whether McNemar's does."""
    parts = split_holdout(job.own, job.others)
    scored = [score_blueprint(one, train_adaptor, job, parts) for one in tried]
    best = max(scored, key=lambda one: one.accuracy)
    ours = is_accepted(screen_candidates(scored, parts), serving.held_out, parts)
    return ours, _mcnemar(best.held_out.correct, serving.held_out.correct) < DOUBT / len(scored)


def _mcnemar(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    """Return the probability of at least as many wins, one-sided and exact (Dietterich 1998,
    section 3.1)."""
    wins, losses = int((one & ~other).sum()), int((other & ~one).sum())
    total = wins + losses
    return 0.5**total * sum(comb(total, k) for k in range(wins, total + 1))


def _job(
    features: NDArray[np.uint8],
    label: NDArray[np.int64],
    spans: tuple[tuple[int, int], ...],
    count: int,
    random: np.random.Generator,
) -> GrowthJob:
    rows = np.sort(random.permutation(len(label))[:count])
    ids = tuple(f"{random.integers(1 << 30):010}-{row:05}" for row in rows)
    labels = tuple(str(label[row]) for row in rows)
    own = untimed_batch(ids, ("home",) * len(ids), labels, features[rows])
    nothing = untimed_batch((), (), (), np.zeros((0, features.shape[1]), np.uint8))
    return GrowthJob(
        id="trial",
        domain="home",
        version=1,
        seed=1,
        budget=OPEN,
        spans=spans,
        own=own,
        others=nothing,
    )


def _rates(metric: str, found: NDArray[np.generic]) -> list[BenchmarkRow]:
    shares = np.asarray(found, np.float64).mean(axis=0)
    return [
        BenchmarkRow(name, metric, float(v)) for name, v in zip((OURS, EXACT), shares, strict=True)
    ]
