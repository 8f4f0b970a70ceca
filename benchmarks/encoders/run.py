"""Encoders compared under the product's settings: accuracy, novelty, time and size.

Per encoder: PACS domain after domain with unknown domains at test time, in all 24 orders, by heads
alone (`accuracy`, `forgetting`), and for the default and the best ones with
adaptors grown once (`grown_accuracy`, `grown_forgetting`); PACS class after class; ten labels a
class in art, cartoon or sketch with photos known; novelty with one domain known; MNIST and
optdigits domain after domain; processor time of a picture on one thread, measured in turns, and the
size of the file.  Features are those of the card's own frozen quantiser.  Sounds: sounds.py.

Times are compared with that of EfficientNet-Lite0 as it was trained.  Summary: default, best:
accuracy of the default encoder, and of the best within 1.2 of those times; best_accuracy,
best_time_ratio: of the best within two; labels10_default, labels10_best: of the default and of that
last one, with unlabelled pictures where they were measured.  Accuracies are those with adaptors
where they were grown.
"""

import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from encoder import Card

from ..adapt.pictures import PICTURES
from ..continual import classes as cl_classes
from ..continual import labels as cl_labels
from ..continual.data import ContinualSamples, missing
from ..continual.domains import grown_marks, heads_marks, plan
from ..ood.sets import FeatureSet
from ..ood.trials import OodTask, run_trial
from ..report import BenchmarkReport, BenchmarkRow
from .forms import FORMS, QUICK
from .pictures import digit_samples, mebibytes, pacs_samples, picture_times
from .screening import LABELS, NEW, STEP, label_rows, screened
from .sounds import sound_rows

REFERENCE, DEFAULT = "lite0", "lite0 spread"
"""In FORMS: what times are compared with, and the encoder of a new home."""
TIGHT, LOOSE = 1.2, 2.0
"""Times of the reference within which the default and the best one are looked for (the project's
aim)."""
SEEDS = (0, 1, 2)
"""Hypervectors and adaptors, for a mean."""
DRAWS = 3
"""Draws of the labelled rows, for a mean."""
TRIALS = 2
"""Seeds of a novelty trial for each domain."""

Found = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderResult:
    """The figures of one encoder by name."""

    name: str
    figures: Mapping[str, float]

    @property
    def accuracy(self) -> float:
        """The accuracy with adaptors where they were grown, else by heads alone."""
        return self.figures.get("grown_accuracy", self.figures["accuracy"])

    @property
    def labels10(self) -> float:
        """The accuracy with ten labels a class, with unlabelled pictures where it was measured."""
        return self.figures.get("labels10_unlabelled", self.figures["labels10"])


def run(
    data: Path | None, *, quick: bool = False, sets: Sequence[str] | None = None
) -> BenchmarkReport:
    """Run all encoders; some three hours on one core the first time, most of it adaptors and
    encoding PACS (two minutes an encoder, cached for later runs).

    quick: four encoders on every third picture, see screening.py; some ten minutes.  sets: names in
    FORMS instead.
    """
    note = missing(data, PICTURES)
    if note or data is None:
        return BenchmarkReport("encoders", (), {}, (note,))
    names = list(sets or (QUICK if quick else FORMS))
    names = list(dict.fromkeys((REFERENCE, DEFAULT, *names)))
    with tempfile.TemporaryDirectory(prefix="encoders-") as folder:
        cards = {name: FORMS[name](Path(folder, name)) for name in names}
        times = picture_times(cards, data)
        results = []
        for name, card in cards.items():
            figures = _size(card, times[name], times[REFERENCE])
            figures |= screened(pacs_samples(card, data, STEP)) if quick else measure(card, data)
            results.append(EncoderResult(name=name, figures=figures))
        if not quick:
            results = [_with_adaptors(one, results, cards, data) for one in results]
    rows = [BenchmarkRow(one.name, *pair) for one in results for pair in one.figures.items()]
    sounds, notes = ([], ["quick: one picture in three"]) if quick else sound_rows()
    return BenchmarkReport("encoders", (*rows, *sounds), summarise(results), tuple(notes))


def measure(card: Card, data: Path) -> Found:
    """Return the figures of an encoder by heads alone."""
    samples = pacs_samples(card, data)
    found = _classes(samples) | ten_labels(samples) | novelty(samples, card)
    for prefix, several in (("", samples), ("digits_", digit_samples(card))):
        course = plan(several)
        marks = [heads_marks(course, seed) for seed in SEEDS]
        found[f"{prefix}accuracy"] = fmean(mark for mark, _ in marks)
        found[f"{prefix}forgetting"] = fmean(mark for _, mark in marks)
    return found


def best_within(results: Sequence[EncoderResult], ratio: float) -> EncoderResult:
    """Return the most accurate encoder within `ratio` times the default's time."""
    return max(
        (one for one in results if one.figures["time_ratio"] <= ratio),
        key=lambda one: one.accuracy,
    )


def summarise(results: Sequence[EncoderResult]) -> Found:
    """Return the summary."""
    default = next(one for one in results if one.name == DEFAULT)
    best = best_within(results, LOOSE)
    return {
        "default": default.accuracy,
        "best": best_within(results, TIGHT).accuracy,
        "best_accuracy": best.accuracy,
        "best_time_ratio": best.figures["time_ratio"],
        "labels10_default": default.labels10,
        "labels10_best": best.labels10,
    }


def ten_labels(samples: ContinualSamples) -> Found:
    """Return the accuracy with ten labels a class in a new domain, photos known, by the head, and
    by one that learns from unlabelled pictures too: on its part of the official test, and on other
    pictures of it."""
    pacs = label_rows(samples)
    marks: dict[str, list[float]] = defaultdict(list)
    for new in NEW:
        for draw in range(DRAWS):
            own, old = cl_labels.draw_labels(pacs, new, (cl_labels.PHOTO,), LABELS, draw)
            tests = cl_labels.test_rows(pacs, own, new, draw)
            test = np.concatenate(tests)
            unlabelled = cl_labels.unlabelled_rows(pacs, own, new, draw)
            answered = {
                "": cl_labels.head_answers(pacs, own, old, test),
                "_unlabelled": cl_labels.unlabelled_answers(pacs, own, old, test, unlabelled),
            }
            for name, found in answered.items():
                right = found == samples.label[test]
                marks[f"labels10{name}"].append(float(right[: len(tests[0])].mean()))
                marks[f"labels10{name}_rest"].append(float(right[len(tests[0]) :].mean()))
    return {name: fmean(values) for name, values in marks.items()}


def novelty(samples: ContinualSamples, card: Card) -> Found:
    """Return AUROC and FPR95 with one domain known, the mean over domains."""
    assert card.quantiser is not None
    quantiser = card.quantiser
    known = FeatureSet(
        name="pacs",
        values=quantiser.dequantise(samples.features),
        label=samples.label,
        domain=samples.domain,
        slices=samples.spans,
        granularity="tap",
        sources=tuple(range(samples.domains)),
        frozen=(quantiser.scale, quantiser.zero.astype(np.int64)),
    )
    trials = [
        run_trial(known, OodTask(source, seed), peers=False)
        for source in known.sources
        for seed in range(TRIALS)
    ]
    return {
        "novelty_auroc": fmean(v for one in trials for v in one.auroc.values()),
        "novelty_fpr95": fmean(v for one in trials for v in one.fpr95.values()),
    }


def _with_adaptors(
    one: EncoderResult, results: Sequence[EncoderResult], cards: Mapping[str, Card], data: Path
) -> EncoderResult:
    """Return the result with the figures of adaptors for the reference, the default and the
    best encoders."""
    chosen = {REFERENCE, DEFAULT, *(best_within(results, ratio).name for ratio in (TIGHT, LOOSE))}
    if one.name not in chosen:
        return one
    course = plan(pacs_samples(cards[one.name], data))
    found = [grown_marks(course, seed) for seed in SEEDS]
    grown = {
        "grown_accuracy": fmean(mark for mark, _ in found),
        "grown_forgetting": fmean(mark for _, mark in found),
    }
    return EncoderResult(name=one.name, figures={**one.figures, **grown})


def _classes(samples: ContinualSamples) -> Found:
    made = cl_classes.course("classes", samples, 1, {})
    found = {row.metric: row.value for row in cl_classes.ours([made], cl_classes.OURS)}
    return {
        "classes_accuracy": found["classes_final_accuracy"],
        "classes_forgetting": found["classes_forgetting"],
    }


def _size(card: Card, taken: float, reference: float) -> Found:
    return {
        "us_per_picture": taken,
        "time_ratio": taken / reference,
        "mib": mebibytes(card),
        "columns": float(card.width),
    }
