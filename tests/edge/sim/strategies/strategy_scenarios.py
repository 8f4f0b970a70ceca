"""A scenario of strategies on the user's own features."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edge.sim import StrategyScenario, load_scenario
from tests.edge.sim.strategies.tiny_strategies import blob_source


def write_scenario(folder: Path, *lines: str, seed: int = 1) -> Path:
    """A scenario on the user's own features: two domains in one file."""
    source = blob_source(seed=seed)
    rows = source.domains.values()
    np.savez(
        folder / "own.npz",
        features=np.concatenate([one.features for one in rows]).astype(np.float32),
        labels=np.concatenate([one.targets for one in rows]),
        domain=np.repeat([0, 1], [len(one) for one in rows]),
    )
    path = folder / "own.toml"
    path.write_text(
        'title = "Own features"\n[strategies]\n' + "\n".join(lines) + "\n"
        '[encoder]\nmodel = "vector"\n'
        '[domains.first]\nsource = "own.npz"\nwhere = { domain = 0 }\n'
        '[domains.second]\nsource = "own.npz"\nwhere = { domain = 1 }\n',
        "utf-8",
    )
    return path


def load_own(folder: Path, *lines: str) -> StrategyScenario:
    """That scenario, read."""
    scenario = load_scenario(write_scenario(folder, *lines))
    assert isinstance(scenario, StrategyScenario)
    return scenario
