"""Fleets: 10,000 devices whose sums are those of one, an aggregator's memory, hostile members,
and training over devices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from edge.sim.fleet import FleetOutcome, simulate_fleet

from ..report import BenchmarkReport, BenchmarkRow
from .federated import federated_rows
from .federated_data import PACS_FILE
from .hostile import HostileOutcome, measure_attacks
from .hostile_training import hostile_training_rows
from .memory import CHILDREN, AggregatorCost, measure

DEVICES: Final = 10_000
"""Devices of the simulated fleet."""
QUICK_DEVICES: Final = 500
"""Devices of a quick run."""
JOBS: Final = 2
"""Processes: the target is stated for two cores."""
SEED: Final = 1
"""Seed of the simulated fleet."""
FOUND_SHARE: Final = 0.1
"""Share of hostile members of the summary's figures."""
PARTS: Final = ("simulated", "aggregator", "hostile", "training", "hostile-training")
"""Parts of the benchmark, for `--sets`."""


def run(
    data: Path | None, *, quick: bool = False, sets: Sequence[str] | None = None
) -> BenchmarkReport:
    """Measure fleets, and training over devices.  Quick: fewer devices, children and seeds.

    sets: only these of `PARTS`.  Cost: about half an hour of one processor, three minutes for a
    quick run.
    """
    chosen = tuple(sets or PARTS)
    rows: list[BenchmarkRow] = []
    summary: dict[str, float] = {}
    notes: list[str] = []
    if "simulated" in chosen:
        outcome = simulate_fleet(QUICK_DEVICES if quick else DEVICES, SEED, JOBS)
        rows += _table("fleet", simulated_figures(outcome))
        summary |= summarise_fleet(outcome)
    if "aggregator" in chosen:
        costs = [measure(children) for children in (CHILDREN[:2] if quick else CHILDREN)]
        for cost in costs:
            rows += _table(f"{cost.children} children", cost_figures(cost))
        summary |= summarise_costs(costs)
    if "hostile" in chosen:
        attacks = list(measure_attacks(quick=quick))
        for one in attacks:
            rows += _table(f"{one.attack}, {one.share:.0%}", attack_figures(one))
        summary |= summarise_attacks(attacks)
    if "training" in chosen:
        trained, figures, found = federated_rows(data, quick=quick)
        rows, summary, notes = [*rows, *trained], summary | figures, [*notes, *found]
    if "hostile-training" in chosen and data is not None and (data / PACS_FILE).is_file():
        rows += hostile_training_rows(data, quick=quick)
    return BenchmarkReport("fleet", tuple(rows), summary, tuple(notes))


def summarise_fleet(outcome: FleetOutcome) -> dict[str, float]:
    """Return what the summary says of the simulated fleet."""
    return {
        "devices": outcome.devices,
        "digest_equal": float(outcome.digest_equal and not outcome.wrong),
        "bits_differing": outcome.bits_differing,
        "seconds": sum(outcome.seconds.values()),
        "cpu_seconds": outcome.cpu_seconds,
        "bytes_per_device": outcome.bytes_per_device,
    }


def summarise_costs(costs: list[AggregatorCost]) -> dict[str, float]:
    """Return what the summary says of an aggregator."""
    least, most = costs[0], costs[-1]
    return {
        "aggregator_mib": most.rss_mib,
        "aggregator_mib_of_100": least.rss_mib,
        "aggregator_disk_bytes_per_child": most.disk_mib * 2**20 / most.children,
    }


def summarise_attacks(attacks: list[HostileOutcome]) -> dict[str, float]:
    """Return what the summary says of hostile members."""
    near = [one for one in attacks if one.share == FOUND_SHARE and "half" not in one.attack]
    return {
        "hostile_found": sum(one.found for one in near) / max(1, len(near)),
        "honest_reported": max((one.reported_wrongly for one in near), default=0.0),
    }


def simulated_figures(one: FleetOutcome) -> dict[str, float]:
    """Return the figures of a simulated fleet."""
    faults = one.faults
    values = {
        "devices": one.devices,
        "devices in the sum": one.contributed,
        "facts published": one.published_facts,
        "messages": one.messages,
        "lost and sent again": faults.lost,
        "arrived twice": faults.doubled,
        "back after months": faults.replayed,
        "refused": faults.refused,
        "bits differing": one.bits_differing,
        "members in a wrong state": len(one.wrong),
        "poisoners": one.poisoners,
        "poisoners found": one.poisoners_found,
        "honest reported": one.reported_wrongly,
        "cpu s": one.cpu_seconds,
    }
    return values | {f"s, {name}": seconds for name, seconds in one.seconds.items()}


def cost_figures(one: AggregatorCost) -> dict[str, float]:
    """Return the figures of an aggregator."""
    return {
        "resident MiB": one.rss_mib,
        "disk MiB": one.disk_mib,
        "received MiB": one.bytes_in_mib,
        "cpu s": one.seconds,
        "cpu s of a start after a crash": one.start_s,
    }


def attack_figures(one: HostileOutcome) -> dict[str, float]:
    """Return the figures of an attack on the sums."""
    return {
        "hostile found": one.found,
        "honest reported": one.reported_wrongly,
        "largest share of a concept": one.influence,
    }


def _table(method: str, figures: Mapping[str, float]) -> Iterator[BenchmarkRow]:
    return (BenchmarkRow(method, metric, value) for metric, value in figures.items())
