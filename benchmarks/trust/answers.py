"""Answers: the estimator against the runtime, unbalanced classes, the quantiser, and kernels.

- The same facts and samples, several domains, known and novel: the share of equal answers of
  `ContinualClassifier` and `Runtime`.
- Digits: 1,000 samples of 0 to 7, then 100 of 8 and 9, in the file's order, judged on all others;
  and five folds of the whole set.
- The quantiser frozen on a first domain against one frozen on a later domain: accuracy on the later
  domain, with 20 labels a class.
- Kernels that are more accurate than the head on fresh samples, and how often the test on facts
  left out accepts them.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid

import encoder
import nas
from edge.core import (
    Config,
    Decision,
    Enrol,
    Fact,
    FactBatch,
    FitGeometry,
    MemoryLedger,
    Observation,
    Publish,
    Runtime,
    untimed_batch,
)
from edge.core.adaptors import (
    Adaptor,
    KernelMachine,
    build_transform,
    fit_adaptor,
    fit_head,
    solve_adaptor,
    standardise,
    tune_kernel,
)
from edge.estimator import CLIPPED_MAX, ContinualClassifier

from ..ood.packaged import keel_table
from ..ood.sets import SETS, MissingError
from ..report import BenchmarkRow

Values = NDArray[np.float32]
Ints = NDArray[np.int64]
Domains = list[tuple[Values, Ints]]

OLD, NEW = 1_000, 100
"""Samples of the classes 0 to 7, then of 8 and 9."""
FIRST_NEW = 8
"""The first of the new classes."""
LABELS = 20
"""Labels a class in a later domain: the smallest domain has 48 rows a class."""
DRAWS = 60
"""Draws of these labels, for a mean."""
JUDGED = 1_000
"""Rows of a later domain that judge: a standard error of 1.6 points at most, paired far less."""
ELEC2, SEGMENTS = "elec2.npz", 6
"""Electricity prices, in segments by time."""
REAL = ("digits_pixels", "wine_colours", "weather_months", "vowel_voices")
"""Sets of packages whose domains were recorded differently."""
BRIGHTER = ("penbased", "satimage")
"""Tables of KEEL whose second half is multiplied by `GAIN`: nothing was chosen on them."""
GAIN = np.float32(1.4)
"""Of a later sensor.  Chosen by hand."""
ROWS = 1_500
"""Rows of a half."""
SIZES = (100, 300)
"""Facts of which a kernel is fitted and tested."""
TRIALS = 10
"""Draws of a set and size."""
CLEAR = 0.005
"""A model that is more accurate by more than this on fresh samples is better."""
OURS = "auricle"


class BatchClassifier(Protocol):
    """What the peers share."""

    def fit(self, X: Values, y: Ints) -> object:
        """Learn rows X [n, features] of classes y [n]."""

    def predict(self, X: Values) -> Ints:
        """Return the classes of rows."""


PEERS: dict[str, Callable[[], BatchClassifier]] = {
    "logistic regression": lambda: LogisticRegression(max_iter=5_000),
    "kNN": lambda: KNeighborsClassifier(1),
    "LDA": LinearDiscriminantAnalysis,
    "nearest centroid": NearestCentroid,
}


def run_part(
    data: Path | None, *, quick: bool = False
) -> tuple[list[BenchmarkRow], dict[str, float], list[str]]:
    """Measure all of it; about two minutes of one core, quick: one draw instead of several."""
    notes: list[str] = []
    rows = [*equal_answers(), *unbalanced(), *folds(), *quantisers(data, notes, quick=quick)]
    rows += kernels(1 if quick else TRIALS)
    summary = {row.metric: row.value for row in rows if row.method == OURS}
    return rows, summary, notes


def equal_answers() -> Iterator[BenchmarkRow]:
    """Compare the estimator with a runtime that learned the same facts, sample by sample."""
    values, label, scanner = three_scanners()
    train = np.arange(len(values)) % 2 == 0
    model = ContinualClassifier()
    for number in range(3):
        at = train & (scanner == number)
        model.partial_fit(values[at], label[at], ids=np.flatnonzero(at), domain=f"d{number}")
    domains = [f"d{number}" for number in scanner[train]]
    runtime = runtime_of(values[train], label[train], domains, model.quantiser_)
    # Inverted pictures are novel everywhere.
    judged = np.concatenate([values[~train], 16 - values[~train][::3]])
    answers = model.predict(judged)
    decisions = [decide(runtime, row, at) for at, row in enumerate(judged)]
    same = [one.guess == str(answer) for one, answer in zip(decisions, answers, strict=True)]
    yield BenchmarkRow(OURS, "estimator_equals_runtime", fmean(same))
    yield BenchmarkRow(OURS, "novel_among_them", fmean(one.known is False for one in decisions))
    right = answers[: (~train).sum()] == label[~train]
    yield BenchmarkRow(OURS, "estimator_accuracy_three_domains", float(right.mean()))


def three_scanners() -> tuple[Values, Ints, Ints]:
    """Return digits by three scanners, plain, turned and faint, with labels and scanners."""
    values, label = load_digits(return_X_y=True)
    turned = values.reshape(-1, 8, 8).transpose(0, 2, 1).reshape(-1, 64)
    scanner = np.arange(len(values)) % 3
    seen = np.choose(scanner[:, None], [values, turned, values * 0.6])
    return seen.astype(np.float32), label.astype(np.int64), scanner


def runtime_of(
    values: Values, label: Ints, domains: list[str], quantiser: encoder.Quantiser
) -> Runtime:
    """Return a runtime that learned these rows."""
    ledger = MemoryLedger()
    card = encoder.vector_card(values.shape[1], quantiser=quantiser)
    runtime = Runtime(Config(), encoder.open_model(card), ledger)
    facts = tuple(
        Fact(
            id=f"{2 * row}",
            stream="",
            domain=domains[row],
            label=f"{label[row]}",
            captured_at_ns=0,
            features=levels.tobytes(),
        )
        for row, levels in enumerate(quantiser.quantise(values))
    )
    for event in (Enrol(facts), FitGeometry()):
        for effect in runtime.handle(event):
            ledger.apply(effect)
    return runtime


def decide(runtime: Runtime, row: Values, number: int) -> Decision:
    """Return the runtime's decision on a row, on a stream of its own."""
    seen = Observation(stream=f"s{number}", sequence=0, captured_at_ns=number, payload=row)
    messages = (one.message for one in runtime.handle(seen) if isinstance(one, Publish))
    return next(one for one in messages if isinstance(one, Decision))


def unbalanced() -> Iterator[BenchmarkRow]:
    """Learn many samples of old classes, then few of new ones; judge on all others."""
    values, label = digits()
    old = np.flatnonzero(label < FIRST_NEW)[:OLD]
    new = np.flatnonzero(label >= FIRST_NEW)[:NEW]
    both = np.concatenate([old, new])
    rest = np.setdiff1d(np.arange(len(label)), both)
    model = ContinualClassifier().partial_fit(values[old], label[old])
    answers = {OURS: model.partial_fit(values[new], label[new]).predict(values[rest])}
    for name, make in PEERS.items():
        peer = make()
        peer.fit(values[both], label[both])
        answers[name] = peer.predict(values[rest])
    for name, given in answers.items():
        right = given == label[rest]
        yield BenchmarkRow(name, "unbalanced_new", float(right[label[rest] >= FIRST_NEW].mean()))
        yield BenchmarkRow(name, "unbalanced_all", float(right.mean()))


def digits() -> tuple[Values, Ints]:
    """Return scikit-learn's digits in the file's order."""
    values, label = load_digits(return_X_y=True)
    return values.astype(np.float32), label.astype(np.int64)


def folds() -> Iterator[BenchmarkRow]:
    """Return the accuracy over five folds of the digits, in the file's order."""
    values, label = digits()
    made: dict[str, Callable[[], BatchClassifier]] = {OURS: ContinualClassifier, **PEERS}
    for name, make in made.items():
        found = []
        for train, held in StratifiedKFold(5).split(values, label):
            peer = make()
            peer.fit(values[train], label[train])
            found.append(float((peer.predict(values[held]) == label[held]).mean()))
        yield BenchmarkRow(name, "digits_five_folds", fmean(found))


def quantisers(data: Path | None, notes: list[str], *, quick: bool) -> Iterator[BenchmarkRow]:
    """Compare quantisers on later domains: accuracy with a quantiser of their own minus that with
    the first domain's: frozen, as a home keeps it; with the range of each column alone; and renewed
    by the estimator where samples exceed its range.

    The metrics are losses of accuracy; below 0 the first one is better.
    """
    costs = []
    for name, domains in ranges(data, notes):
        first = domains[0][0]
        found = [
            quantiser_cost(first, values, label, draw)
            for values, label in domains[1:]
            for draw in range(1 if quick else DRAWS)
        ]
        kept, alone, renewed = np.mean(found, axis=0).tolist()
        yield BenchmarkRow("each column alone", f"home_quantiser_cost_{name}", alone)
        yield BenchmarkRow(OURS, f"home_quantiser_cost_{name}", kept)
        yield BenchmarkRow(OURS, f"quantiser_cost_{name}", renewed)
        costs.append((kept, renewed))
    for place, metric in enumerate(("home_quantiser_cost", "quantiser_cost")):
        each = [cost[place] for cost in costs]
        if each:
            yield BenchmarkRow(OURS, f"{metric}_mean", fmean(each))
            yield BenchmarkRow(OURS, f"{metric}_worst", max(each))


def ranges(data: Path | None, notes: list[str]) -> Iterator[tuple[str, Domains]]:
    """Yield sets with domains that differ in range, the first domain first."""
    values, label, scanner = three_scanners()
    # The faint scanner comes first: the others exceed its range.
    yield "scanners", [(values[scanner == one], label[scanner == one]) for one in (2, 1, 0)]
    for name in REAL:
        try:
            found = SETS[name](data)
        except MissingError as reason:
            notes.append(f"skipped {name}: {reason}")
            continue
        each = [found.domain == one for one in np.unique(found.domain)[:4]]
        yield name, [(found.values[at], found.label[at]) for at in each]
    for name in BRIGHTER:
        try:
            found = keel_table(name)
        except MissingError as reason:
            notes.append(f"skipped {name}: {reason}")
            continue
        order = np.random.default_rng(1).permutation(len(found.values))
        values = found.values[order].astype(np.float32)
        held = np.unique(found.label[order], return_inverse=True)[1]
        halves = slice(ROWS), slice(ROWS, 2 * ROWS)
        later = (values[halves[1]] * GAIN, held[halves[1]])
        yield f"{name}_brighter", [(values[halves[0]], held[halves[0]]), later]
    if data is None or not (data / ELEC2).is_file():
        notes.append(f"skipped elec2: no {ELEC2}")
        return
    with np.load(data / ELEC2, allow_pickle=False) as held:
        rows, prices = held["values"].astype(np.float32)[::4], held["label"].astype(np.int64)[::4]
    parts = np.array_split(np.arange(len(rows)), SEGMENTS)
    yield "elec2", [(rows[at], prices[at]) for at in parts]


def quantiser_cost(
    first: Values, values: Values, label: Ints, draw: int
) -> tuple[float, float, float]:
    """Return what the first domain's quantiser costs: kept, with the range of each column alone,
    and renewed if outgrown."""
    order = np.random.default_rng(draw).permutation(len(values))
    train = np.concatenate([order[label[order] == one][:LABELS] for one in np.unique(label)])
    held = np.setdiff1d(order, train)[:JUDGED]
    frozen = freeze(first)
    renewed = freeze(np.concatenate([first, values[train]]))
    if frozen.clipped(values[train]).mean() <= CLIPPED_MAX:
        renewed = frozen
    each = encoder.freeze_quantiser(first, [slice(at, at + 1) for at in range(first.shape[1])])
    own, kept, alone, new = (
        accuracy_with(one, values, label, (train, held))
        for one in (freeze(values[train]), frozen, each, renewed)
    )
    return own - kept, own - alone, own - new


def freeze(rows: Values) -> encoder.Quantiser:
    """Return a quantiser as for a table: one scale a column."""
    return encoder.freeze_quantiser(rows, (slice(0, rows.shape[1]),), "channel")


def accuracy_with(
    quantiser: encoder.Quantiser, values: Values, label: Ints, parts: tuple[Ints, Ints]
) -> float:
    """Return the accuracy of the default adaptor under a quantiser."""
    levels = quantiser.quantise(values)
    train, held = parts
    adaptor = fit_adaptor(batch(levels[train], label[train]), no_facts(levels.shape[1]))
    return accuracy(adaptor, levels[held], label[held])


def accuracy(adaptor: Adaptor, levels: NDArray[np.uint8], label: Ints) -> float:
    """Return the share of right answers."""
    answers = np.array(adaptor.labels, np.int64)[adaptor.answer(levels).argmax(axis=1)]
    return float((answers == label).mean())


def batch(levels: NDArray[np.uint8], label: Ints) -> FactBatch:
    """Return rows as facts of one domain."""
    ids = tuple(f"{row:05}" for row in range(len(levels)))
    return untimed_batch(ids, ("home",) * len(ids), tuple(str(one) for one in label), levels)


def no_facts(width: int) -> FactBatch:
    """No facts of other domains."""
    return untimed_batch((), (), (), np.zeros((0, width), np.uint8))


def kernels(trials: int) -> Iterator[BenchmarkRow]:
    """Fit the default to draws of sets that scikit-learn ships, and compare with the head."""
    gains, accepted = [], []
    for load in (load_digits, load_breast_cancer, load_wine):
        values, label = load(return_X_y=True)
        levels = freeze(values.astype(np.float32)).quantise(values)
        for size in SIZES:
            for seed in range(trials if size < len(levels) // 2 else 0):
                gain, kernel = kernel_trial(levels, label.astype(np.int64), size, seed)
                gains.append(gain)
                accepted.append(kernel)
    gained, taken = np.array(gains), np.array(accepted)
    for name, sign in (("kernels_accepted_better", 1), ("kernels_accepted_worse", -1)):
        clear = sign * gained > CLEAR
        if clear.any():
            yield BenchmarkRow(OURS, name, float(taken[clear].mean()))
    yield BenchmarkRow(OURS, "kernels_points_gained", float((gained * taken).mean()))
    yield BenchmarkRow(OURS, "kernels_points_possible", float(np.maximum(gained, 0).mean()))


def kernel_trial(
    levels: NDArray[np.uint8], label: Ints, size: int, seed: int
) -> tuple[float, bool]:
    """Return the accuracy of a kernel less that of the head on the rows that were not drawn, and
    whether the kernel is the default."""
    order = np.random.default_rng(seed).permutation(len(levels))
    own, fresh = batch(levels[order[:size]], label[order[:size]]), order[size:]
    others, spans = no_facts(levels.shape[1]), ((0, levels.shape[1]),)
    standard = standardise(own, others, spans)
    blueprint = nas.Blueprint(kind="kernel", taps=(0,), width=size)
    arrays, _ = tune_kernel(blueprint, own, standard, spans)
    kernel = solve_adaptor(build_transform((blueprint, arrays), spans), own, others, standard)
    both = (kernel, fit_head(own, others, spans))
    one, other = (accuracy(adaptor, levels[fresh], label[fresh]) for adaptor in both)
    return one - other, isinstance(fit_adaptor(own, others), KernelMachine)
