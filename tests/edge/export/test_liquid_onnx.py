from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest

from edge.core.errors import StateError
from edge.core.forecasting.experts.cells import CfC
from edge.core.forecasting.history import INPUTS
from edge.export.liquid_onnx import liquid_onnx, write_onnx
from edge.storage.network_weights import shipped_weights

CHANNELS, TOLERANCE = 5, 1e-5


def test_onnxruntime_gives_the_served_forecasts(tmp_path):
    """The graph is valid, and onnxruntime agrees with the cell over unequal time steps."""
    arrays = shipped_weights("cfc")
    write_onnx(tmp_path / "liquid.onnx", arrays)
    onnx.checker.check_model(onnx.load(tmp_path / "liquid.onnx"), full_check=True)
    session = onnxruntime.InferenceSession(
        tmp_path / "liquid.onnx", providers=["CPUExecutionProvider"]
    )
    cell, random = CfC(arrays, CHANNELS), np.random.default_rng(1)
    state = np.zeros_like(cell.state)
    for _ in range(100):
        inputs = random.normal(0, 1, (CHANNELS, len(INPUTS))).astype(np.float32)
        elapsed = float(random.choice([1.0, 0.5, 2.5]))
        fed = {"inputs": inputs, "state": state, "elapsed": np.full((CHANNELS, 1), elapsed, "f4")}
        state, forecasts = session.run(["next", "forecasts"], fed)
        expected = cell.step(inputs, elapsed) @ arrays["readout.weight"].T + arrays["readout.bias"]
        np.testing.assert_allclose(state, cell.state, atol=TOLERANCE)
        np.testing.assert_allclose(forecasts, expected, atol=TOLERANCE)


def test_other_networks_are_refused():
    """A gated network and a liquid one with a backbone are refused."""
    with pytest.raises(StateError, match="ff1"):
        liquid_onnx(shipped_weights("gru"))
    wired = shipped_weights("cfc")
    wired["sparsity_mask"] = np.ones_like(wired["ff1.weight"])
    with pytest.raises(StateError, match="without backbone"):
        liquid_onnx(wired)
