"""Searches of the box by each curriculum; worlds that break are written as scenario files."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from ...core import ConfigError
from ..harness import Progress
from ..scenarios import Scenario
from ..sweep import write_file
from .box import PARAMETERS, Point, world_at
from .episodes import Episode, EpisodeRunner
from .progress import LearningProgress
from .saved_episodes import SavedEpisodes
from .teachers import TEACHERS, Teacher

EPISODES: Final = 100
"""Worlds of each curriculum: a minute or two on vectors."""
CLIFF: Final = 0.3
"""Difference of rewards between neighbours that counts as a cliff.  Chosen by hand."""
NEIGHBOURS: Final = 0.25
"""Distance of neighbours, as a share of the box's diagonal.  Chosen by hand."""
WORLDS_MAX: Final = 5
"""Cliffs that are written for each curriculum, the sharpest first."""
SEARCH_FORMAT: Final = 1
"""Version of curriculum.json; docs/howto/simulate.md describes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurriculumLine:
    """What a curriculum found.  defects: different broken promises and errors, with the first
    episode of each.  cliffs: episodes of lower reward than a neighbour by `CLIFF` or more, the
    sharpest first.  cells: different outcomes.  reward: mean over worlds."""

    teacher: str
    episodes: tuple[Episode, ...] = field(repr=False)
    defects: Mapping[str, int]
    cliffs: tuple[int, ...]
    cells: int
    reward: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CurriculumReport:
    """The result of a search.  files: curriculum.json and the found worlds, none without a
    folder."""

    title: str
    lines: tuple[CurriculumLine, ...]
    files: tuple[Path, ...] = ()


def search_worlds(
    base: Scenario,
    seed: int = 1,
    out: Path | None = None,
    progress: Progress | None = None,
    *,
    episodes: int = EPISODES,
    teachers: Sequence[str] = tuple(TEACHERS),
) -> CurriculumReport:
    """Search the worlds around a scenario with each curriculum, and write those found to a folder.

    Everything depends on scenario and seed alone.  Finished worlds are kept in the folder until all
    are: a search that was interrupted goes on from them.  Raises ConfigError for a scenario with
    too few samples and for an unwritable folder.
    """
    saved = SavedEpisodes(base, seed, out)
    runner = EpisodeRunner(base, seed)
    lines = []

    def run(name: str, point: Point) -> Episode:
        return saved.get(name, point, lambda: runner(world_at(base, point), point))

    try:
        for name in teachers:
            teacher = TEACHERS[name](len(PARAMETERS), seed)
            lines.append(_search(name, teacher, run, episodes, progress))
    finally:
        runner.close()
    files = () if out is None else _write(base, lines, seed, out)
    saved.remove()
    return CurriculumReport(title=base.title, lines=tuple(lines), files=files)


def _search(
    name: str,
    teacher: Teacher,
    run: Callable[[str, Point], Episode],
    episodes: int,
    progress: Progress | None,
) -> CurriculumLine:
    found: list[Episode] = []
    for number in range(episodes):
        point = np.round(teacher.propose(), 4)
        found.append(run(name, point))
        teacher.learn(point, found[-1].reward)
        if progress is not None:
            progress(f"worlds, {name}", number + 1, episodes)
    return summarise_search(name, found)


def summarise_search(name: str, found: Sequence[Episode]) -> CurriculumLine:
    """Return what a curriculum found."""
    defects: dict[str, int] = {}
    for number, episode in enumerate(found):
        if episode.defect:
            defects.setdefault(episode.defect, number)
    return CurriculumLine(
        teacher=name,
        episodes=tuple(found),
        defects=defects,
        cliffs=_cliffs(found),
        cells=len({one.cell for one in found}),
        reward=float(np.mean([one.reward for one in found])),
    )


def _cliffs(found: Sequence[Episode]) -> tuple[int, ...]:
    """Return the lower episode of each pair of neighbours that differ, the sharpest first."""
    near = NEIGHBOURS * np.sqrt(len(PARAMETERS))
    earlier = LearningProgress()
    drops: dict[int, float] = {}
    for number, one in enumerate(found):
        if number:
            other = earlier.nearest(one.point)
            apart = float(np.linalg.norm(one.point - found[other].point))
            drop = abs(one.reward - found[other].reward)
            lower = number if one.reward < found[other].reward else other
            if apart <= near and drop >= CLIFF and not found[lower].defect:
                drops[lower] = max(drop, drops.get(lower, 0.0))
        earlier.add(one.point, one.reward)
    return tuple(sorted(drops, key=lambda number: (-drops[number], number)))


def _write(
    base: Scenario, lines: Sequence[CurriculumLine], seed: int, out: Path
) -> tuple[Path, ...]:
    """Write curriculum.json, and a scenario file for each defect and the sharpest cliffs."""
    texts: dict[str, str] = {}
    for line in lines:
        kept = [("defect", number) for number in line.defects.values()]
        kept += [("cliff", number) for number in line.cliffs[:WORLDS_MAX]]
        for at, (kind, number) in enumerate(kept, 1):
            episode = line.episodes[number]
            why = episode.defect or f"mean accuracy {episode.reward:.2f}, a neighbour's is higher"
            head = f"# {kind}: {why}\n# Run it with `auricle simulate FILE --seed {seed}`.\n"
            world = world_at(base, episode.point)
            texts[f"worlds/{line.teacher}-{at}-{kind}.toml"] = head + scenario_text(world)
    content = {
        "format": SEARCH_FORMAT,
        "title": base.title,
        "seed": seed,
        "parameters": list(PARAMETERS),
        "curricula": [_plain(line) for line in lines],
    }
    texts["curriculum.json"] = json.dumps(content, indent=1)
    try:
        (out / "worlds").mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            write_file(out / name, text.encode())
    except OSError as error:
        raise ConfigError(
            f"writing the worlds to {out}: {error.strerror}", "choose a writable folder"
        ) from error
    return tuple(out / name for name in texts)


def _plain(line: CurriculumLine) -> dict[str, Any]:
    return {
        "curriculum": line.teacher,
        "defects": list(line.defects),
        "cliffs": len(line.cliffs),
        "outcomes": line.cells,
        "mean_reward": line.reward,
        "worlds": [
            {"point": one.point.tolist(), "reward": one.reward, "defect": one.defect}
            for one in line.episodes
        ],
    }


def scenario_text(scenario: Scenario) -> str:
    """Return a scenario as TOML that `load_scenario` reads: a line for each key."""
    content = {k: v for k, v in msgspec.to_builtins(scenario).items() if v not in ({}, [], ())}
    return "".join(f"{key} = {_value(value)}\n" for key, value in content.items())


def _value(value: Any) -> str:
    """Return a value as TOML on one line; None is left out of tables."""
    if isinstance(value, Mapping):
        pairs = (f"{json.dumps(k)} = {_value(v)}" for k, v in value.items() if v is not None)
        return f"{{ {', '.join(pairs)} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value)
