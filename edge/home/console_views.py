"""Descriptions of a home for the console: its knowledge, the values of observations, and the effect
of a forget request before it is sent."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from ..core import (
    AppliedAdaptation,
    CalibrationStatus,
    Concept,
    DomainMerge,
    EdgeError,
    Selector,
    SeriesForgotten,
)
from .growth import AdaptorSummary, list_adaptors
from .home import Home
from .labelling import column_names

SAMPLE_IDS_MAX: Final = 20
"""Ids shown of the observations that a forget would erase: enough to recognise them."""

FORGET_S: Final = (0.2, 40e-6)
"""Seconds that a forget takes at least, and for each fact.  Measured on one core of an x86 gateway
with 10,000 facts of the shipped encoder."""


class ConceptView(msgspec.Struct, frozen=True):
    """A concept.  newest_at_ns: capture time of its newest fact, 0 if unknown."""

    domain: str
    label: str
    facts: int
    newest_at_ns: int


class DomainView(msgspec.Struct, frozen=True, kw_only=True):
    """A domain.  calibration: of its thresholds; adaptor: the serving version; served: count of the
    answers served on its newest labelled observations, and of the right ones."""

    domain: str
    facts: int
    calibration: CalibrationStatus | None
    adaptor: AdaptorSummary | None
    served: dict[str, int]


class AdaptedDomainView(msgspec.Struct, frozen=True, kw_only=True):
    """A domain without labels that answers are adapted to: as in its last decision."""

    domain: str
    adaptation: AppliedAdaptation


class KnowledgeView(msgspec.Struct, frozen=True, kw_only=True):
    """The knowledge of a home.  merges: of domains that the runtime made by itself, newest first,
    with the number of facts that moved.  geometry: version and short fingerprint of the frozen one,
    and whether it was fitted to facts.
    devices: whose sums are included.  evictions: facts that full concepts have dropped.  adapted:
    domains without labels that answers are adapted to.  adaptation: the policy."""

    concepts: tuple[ConceptView, ...]
    domains: tuple[DomainView, ...]
    adaptors: tuple[AdaptorSummary, ...]
    merges: tuple[dict[str, Any], ...]
    geometry: dict[str, Any]
    facts: int
    facts_per_concept: int
    keep: str
    evictions: int
    devices: tuple[str, ...]
    encoder: str
    kind: str
    columns: tuple[str, ...]
    adapted: tuple[AdaptedDomainView, ...]
    adaptation: str


class RemainingConcept(msgspec.Struct, frozen=True):
    """A concept that a forget affects.  facts: to erase; remaining: that stay."""

    domain: str
    label: str
    facts: int
    remaining: int


class ForgetPreview(msgspec.Struct, frozen=True, kw_only=True):
    """The effect of a forget.  adaptors: deleted because a fact has shaped them; raws: raw inputs
    on the disk; candidates: observations that wait for a label; recent: in memory; series: those
    reached, and whether their samples are processed again exactly; estimate_s: seconds that it
    takes, about."""

    facts: int
    concepts: tuple[RemainingConcept, ...]
    adaptors: tuple[str, ...]
    raws: int
    candidates: int
    recent: int
    series: tuple[SeriesForgotten, ...]
    sample_ids: tuple[str, ...]
    estimate_s: float


class Values(msgspec.Struct, frozen=True):
    """Values of observations by id, in the order of the names; observations that are gone are left
    out.  low, high: ends of the range that the quantiser keeps."""

    names: tuple[str, ...]
    rows: dict[str, list[float]]
    low: list[float]
    high: list[float]


def describe_knowledge(home: Home) -> KnowledgeView:
    """Return the knowledge of an opened home."""
    store, runtime = home.store, home.runtime
    counts = store.concepts()
    newest = store.lists.newest_of(counts)
    adaptors = list_adaptors(home)
    geometry, card = runtime.knowledge.geometry, home.model.card
    return KnowledgeView(
        concepts=tuple(ConceptView(*key, count, newest[key]) for key, count in counts.items()),
        domains=tuple(_domains(home, counts, adaptors)),
        adaptors=adaptors,
        merges=tuple(_merge(one) for one in reversed(store.domain_merges())),
        geometry={
            "version": geometry.version,
            "fingerprint": geometry.fingerprint[:12],
            "fitted": store.geometry() is not None,
        },
        facts=sum(counts.values()),
        facts_per_concept=runtime.config.facts_per_concept,
        keep=runtime.config.keep,
        evictions=store.evictions(),
        devices=runtime.knowledge.contributing,
        encoder=card.name,
        kind=card.kind,
        columns=column_names(home) if card.kind == "vector" else (),
        adapted=tuple(
            AdaptedDomainView(domain=domain, adaptation=one.applied)
            for domain, one in runtime.adapted_domains().items()
        ),
        adaptation=runtime.config.adaptation,
    )


def _domains(
    home: Home, counts: Mapping[Concept, int], adaptors: Sequence[AdaptorSummary]
) -> list[DomainView]:
    answers = home.runtime.served_answers()
    served = {name: msgspec.structs.asdict(one) for name, one in answers.items()}
    calibrated = {one.domain: one for one in home.runtime.calibration_status()}
    serving = {one.domain: one for one in adaptors if one.serves}
    facts: Counter[str] = Counter()
    for (domain, _), count in counts.items():
        facts[domain] += count
    return [
        DomainView(
            domain=name,
            facts=facts[name],
            calibration=calibrated.get(name),
            adaptor=serving.get(name),
            served=served.get(name, {"count": 0, "right": 0}),
        )
        for name in home.runtime.knowledge.domains
    ]


def _merge(one: DomainMerge) -> dict[str, Any]:
    return msgspec.structs.asdict(one) | {"fact_ids": len(one.fact_ids)}


def preview_forget(home: Home, selector: Selector) -> ForgetPreview:
    """Return the effect of a forget request; changes nothing.  Raises EdgeError for a selector that
    names nothing.  Cost: that of finding the facts."""
    if selector.empty:
        raise EdgeError(
            "previewing a forget: nothing is selected",
            "name at least one of id, subject, stream, recording, domain, label, time range",
        )
    store, counts = home.store, home.store.concepts()
    ids = store.select(selector)
    touched = store.lists.concept_counts(ids)
    waiting = store.select_candidates(selector)
    recent = set(home.runtime.select_recent(selector)) - set(ids)
    shaped = store.lists.adaptors_shaped_by(ids)
    base, each = FORGET_S
    return ForgetPreview(
        facts=len(ids),
        concepts=tuple(
            RemainingConcept(*key, count, counts[key] - count)
            for key, count in sorted(touched.items())
        ),
        adaptors=tuple(f"{domain} version {version}" for domain, version in shaped),
        raws=len(store.lists.with_raw([*ids, *waiting])),
        candidates=len(waiting),
        recent=len(recent - set(waiting)),
        series=home.runtime.series.preview(selector),
        sample_ids=(*ids, *waiting, *sorted(recent))[:SAMPLE_IDS_MAX],
        estimate_s=round(base + each * len(ids), 2),
    )


def observation_values(home: Home, observation_ids: Sequence[str]) -> Values:
    """Return the values of observations of an opened home: the columns of a vector, else the
    features, both as the quantiser keeps them."""
    quantiser = home.model.card.quantiser
    assert quantiser is not None, "a home's card has a frozen quantiser"

    def value(levels: Any) -> list[float]:
        numbers = (levels - quantiser.zero) * quantiser.scale
        return [float(f"{one:.6g}") for one in np.asarray(numbers, np.float64).tolist()]

    found = home.store.lists.features(observation_ids)
    for key in observation_ids:
        one = None if key in found else home.runtime.buffered(key)
        if one is not None:
            found[key] = one.features
    width = home.model.card.width
    return Values(
        names=column_names(home),
        rows={
            key: value(np.frombuffer(found[key], np.uint8).astype(np.float64))
            for key in observation_ids
            if key in found
        },
        low=value(np.zeros(width)),
        high=value(np.full(width, 255.0)),
    )
