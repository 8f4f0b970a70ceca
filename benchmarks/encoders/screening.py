"""A quick comparison of encoders: every third picture of PACS, heads alone, random splits."""

from dataclasses import replace
from statistics import fmean

import numpy as np

from ..continual import labels as cl_labels
from ..continual.data import ContinualSamples
from ..continual.ours import answer_rows, derive

STEP = 3
"""One picture in three: a third of the time, and a fifth of it still tests 670 pictures."""
SPLITS = 4
"""Random splits, for a mean: a standard error of about half a point, less between encoders."""
HELD = 0.2
"""Of the pictures, for the test with all labels."""
HALF = 0.5
"""Of the pictures, for the test with few labels, which needs fewer to learn from."""
LABELS = 10
"""Labels a class."""
NEW = (1, 2, 3)
"""Domains of PACS that are new after photo: art, cartoon, sketch."""


def screened(samples: ContinualSamples) -> dict[str, float]:
    """Return the accuracy after all domains, domain unknown, and that with ten labels a class in a
    new domain while photos are known; means over domains and splits."""
    accuracies = []
    for seed in range(SPLITS):
        part = _split(samples, seed, HELD)
        found = answer_rows(derive(part, part.train, seed), part, part.held)
        right, domain = found.answered == part.label[part.held], part.domain[part.held]
        accuracies.append(fmean(float(right[domain == one].mean()) for one in np.unique(domain)))
    return {"accuracy": fmean(accuracies), "labels10": _ten_labels(_split(samples, SPLITS, HALF))}


def label_rows(samples: ContinualSamples) -> cl_labels.PacsLabels:
    """Return samples in the form of the benchmark of labels, without floats, which only peers
    read."""
    count = len(samples.label)
    return cl_labels.PacsLabels(
        values=np.empty((count, 0), np.float32),
        levels=samples.features,
        label=samples.label,
        domain=samples.domain,
        held=np.isin(np.arange(count), samples.held),
        spans=samples.spans,
    )


def _ten_labels(samples: ContinualSamples) -> float:
    pacs = label_rows(samples)
    found = []
    for new in NEW:
        test = samples.held[samples.domain[samples.held] == new]
        for draw in range(SPLITS):
            own, old = cl_labels.draw_labels(pacs, new, (cl_labels.PHOTO,), LABELS, draw)
            answered = cl_labels.head_answers(pacs, own, old, test)
            found.append(float((answered == samples.label[test]).mean()))
    return fmean(found)


def _split(samples: ContinualSamples, seed: int, share: float) -> ContinualSamples:
    held = np.random.default_rng(seed).random(len(samples.label)) < share
    return replace(samples, train=np.flatnonzero(~held), held=np.flatnonzero(held))
