"""Wrong labels found from the few that a person names.

PACS (three domains together, as one) and CIFAR-10: half the facts of one class, at most 100, are
called another; a tenth of these is named.  The constants of `edge.analysis.named_mistakes` were
chosen on the pairs of `TUNED`; all others confirm them.  Accuracy of the affected class is that of
a head solved from the facts that stay, on held-out facts.  Also: a tenth of all labels changed at
random, of which a tenth is named.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

import encoder
from edge.analysis import PENALTY, Domain, Learned, find_alike, find_suspicious, standardised

from ..report import BenchmarkReport, BenchmarkRow, show

FACTS: Final = 1_200
"""Facts that are learned, and as many held out: as in the evidence on corrective forgetting."""

WRONG_MAX: Final = 100
"""Facts of a class that get the label of another: as in the evidence on corrective forgetting."""

NAMED: Final = 0.1
"""Share of the wrong facts that a person names, as the aim says."""

RANDOM: Final = 0.1
"""Share of all labels that are changed at random, as in the evidence."""

SEEDS: Final = 3
"""Runs of each case.  Chosen by hand; effect not measured."""

TUNED: Final = ((0, 4), (1, 3), (6, 2))
"""Classes of PACS that constants were chosen on: one called the other."""

CONFIRMED: Final = ((2, 5), (3, 0), (5, 6), (4, 1))
"""Other classes of PACS."""

CIFAR: Final = ((3, 5), (0, 8), (9, 1), (4, 7))
"""Classes of CIFAR-10 that people confuse: cat and dog, plane and ship, truck and car, deer and
horse."""

Bytes = NDArray[np.uint8]
Ints = NDArray[np.intp]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Case:
    """Facts with wrong labels.  features: uint8 [2 x FACTS, width], the first half learned.  told:
    labels of the first half; right: of all.  judged: held-out facts that count."""

    features: Bytes
    told: Ints
    right: Ints
    named: Mask
    judged: Mask

    @property
    def wrong(self) -> Mask:
        """Which of the learned labels are wrong."""
        return np.asarray(self.told != self.right[:FACTS])


@dataclass(frozen=True, slots=True)
class SuspectFigures:
    """recall, precision: of what was found besides the named facts.  gain: accuracy of the judged
    facts over deleting the named ones alone; gain_max: with all wrong ones deleted."""

    recall: float
    precision: float
    gain: float
    gain_max: float


def run(data: Path | None, *, quick: bool = False) -> BenchmarkReport:
    """Measure on every set of the folder."""
    assert data is not None, "the features are in the folder of data files: give --data"
    seeds = range(1 if quick else SEEDS)
    found: dict[str, list[SuspectFigures]] = {}
    for name, cases in _cases(data, seeds):
        found[name] = [_judge(case, named=True) for case in cases]
        found[f"{name}, none named"] = [_judge(case, named=False) for case in cases]
    rows = [
        BenchmarkRow(name, metric, float(np.mean([getattr(one, metric) for one in many])))
        for name, many in found.items()
        for metric in SuspectFigures.__dataclass_fields__
    ]
    confused = [one for name in ("pacs", "pacs confirmed", "cifar") for one in found[name]]
    summary = {
        "suspect_recall": float(np.mean([one.recall for one in confused])),
        "suspect_precision": float(np.mean([one.precision for one in confused])),
        "suspect_gain_points": 100 * float(np.mean([one.gain for one in confused])),
    }
    return BenchmarkReport("suspicious labels from a few named", tuple(rows), summary)


def _cases(data: Path, seeds: Sequence[int]) -> Iterator[tuple[str, list[Case]]]:
    pacs = np.load(data / "pacs_efficientnet_lite0.npz")
    chosen = np.isin(pacs["domain"], (0, 1, 2))
    features, labels = _levels(pacs["features"][chosen]), pacs["label"][chosen].astype(np.intp)
    for name, pairs in (("pacs", TUNED), ("pacs confirmed", CONFIRMED)):
        yield name, [_confused(features, labels, pair, one) for pair in pairs for one in seeds]
    yield "pacs, random", [_random(features, labels, one) for one in seeds]
    cifar = np.load(data / "cifar10_subset_efficientnet_lite0.npz")
    features, labels = _levels(cifar["features"]), cifar["label"].astype(np.intp)
    yield "cifar", [_confused(features, labels, pair, one) for pair in CIFAR for one in seeds]


def _confused(features: Bytes, labels: Ints, pair: tuple[int, int], seed: int) -> Case:
    """Call half the facts of one class another."""
    random = np.random.default_rng(seed)
    at = random.permutation(len(labels))[: 2 * FACTS]
    right = labels[at]
    told = right[:FACTS].copy()
    theirs = np.flatnonzero(told == pair[0])
    told[random.choice(theirs, min(WRONG_MAX, len(theirs) // 2), replace=False)] = pair[1]
    named = _named(told != right[:FACTS], random)
    return Case(features[at], told, right, named, right[FACTS:] == pair[0])


def _random(features: Bytes, labels: Ints, seed: int) -> Case:
    """Change a tenth of the labels to any others."""
    random = np.random.default_rng(seed)
    at = random.permutation(len(labels))[: 2 * FACTS]
    right = labels[at]
    told, classes = right[:FACTS].copy(), int(labels.max()) + 1
    wrong = random.choice(FACTS, int(RANDOM * FACTS), replace=False)
    told[wrong] = (told[wrong] + random.integers(1, classes, len(wrong))) % classes
    named = _named(told != right[:FACTS], random)
    return Case(features[at], told, right, named, np.ones(FACTS, bool))


def _named(wrong: Mask, random: np.random.Generator) -> Mask:
    at = np.flatnonzero(wrong)
    named = np.zeros(len(wrong), bool)
    named[random.choice(at, max(1, int(NAMED * len(at))), replace=False)] = True
    return named


def _judge(case: Case, *, named: bool) -> SuspectFigures:
    """Find what is wrong, delete it, and measure.  named: use the facts that a person named."""
    ids = tuple(f"f{number}" for number in range(FACTS))
    labels, given = np.unique(case.told, return_inverse=True)
    domain = Domain(
        name="all",
        ids=ids,
        features=case.features[:FACTS],
        labels=tuple(map(str, labels)),
        given=given,
        groups=np.arange(FACTS),
    )
    learned = Learned((domain,), FACTS)
    chosen = {ids[at] for at in np.flatnonzero(case.named).tolist()}
    suspects = find_alike(learned, chosen) if named else find_suspicious(learned)
    listed = np.isin(np.array(ids), [one.id for one in suspects]) & ~case.named
    hits, hidden = int((listed & case.wrong).sum()), int((case.wrong & ~case.named).sum())
    alone, cleaned, clean = (
        _accuracy(case, ~gone) for gone in (case.named, case.named | listed, case.wrong)
    )
    return SuspectFigures(
        recall=hits / max(1, hidden),
        precision=hits / max(1, int(listed.sum())),
        gain=cleaned - alone,
        gain_max=clean - alone,
    )


def _accuracy(case: Case, kept: Mask) -> float:
    """Accuracy on the judged held-out facts of a ridge head on the kept ones."""
    rows = standardised(case.features)
    learned, held = rows[:FACTS][kept], rows[FACTS:]
    classes = int(case.right.max()) + 1
    wanted = np.eye(classes, dtype=np.float32)[case.told[kept]]
    gram = learned @ learned.T
    gram.flat[:: len(gram) + 1] += PENALTY
    weights = learned.T @ np.linalg.solve(gram, wanted - wanted.mean(axis=0))
    answers = (held @ weights + wanted.mean(axis=0)).argmax(axis=1)
    return float((answers == case.right[FACTS:])[case.judged].mean())


def _levels(values: NDArray[np.generic]) -> Bytes:
    rows = np.asarray(values, np.float32)
    return encoder.freeze_quantiser(rows[::10], (slice(0, rows.shape[1]),)).quantise(rows)


if __name__ == "__main__":
    print(show(run(Path(os.environ["AURICLE_DATA"]))))
