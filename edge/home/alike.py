"""Facts and concepts that are most like examples in a file, to choose what to forget by example."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

import encoder

from ..core import Concept, ConfigError
from ..datasets import Example, Skipped, accepted_examples, read_examples
from .home import Home

FACTS_SHOWN: Final = 12
"""Facts shown, the most alike first: they fit a terminal of 24 lines with room for the question."""

CONCEPTS_SHOWN: Final = 3
"""Concepts shown: as many as an explanation names.  Chosen by hand; effect not measured."""

EXAMPLES_MAX: Final = 64
"""Examples of one file that are compared: a burst of pictures of one thing.  Chosen by hand; effect
not measured."""

CENTRE_FACTS: Final = 2_048
"""Facts whose mean is the origin of the cosines: as many as a geometry is fitted to."""

LENGTH_MIN: Final = 1e-6
"""Shortest row that is divided by: features of an example may equal the mean."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlikeFact:
    """A fact and how much it is like the nearest example: the cosine of the square roots of their
    features, around the mean of the facts; a copy has 1."""

    id: str
    domain: str
    label: str
    captured_at_ns: int
    likeness: float


@dataclass(frozen=True, slots=True)
class AlikeConcept:
    """A concept and how much its mean is like the nearest example, see `AlikeFact`."""

    domain: str
    label: str
    facts: int
    likeness: float


@dataclass(frozen=True, slots=True)
class Alike:
    """The facts and concepts most like the examples, nearest first.  examples: how many were
    compared."""

    facts: tuple[AlikeFact, ...]
    concepts: tuple[AlikeConcept, ...]
    examples: int


def find_alike_facts(home: Home, path: Path) -> Alike:
    """Return the facts and concepts most like the examples under a path: an image, a recording, a
    table of vectors.  Raises ConfigError if nothing can be read, or nothing is known.

    Cost: one pass over the facts, a second for 100,000 of the image encoder.
    """
    if not home.store.concepts():
        raise ConfigError(
            f"comparing {path} with the facts: the home has none", "learn something first"
        )
    examples = _encoded(home, path)
    mean = _roots(home.store.sample(CENTRE_FACTS).features).mean(axis=0)
    wanted = _unit(_roots(examples) - mean)
    sums: defaultdict[Concept, Floats] = defaultdict(lambda: np.zeros_like(mean))
    found: list[AlikeFact] = []
    for batch in home.store.batches():
        rows = _unit(_roots(batch.features) - mean)
        alike = (rows @ wanted.T).max(axis=1)
        for at in np.argsort(-alike, kind="stable")[:FACTS_SHOWN].tolist():
            fact = AlikeFact(
                id=batch.ids[at],
                domain=batch.domains[at],
                label=batch.labels[at],
                captured_at_ns=int(batch.captured_at_ns[at]),
                likeness=round(float(alike[at]), 4),
            )
            found.append(fact)
        for at, concept in enumerate(zip(batch.domains, batch.labels, strict=True)):
            sums[concept] += rows[at]
        found = sorted(found, key=lambda one: (-one.likeness, one.id))[:FACTS_SHOWN]
    return Alike(tuple(found), _nearest_concepts(home, sums, wanted), len(examples))


def _nearest_concepts(
    home: Home, sums: dict[Concept, Floats], wanted: Floats
) -> tuple[AlikeConcept, ...]:
    counts = home.store.concepts()
    made = [
        AlikeConcept(*concept, counts[concept], round(float((_unit(total) @ wanted.T).max()), 4))
        for concept, total in sums.items()
    ]
    return tuple(sorted(made, key=lambda one: (-one.likeness, one.domain, one.label)))[
        :CONCEPTS_SHOWN
    ]


def _encoded(home: Home, path: Path) -> NDArray[np.uint8]:
    """Return the features of the readable examples under a path, uint8 [n, width]."""
    rows: list[NDArray[np.uint8]] = []
    reason = "it holds no example"
    for item in read_examples(path, home.model.card, columns=home.store.columns()):
        if len(rows) == EXAMPLES_MAX:
            break
        if isinstance(item, Skipped):
            reason = item.reason
            continue
        assert isinstance(item, Example)
        try:
            rows.append(home.model.encode(item.payload).values)
        except encoder.EncoderError as error:
            reason = error.message
    if not rows:
        raise ConfigError(
            f"comparing {path} with the facts: {reason}", accepted_examples(home.model.card)
        )
    return np.stack(rows)


def _roots(rows: NDArray[np.uint8]) -> Floats:
    """Return square roots, which even out the variance of rectified features: see
    `core.duplicates`, whose nearness this is."""
    return np.sqrt(rows.astype(np.float32))


def _unit(rows: Floats) -> Floats:
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, LENGTH_MIN), np.float32)
