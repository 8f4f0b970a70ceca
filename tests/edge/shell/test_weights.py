from __future__ import annotations

import numpy as np
import pytest

from edge.core import StateError
from edge.core.forecasting.cells import CELLS
from edge.core.forecasting.history import INPUTS, SEASON_STEPS
from edge.shell.parcels import pack_arrays
from edge.shell.weights import SHIPPED, read_weights, shipped_weights, write_weights


@pytest.mark.parametrize("kind", SHIPPED)
def test_shipped_weights_make_a_cell_that_stays_bounded(kind):
    """Each shipped network opens, takes the inputs that the history makes, and never runs away."""
    arrays = shipped_weights(kind)
    cell = CELLS[kind](arrays, 3)
    random = np.random.default_rng(1)
    for _ in range(200):
        cell.step(random.normal(0, 5, (3, len(INPUTS))).astype(np.float32))
    assert np.abs(cell.state).max() <= 1
    assert arrays["readout.weight"].shape == (len(SEASON_STEPS), cell.state.shape[1])
    assert sum(array.nbytes for array in arrays.values()) < 16 << 10


def test_weights_come_back_as_they_were_written(tmp_path):
    """What was written is read, to the bit."""
    arrays = shipped_weights("gru")
    write_weights(tmp_path / "own.safetensors", arrays)
    found = read_weights(tmp_path / "own.safetensors")
    assert found.keys() == arrays.keys()
    assert all((found[name] == arrays[name]).all() for name in arrays)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"text",
        pack_arrays({"ff1.weight": np.ones(3, np.int64)}),
        pack_arrays({"ff1.weight": np.full(3, np.nan)}),
        pack_arrays({}),
    ],
)
def test_files_that_hold_no_network_are_refused(tmp_path, content):
    """Other files, whole numbers and NaN are a StateError with a hint."""
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(StateError, match="reading weights") as caught:
        read_weights(path)
    assert caught.value.hint


def test_a_missing_file_is_told(tmp_path):
    """A file that is not there, and a folder that is not, are a StateError."""
    with pytest.raises(StateError, match="No such file"):
        read_weights(tmp_path / "none")
    with pytest.raises(StateError, match="writing weights"):
        write_weights(tmp_path, {})
