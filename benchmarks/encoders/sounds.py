"""Embeddings of sound beside `log_mel`: accuracy of labels over domains, novelty, time and size."""

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

import numpy as np

import encoder
from encoder import Card

from ..continual.data import ContinualSamples
from ..continual.ours import answer_rows, derive
from ..ood.sets import FeatureSet, MissingError
from ..ood.sounds import instruments, letters, prompts
from ..ood.trials import OodTask, run_trial
from ..report import BenchmarkRow
from .pictures import mebibytes
from .speech import make_speech

SETS = {"prompts": prompts, "letters": letters, "instruments": instruments}
"""Sets of sounds in Debian packages, see benchmarks/ood/sounds.py."""
SEEDS = (0, 1, 2)
"""Splits of the recordings, for a mean."""
HELD = 0.3
"""Of the recordings, for the test, as in the trials of novelty."""
ROUNDS = 40
"""Windows that time is measured on.  Chosen by hand."""
LOG_MEL, SPEECH = "log_mel", "speech embedding"


def sound_rows() -> tuple[list[BenchmarkRow], list[str]]:
    """Return the figures of both encoders of sound and of both side by side, and what is
    missing."""
    rows: list[BenchmarkRow] = []
    notes: list[str] = []
    with tempfile.TemporaryDirectory(prefix="sounds-") as folder:
        cards = {LOG_MEL: encoder.shipped_card("log_mel")}
        try:
            cards[SPEECH] = make_speech(Path(folder, "speech"))
        except MissingError as reason:
            notes.append(f"skipped {SPEECH}: {reason}")
        if SPEECH in cards:
            both = [cards[LOG_MEL], cards[SPEECH]]
            cards["both side by side"] = encoder.side_by_side(both, Path(folder, "both"))
        rows += _cost(cards)
        for name, load in SETS.items():
            try:
                for method, card in cards.items():
                    found = _figures(load(card))
                    rows += [BenchmarkRow(method, f"{name}_{key}", v) for key, v in found.items()]
            except MissingError as reason:
                notes.append(f"skipped {name}: {reason}")
    return rows, notes


def _figures(known: FeatureSet) -> dict[str, float]:
    """Return the accuracy of labels with unknown domains, and novelty with one domain known."""
    accuracies = []
    for seed in SEEDS:
        samples = _split(known, seed)
        found = answer_rows(derive(samples, samples.train, seed), samples, samples.held)
        right = found.answered == samples.label[samples.held]
        groups = samples.domain[samples.held]
        accuracies.append(fmean(float(right[groups == one].mean()) for one in np.unique(groups)))
    trials = [run_trial(known, OodTask(source, 0), peers=False) for source in known.sources]
    return {
        "accuracy": fmean(accuracies),
        "novelty_auroc": fmean(v for one in trials for v in one.auroc.values()),
        "novelty_fpr95": fmean(v for one in trials for v in one.fpr95.values()),
    }


def _split(known: FeatureSet, seed: int) -> ContinualSamples:
    """Return the set with some recordings of it held out."""
    assert known.group is not None
    names, members = np.unique(known.group, return_inverse=True)
    held = (np.random.default_rng(seed).random(len(names)) < HELD)[members]
    scale, zero = known.quantiser(known.values[~held])
    quantiser = encoder.Quantiser(scale, zero.astype(np.int32))
    return ContinualSamples(
        features=quantiser.quantise(known.values),
        label=known.label,
        domain=known.domain,
        train=np.flatnonzero(~held),
        held=np.flatnonzero(held),
        spans=known.slices,
        quantiser=quantiser,
    )


def _cost(cards: Mapping[str, Card]) -> list[BenchmarkRow]:
    """Return the processor time of a window, measured in turns, and the size of the files."""
    random = np.random.default_rng(0)
    windows = random.uniform(-0.3, 0.3, (ROUNDS, 16_000, 1)).astype(np.float32)
    models = {name: encoder.open_model(card) for name, card in cards.items()}
    taken: dict[str, list[float]] = {name: [] for name in cards}
    for window in windows:
        for name, model in models.items():
            started = time.process_time_ns()
            model.measure([window])
            taken[name].append((time.process_time_ns() - started) / 1e3)
    return [
        row
        for name, card in cards.items()
        for row in (
            BenchmarkRow(name, "us_per_window", float(np.median(taken[name][1:]))),
            BenchmarkRow(name, "mib", mebibytes(card)),
        )
    ]
