"""What a comparison of strategies shows: a line for each strategy on each stream."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from .trial import Matrix, StrategyOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyLine:
    """A strategy on one stream, over its seeds.

    final, spread: percent right at the end, mean over tasks, then mean and standard deviation over
    the seeds (None for one seed); forgetting: points, None with one task; error: percent wrong
    right after each task; compute_s: CPU seconds of learning; answer_us: CPU microseconds of an
    answer; nbytes: the most bytes kept; curve, compute: percent right and CPU seconds after each
    task; matrix: the accuracy matrix; each a mean over the seeds.  frontier: no other strategy has
    both a smaller error and less compute.
    """

    strategy: str
    final: float
    spread: float | None
    forgetting: float | None
    error: float
    compute_s: float
    answer_us: float
    nbytes: int
    curve: tuple[float, ...] = field(repr=False)
    compute: tuple[float, ...] = field(repr=False)
    matrix: Matrix = field(repr=False)
    frontier: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedStream:
    """All strategies on one stream.  tasks: their names by seed-independent order; lines: in the
    order of the table; failures: why strategies are left out."""

    world: str
    variant: str
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    lines: tuple[StrategyLine, ...]
    failures: tuple[tuple[str, str], ...] = ()

    @property
    def ranking(self) -> tuple[StrategyLine, ...]:
        """The lines by their error right after each task, the less compute first where equal."""
        return tuple(sorted(self.lines, key=lambda line: (line.error, line.compute_s)))


def summarise_strategies(outcomes: Iterable[StrategyOutcome]) -> tuple[ComparedStream, ...]:
    """Return a summary of each stream; figures are never averaged over streams.

    A strategy that failed with one seed is left out of that stream.
    """
    streams: dict[tuple[str, str], list[StrategyOutcome]] = {}
    for one in outcomes:
        streams.setdefault((one.world, one.variant), []).append(one)
    return tuple(_summarise(world, variant, found) for (world, variant), found in streams.items())


def _summarise(world: str, variant: str, found: Sequence[StrategyOutcome]) -> ComparedStream:
    names = tuple(dict.fromkeys(one.strategy for one in found))
    own = {name: [one for one in found if one.strategy == name] for name in names}
    failures = tuple(
        (name, f"{failed[0].failure} (seed {failed[0].seed})")
        for name, outcomes in own.items()
        if (failed := [one for one in outcomes if one.failure])
    )
    left_out = {name for name, _ in failures}
    lines = [_line(name, own[name]) for name in names if name not in left_out]
    return ComparedStream(
        world=world,
        variant=variant,
        tasks=found[0].tasks,
        seeds=tuple(dict.fromkeys(one.seed for one in found)),
        lines=tuple(_with_frontier(lines)),
        failures=failures,
    )


def _line(name: str, own: Sequence[StrategyOutcome]) -> StrategyLine:
    finals = [one.final for one in own]
    falls = [one.forgetting for one in own if one.forgetting is not None]
    return StrategyLine(
        strategy=name,
        final=float(np.mean(finals)),
        spread=float(np.std(finals, ddof=1)) if len(finals) > 1 else None,
        forgetting=float(np.mean(falls)) if falls else None,
        error=float(np.mean([one.error for one in own])),
        compute_s=float(np.mean([one.compute_s for one in own])),
        answer_us=float(np.mean([one.answer_us for one in own])),
        nbytes=max(one.nbytes for one in own),
        curve=tuple(np.mean([one.curve for one in own], axis=0).tolist()),
        compute=tuple(np.mean([np.cumsum(one.learn_s) for one in own], axis=0).tolist()),
        matrix=_mean_matrix([one.matrix for one in own]),
    )


def _mean_matrix(found: Sequence[Matrix]) -> Matrix:
    """Return the mean of matrices; an entry is None where it is so with some seed."""
    values = np.array(found, np.float64).mean(axis=0)  # None becomes NaN
    return tuple(tuple(None if np.isnan(one) else one for one in row) for row in values.tolist())


def _with_frontier(lines: Sequence[StrategyLine]) -> Iterable[StrategyLine]:
    for line in lines:
        beaten = any(
            other.error <= line.error
            and other.compute_s <= line.compute_s
            and (other.error, other.compute_s) != (line.error, line.compute_s)
            for other in lines
        )
        yield replace(line, frontier=not beaten)
