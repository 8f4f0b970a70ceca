"""The liquid forecaster in integers: against floats, in C here, and on emulated boards."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.bridge.board import (
    BOARDS,
    Board,
    build_forecaster,
    count_forecaster,
    exit_status,
    missing_tools,
)
from benchmarks.bridge.native import SANITIZERS
from edge.core.forecasting.experts.cells import CfC
from edge.storage.network_weights import shipped_weights
from firmware_bridge import (
    ExportError,
    LiquidPart,
    liquid_words,
    quantise_liquid,
    step_liquid,
    to_fixed,
    write_liquid_c,
)

COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
STRICT = ["-std=c99", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-pedantic", "-Werror"]
INPUTS, UNITS, HORIZONS, STEPS = 16, 20, (1, 6, 12), 200
ERROR_MAX = 0.02
INSTRUCTIONS_MAX = 12_000
emulated = pytest.mark.skipif(
    bool(missing_tools()), reason=f"nothing was run on boards: {missing_tools()} not installed"
)


def arrays_of(seed: int, size: float = 1.0) -> dict[str, np.ndarray]:
    """A cell with random weights."""
    random = np.random.default_rng(seed)
    width = INPUTS + UNITS
    made = {}
    for name in ("ff1", "ff2", "time_a", "time_b"):
        made[f"{name}.weight"] = random.normal(0, size * width**-0.5, (UNITS, width))
        made[f"{name}.bias"] = random.normal(0, 0.3 * size, UNITS)
    made["readout.weight"] = random.normal(0, 0.5, (len(HORIZONS), UNITS))
    made["readout.bias"] = random.normal(0, 0.1, len(HORIZONS))
    return {name: value.astype(np.float32) for name, value in made.items()}


def samples(seed: int, spread: float = 1.0) -> np.ndarray:
    """Inputs of one channel as fixed-point numbers."""
    return to_fixed(np.random.default_rng(seed).normal(0, spread, (STEPS, INPUTS)))


def written(folder: Path, part: LiquidPart, inputs: np.ndarray) -> Path:
    """The files of an exported forecaster, in a folder."""
    for name, content in write_liquid_c(part, inputs).items():
        (folder / name).write_bytes(content)
    return folder


def test_integers_follow_the_floats():
    """States of 16 bits under weights of 8 stay within two hundredths of the float cell's, and so
    do the forecasts."""
    arrays = arrays_of(1)
    part, cell = quantise_liquid(arrays, HORIZONS), CfC(arrays)
    state = np.zeros((1, UNITS), np.int64)
    apart, ahead_apart, sizes = [], [], []
    for row in samples(2):
        state, ahead = step_liquid(part, state, row[None])
        cell.step(row[None].astype(np.float32) / 2048)
        wanted = cell.state @ arrays["readout.weight"].T + arrays["readout.bias"]
        apart.append(state / 32768 - cell.state)
        ahead_apart.append(ahead / 4096 - wanted)
        sizes.append(cell.state.copy())
    error = np.linalg.norm(apart) / np.linalg.norm(sizes)
    assert 0 < error < ERROR_MAX
    assert np.abs(ahead_apart).max() < 3 * ERROR_MAX


@pytest.mark.skipif(not COMPILERS, reason="no C compiler is installed: nothing was built")
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize(("size", "spread"), [(1.0, 1.0), (8.0, 30.0), (1e-4, 1.0)])
def test_c_here_gives_the_same_bits(tmp_path, compiler, size, spread):
    """Strict C99 with sanitizers agrees in every state and forecast, extremes included."""
    inputs = samples(3, spread)
    inputs[5], inputs[6] = -32768, 32767
    folder = written(tmp_path, quantise_liquid(arrays_of(4, size), HORIZONS), inputs)
    program = folder / "golden"
    command = [compiler, *STRICT, *SANITIZERS, "-O1"]
    built = subprocess.run(
        [*command, *sorted(map(str, folder.glob("*.c"))), "-o", str(program)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    ran = subprocess.run([program], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")


@emulated
@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_boards_give_the_same_bits(tmp_path, board: Board):
    """Cortex-M3 and M4F agree in every state and forecast, and notice one that is changed."""
    folder = written(tmp_path, quantise_liquid(arrays_of(4), HORIZONS), samples(3))
    assert exit_status(board, build_forecaster(board, folder, tmp_path)) == 0
    part = quantise_liquid(arrays_of(5), HORIZONS)
    other = write_liquid_c(part, samples(3))["auricle_forecaster.c"]
    (folder / "auricle_forecaster.c").write_bytes(other)
    assert exit_status(board, build_forecaster(board, folder, tmp_path)) == 1


@emulated
def test_the_shipped_forecaster_takes_few_instructions(tmp_path):
    """A step of the shipped network on the M3 is right to the bit and takes a few thousand
    instructions."""
    part = quantise_liquid(shipped_weights("cfc"), HORIZONS)
    taken, unlike = count_forecaster(BOARDS[0], written(tmp_path, part, samples(3)), tmp_path)
    assert unlike == 0
    assert taken < INSTRUCTIONS_MAX


@given(st.integers(0, 2**32 - 1), st.floats(1e-6, 100))
@settings(max_examples=30, deadline=None)
def test_states_stay_within_16_bits(seed, size):
    """No weights and no inputs drive a state out of its range."""
    part = quantise_liquid(arrays_of(seed, size), HORIZONS)
    inputs = np.random.default_rng(seed).choice([-32768, 0, 32767], (20, INPUTS))
    states = liquid_words(part, inputs)[:, :UNITS]
    assert np.abs(states).max() <= 32768


def test_weights_that_make_no_cell_are_refused():
    """Missing, misshapen, wired or huge weights are an ExportError with a hint."""
    arrays = arrays_of(1)
    flaws = [
        {},
        {name: a for name, a in arrays.items() if name != "time_a.bias"},
        arrays | {"ff2.weight": arrays["ff2.weight"][:, 1:]},
        arrays | {"ff1.bias": arrays["ff1.bias"] * np.nan},
        arrays | {"sparsity_mask": np.ones(3)},
        arrays | {"ff1.weight": arrays["ff1.weight"] * 1e6},
    ]
    for flawed in flaws:
        with pytest.raises(ExportError, match="exporting") as caught:
            quantise_liquid(flawed, HORIZONS)
        assert caught.value.hint
