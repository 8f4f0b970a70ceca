"""The numpy cells against those of ncps and torch, on the same weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from edge.core.errors import StateError
from edge.core.forecasting.experts.cells import GRU, LTC, Cell, CfC, WiredCfC

torch = pytest.importorskip("torch", reason="torch is not installed")
ncps = pytest.importorskip("ncps.torch", reason="ncps, the reference, is not installed")
wirings = pytest.importorskip("ncps.wirings", reason="ncps, the reference, is not installed")

FEATURES, UNITS, CHANNELS, STEPS = 5, 12, 3, 40
TOLERANCE = 1e-6
SOLVER_TOLERANCE = 4e-6
"""Six steps of a solver in float32 round as much; in float64 TOLERANCE holds."""


@pytest.fixture(autouse=True)
def seeded() -> Iterator[None]:
    """The references draw the same weights each time."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(3)
        yield


def arrays_of(module: Any, dtype: str) -> dict[str, Any]:
    """A reference's parameters by name; zeros and ones of a fresh cell replaced by draws."""
    random = np.random.default_rng(1)
    for name, value in module.named_parameters():
        if name.rpartition(".")[2] in {"w_tau", "A"} or name.endswith("bias"):
            value.copy_(torch.from_numpy(random.normal(0.2, 0.5, value.shape)))
    return {name: value.numpy().astype(dtype) for name, value in module.state_dict().items()}


def compare(
    cell: Cell, reference: Any, states: int, dtype: str, tolerance: float = TOLERANCE
) -> None:
    """Run both with equal and unequal intervals, and compare every step."""
    random = np.random.default_rng(2)
    hidden = torch.zeros(CHANNELS, states, dtype=getattr(torch, dtype))
    for step in range(STEPS):
        elapsed = 1.0 if step < STEPS // 2 else float(random.uniform(0.2, 3.0))
        inputs = random.normal(0, 1, (CHANNELS, FEATURES)).astype(dtype)
        made = cell.step(inputs, elapsed)
        wanted, hidden = reference(torch.from_numpy(inputs), hidden, elapsed)
        np.testing.assert_allclose(made, wanted.numpy(), rtol=tolerance, atol=tolerance)
        np.testing.assert_allclose(cell.state, hidden.numpy(), rtol=tolerance, atol=tolerance)
        assert made.dtype == dtype


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layers", [0, 1, 3])
@pytest.mark.parametrize("mode", ["default", "no_gate", "pure"])
def test_the_closed_form_cell_agrees_with_ncps(mode: str, layers: int, dtype: str) -> None:
    """CfC equals ncps in every mode, with and without a backbone."""
    reference = ncps.CfCCell(FEATURES, UNITS, mode, backbone_units=20, backbone_layers=layers)
    arrays = arrays_of(reference.to(getattr(torch, dtype)), dtype)
    compare(CfC(arrays, CHANNELS, mode), reference, UNITS, dtype)


@pytest.mark.parametrize("mode", ["default", "no_gate", "pure"])
def test_the_wired_cell_agrees_with_ncps(mode: str) -> None:
    """The masks of a neural circuit policy are applied as in ncps."""
    wiring = wirings.AutoNCP(UNITS, 4, seed=5)
    reference = ncps.WiredCfCCell(FEATURES, wiring, mode)
    cell = WiredCfC(arrays_of(reference, "float32"), CHANNELS, mode)
    assert any((a == 0).any() for n, a in reference.state_dict().items() if "mask" in n)
    compare(cell, reference, UNITS, "float32")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("unfolds", [1, 6])
def test_the_time_constant_cell_agrees_with_ncps(unfolds: int, dtype: str) -> None:
    """The semi-implicit solver of LTC gives the potentials of ncps."""
    wiring = wirings.AutoNCP(UNITS, 4, seed=5)
    reference = ncps.LTCCell(wiring, FEATURES, ode_unfolds=unfolds).to(getattr(torch, dtype))
    cell = LTC(arrays_of(reference, dtype), CHANNELS, unfolds)
    compare(cell, reference, UNITS, dtype, TOLERANCE if dtype == "float64" else SOLVER_TOLERANCE)


def test_the_gated_unit_agrees_with_torch() -> None:
    """GRU equals torch."""
    reference = torch.nn.GRUCell(FEATURES, UNITS)
    arrays = arrays_of(reference, "float32")

    def call(inputs: Any, hidden: Any, _elapsed: float) -> Any:
        made = reference(inputs, hidden)
        return made, made

    compare(GRU(arrays, CHANNELS), call, UNITS, "float32")


@pytest.mark.parametrize("flaw", ["missing", "narrow", "nan", "whole", "bare", "empty"])
def test_weights_that_do_not_fit_are_refused(flaw: str) -> None:
    """Weights of the wrong names, shapes or values raise StateError, with a hint."""
    reference = ncps.CfCCell(FEATURES, UNITS, backbone_layers=0)
    arrays = {name: value.numpy().copy() for name, value in reference.state_dict().items()}
    changed = arrays.pop("time_a.weight")
    if flaw == "narrow":
        arrays["time_a.weight"] = changed[:, 1:]
    elif flaw == "nan":
        arrays["time_a.weight"] = changed * np.float32(np.nan)
    elif flaw in {"bare", "empty"}:
        arrays["time_a.weight"] = np.float32(1.0).reshape(()) if flaw == "bare" else changed[:0]
    elif flaw == "whole":
        arrays["time_a.weight"] = changed.astype(np.int64)
    with pytest.raises(StateError, match="time_a") as caught:
        CfC(arrays)
    assert caught.value.hint
