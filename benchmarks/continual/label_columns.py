"""What a name for a cluster of unlabelled pictures is worth: label columns that answer.

PACS through the default encoder.  One domain is known by five of its seven labels; 256 pictures of
another one wait without labels.  Their clusters are named one after the other, each by the label of
the picture that stands for it, as a person does who follows what is offered.  Accuracy on 1,000
other pictures of the new domain, all seven labels counting.
"""

from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import fmean

import numpy as np

from edge.core import FactBatch, untimed_batch
from edge.core.adaptation import learn_unlabelled
from edge.core.adaptors import Adaptor, fit_adaptor
from edge.core.session import column_clusters, expert_answers, find_columns
from encoder import DEFAULT_ENCODER, shipped_card

from ..adapt.pictures import PICTURES
from ..encoders.pictures import pacs_samples
from ..report import BenchmarkReport, BenchmarkRow
from .data import ContinualSamples, Ints, missing

PAIRS = ((0, 1), (0, 2), (0, 3), (1, 0), (2, 1))
"""The known domain and the new one.  The say of a name was chosen on the first two."""
NAMES = (4, 7, 14, 20)
"""Clusters that are named."""
DRAWS = 4
"""Draws of pictures and of the known labels."""
KNOWN_LABELS, KNOWN_ROWS = 5, 500
"""Labels of the known domain, and its pictures.  Chosen by hand."""
WAITING, TESTED = 256, 1_000
"""Pictures of the new domain without labels, and others that are tested."""
DOMAINS = ("photo", "art", "cartoon", "sketch")
FACTS, PLAIN, COLUMNS = "named pictures alone", "unlabelled pictures too", "label columns"


def run(data: Path | None) -> BenchmarkReport:
    """Run all pairs; about five minutes of processor time."""
    note = missing(data, PICTURES)
    if note or data is None:
        return BenchmarkReport("label-columns", (), {}, (note,))
    samples = pacs_samples(shipped_card(DEFAULT_ENCODER), data)
    rows: list[BenchmarkRow] = []
    for known, new in PAIRS:
        for names in NAMES:
            found: dict[str, list[float]] = defaultdict(list)
            for draw in range(DRAWS):
                for method, accuracy in trial(samples, (known, new), names, draw):
                    found[method].append(accuracy)
            metric = f"{DOMAINS[known]}_{DOMAINS[new]}_{names}_names"
            rows += [BenchmarkRow(one, metric, fmean(values)) for one, values in found.items()]
    return BenchmarkReport("label-columns", tuple(rows), summarise(rows))


def summarise(rows: list[BenchmarkRow]) -> dict[str, float]:
    """Return the points that columns gain over the named pictures alone, and over unlabelled
    pictures without columns: the mean and the least."""
    found = {(row.method, row.metric): row.value for row in rows}
    metrics = dict.fromkeys(row.metric for row in rows)
    made: dict[str, float] = {}
    for name, rival in (("gain", FACTS), ("gain_over_unlabelled", PLAIN)):
        gains = [100 * (found[COLUMNS, one] - found[rival, one]) for one in metrics]
        made |= {f"{name}_points": fmean(gains), f"{name}_least": min(gains)}
    return made


def trial(
    samples: ContinualSamples, pair: tuple[int, int], names: int, draw: int
) -> Iterator[tuple[str, float]]:
    """Yield method and accuracy of one draw.  pair: the known domain and the new one."""
    random = np.random.default_rng([*pair, draw])
    labels = random.permutation(samples.classes)[:KNOWN_LABELS]
    known = (samples.domain == pair[0]) & np.isin(samples.label, labels)
    old = _facts(samples, random.permutation(np.flatnonzero(known))[:KNOWN_ROWS])
    rows = random.permutation(np.flatnonzero(samples.domain == pair[1]))
    waiting, tested = np.sort(rows[:WAITING]), rows[WAITING:][:TESTED]
    expert = fit_adaptor(old, _facts(samples, rows[:0]), None, samples.spans)
    named = name_clusters(samples, waiting, expert, names)
    own = _facts(samples, named)
    levels = samples.features[np.setdiff1d(waiting, named)]
    alone = fit_adaptor(own, old, None, samples.spans)
    yield FACTS, _accuracy(alone, samples, tested)
    learn = partial(learn_unlabelled, own, old, levels, samples.spans)
    for method, group in ((PLAIN, None), (COLUMNS, column_clusters(own, levels))):
        yield method, _accuracy(learn(group=group) or alone, samples, tested)


def name_clusters(samples: ContinualSamples, waiting: Ints, expert: Adaptor, count: int) -> Ints:
    """Return the pictures whose labels name so many clusters, one after the other."""
    named: list[int] = []
    for _ in range(count):
        left = np.setdiff1d(waiting, named)
        answers = expert_answers((expert,), samples.features[left])
        facts = _facts(samples, np.array(named, np.int64))
        ids = [f"{row:05}" for row in left.tolist()]
        columns = find_columns("new", ids, samples.features[left], facts, answers)
        named.append(int(columns[0].samples[0]))
    return np.array(named, np.int64)


def _accuracy(adaptor: Adaptor, samples: ContinualSamples, rows: Ints) -> float:
    labels = np.array(adaptor.labels, np.int64)
    answered = labels[adaptor.answer(samples.features[rows]).argmax(axis=1)]
    return float((answered == samples.label[rows]).mean())


def _facts(samples: ContinualSamples, rows: Ints) -> FactBatch:
    at = np.sort(rows)
    return untimed_batch(
        tuple(f"{row:05}" for row in at.tolist()),
        tuple(f"domain-{samples.domain[row]}" for row in at),
        tuple(f"{samples.label[row]}" for row in at),
        samples.features[at],
    )
