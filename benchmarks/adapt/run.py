"""Every policy of adaptation without labels, over every protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from threadpoolctl import threadpool_limits

from edge.sim.adaptation import (
    POLICIES,
    SOURCE,
    PolicyLine,
    PolicyOutcome,
    StreamPlan,
    best_published,
    gain_where,
    plan_streams,
    run_policies,
    source_of,
    summarise_policies,
)

from ..ood.sets import MissingError
from ..report import BenchmarkReport, BenchmarkRow
from .serving import DEFAULT, ServingCost, measure_serving
from .sets import ART, BY_CLASS, CARTOON, PHOTO, SETS

SEEDS: Final = (0, 1, 2)
"""Seeds of sources and streams."""
QUICK: Final = ("source", "mean", "alpha-bn", "cafa", "lame", "label shift", "t3a", "tent", DEFAULT)
"""Policies of a quick run."""
GAINS: Final[Mapping[str, tuple[str, ...]]] = {
    "runs_gain": ("runs",),
    "same_gain": ("same",),
    "corrupt_gain": ("severity", "turning"),
    "mixed_gain": ("mixed",),
}
"""Gains of the summary, by how the names of their protocols begin."""
HEADLINE: Final = ("pacs", "digits")
"""Sets whose test streams are the summary's: those of the evidence.  Others are reported apart."""
ONE_CLASS: Final = "one class: "
"""What rows of streams of one class begin with: they are no part of the summary's gains."""
PLACES: Final = {"art": ART, "cartoon": CARTOON, "sketch": "sketch"}
"""Domains whose last third of an unlabelled stream is reported."""


def run(data: Path | None, *, quick: bool = False, sets: Sequence[str] = ()) -> BenchmarkReport:
    """Compare on all sets or some.  Quick: one seed, few policies, two corruptions.

    Cost: a minute or two for a quick run; about an hour for all, the encoding of pictures not
    counted.  Raises SystemExit for a set that does not exist.
    """
    unknown = [name for name in sets if name not in SETS]
    if unknown:
        raise SystemExit(f"adapt: unknown set {unknown[0]!r}, expected some of {', '.join(SETS)}")
    names = [name for name in (QUICK if quick else POLICIES) if name in POLICIES]
    seeds = SEEDS[:1] if quick else SEEDS
    outcomes: list[PolicyOutcome] = []
    costs: tuple[ServingCost, ...] = ()
    notes = []
    with threadpool_limits(1):
        for name in sets or SETS:
            try:
                plan = SETS[name](data, quick=quick)
            except MissingError as reason:
                notes.append(f"{name}: {reason}")
            else:
                costs = costs or measure_plan(plan, names, seeds[0])
                outcomes += run_policies([plan], names, seeds)
    notes.append(f"seeds {', '.join(map(str, seeds))}; figures of test streams, but for dev rows")
    return make_report(outcomes, costs, notes)


def measure_plan(plan: StreamPlan, names: Sequence[str], seed: int) -> tuple[ServingCost, ...]:
    """Return what policies cost one sample at a time, on the first stream of a plan."""
    world = plan.world(seed)
    stream = next(plan_streams(world, seed, plan.homes))
    return measure_serving(source_of(world, stream), stream, names, seed)


def make_report(
    outcomes: Sequence[PolicyOutcome],
    costs: Sequence[ServingCost] = (),
    notes: Sequence[str] = (),
) -> BenchmarkReport:
    """Return the report of some outcomes.  Accuracies are fractions, gains are points."""
    single = [one for one in outcomes if one.protocol == BY_CLASS]
    several = [one for one in outcomes if one.protocol != BY_CLASS]
    parts = {"": [one for one in several if one.world in HEADLINE and not one.development]}
    parts["dev, "] = [one for one in several if one.development]
    for world in dict.fromkeys(one.world for one in several if one.world not in HEADLINE):
        parts[f"{world}: "] = [one for one in several if one.world == world]
    parts[ONE_CLASS] = single
    lines = {prefix: summarise_policies(part) for prefix, part in parts.items()}
    streams = len({key for line in lines[""] for key in line.gains})
    return BenchmarkReport(
        "adapt",
        (
            *(row for prefix, found in lines.items() for row in _rows(found, prefix)),
            *_one_class_rows(single),
            *(row for cost in costs for row in _cost_rows(cost)),
        ),
        summarise_adaptation(lines[""], several, costs) | _one_class_summary(lines[ONE_CLASS]),
        (f"{streams} test streams; gains in points, accuracies as fractions", *notes),
    )


def _rows(lines: Sequence[PolicyLine], prefix: str) -> Iterator[BenchmarkRow]:
    for line in lines:
        worlds = dict.fromkeys(world for world, _, _ in line.gains)
        for protocol, accuracy in line.accuracies.items():
            yield BenchmarkRow(line.policy, f"{prefix}{protocol}", accuracy / 100)
            spread = line.spreads[protocol]
            if spread is not None:
                yield BenchmarkRow(line.policy, f"{prefix}{protocol}, sd", spread / 100)
        for world in worlds:
            gains = [gain for key, gain in line.gains.items() if key[0] == world]
            yield BenchmarkRow(line.policy, f"{prefix}gain points, {world}", float(np.mean(gains)))
        yield BenchmarkRow(line.policy, f"{prefix}gain points", line.gain)
        if line.gain_spread is not None:
            yield BenchmarkRow(line.policy, f"{prefix}gain points, sd", line.gain_spread)
        yield BenchmarkRow(line.policy, f"{prefix}worst stream, points", line.worst)
        yield BenchmarkRow(line.policy, f"{prefix}streams losing half a point", float(line.lost))
        yield BenchmarkRow(line.policy, f"{prefix}bytes", float(line.nbytes))


def _one_class_rows(outcomes: Sequence[PolicyOutcome]) -> Iterator[BenchmarkRow]:
    """Yield what is right in the last third of streams of one class, for each home and place: the
    mean over classes and seeds, and the smallest gain of a class over the seeds."""
    before = {(one.stream, one.seed): one.last for one in outcomes if one.policy == SOURCE}
    found: dict[tuple[str, str], dict[str, list[PolicyOutcome]]] = {}
    for one in outcomes:
        pair = one.stream.rpartition(", ")[0]
        found.setdefault((one.policy, pair), {}).setdefault(one.stream, []).append(one)
    for (policy, pair), streams in found.items():
        gains = [
            np.mean([one.last - before[one.stream, one.seed] for one in alike])
            for alike in streams.values()
        ]
        last = [one.last for alike in streams.values() for one in alike]
        yield BenchmarkRow(policy, f"{ONE_CLASS}{pair}, last third", float(np.mean(last)) / 100)
        if policy != SOURCE:
            yield BenchmarkRow(policy, f"{ONE_CLASS}{pair}, worst class, points", float(min(gains)))


def _one_class_summary(lines: Sequence[PolicyLine]) -> dict[str, float]:
    """Return the gains of the default policy on streams of one class, in points."""
    ours = next((line for line in lines if line.policy == DEFAULT), None)
    if ours is None:
        return {}
    return {"one_class_gain": ours.gain, "one_class_worst": ours.worst}


def _cost_rows(cost: ServingCost) -> Iterator[BenchmarkRow]:
    yield BenchmarkRow(cost.policy, "us a sample", cost.us)
    if cost.solve_us:
        yield BenchmarkRow(cost.policy, "us a solution beside serving", cost.solve_us)


def summarise_adaptation(
    lines: Sequence[PolicyLine],
    outcomes: Sequence[PolicyOutcome],
    costs: Sequence[ServingCost] = (),
) -> dict[str, float]:
    """Return the figures of the summary, of what was measured: gains in points, photo_to_* as
    fractions of the last third of a stream."""
    found: dict[str, float] = {}
    ours = next((line for line in lines if line.policy == DEFAULT), None)
    if ours is not None:
        found["gain_mean_points"] = ours.gain
        found["gain_worst_stream_points"] = ours.worst
        found["streams_losing_half_point"] = float(ours.lost)
        for key, protocols in GAINS.items():
            gain = gain_where(ours, protocols)
            if gain is not None:
                found[key] = gain
        for short, place in PLACES.items():
            last = [
                one.last
                for one in outcomes
                if (one.policy, one.stream, one.protocol) == (DEFAULT, f"{PHOTO} > {place}", "iid")
            ]
            if last:
                found[f"photo_to_{short}"] = float(np.mean(last)) / 100
    best = best_published(lines)
    if best is not None:
        found["best_published_gain"] = best.gain
        found["best_published_worst"] = best.worst
    for cost in costs:
        if cost.policy == DEFAULT:
            found["us_per_sample"] = cost.us
            found["us_per_solution"] = cost.solve_us
            found["bytes_per_domain"] = float(cost.nbytes)
    return found
