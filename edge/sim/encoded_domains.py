"""The labelled samples of a scenario that runs no device: read, corrupted and encoded once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import encoder

from ..core import ConfigError
from .adaptation.source_model import LabelledRows, seeded
from .corruptions import corrupt_values
from .replay import encode_cached
from .sample_set import SampleSet, select_samples
from .samples import decode_image, read_samples
from .scenarios import VECTOR, SampledScenario
from .sweep import make_card

CLASS_ROWS_MIN: Final = 10
"""Fewest samples of a class in a domain: half of them are learned."""
CLASSES_MIN: Final = 2
"""Fewest classes: with one there is nothing to tell apart."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DrawnSamples:
    """Samples of a domain drawn at random.  spread: their range of values, for corruptions."""

    samples: SampleSet
    spread: NDArray[np.float64] = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class EncodedDomains:
    """Domains in one encoder's features.

    labels: names by number; left_out: classes of which some domain has too few samples; payloads:
    of the first domain, in the order of its rows; drawn: its samples.
    """

    domains: Mapping[str, LabelledRows] = field(repr=False)
    labels: tuple[str, ...]
    left_out: tuple[str, ...]
    card: encoder.Card = field(repr=False)
    payloads: Sequence[Any] = field(repr=False)
    drawn: DrawnSamples = field(repr=False)

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """The (start, stop) of the encoder's taps."""
        return tuple((one.start, one.stop) for one in self.card.slices)


def read_domains(scenario: SampledScenario, samples: int) -> EncodedDomains:
    """Read, corrupt and encode at most some samples of each domain; classes count of which every
    domain has ten or more.

    Raises ConfigError for unreadable samples and too few of them.
    """
    card = make_card(scenario)
    if card.kind == "window" and any(one.corruptions for one in scenario.domains.values()):
        raise ConfigError(
            f"reading scenario {scenario.title!r}: corruptions change images and vectors, the"
            f" encoder {card.name!r} takes sounds",
            "leave out the corruptions",
        )
    sets = {name: _drawn(name, scenario, samples, card) for name in scenario.domains}
    labels = _shared_labels(scenario.title, {name: one.samples for name, one in sets.items()})
    domains: dict[str, LabelledRows] = {}
    payloads: dict[str, list[Any]] = {}
    for name, one in sets.items():
        kept = [row for row, label in enumerate(one.samples.labels) if label in labels]
        corruptions = scenario.domains[name].corruptions
        payloads[name] = [_corrupted(one, row, corruptions) for row in kept]
        targets = np.array([labels.index(one.samples.labels[row]) for row in kept], np.int64)
        features = _encode(card, payloads[name], [one.samples.name(row) for row in kept])
        domains[name] = LabelledRows(features, targets)
    found = {label for one in sets.values() for label in one.samples.labels}
    return EncodedDomains(
        domains=domains,
        labels=tuple(labels),
        left_out=tuple(sorted(found.difference(labels))),
        card=card,
        payloads=payloads[scenario.first_domain],
        drawn=sets[scenario.first_domain],
    )


def _drawn(name: str, scenario: SampledScenario, most: int, card: encoder.Card) -> DrawnSamples:
    flat = scenario.encoder.model == VECTOR
    samples = read_samples(scenario.domains[name], flat=flat, card=card)
    spread = samples.spread()
    order = seeded("scenario", scenario.title, name).permutation(len(samples))
    rows = np.sort(order[:most]).tolist()
    return DrawnSamples(samples=select_samples(samples, rows), spread=spread)


def _encode(card: encoder.Card, payloads: Sequence[Any], names: Sequence[str]) -> NDArray[np.uint8]:
    """Return the features of payloads; raises ConfigError with the name of one that cannot be
    decoded."""
    try:
        return encode_cached(card, payloads)
    except encoder.PayloadError as error:
        for payload, name in zip(payloads, names, strict=True):
            _decode(payload, name)
        raise ConfigError(f"encoding samples: {error.message}", error.hint) from error


def _decode(payload: Any, name: str) -> NDArray[np.uint8]:
    """Return the pixels of an image; raises ConfigError with its name where it is damaged."""
    try:
        return decode_image(payload)
    except (OSError, SyntaxError, ValueError) as error:  # Those that decoders of Pillow raise.
        raise ConfigError(
            f"reading {name}: expected a whole image, found none",
            "remove the file, or copy it again",
        ) from error


def _shared_labels(title: str, sets: Mapping[str, SampleSet]) -> list[str]:
    """Return the labels of which every domain has enough samples; raises ConfigError where they
    are too few."""
    frequent = [
        {one for one in set(samples.labels) if samples.labels.count(one) >= CLASS_ROWS_MIN}
        for samples in sets.values()
    ]
    shared = sorted(set.intersection(*frequent))
    if len(shared) < CLASSES_MIN:
        raise ConfigError(
            f"comparing on {title!r}: expected {CLASSES_MIN} classes with"
            f" {CLASS_ROWS_MIN} samples in every domain, found {shared}",
            "name domains with the same classes, or raise `samples`",
        )
    return shared


def _corrupted(drawn: DrawnSamples, row: int, corruptions: Sequence[Any]) -> Any:
    """Return a payload after the corruptions of its domain."""
    samples = drawn.samples
    payload = samples.read(row)
    for one in corruptions:
        random = seeded("corruption", one.kind, row)
        values = payload if samples.taps else _decode(payload, samples.name(row))
        payload = corrupt_values(values, one.kind, one.severity, drawn.spread, random)
    return payload
