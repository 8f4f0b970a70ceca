"""Small synthetic enrolments for the tests of `hdc`."""

import numpy as np
from numpy.typing import NDArray

import hdc

TAPS = ((0, 40), (40, 48), (48, 60))
LABELS = ("cat", "dog")


def draw(
    seed: int, count: int, label: int = 0, shift: int = 0, width: int = 60
) -> NDArray[np.uint8]:
    """Draw rows around the class centre of `label`, shifted by `shift` levels."""
    centre = np.random.default_rng(1000 + label).integers(60, 180, width)
    noise = np.random.default_rng(seed).normal(0, 12, (count, width))
    return np.clip(np.rint(centre + shift + noise), 0, 255).astype(np.uint8)


def many_groups(seed: int, count: int, groups: int = 8) -> NDArray[np.uint8]:
    """Draw rows of a class that is `groups` small groups far apart."""
    centres = np.random.default_rng(99).integers(30, 220, (groups, 60))
    rows = centres[np.arange(count) % groups]
    return np.clip(rows + np.random.default_rng(seed).normal(0, 4, rows.shape), 0, 255).astype(
        np.uint8
    )


def enrolment(seed: int = 0, count: int = 60) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw two classes of `count` rows each, with their labels."""
    rows = np.concatenate([draw(seed + label, count, label) for label in range(2)])
    return rows, np.repeat([0, 1], count)


def learned(seed: int = 0, count: int = 60) -> tuple[hdc.Memory, list[tuple[str, str, hdc.Codes]]]:
    """Return a memory with a fitted geometry and one domain, and its facts."""
    rows, labels = enrolment(seed, count)
    geometry = hdc.fit_geometry(rows, labels, TAPS, 5, bits=1024)
    memory, codes = hdc.Memory(geometry), geometry.project(rows)
    facts = [("home", LABELS[n], codes[labels == n]) for n in range(2)]
    for fact in facts:
        memory.add(*fact)
    return memory, facts
