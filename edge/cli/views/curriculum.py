"""How the command line runs a search of worlds and shows what it found."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...core import ConfigError
from .common import say, show_json, show_table


def run_search(
    scenario: Any,
    seeds: tuple[int, ...],
    out: Path,
    progress: Callable[[str, int, int], None],
    *,
    as_json: bool,
) -> None:
    """Search the worlds around a scenario; raises ConfigError for one that runs no device, or for
    more than one seed."""
    from ...sim import Scenario
    from ...sim.curriculum import search_worlds

    if not isinstance(scenario, Scenario) or len(seeds) != 1:
        raise ConfigError(
            "searching worlds: expected a scenario with phases, and one seed",
            "name a scenario like examples/scenarios/digits.toml, and leave out further --seed",
        )
    report = search_worlds(scenario, seeds[0], out, progress)
    worlds = [str(one) for one in report.files if one.suffix == ".toml"]
    if as_json:
        found = {
            line.teacher: {
                "defects": list(line.defects),
                "cliffs": len(line.cliffs),
                "outcomes": line.cells,
                "mean_reward": line.reward,
            }
            for line in report.lines
        }
        show_json({"file": str(out / "curriculum.json"), "curricula": found, "worlds": worlds})
        return
    say(f"{report.title}: worlds around it, {len(report.lines[0].episodes)} for each curriculum")
    rows = (
        (
            line.teacher,
            str(len(line.defects)),
            str(len(line.cliffs)),
            str(line.cells),
            f"{line.reward:.2f}",
        )
        for line in report.lines
    )
    show_table(("curriculum", "defects", "cliffs", "outcomes", "mean reward"), rows)
    for defect in dict.fromkeys(text for line in report.lines for text in line.defects):
        say(f"defect: {defect}")
    for world in worlds:
        say(f"world {world}")
