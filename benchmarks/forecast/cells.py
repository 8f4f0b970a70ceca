"""Liquid cells: our numpy form compared with ncps in one interleaved run, and the integer form."""

import statistics
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from edge.backbone import STEP_S, simulate_links
from edge.core.forecasting import CELLS, SEASON_STEPS, Cell, JumpCorrectedHistory
from edge.storage import shipped_weights
from firmware_bridge import quantise_liquid, step_liquid, to_fixed

from ..report import BenchmarkReport, BenchmarkRow

FEATURES, UNITS = 8, 32
"""Chosen by hand; the shipped network has 16 inputs and 20 units."""
ROUNDS, ROUND_STEPS = 30, 200
"""Interleaved rounds; the median round counts.  Chosen by hand."""
PARITY_STEPS = 200
"""Chosen by hand; effect not measured."""
SEED: Final = 200
"""Above FIRST_SEED and WORLDS of `scripts/train_liquid.py`: a world that was not trained on."""
SETTLED = 300
"""Just over a day of loads (288 steps), left out while both forms adapt."""

Step = Callable[[], object]


def measure_cells() -> BenchmarkReport:
    """Measure the time of a step at batch 1 with 32 units, the difference to ncps, and the error of
    integers."""
    import torch

    with torch.no_grad(), torch.random.fork_rng():
        torch.manual_seed(1)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        pairs, apart = _pairs()
        us = _timed({name: step for pair in pairs.values() for name, step in pair.items()})
        torch.set_num_threads(threads)
    rows = tuple(BenchmarkRow(name, "cell_step_us", value) for name, value in us.items())
    ratios = {name: us[f"ncps {name}"] / us[f"numpy {name}"] for name in pairs}
    summary = {
        "liquid_cell_us": us["numpy CfC"],
        "liquid_cell_speedup_vs_ncps": ratios["CfC"],
        "liquid_cell_speedup_vs_ncps_no_backbone": ratios["CfC, no backbone"],
        "ltc_cell_speedup_vs_ncps": ratios["LTC"],
        "liquid_cell_error_vs_ncps": max(apart["CfC"], apart["CfC, no backbone"]),
        "ltc_cell_error_vs_ncps": apart["LTC"],
    }
    return BenchmarkReport("cells", rows, summary | _integers())


def _pairs() -> tuple[dict[str, dict[str, Step]], dict[str, float]]:
    """Return steps by name, numpy and ncps of each, and the largest difference of their states,
    float32."""
    import torch
    from ncps.torch import CfCCell, LTCCell
    from ncps.wirings import AutoNCP

    references: dict[str, tuple[str, Any]] = {
        "CfC": ("cfc", CfCCell(FEATURES, UNITS)),
        "CfC, no backbone": ("cfc", CfCCell(FEATURES, UNITS, backbone_layers=0)),
        "LTC": ("ltc", LTCCell(AutoNCP(UNITS, 4, seed=1), FEATURES)),
    }
    pairs: dict[str, dict[str, Step]] = {}
    apart: dict[str, float] = {}
    inputs = np.random.default_rng(1).standard_normal((1, FEATURES)).astype(np.float32)
    given, state = torch.from_numpy(inputs), torch.zeros(1, UNITS)
    for name, (kind, reference) in references.items():
        arrays = {key: value.numpy() for key, value in reference.state_dict().items()}
        cell = CELLS[kind](arrays, 1)
        apart[name] = _largest_difference(cell, reference)
        pairs[name] = {
            f"numpy {name}": lambda cell=cell: cell.step(inputs),  # type: ignore[misc]
            f"ncps {name}": lambda cell=reference: cell(given, state, 1.0),  # type: ignore[misc]
        }
    return pairs, apart


def _largest_difference(cell: Cell, reference: Any) -> float:
    """Return the largest difference of states over steps of unequal length."""
    import torch

    random, state, worst = np.random.default_rng(2), torch.zeros(1, UNITS), 0.0
    for _ in range(PARITY_STEPS):
        inputs = random.standard_normal((1, FEATURES)).astype(np.float32)
        elapsed = float(random.uniform(0.2, 3.0))
        cell.step(inputs, elapsed)
        _, state = reference(torch.from_numpy(inputs), state, elapsed)
        worst = max(worst, float(np.abs(cell.state - state.numpy()).max()))
    cell.state[:] = 0
    return worst


def _timed(steps: dict[str, Step]) -> dict[str, float]:
    """Return the median over rounds of the microseconds per step, all taking turns."""
    spent: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            begun = time.perf_counter()
            for _ in range(ROUND_STEPS):
                step()
            spent[name].append((time.perf_counter() - begun) / ROUND_STEPS * 1e6)
    return {name: statistics.median(times) for name, times in spent.items()}


def _integers() -> dict[str, float]:
    """Compare the shipped network in integers and in floats, on loads that it was not trained
    on."""
    arrays = shipped_weights("cfc")
    loads = simulate_links("nsfnet", SEED, days=5, quiet_days=3).loads
    history, channels = JumpCorrectedHistory(loads.shape[1]), loads.shape[1]
    cell, part = CELLS["cfc"](arrays, channels), quantise_liquid(arrays, SEASON_STEPS)
    whole = np.zeros((channels, part.units), np.int64)
    pairs: list[tuple[NDArray[Any], NDArray[Any]]] = []
    apart = size = 0.0
    for row in loads:
        history.step(row, STEP_S)
        inputs = history.inputs.astype(np.float32)
        floats = cell.step(inputs) @ arrays["readout.weight"].T + arrays["readout.bias"]
        whole, ahead = step_liquid(part, whole, to_fixed(inputs))
        pairs.append((floats, ahead / 4096))
        apart += float(np.square(whole / 32768 - cell.state).sum())
        size += float(np.square(cell.state).sum())
    moved = np.array([np.abs(one - two).mean() for one, two in pairs[SETTLED:]])
    usual = np.array([np.abs(one).mean() for one, _ in pairs[SETTLED:]])
    return {
        "integer_state_error": (apart / size) ** 0.5,
        "integer_forecast_change": float(moved.mean() / usual.mean()),
    }
