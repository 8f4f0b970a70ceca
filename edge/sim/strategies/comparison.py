"""Compares strategies on the streams of a scenario, in parallel, and goes on where it stopped."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...core import ConfigError
from ..scenarios import StrategyScenario, choose_names
from ..sweep import Backend, require_backend, run_parallel
from .avalanche_peers import AVALANCHE, avalanche_python, missing_avalanche
from .kinds import STRATEGIES, StrategyKind, left_out
from .saved_outcomes import SavedOutcomes
from .scenario_streams import plan_streams
from .summary import ComparedStream, summarise_strategies
from .trial import StrategyOutcome, failed_outcome, run_strategy

Advance = Callable[[str, int, int], None]
"""Called with the activity, the units done and the units in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyReport:
    """The result of a comparison.  streams: a summary each; resumed: outcomes that an earlier run
    had finished; remarks: which classes or tasks are left out, and which stored outcomes were
    damaged; file, page: strategies.json and report.html, None without a folder."""

    title: str
    outcomes: tuple[StrategyOutcome, ...] = field(repr=False)
    streams: tuple[ComparedStream, ...]
    resumed: int = 0
    remarks: tuple[str, ...] = ()
    file: Path | None = None
    page: Path | None = None


def compare_strategies(
    scenario: StrategyScenario,
    seeds: Sequence[int] = (1,),
    out: Path | None = None,
    *,
    jobs: int = 1,
    backend: Backend = "loky",
    progress: Advance | None = None,
    kinds: Mapping[str, StrategyKind] = STRATEGIES,
) -> StrategyReport:
    """Run every strategy of a scenario on its streams, once for each seed; `write_strategies`
    writes the report.

    out: each finished outcome is written to its folder `outcomes`, and read from there when the
    same comparison runs again.  jobs: strategies that run at a time.  Figures other than times
    depend on scenario, data and seeds alone.  Raises ConfigError for unknown names, too few
    samples and an unwritable folder.
    """
    require_backend(backend)
    if not seeds or jobs == 0:
        raise ConfigError(
            f"comparing strategies with seeds {list(seeds)} and {jobs} jobs: nothing to run",
            "give at least one seed and one job",
        )
    everything = {**kinds, **AVALANCHE}
    chosen = scenario.strategies.names
    # Without names, those of this table run.
    table = kinds if chosen in ((), "all", ("all",)) else everything
    names = choose_names(scenario.title, "names", chosen, table)
    saved = SavedOutcomes(scenario, out)
    planned = plan_streams(scenario, tuple(dict.fromkeys(seeds)))
    tasks = [(name, stream, seed) for stream, seed in planned.streams for name in names]
    paths = [saved.path(stream, name, seed) for name, stream, seed in tasks]
    done = {at: found for at, path in enumerate(paths) if (found := saved.read(path))}
    resumed = len(done)
    missing = left_out()
    if avalanche_python() is None:
        missing |= dict.fromkeys(AVALANCHE, missing_avalanche())
    done |= {
        at: failed_outcome(name, stream, seed, missing[name])
        for at, (name, stream, seed) in enumerate(tasks)
        if name in missing and at not in done
    }
    waiting = [at for at in range(len(tasks)) if at not in done]
    calls = [(tasks[at][0], everything[tasks[at][0]], *tasks[at][1:]) for at in waiting]
    if progress is not None:
        progress("comparing", len(done), len(tasks))
    for place, outcome in run_parallel(run_strategy, calls, jobs, backend):
        done[waiting[place]] = outcome
        saved.write(paths[waiting[place]], outcome)
        if progress is not None:
            progress("comparing", len(done), len(tasks))
    outcomes = tuple(done[at] for at in range(len(tasks)))
    damaged = [f"ran again, its stored outcome was damaged: {path}" for path in saved.damaged]
    return StrategyReport(
        title=scenario.title,
        outcomes=outcomes,
        streams=summarise_strategies(outcomes),
        resumed=resumed,
        remarks=(*planned.remarks, *damaged),
    )
