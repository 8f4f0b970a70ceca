"""Every policy of adaptation without labels, over every protocol."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from threadpoolctl import threadpool_limits

from edge.sim.adaptation import (
    POLICIES,
    PolicyLine,
    PolicyOutcome,
    best_published,
    gain_where,
    run_policies,
    summarise_policies,
)

from ..ood.sets import MissingError
from ..report import BenchmarkReport, BenchmarkRow
from .sets import ART, CARTOON, PHOTO, SETS

SEEDS: Final = (0, 1, 2)
"""Seeds of sources and streams."""
OURS: Final = "auto"
"""The product's own policy."""
QUICK: Final = ("source", "mean", "alpha-bn", "cafa", "lame", "label shift", "t3a", "tent", OURS)
"""Policies of a quick run."""
CORRUPT: Final = ("severity", "turning")
"""How the names of protocols with corruptions begin."""
HEADLINE: Final = ("pacs", "digits")
"""Sets whose test streams are the summary's: those of the evidence.  Others are reported apart."""
PLACES: Final = {"art": ART, "cartoon": CARTOON, "sketch": "sketch"}
"""Domains whose last third of an unlabelled stream is reported."""


def run(data: Path | None, *, quick: bool = False, sets: Sequence[str] = ()) -> BenchmarkReport:
    """Compare on all sets or some.  Quick: one seed, few policies, no corruptions.

    Cost: minutes for a quick run; about an hour for all, the encoding of pictures not counted.
    """
    names = [name for name in (QUICK if quick else POLICIES) if name in POLICIES]
    seeds = SEEDS[:1] if quick else SEEDS
    outcomes: list[PolicyOutcome] = []
    notes = []
    with threadpool_limits(1):
        for name in sets or SETS:
            try:
                plan = SETS[name](data, quick=quick)
            except MissingError as reason:
                notes.append(f"{name}: {reason}")
            else:
                outcomes += run_policies([plan], names, seeds)
    notes.append(f"seeds {', '.join(map(str, seeds))}; figures of test streams, but for dev rows")
    return make_report(outcomes, notes)


def make_report(outcomes: Sequence[PolicyOutcome], notes: Sequence[str] = ()) -> BenchmarkReport:
    """Return the report of some outcomes."""
    parts = {"": [one for one in outcomes if one.world in HEADLINE and not one.development]}
    parts["dev, "] = [one for one in outcomes if one.development]
    for world in dict.fromkeys(one.world for one in outcomes if one.world not in HEADLINE):
        parts[f"{world}: "] = [one for one in outcomes if one.world == world]
    lines = {prefix: summarise_policies(part) for prefix, part in parts.items()}
    streams = len({key for line in lines[""] for key in line.gains})
    return BenchmarkReport(
        "adapt",
        tuple(row for prefix, found in lines.items() for row in _rows(found, prefix)),
        summarise_adaptation(lines[""], outcomes),
        (f"{streams} test streams", *notes),
    )


def _rows(lines: Sequence[PolicyLine], prefix: str) -> Iterator[BenchmarkRow]:
    for line in lines:
        worlds = dict.fromkeys(world for world, _, _ in line.gains)
        for protocol, accuracy in line.accuracies.items():
            yield BenchmarkRow(line.policy, f"{prefix}{protocol}", accuracy)
        for world in worlds:
            gains = [gain for key, gain in line.gains.items() if key[0] == world]
            yield BenchmarkRow(line.policy, f"{prefix}gain, {world}", float(np.mean(gains)))
        yield BenchmarkRow(line.policy, f"{prefix}gain", line.gain)
        yield BenchmarkRow(line.policy, f"{prefix}worst stream", line.worst)
        yield BenchmarkRow(line.policy, f"{prefix}streams losing half a point", float(line.lost))
        yield BenchmarkRow(line.policy, f"{prefix}us a sample", line.us)
        yield BenchmarkRow(line.policy, f"{prefix}bytes", float(line.nbytes))


def summarise_adaptation(
    lines: Sequence[PolicyLine], outcomes: Sequence[PolicyOutcome]
) -> dict[str, float]:
    """Return the figures of the summary, of what was measured."""
    found: dict[str, float] = {}
    ours = next((line for line in lines if line.policy == OURS), None)
    if ours is not None:
        found["gain_mean_points"] = ours.gain
        found["gain_worst_stream_points"] = ours.worst
        found["streams_losing_half_point"] = float(ours.lost)
        for key, protocols in (
            ("runs_gain", ("runs",)),
            ("same_gain", ("same",)),
            ("corrupt_gain", CORRUPT),
        ):
            gain = gain_where(ours, protocols)
            if gain is not None:
                found[key] = gain
        for short, place in PLACES.items():
            last = [
                one.last
                for one in outcomes
                if (one.policy, one.stream, one.protocol) == (OURS, f"{PHOTO} > {place}", "iid")
            ]
            if last:
                found[f"photo_to_{short}"] = float(np.mean(last))
        found["us_per_sample"] = ours.us
        found["bytes_per_domain"] = float(ours.nbytes)
    best = best_published(lines)
    if best is not None:
        found["best_published_gain"] = best.gain
        found["best_published_worst"] = best.worst
    return found
