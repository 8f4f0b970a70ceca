"""Recurrent cells that step all channels at once: CfC, wired CfC (NCP), LTC and GRU, in numpy.

Parameters are arrays with the names that `ncps` and torch give them, so that their state dicts fit
unchanged.  A cell keeps its state [channels, units] and its working memory.  Callers must pass
finite inputs: NaN and infinity would stay in the state.
"""

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import StateError

Floats = NDArray[np.floating[Any]]
Arrays = Mapping[str, Floats]

MODES: Final = ("default", "no_gate", "pure")
UNFOLDS: Final = 6
"""Solver steps of an LTC cell in a step: the default of ncps."""
LECUN: Final = (1.7159, 0.666)
"""ncps's activation of the backbone: 1.7159 tanh(0.666 v) (LeCun et al. 1998, section 4.4)."""
# Keeps the solver's divisor above 0, as in ncps.
_TINY: Final = 1e-8


class Cell(Protocol):
    """A recurrent cell.  state: [channels, units], of the parameters' dtype; callers may write to
    it."""

    state: Floats

    def step(self, inputs: Floats, elapsed: float = 1.0) -> Floats:
        """Step with inputs [channels, features], `elapsed` time units (above 0) after the last;
        return the outputs [channels, outputs], valid until the next step."""
        ...


class CfC:
    """Closed-form continuous-time cell (Hasani et al. 2022, equation 10), as ncps has it.

    arrays: `ff1.weight` [units, n], `ff1.bias`, and `ff2`, `time_a`, `time_b` likewise, or `w_tau`
    and `A` [1, units] in mode "pure"; `backbone.0.weight` [hidden, features + units], `.bias` and
    `backbone.2` and so on where there is a backbone; `sparsity_mask` [units, n] where wired.
    Raises StateError for arrays that do not fit.  A step costs two matrix products and two tanh.
    The elapsed time is part of the gate's weights, which are computed again only when it changes.
    """

    def __init__(self, arrays: Arrays, channels: int = 1, mode: str = "default") -> None:
        first = _array(arrays, "ff1.weight")
        kind, self._mode = first.dtype, _known(mode)
        units, self._elapsed = len(first), 0.0
        layers = _backbone(arrays)
        width = len(layers[0]) - 1 if layers else first.shape[-1]
        self._features = width - units
        if self._features < 1:
            raise _mismatch(f"more inputs than {units} units", f"{width} columns")
        # One row per unit, so that each head is one block of memory.
        self._joined = np.ones((width + 1, channels), kind)
        self._inputs = self._joined[: self._features].T
        self._units = self._joined[self._features : -1]
        self._units[:] = 0
        self.state = self._units.T
        self._layers = [
            (np.ascontiguousarray(layer.T), np.ones((layer.shape[1], channels), kind))
            for layer in layers
        ]
        self._read(arrays, layers[-1].shape[1] - 1 if layers else width, units)
        self._out = np.empty((len(self._weights), channels), kind)
        self._one, self._half = np.array(1.0, kind), np.array(0.5, kind)
        self._parts = [self._out[at : at + units] for at in range(0, len(self._out), units)]

    def _read(self, arrays: Arrays, width: int, units: int) -> None:
        """Collect the weights of the heads, [heads * units, width + 1], and of the gate."""
        mask = arrays.get("sparsity_mask")
        scale = LECUN[0] if self._layers else 1.0
        if self._mode == "pure":
            self._weights = np.ascontiguousarray(_head(arrays, "ff1", width, mask, scale).T)
            self._decay = np.abs(_array(arrays, "w_tau", (1, units))).T
            self._level = _array(arrays, "A", (1, units)).T
            return
        made = [_head(arrays, name, width, mask, scale).T for name in ("ff1", "ff2")]
        # sigmoid(v) = (1 + tanh(v / 2)) / 2, so that one tanh serves all heads.
        self._rate, self._shift = (
            _head(arrays, name, width, None, scale).T / 2 for name in ("time_a", "time_b")
        )
        self._weights = np.concatenate([*made, self._rate + self._shift])
        self._gate = self._weights[2 * units :]

    def step(self, inputs: Floats, elapsed: float = 1.0) -> Floats:
        """Step; return the state [channels, units] itself."""
        if elapsed != self._elapsed:
            self._set_elapsed(elapsed)
        self._inputs[:] = inputs
        hidden = self._joined
        for layer, out in self._layers:
            np.dot(layer, hidden, out=out)
            np.tanh(out, out=out)
            hidden = out
        np.dot(self._weights, hidden, out=self._out)
        if self._mode == "pure":
            return self._relax(elapsed)
        np.tanh(self._out, out=self._out)
        return self._mix()

    def _set_elapsed(self, elapsed: float) -> None:
        self._elapsed = elapsed
        if self._mode != "pure":
            np.multiply(self._rate, elapsed, out=self._gate)
            self._gate += self._shift

    def _mix(self) -> Floats:
        """Mix the two heads by the gate: f1 + s (f2 - f1), or f1 + s f2 without."""
        first, second, gate = self._parts
        gate += self._one
        gate *= self._half
        if self._mode == "default":
            second -= first
        second *= gate
        np.add(first, second, out=self._units)
        return self.state

    def _relax(self, elapsed: float) -> Floats:
        """A (1 - f1 exp(-t (|w| + |f1|)))."""
        (first,) = self._parts
        fade = np.abs(first)
        fade += self._decay
        fade *= -elapsed
        np.exp(fade, out=fade)
        fade *= first
        np.subtract(1.0, fade, out=fade)
        np.multiply(fade, self._level, out=self._units)
        return self.state


class WiredCfC:
    """Layers of CfC cells under the masks of a neural circuit policy (Lechner et al. 2020).

    arrays: those of each layer with the prefix `layer_0.`, `layer_1.` and so on, masks included.
    The state holds all layers side by side; the outputs are those of the last layer.
    """

    def __init__(self, arrays: Arrays, channels: int = 1, mode: str = "default") -> None:
        parts = [_part(arrays, "layer_0.")]
        while part := _part(arrays, f"layer_{len(parts)}."):
            parts.append(part)
        self._cells = [CfC(part, channels, mode) for part in parts]
        ends = np.cumsum([0, *(cell.state.shape[1] for cell in self._cells)])
        self.state = np.zeros((channels, ends[-1]), self._cells[0].state.dtype)
        self._views = [self.state[:, at:end] for at, end in pairwise(ends)]

    def step(self, inputs: Floats, elapsed: float = 1.0) -> Floats:
        """Step all layers; return the state of the last one [channels, outputs]."""
        out = inputs
        for cell, view in zip(self._cells, self._views, strict=True):
            cell.state[:] = view
            out = cell.step(out, elapsed)
            view[:] = out
        return out


class LTC:
    """Liquid time-constant cell (Hasani et al. 2021, algorithm 1), as ncps has it.

    arrays: `gleak`, `vleak`, `cm` [units]; `sigma`, `mu`, `w`, `erev`, `sparsity_mask` [units,
    units], source first; the same after `sensory_` [features, units]; `input_w`, `input_b`
    [features] and `output_w`, `output_b` [outputs].  A step runs six steps of the fused
    semi-implicit solver: 6 * units^2 tanh per channel.  The state holds the potentials; the outputs
    are those of the first units, mapped linearly.
    """

    def __init__(self, arrays: Arrays, channels: int = 1, unfolds: int = UNFOLDS) -> None:
        self._unfolds = unfolds
        self._capacity, self._leak = _array(arrays, "cm"), _array(arrays, "gleak")
        units = len(self._leak)
        self._flow = self._leak * _array(arrays, "vleak", (units,))
        self._sensed = _Synapses(_part(arrays, "sensory_"), units, channels)
        names = ("sigma", "mu", "w", "erev", "sparsity_mask")
        self._inner = _Synapses({name: _array(arrays, name) for name in names}, units, channels)
        self._inputs = _array(arrays, "input_w"), _array(arrays, "input_b")
        self._outputs = _array(arrays, "output_w"), _array(arrays, "output_b")
        self.state = np.zeros((channels, units), self._leak.dtype)

    def step(self, inputs: Floats, elapsed: float = 1.0) -> Floats:
        """Integrate over `elapsed`; return outputs [channels, outputs]."""
        weight, bias = self._inputs
        sensed_flow, sensed_damping = self._sensed(inputs * weight + bias)
        constant_flow = sensed_flow + self._flow
        constant_damping = sensed_damping + (self._leak + _TINY)
        inertia = self._capacity / (elapsed / self._unfolds)
        for _ in range(self._unfolds):
            flow, damping = self._inner(self.state)
            flow += inertia * self.state
            flow += constant_flow
            damping += inertia
            damping += constant_damping
            np.divide(flow, damping, out=self.state)
        weight, bias = self._outputs
        return np.asarray(self.state[:, : len(weight)] * weight + bias)


class _Synapses:
    """Conductances w sigmoid(sigma (v - mu)) of sources onto units, summed over the sources."""

    def __init__(self, arrays: Arrays, units: int, channels: int) -> None:
        sigma = _array(arrays, "sigma")
        shape = (len(sigma), units)
        self._slope = sigma / 2
        self._shift = self._slope * _array(arrays, "mu", shape)
        weight = _array(arrays, "w", shape) * _array(arrays, "sparsity_mask", shape) / 2
        self._damping = weight
        self._flow = weight * _array(arrays, "erev", shape)
        self._gates = np.empty((channels, *shape), sigma.dtype)
        self._scaled = np.empty_like(self._gates)

    def __call__(self, sources: Floats) -> tuple[Floats, Floats]:
        """Return the sums over sources [channels, n] of conductance times reversal potential, and
        of conductance, each [channels, units]."""
        gates, scaled = self._gates, self._scaled
        np.multiply(sources[:, :, None], self._slope, out=gates)
        gates -= self._shift
        np.tanh(gates, out=gates)
        gates += 1.0
        np.multiply(gates, self._flow, out=scaled)
        flow = scaled.sum(axis=1)
        gates *= self._damping
        return flow, gates.sum(axis=1)


class GRU:
    """Gated recurrent unit (Cho et al. 2014), as torch.nn.GRUCell has it; elapsed time is ignored.

    arrays: `weight_ih` [3 units, features], `weight_hh` [3 units, units], `bias_ih`, `bias_hh`, in
    the order reset, update, new.
    """

    def __init__(self, arrays: Arrays, channels: int = 1) -> None:
        inward = _array(arrays, "weight_ih")
        units, features = len(inward) // 3, inward.shape[-1]
        back = _array(arrays, "weight_hh", (len(inward), units))
        if inward.shape != (3 * units, features):
            raise _mismatch("three rows per unit in weight_ih", f"shape {inward.shape}")
        bias = [_array(arrays, name, (3 * units,)) for name in ("bias_ih", "bias_hh")]
        two = 2 * units
        weights = np.zeros((features + units + 1, 4 * units), inward.dtype)
        weights[:features, : 3 * units] = inward.T
        weights[features:-1, :two] = back[:two].T
        weights[features:-1, 3 * units :] = back[two:].T
        weights[-1, : 3 * units] = bias[0]
        weights[-1, :two] += bias[1][:two]
        weights[-1, 3 * units :] = bias[1][two:]
        weights[:, :two] /= 2
        self._weights = weights
        self._joined = np.ones((channels, features + units + 1), inward.dtype)
        self._inputs, self.state = self._joined[:, :features], self._joined[:, features:-1]
        self.state[:] = 0
        self._out = np.empty((channels, 4 * units), inward.dtype)
        self._gates = self._out[:, :two]
        self._parts = [self._out[:, at : at + units] for at in range(0, 4 * units, units)]

    def step(self, inputs: Floats, elapsed: float = 1.0) -> Floats:  # noqa: ARG002 - a Cell's
        """Step; return the state [channels, units] itself."""
        self._inputs[:] = inputs
        np.dot(self._joined, self._weights, out=self._out)
        gates = np.tanh(self._gates, out=self._gates)
        gates += 1.0
        gates *= 0.5
        reset, update, new, back = self._parts
        back *= reset
        new += back
        np.tanh(new, out=new)
        self.state -= new
        self.state *= update
        self.state += new
        return self.state


CELLS: Final[dict[str, Callable[[Arrays, int], Cell]]] = {
    "cfc": CfC,
    "gru": GRU,
    "ltc": LTC,
    "wired": WiredCfC,
}
"""Cells by name; each is constructed from its arrays and a number of channels."""


def _backbone(arrays: Arrays) -> list[Floats]:
    """Return the layers of the backbone, [width + 1, hidden + 1], with the bias as the last row.

    The constants of LeCun's activation are part of the weights, so that a plain tanh follows each
    layer.
    """
    layers: list[Floats] = []
    scale = 1.0
    while f"backbone.{2 * len(layers)}.weight" in arrays:
        name = f"backbone.{2 * len(layers)}"
        made = _layer(arrays, name, _array(arrays, f"{name}.weight").shape[-1])
        made[:-1] *= scale * LECUN[1]
        made[-1] *= LECUN[1]
        # A last column that stays one carries the next layer's bias: tanh(20) is 1 in floats.
        keep = np.zeros((len(made), 1), made.dtype)
        keep[-1] = 20.0
        layers.append(np.concatenate([made, keep], axis=1))
        scale = LECUN[0]
    return layers


def _head(arrays: Arrays, name: str, width: int, mask: Floats | None, scale: float) -> Floats:
    made = _layer(arrays, name, width)
    if mask is not None:
        made[:-1] *= mask.T
    made[:-1] *= scale
    return made


def _layer(arrays: Arrays, name: str, width: int) -> Floats:
    """Return a copy of a layer's weights, transposed, with the bias as the last row: [width + 1,
    units]."""
    weight = _array(arrays, f"{name}.weight")
    if weight.ndim != 2 or weight.shape[1] != width:
        raise _mismatch(f"{width} columns in {name}.weight", f"shape {weight.shape}")
    bias = _array(arrays, f"{name}.bias", (len(weight),))
    return np.concatenate([weight.T, bias[None]], axis=0)


def _array(arrays: Arrays, name: str, shape: tuple[int, ...] | None = None) -> Floats:
    """Return a float array by name; raises StateError where it is missing or does not fit."""
    found = arrays.get(name)
    if found is None or found.dtype.kind != "f" or not found.size or not np.isfinite(found).all():
        raise _mismatch(f"finite floats named {name}", "none" if found is None else "invalid ones")
    if not found.ndim or (shape is not None and found.shape != shape):
        raise _mismatch(f"{name} of shape {shape}", f"{found.shape}")
    return found


def _part(arrays: Arrays, prefix: str) -> dict[str, Floats]:
    return {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}


def _known(mode: str) -> str:
    if mode not in MODES:
        raise _mismatch(f"a mode among {', '.join(MODES)}", mode)
    return mode


def _mismatch(expected: str, found: str) -> StateError:
    return StateError(
        f"loading the weights of a cell: expected {expected}, found {found}",
        "train them again with `auricle train`, or use the shipped weights",
    )
