"""The runtime on the streams of the benchmark `adapt`, with adaptation and without."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from threadpoolctl import threadpool_limits

from edge.sim.adaptation import AdaptationStream, AdaptationWorld, plan_streams

from ..adapt.sets import BY_CLASS, CIRCUITS, OTHER, PHOTO, SETS
from ..ood.sets import MissingError
from ..report import BenchmarkReport, BenchmarkRow
from .crossover import CrossoverPoint, crossover
from .replay import Answered, replay_stream

SEEDS: Final = (0, 1, 2)
"""Seeds of sources and streams."""
SKETCH: Final = "sketch"
"""A domain of PACS."""
STREAMS: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    "pacs": dict.fromkeys(
        (
            *("iid", "runs", "shifted", "open set", "recurring", "mixed iid", "mixed correlated"),
            *("severity 3 iid", "severity 5 iid", "turning", "same iid", "same correlated"),
            BY_CLASS,
        ),
        (PHOTO,),
    )
    | dict.fromkeys(("left out iid", "left out correlated"), (PHOTO, SKETCH)),
    "digits": {"changes iid": (), "changes correlated": ()},
    "prompts": dict.fromkeys(OTHER, ("en_US_f_Allison",)),
    "circuit": dict.fromkeys(OTHER, CIRCUITS[:1]),
}
"""Homes by protocol, by set."""
LABELLED: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    "pacs": {"iid": (PHOTO,)},
    "digits": {"changes iid": ()},
    "circuit": {"iid": CIRCUITS[:1]},
}
"""The streams on which labels arrive."""
QUICK: Final = ("iid", "runs", "mixed iid", "changes iid", "same iid")
"""Protocols of a quick run."""
LOSS: Final = -0.5
"""Points below which a stream counts as one that loses."""


def run(data: Path | None, *, quick: bool = False, sets: Sequence[str] = ()) -> BenchmarkReport:
    """Compare on all sets or some; `labels` is the crossover.  Quick: one seed, few protocols.

    Cost: about 10 s a stream of 1,000 pictures, and 20 s for one with labels.
    """
    seeds = SEEDS[:1] if quick else SEEDS
    rows: list[BenchmarkRow] = []
    summary: dict[str, float] = {}
    notes = []
    with threadpool_limits(1):
        for name in [one for one in sets or STREAMS if one in STREAMS]:
            try:
                found = list(_compared(data, name, seeds, quick=quick))
            except MissingError as reason:
                notes.append(f"{name}: {reason}")
                continue
            rows += _stream_rows(name, found)
            for key, single in ((name, False), (f"{name}_one_class", True)):
                gains = _gains(one for one in found if (one[0].protocol == BY_CLASS) == single)
                if gains:
                    summary[f"{key}_gain_points"] = float(np.mean(gains))
                    summary[f"{key}_worst_points"] = min(gains)
                    summary[f"{key}_streams_losing_half_point"] = sum(one < LOSS for one in gains)
        if not sets or "labels" in sets:
            points = _labelled(data, seeds, notes)
            rows += _label_rows(points)
            lost = [one.auto - one.off for found in points.values() for one in found]
            if lost:
                summary["labels_worst_single_run_points"] = min(lost)
    notes.append(f"seeds {', '.join(map(str, seeds))}; auto against off, percent right")
    return BenchmarkReport("adapt-runtime", tuple(rows), summary, tuple(notes))


def _compared(
    data: Path | None, name: str, seeds: Sequence[int], *, quick: bool
) -> Iterator[tuple[AdaptationStream, Answered, Answered]]:
    """Yield the streams of a set with the answers without adaptation and with it."""
    plan = SETS[name](data, quick=quick)
    homes = {
        protocol: places
        for protocol, places in STREAMS[name].items()
        if not quick or protocol in QUICK
    }
    for seed in seeds:
        world = plan.world(seed)
        for stream in plan_streams(world, seed, homes):
            print(f"{name}, seed {seed}: {stream.protocol}, {stream.name}", file=sys.stderr)
            off, auto = (replay_stream(world, stream, policy) for policy in ("off", "auto"))
            yield stream, off, auto


def _gains(found: Iterable[tuple[AdaptationStream, Answered, Answered]]) -> list[float]:
    """Return the gain of each stream in points, the mean of its seeds."""
    by_stream: dict[tuple[str, str], list[float]] = {}
    for stream, off, auto in found:
        gain = 100 * float(auto.right.mean() - off.right.mean())
        by_stream.setdefault((stream.protocol, stream.name), []).append(gain)
    return [float(np.mean(gains)) for gains in by_stream.values()]


def _stream_rows(
    name: str, found: Sequence[tuple[AdaptationStream, Answered, Answered]]
) -> Iterator[BenchmarkRow]:
    by_stream: dict[str, list[tuple[Answered, Answered]]] = {}
    for stream, *answered in found:
        by_stream.setdefault(f"{name}, {stream.protocol}: {stream.name}", []).append(
            (answered[0], answered[1])
        )
    for title, pairs in by_stream.items():
        for at, policy in enumerate(("off", "auto")):
            right = np.mean([pair[at].right.mean() for pair in pairs])
            yield BenchmarkRow(policy, title, 100 * float(right))
    for at, policy in enumerate(("off", "auto")):
        us = np.mean([pair[at].us for pairs in by_stream.values() for pair in pairs])
        yield BenchmarkRow(policy, f"{name}, thread CPU us a decision", float(us))


def _labelled(
    data: Path | None, seeds: Sequence[int], notes: list[str]
) -> dict[str, list[CrossoverPoint]]:
    """Return the crossover of each stream, the points of all seeds."""
    found: dict[str, list[CrossoverPoint]] = {}
    for name, homes in LABELLED.items():
        try:
            plan = SETS[name](data, quick=True)
        except MissingError as reason:
            notes.append(f"labels of {name}: {reason}")
            continue
        for seed in seeds:
            world: AdaptationWorld = plan.world(seed)
            for stream in plan_streams(world, seed, homes):
                print(f"labels, seed {seed}: {stream.name}", file=sys.stderr)
                found.setdefault(stream.name, []).extend(crossover(world, stream))
    return found


def _label_rows(found: Mapping[str, Sequence[CrossoverPoint]]) -> Iterator[BenchmarkRow]:
    for title, points in found.items():
        for step in dict.fromkeys(one.step for one in points):
            at = [one for one in points if one.step == step]
            yield BenchmarkRow("off", f"{title}, {step}", float(np.mean([one.off for one in at])))
            yield BenchmarkRow("auto", f"{title}, {step}", float(np.mean([one.auto for one in at])))
