"""The streams of a scenario: its samples read and encoded once, cut into tasks for each seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ..encoded_domains import EncodedDomains, read_domains
from ..scenarios import StrategyScenario
from .small_tasks import small_stream
from .strategy import TaskStream
from .streams import STREAMS, StreamSource

NEVIS: Final = "nevis"
"""The stream that brings its own data."""


@dataclass(frozen=True, slots=True)
class PlannedStreams:
    """The streams of a comparison with their seeds.  remarks: what is left out of them."""

    streams: Sequence[tuple[TaskStream, int]]
    remarks: tuple[str, ...] = ()


def plan_streams(scenario: StrategyScenario, seeds: Sequence[int]) -> PlannedStreams:
    """Return all streams of a scenario: each order with each seed, which chooses the held-out rows.

    Raises ConfigError for unreadable samples and too few of them.
    """
    spec = scenario.strategies
    if spec.stream == NEVIS:
        made = [small_stream(scenario.title, spec.held_out, spec.samples, seed) for seed in seeds]
        missing = made[0][1]
        remarks = (f"left out, data missing: {'; '.join(missing)}",) if missing else ()
        return PlannedStreams(
            [(stream, seed) for (stream, _), seed in zip(made, seeds, strict=True)], remarks
        )
    found = read_domains(scenario, spec.samples)
    few = ", ".join(found.left_out)
    remarks = (f"left out, too few samples in a domain: {few}",) if few else ()
    return PlannedStreams(list(_cut(scenario, found, seeds)), remarks)


def _cut(
    scenario: StrategyScenario, found: EncodedDomains, seeds: Sequence[int]
) -> Iterator[tuple[TaskStream, int]]:
    spec = scenario.strategies
    for order in range(spec.orders):
        for seed in seeds:
            source = StreamSource(
                world=scenario.title,
                domains=found.domains,
                labels=found.labels,
                spans=found.spans,
                order=order,
                held_out=spec.held_out,
                classes_per_task=spec.classes_per_task,
                seed=seed,
            )
            yield STREAMS[spec.stream](source), seed
