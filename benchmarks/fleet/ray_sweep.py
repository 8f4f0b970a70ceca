"""Whether a sweep on Ray has the metrics of one in this machine's processes."""

import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from edge.sim import RunRecording, SimulationReport, parse_scenario, simulate

SEEDS = (1, 2, 3, 4)
"""Runs of the sweep."""


def ray_equal() -> tuple[bool, str]:
    """Return whether metrics and digests of all runs are equal, and why it could not be measured,
    empty if it could.  Cost: some ten seconds, most of them the start of Ray."""
    if find_spec("ray") is None:
        return False, "ray_equal: Ray is not installed (extra cluster): left out"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "features.npz"
        random = np.random.default_rng(5)
        labels = np.repeat(np.arange(3), 60)
        features = random.normal(size=(3, 16))[labels] * 4.5 + random.normal(size=(180, 16))
        np.savez(path, features=features, labels=labels, domain=np.zeros(180, np.int64))
        scenario = parse_scenario(
            {
                "title": "ray",
                "encoder": {"model": "vector"},
                "device": {"facts_per_concept": 30, "growth": False},
                "domains": {"a": {"source": str(path), "test": 20}},
                "phases": [{"domain": "a", "enrol": 60, "observations": 40, "label_fraction": 0.5}],
            }
        )
        alone, spread = (simulate(scenario, SEEDS, backend=name) for name in ("loky", "ray"))
    return _figures(alone) == _figures(spread), ""


def _figures(report: SimulationReport) -> list[tuple[int, object, str]]:
    """Return seed, metrics and digest of every run."""
    runs = [one for one in report.recordings if isinstance(one, RunRecording)]
    return [(one.seed, one.metrics, one.digest) for one in runs]
