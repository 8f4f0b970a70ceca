"""Samples from a user's tables and sounds, read as `auricle learn` reads them."""

from pathlib import Path

import numpy as np

import encoder

from ..core import ConfigError
from ..datasets import Example, Skipped, read_examples
from .sample_set import SampleSet
from .scenarios import DomainSpec

SELECTABLE = ("domain", "subject", "recording")
"""Columns of a table, and parts of a sound's origin, that `where` can select by."""


def read_example_samples(domain: DomainSpec, card: encoder.Card | None = None) -> SampleSet:
    """Read the rows of a .csv, or the windows of the WAV files of a folder for a card of sounds.

    A table has a column `label`; every column that is not recognised is a feature.  Raises
    ConfigError for a row or sound that cannot be read or has no label, with its place.
    """
    unknown = sorted(set(domain.where) - set(SELECTABLE))
    if unknown:
        raise ConfigError(
            f"reading samples from {domain.source}: where names {unknown}, expected some of"
            f" {SELECTABLE}",
            "name one of these columns",
        )
    found = [_checked(one) for one in read_examples(Path(domain.source), card).items]
    kept = [
        one
        for one in found
        if all(getattr(one, key) == str(value) for key, value in domain.where.items())
    ]
    sounds = card is not None and card.kind == "window"
    payloads = [np.asarray(one.payload, np.float32) for one in kept]
    return SampleSet(
        tuple(one.label for one in kept),
        payloads.__getitem__,
        () if sounds or not payloads else (("features", payloads[0].size),),
        lambda row: kept[row].source,
    )


def _checked(one: Example | Skipped) -> Example:
    if isinstance(one, Skipped):
        raise ConfigError(
            f"reading samples from {one.source}: {one.reason}", "correct it, or take it out"
        )
    if not one.label:
        raise ConfigError(
            f"reading samples from {one.source}: expected a label, found none",
            "add a column `label` to a table, or put sounds into a folder for each class",
        )
    return one
