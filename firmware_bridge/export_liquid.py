"""A trained liquid forecaster as C: weights rounded to 8 bits, golden vectors, and the code."""

from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .export import SUM_MAX, Ints, expect
from .export_c import text_of
from .liquid import AHEAD_ONE, GAIN_SHIFT, STATE_ONE, TANH, LiquidPart, LiquidRows, step_liquid

FORECASTER_CODE: Final = (
    "auricle_liquid.h",
    "auricle_liquid.c",
    "auricle_forecaster_test.c",
    "auricle_check.c",
)
WEIGHT_MAX: Final = 127
UNITS_MAX: Final = 256
INPUTS_MAX: Final = 256

_A_LINE: Final = 12
_COMMENT: Final = "/* Made by `auricle export-c --forecaster`; not to be edited. */"

Arrays = Mapping[str, NDArray[Any]]


def quantise_liquid(arrays: Arrays, horizons: tuple[int, ...]) -> LiquidPart:
    """Round a trained cell (mode "default", no backbone) to 8-bit weights with a scale a row.

    arrays: `ff1.weight` [units, inputs + units] and `.bias`, `ff2`, `time_a`, `time_b` likewise,
    `readout.weight` [horizons, units] and `readout.bias`.  Steps are taken to be the usual ones,
    so that time folds into the gate.  Raises ExportError for arrays that do not fit.
    """
    names = ("ff1", "ff2", "time_a", "time_b")
    first = arrays.get("ff1.weight", np.zeros(0))
    expect(first.ndim == 2, "the forecaster", "the weights of a liquid cell", sorted(arrays))
    units, inputs = len(first), first.shape[1] - len(first)
    fine = 1 <= units <= UNITS_MAX and 1 <= inputs <= INPUTS_MAX
    expect(fine, "the forecaster", f"1 to {UNITS_MAX} units and inputs", first.shape)
    expect("sparsity_mask" not in arrays, "the forecaster", "a cell without wiring", "a mask")
    one, two, rate, shift = (_layer(arrays, name, (units, inputs + units)) for name in names)
    gate = (rate[0] + shift[0]) / 2, (rate[1] + shift[1]) / 2
    weights, bias = (np.concatenate(parts) for parts in zip(one, two, gate, strict=True))
    told = _layer(arrays, "readout", (len(horizons), units))
    return LiquidPart(inputs, units, horizons, _rows(weights, bias, inputs), _rows(*told, 0))


def _layer(arrays: Arrays, name: str, shape: tuple[int, int]) -> tuple[Any, Any]:
    weights, bias = (arrays.get(f"{name}.{what}", np.zeros(0)) for what in ("weight", "bias"))
    found = weights.shape, bias.shape
    expect(found == (shape, shape[:1]), name, f"shapes {shape} and {shape[:1]}", found)
    finite = bool(np.isfinite(weights).all() and np.isfinite(bias).all())
    expect(finite, name, "finite numbers", "others")
    return weights.astype(np.float64), bias.astype(np.float64)


def _rows(weights: NDArray[np.float64], bias: NDArray[np.float64], inputs: int) -> LiquidRows:
    scale = np.maximum(np.abs(weights).max(axis=1), 1e-6) / WEIGHT_MAX
    whole = np.rint(weights / scale[:, None]).astype(np.int8)
    made = LiquidRows(
        whole,
        np.rint(bias / scale * STATE_ONE).astype(np.int64),
        np.rint(scale * (AHEAD_ONE / STATE_ONE) * (1 << GAIN_SHIFT)).astype(np.int64),
    )
    sizes = np.abs(whole.astype(np.int64))
    # Inputs in Q11 are shifted to Q15: up to 16 times what a state can be.
    reach = (sizes.sum(axis=1) + 15 * sizes[:, :inputs].sum(axis=1)) * STATE_ONE + np.abs(made.bias)
    expect(reach.max() <= SUM_MAX, "the forecaster", "sums of 31 bits", f"{reach.max():,}")
    expect(made.gain.max() <= SUM_MAX, "the forecaster", "weights below 1,000", weights.max())
    return made


def liquid_bytes(part: LiquidPart) -> int:
    """Bytes of flash that weights and the table take; RAM is 4 a unit and channel."""
    rows = (part.cell, part.readout)
    return sum(one.weights.size + 8 * len(one.bias) for one in rows) + 2 * len(TANH)


def write_liquid_c(part: LiquidPart, inputs: Ints) -> dict[str, bytes]:
    """All files of a forecaster by name.

    inputs: int64 [steps, inputs] in Q11, the samples of the golden vectors, one channel; what
    follows from them is worked out here.
    """
    made = {
        "auricle_forecaster.h": _header(part, len(inputs)),
        "auricle_forecaster.c": _source(part),
        "auricle_forecaster_golden.c": _golden(part, inputs),
    }
    code = files(__package__) / "c"
    copied = {name: (code / name).read_bytes() for name in FORECASTER_CODE}
    return {name: text.encode() for name, text in made.items()} | copied


def liquid_words(part: LiquidPart, inputs: Ints) -> Ints:
    """States and forecasts after each step of one channel, int64 [steps, units + horizons]."""
    state, told = np.zeros((1, part.units), np.int64), []
    for row in inputs:
        state, ahead = step_liquid(part, state, row[None])
        told.append(np.concatenate([state[0], ahead[0]]))
    return np.array(told, np.int64).reshape(len(inputs), part.units + len(part.horizons))


def _header(part: LiquidPart, golden: int) -> str:
    numbers = {
        "INPUTS": part.inputs,
        "UNITS": part.units,
        "HORIZONS": len(part.horizons),
        "GOLDEN": golden,
    }
    return text_of(
        [
            _COMMENT,
            "#ifndef AURICLE_FORECASTER_H",
            "#define AURICLE_FORECASTER_H",
            "",
            '#include "auricle_liquid.h"',
            "",
            *(f"#define AURICLE_FORECASTER_{name} {number}" for name, number in numbers.items()),
            "",
            "extern const auricle_liquid auricle_forecaster;",
            "",
            "/* Steps of one channel, and the states and forecasts that have to follow. */",
            "extern const int16_t auricle_forecaster_golden_inputs[AURICLE_FORECASTER_GOLDEN]",
            "                                                     [AURICLE_FORECASTER_INPUTS];",
            "extern const int32_t auricle_forecaster_golden_told[AURICLE_FORECASTER_GOLDEN]",
            "                                                   [AURICLE_FORECASTER_UNITS +",
            "                                                    AURICLE_FORECASTER_HORIZONS];",
            "",
            "#endif",
        ]
    )


def _source(part: LiquidPart) -> str:
    arrays = [
        *_array("int8_t", "weights", part.cell.weights),
        *_array("int32_t", "bias", part.cell.bias),
        *_array("int32_t", "gain", part.cell.gain),
        *_array("int8_t", "readout", part.readout.weights),
        *_array("int32_t", "readout_bias", part.readout.bias),
        *_array("int32_t", "readout_gain", part.readout.gain),
        *_array("uint16_t", "ahead", np.array(part.horizons)),
    ]
    sizes = f"{part.inputs}, {part.units}, {len(part.horizons)}"
    return text_of(
        [
            _COMMENT,
            '#include "auricle_forecaster.h"',
            "",
            *arrays,
            "const auricle_liquid auricle_forecaster = {",
            f"    {sizes}, weights, bias, gain, readout, readout_bias, readout_gain, ahead,",
            "};",
        ]
    )


def _golden(part: LiquidPart, inputs: Ints) -> str:
    told = liquid_words(part, inputs)
    return text_of(
        [
            _COMMENT,
            '#include "auricle_forecaster.h"',
            "",
            "const int16_t auricle_forecaster_golden_inputs[AURICLE_FORECASTER_GOLDEN]",
            "                                              [AURICLE_FORECASTER_INPUTS] = {",
            *(line for row in inputs for line in ("{", *_table(row), "},")),
            "};",
            "",
            "const int32_t auricle_forecaster_golden_told[AURICLE_FORECASTER_GOLDEN]",
            "                                            [AURICLE_FORECASTER_UNITS +",
            "                                             AURICLE_FORECASTER_HORIZONS] = {",
            *(line for row in told for line in ("{", *_table(row), "},")),
            "};",
        ]
    )


def _array(kind: str, name: str, values: NDArray[Any]) -> Iterator[str]:
    yield f"static const {kind} {name}[{values.size}] = {{"
    yield from _table(values.ravel())
    yield "};"
    yield ""


def _table(numbers: NDArray[Any]) -> Iterator[str]:
    # The least int32 has no literal of its own type in C.
    shown = [str(n) if n > -SUM_MAX else f"-{SUM_MAX} - 1" for n in map(int, numbers)]
    for at in range(0, len(shown), _A_LINE):
        yield "    " + ", ".join(shown[at : at + _A_LINE]) + ","
