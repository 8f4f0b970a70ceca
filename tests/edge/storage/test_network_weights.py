from __future__ import annotations

import numpy as np
import pytest

from edge.core.errors import StateError
from edge.core.forecasting.experts.cells import CELLS
from edge.core.forecasting.history import INPUTS, SEASON_STEPS
from edge.home.home import Home
from edge.storage.network_weights import SHIPPED, read_weights, shipped_weights, write_weights
from edge.storage.serialization import pack_arrays
from tests.homes import new_home


@pytest.mark.parametrize("kind", SHIPPED)
def test_shipped_weights_make_a_cell_that_stays_bounded(kind):
    """Each shipped network opens, takes the inputs of the history, and stays bounded."""
    arrays = shipped_weights(kind)
    cell = CELLS[kind](arrays, 3)
    random = np.random.default_rng(1)
    for _ in range(200):
        cell.step(random.normal(0, 5, (3, len(INPUTS))).astype(np.float32))
    assert np.abs(cell.state).max() <= 1
    assert arrays["readout.weight"].shape == (len(SEASON_STEPS), cell.state.shape[1])
    assert sum(array.nbytes for array in arrays.values()) < 16 << 10


def test_weights_come_back_as_they_were_written(tmp_path):
    """Written weights are read bit-identically."""
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


def test_networks_that_do_not_fit_are_refused(tmp_path):
    """Weights with other inputs, another readout or none raise StateError."""
    arrays = shipped_weights("cfc")
    wide = {name: np.pad(a, ((0, 0), (0, 1))) for name, a in arrays.items() if a.ndim == 2}
    bare = {name: a for name, a in arrays.items() if "readout" not in name}
    readout = {"readout.weight": arrays["readout.weight"], "readout.bias": arrays["readout.bias"]}
    for flawed in (arrays | wide | readout, bare, arrays | {"readout.bias": np.ones(2)}):
        write_weights(tmp_path / "other.safetensors", flawed)
        with pytest.raises(StateError, match="reading weights"):
            read_weights(tmp_path / "other.safetensors")


def test_a_home_takes_a_network_of_its_own(tmp_path):
    """`forecast.weights` names it from the home's folder; a missing one is an error on opening."""
    made = new_home(tmp_path / "home")
    write_weights(made / "own.safetensors", shipped_weights("cfc"))
    with (made / "auricle.toml").open("a", encoding="utf-8") as settings:
        settings.write('\n[forecast]\nweights = "own.safetensors"\n')
    with Home(made):
        pass
    (made / "own.safetensors").unlink()
    with pytest.raises(StateError, match=r"own\.safetensors"), Home(made):
        pass


def test_a_missing_file_is_an_error(tmp_path):
    """A missing file and a missing folder raise StateError."""
    with pytest.raises(StateError, match="No such file"):
        read_weights(tmp_path / "none")
    with pytest.raises(StateError, match="writing weights"):
        write_weights(tmp_path, {})
