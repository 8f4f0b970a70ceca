"""The world of a scenario: its samples, encoded, with the corruptions that protocols ask for."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import encoder

from ...core import ConfigError
from ..corruptions import IMAGES_ONLY, SEVERITIES, VECTORS_ONLY, corrupt_values
from ..replay import encode_cached
from ..samples import SampleSet, decode_image, read_samples, select_samples
from ..scenarios import VECTOR, PolicyScenario, suggest
from ..sweep import make_card
from .kinds import POLICIES
from .protocols import PROTOCOLS, WORST, AdaptationWorld, Change
from .sensor_changes import LEVEL, change_sensor
from .source_model import Bytes, LabelledRows, seeded
from .trial import StreamPlan

CLASS_ROWS_MIN: Final = 10
"""Fewest samples of a class in a domain: half of them are learned."""
CLASSES_MIN: Final = 2
"""Fewest classes: with one there is nothing to tell apart."""

NEEDS: Final = {
    "left out": "three domains",
    "open set": "a second domain and three classes",
    "changes": 'the encoder "vector"',
    "severity": "samples that corruptions can change",
    "turning": "samples that corruptions can change",
}
"""What protocols need of a scenario, by how their names begin."""
OTHER_NEED: Final = "a second domain"
"""What the other protocols need."""


def choose_policies(scenario: PolicyScenario) -> tuple[str, ...]:
    """Return the names of a scenario's policies; raises ConfigError for an unknown one."""
    return _names(scenario.title, "policy", scenario.policy, POLICIES)


def plan_scenario(scenario: PolicyScenario) -> tuple[StreamPlan, tuple[str, ...]]:
    """Return the streams of a scenario, its samples read and encoded once, and the classes that are
    left out.

    Raises ConfigError for an unknown protocol, unreadable samples and too few of them.
    """
    protocols = _names(scenario.title, "protocol", scenario.protocol, PROTOCOLS)
    world, left_out = read_world(scenario, protocols)
    homes = {
        name: () if name.startswith("left out") else (scenario.first_domain,) for name in protocols
    }
    return StreamPlan(lambda _: world, homes), left_out


def explain_absent(scenario: PolicyScenario, shown: Collection[str]) -> str:
    """Return why protocols that a scenario names have no stream, nothing where all have one."""
    protocols = _names(scenario.title, "protocol", scenario.protocol, PROTOCOLS)
    if len(protocols) == len(PROTOCOLS):
        return ""
    needs: dict[str, list[str]] = {}
    for name in protocols:
        if name not in shown:
            found = next((need for key, need in NEEDS.items() if name.startswith(key)), OTHER_NEED)
            needs.setdefault(found, []).append(name)
    return "; ".join(f"no stream for {', '.join(n)}: needs {need}" for need, n in needs.items())


def read_world(
    scenario: PolicyScenario, protocols: Sequence[str]
) -> tuple[AdaptationWorld, tuple[str, ...]]:
    """Read and encode the samples of a scenario; corruptions of the home where protocols name
    their severities, and changes of a sensor where they name those.  And the classes of which some
    domain has too few samples."""
    card = make_card(scenario)
    sets = {name: _drawn(name, scenario) for name in scenario.domains}
    labels = _shared_labels(scenario.title, {name: one for name, (one, _) in sets.items()})
    domains, home_payloads = {}, []
    for name, (samples, spread) in sets.items():
        kept = [row for row, label in enumerate(samples.labels) if label in labels]
        payloads = [
            _corrupted(samples, row, scenario.domains[name].corruptions, spread) for row in kept
        ]
        targets = np.array([labels.index(samples.labels[row]) for row in kept], np.int64)
        features = _encode(card, payloads, [samples.name(row) for row in kept])
        domains[name] = LabelledRows(features, targets)
        if name == scenario.first_domain:
            home_payloads = payloads
    spread = sets[scenario.first_domain][1]
    vectors = bool(sets[scenario.first_domain][0].taps)
    changed: dict[Change, Bytes] = {
        change: encode_cached(card, _change_all(home_payloads, change, spread))
        for change in _changes(protocols, vectors=vectors)
    }
    if vectors and any(name.startswith("changes") for name in protocols):
        home = domains[scenario.first_domain].features
        changed |= change_sensor(home / LEVEL, home.shape[1], 0)
    world = AdaptationWorld(
        name=scenario.title,
        domains=domains,
        spans=tuple((one.start, one.stop) for one in card.slices),
        changed={scenario.first_domain: changed},
    )
    found = {label for samples, _ in sets.values() for label in samples.labels}
    return world, tuple(sorted(found.difference(labels)))


def _drawn(name: str, scenario: PolicyScenario) -> tuple[SampleSet, NDArray[np.float64]]:
    """Return samples of a domain drawn at random, and their range of values."""
    samples = read_samples(scenario.domains[name], flat=scenario.encoder.model == VECTOR)
    spread = samples.spread()
    order = seeded("scenario", scenario.title, name).permutation(len(samples))
    rows = np.sort(order[: scenario.samples]).tolist()
    return select_samples(samples, rows), spread


def _encode(card: encoder.Card, payloads: Sequence[Any], names: Sequence[str]) -> Bytes:
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
            f"comparing policies on {title!r}: expected {CLASSES_MIN} classes with"
            f" {CLASS_ROWS_MIN} samples in every domain, found {shared}",
            "name domains with the same classes, or raise `samples`",
        )
    return shared


def _corrupted(
    samples: SampleSet, row: int, corruptions: Sequence[Any], spread: NDArray[np.float64]
) -> Any:
    """Return a payload after the corruptions of its domain."""
    payload = samples.read(row)
    for one in corruptions:
        random = seeded("corruption", one.kind, row)
        values = payload if samples.taps else _decode(payload, samples.name(row))
        payload = corrupt_values(values, one.kind, one.severity, spread, random)
    return payload


def _changes(protocols: Sequence[str], *, vectors: bool) -> Iterator[Change]:
    """Yield the changes that protocols ask for: those of their severities that suit the
    samples."""
    unfit = IMAGES_ONLY if vectors else VECTORS_ONLY
    for kind, levels in SEVERITIES.items():
        for level in levels:
            named = any(name.startswith(f"severity {level}") for name in protocols)
            if kind not in unfit and (named or (level == WORST and "turning" in protocols)):
                yield Change(kind, level)


def _change_all(
    payloads: Sequence[Any], change: Change, spread: NDArray[np.float64]
) -> list[NDArray[Any]]:
    severity = SEVERITIES[change.kind][change.severity]
    return [
        corrupt_values(
            decode_image(payload),
            change.kind,
            severity,
            spread,
            seeded("change", change.kind, change.severity, row),
        )
        for row, payload in enumerate(payloads)
    ]


def _names(
    title: str, key: str, found: str | tuple[str, ...], table: Mapping[str, object]
) -> tuple[str, ...]:
    """Return the entries of a table that a key names: all for "all" or nothing."""
    names = (found,) if isinstance(found, str) else found
    if names in ((), ("all",)):
        return tuple(table)
    for name in names:
        if name not in table:
            raise ConfigError(
                f"reading scenario {title!r}: {key} is {name!r}, expected one of"
                f" {', '.join(map(repr, table))}",
                suggest(name, tuple(table)),
            )
    return names
