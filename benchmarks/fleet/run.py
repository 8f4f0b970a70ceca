"""Fleets: 10,000 devices whose sums are those of one, an aggregator's memory, hostile members,
and training over devices."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edge.sim.fleet import FleetOutcome, simulate_fleet

from ..report import BenchmarkReport, BenchmarkRow
from .federated import federated_rows
from .hostile import HostileOutcome, measure_attacks
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


def run(data: Path | None, *, quick: bool = False) -> BenchmarkReport:
    """Measure fleets, and training over devices.  Quick: fewer devices, children and seeds.

    Cost: about sixteen minutes of one processor, two for a quick run.
    """
    outcome = simulate_fleet(QUICK_DEVICES if quick else DEVICES, SEED, JOBS)
    costs = [measure(children) for children in (CHILDREN[:2] if quick else CHILDREN)]
    attacks = list(measure_attacks(quick=quick))
    trained, figures, notes = federated_rows(data, quick=quick)
    rows = (*_simulated(outcome), *_costs(costs), *_attacks(attacks), *trained)
    summary = {**summarise(outcome, costs, attacks), **figures}
    return BenchmarkReport("fleet", rows, summary, tuple(notes))


def summarise(
    outcome: FleetOutcome, costs: list[AggregatorCost], attacks: list[HostileOutcome]
) -> dict[str, float]:
    """Return the summary."""
    least, most = costs[0], costs[-1]
    near = [one for one in attacks if one.share == FOUND_SHARE and "half" not in one.attack]
    return {
        "devices": outcome.devices,
        "digest_equal": float(outcome.digest_equal and not outcome.wrong),
        "bits_differing": outcome.bits_differing,
        "seconds": sum(outcome.seconds.values()),
        "cpu_seconds": outcome.cpu_seconds,
        "bytes_per_device": outcome.bytes_per_device,
        "aggregator_mib": most.rss_mib,
        "aggregator_mib_of_100": least.rss_mib,
        "aggregator_disk_bytes_per_child": most.disk_mib * 2**20 / most.children,
        "hostile_found": sum(one.found for one in near) / max(1, len(near)),
        "honest_reported": max((one.reported_wrongly for one in near), default=0.0),
    }


def _simulated(one: FleetOutcome) -> list[BenchmarkRow]:
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
    values |= {f"s, {name}": seconds for name, seconds in one.seconds.items()}
    return [BenchmarkRow("fleet", metric, value) for metric, value in values.items()]


def _costs(costs: list[AggregatorCost]) -> list[BenchmarkRow]:
    return [
        BenchmarkRow(f"{one.children} children", metric, value)
        for one in costs
        for metric, value in (
            ("resident MiB", one.rss_mib),
            ("disk MiB", one.disk_mib),
            ("received MiB", one.bytes_in_mib),
            ("cpu s", one.seconds),
            ("cpu s of a start after a crash", one.start_s),
        )
    ]


def _attacks(attacks: list[HostileOutcome]) -> list[BenchmarkRow]:
    return [
        BenchmarkRow(f"{one.attack}, {one.share:.0%}", metric, value)
        for one in attacks
        for metric, value in (
            ("hostile found", one.found),
            ("honest reported", one.reported_wrongly),
            ("largest share of a concept", one.influence),
        )
    ]
