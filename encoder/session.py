"""ONNX inference: the only file that imports onnxruntime, when the first model is opened."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .card import Card, Tap
from .errors import ModelError

TELEMETRY_OFF = "ORT_DISABLE_TELEMETRY"
"""Environment variable, set before onnxruntime is loaded unless it is set already: version 1.32 and
newer store a device id in the user's cache and report usage to the vendor in a thread."""

_CPU_BYTES = 8_192
"""Holds the whole entry of the first processor, whose flags take 2 KB; all report the same."""

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
}


class TensorPort:
    """An input or output of a graph: name, shape (-1 for any size) and numpy dtype ('' for others
    than float32, float16, float64, uint8 and int8)."""

    __slots__ = ("dtype", "name", "shape")

    def __init__(self, name: str, shape: tuple[int, ...], dtype: str) -> None:
        self.name = name
        self.shape = shape
        self.dtype = dtype


class OnnxSession:
    """A loaded graph.

    data: the verified bytes of the ONNX file.  folder: of its external data.  threads: 1 is fastest
    on a busy device; waiting threads never spin.  providers: onnxruntime execution providers in
    order of preference, only the CPU by default.  Raises ModelError if onnxruntime cannot load
    it."""

    def __init__(
        self, data: bytes, folder: Path, threads: int = 1, providers: Sequence[str] | None = None
    ) -> None:
        runtime = _runtime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Spinning threads would keep a core busy between samples and slow other processes.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if products_overflow():
            options.add_session_config_entry("session.x64quantprecision", "1")
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", str(folder)
        )
        options.log_severity_level = 3
        wanted = list(providers or ("CPUExecutionProvider",))
        _require_providers(wanted, runtime.get_available_providers())
        try:
            self._session = _without_model_copy(
                runtime.InferenceSession(data, options, providers=wanted)
            )
        except Exception as error:  # onnxruntime raises many unrelated classes.
            raise ModelError(
                f"onnxruntime {runtime.__version__} cannot load the model: {_first_line(error)}",
                "check that it is an ONNX file of an operator set that this version supports",
            ) from error

    @property
    def inputs(self) -> tuple[TensorPort, ...]:
        """The inputs of the graph."""
        return tuple(map(_port, self._session.get_inputs()))

    @property
    def outputs(self) -> tuple[TensorPort, ...]:
        """The outputs of the graph."""
        return tuple(map(_port, self._session.get_outputs()))

    def run(self, name: str, batch: NDArray[Any], outputs: Sequence[str]) -> list[NDArray[Any]]:
        """Run one `batch` through the input `name` and return the named `outputs`.  Raises
        ModelError."""
        try:
            results = self._session.run(list(outputs), {name: batch})
        except Exception as error:  # As above.
            raise ModelError(
                f"running the model on input {name!r} of shape {batch.shape} and dtype "
                f"{batch.dtype}: {_first_line(error)}",
                "compare [input] of the card with the model",
            ) from error
        return [np.asarray(result) for result in results]


@functools.cache
def products_overflow() -> bool:
    """Test whether onnxruntime's fast int8 kernels give wrong sums on this processor.

    x86 processors without VNNI add pairs of uint8 x int8 products in 16 bits, which saturates: the
    cosine of the shipped encoder's features then falls to 0.80.  The exact kernels take more than
    twice the time on processors with VNNI, so they are used only if this test fails.  The test
    takes some milliseconds per process; a processor that reports VNNI needs none."""
    if reports_vnni():
        return False
    from .onnx_writer import Node, Value, onnx_bytes

    weights = {"w": np.full((16, 16), 127, dtype=np.int8)}
    results = [Value("sums", (16,), "int32")]
    node = Node("MatMulInteger", ("x", "w"), "sums")
    data = onnx_bytes([node], weights, Value("x", (16,), "uint8"), results)
    options = _runtime().SessionOptions()
    # The default would start a thread per core.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = _runtime().InferenceSession(data, options, providers=["CPUExecutionProvider"])
    (sums,) = session.run(["sums"], {"x": np.full((1, 16), 255, dtype=np.uint8)})
    return bool((sums != 16 * 127 * 255).any())


def reports_vnni(path: str = "/proc/cpuinfo") -> bool:
    """Say whether Linux reports instructions that add int8 products in 32 bits (x86 only)."""
    try:
        with Path(path).open("rb") as file:
            lines = file.read(_CPU_BYTES).splitlines()
    except OSError:
        return False
    flags = next((line.split() for line in lines if line.startswith(b"flags")), [])
    return b"avx512_vnni" in flags or b"avx_vnni" in flags


def _without_model_copy(session: Any) -> Any:
    """Drop the session's copy of the file, which it keeps to restart with other providers after a
    failure; here a failed run is an error.  The attribute is not public: if a version of
    onnxruntime lacks it, the copy stays in memory."""
    session.disable_fallback()
    if hasattr(session, "_model_bytes"):
        session._model_bytes = None  # noqa: SLF001 - no public API
    return session


def _runtime() -> Any:
    os.environ.setdefault(TELEMETRY_OFF, "1")
    try:
        import onnxruntime
    except ImportError as error:
        raise ModelError(
            f"running an ONNX model needs onnxruntime: {error}",
            "install it with `pip install onnxruntime`",
        ) from error
    return onnxruntime


def _require_providers(wanted: Sequence[str], available: Sequence[str]) -> None:
    missing = [provider for provider in wanted if provider not in available]
    if missing:
        raise ModelError(
            f"loading a model: expected execution providers from {list(available)}, "
            f"found {missing}",
            "install the onnxruntime build for that hardware, or name another provider",
        )


def _port(found: Any) -> TensorPort:
    shape = tuple(size if isinstance(size, int) and size > 0 else -1 for size in found.shape or ())
    return TensorPort(found.name, shape, _DTYPES.get(found.type, ""))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]


def check_input(session: OnnxSession, card: Card) -> None:
    """Raise ModelError unless the graph has exactly the card's input."""
    inputs = {port.name: port for port in session.inputs}
    given = card.input
    if set(inputs) != {given.name}:
        raise ModelError(
            f"model {card.name!r}: the card names input {given.name!r}, the graph has "
            f"{sorted(inputs)}",
            "correct input.name in the card; reduce a graph with several inputs to one",
        )
    port = inputs[given.name]
    if port.dtype != given.dtype or not _fits(port.shape, given.shape):
        raise ModelError(
            f"model {card.name!r}: the card's input is {given.dtype} {list(given.shape)}, the "
            f"graph takes {port.dtype or 'another dtype'} {list(port.shape)}",
            "correct [input], or write the card again with `auricle encoder card MODEL.onnx`",
        )


def check_taps(session: OnnxSession, card: Card) -> None:
    """Raise ModelError unless the graph has the outputs of the card's taps."""
    outputs = {output.name for output in session.outputs}
    missing = [tap for tap in card.taps if tap.output not in outputs]
    if missing:
        raise ModelError(
            f"model {card.name!r}: tap {missing[0].name!r} needs output {missing[0].output!r}, the "
            f"graph has {sorted(outputs)}",
            "correct taps.output in the card, or export the model with that output",
        )


def widths_declared(session: OnnxSession, card: Card) -> bool:
    """Say whether the graph declares the sizes of its input and the widths of the card's taps, all
    but the batch; running it would then show nothing that the card can have wrong."""
    (given,) = session.inputs
    ports = {port.name: port for port in session.outputs}
    shapes = [ports[tap.output].shape for tap in card.taps]
    return -1 not in given.shape[1:] and all(
        len(shape) > tap.axis and shape[tap.axis] == tap.width
        for tap, shape in zip(card.taps, shapes, strict=True)
    )


def probe_shape(card: Card) -> tuple[int, ...]:
    """Return the shape of a batch of one, with open sizes from the preparation."""
    prepared = card.preparation
    height, width = prepared.crop or prepared.resize or (1, 1)
    filled = {"N": 1, "1": 1, "H": height, "W": width, "L": prepared.length or 1, "C": 3, "V": 1}
    if prepared.colour == "L":
        filled["C"] = 1
    pairs = zip(card.input.shape, card.input.layout, strict=True)
    return tuple(filled[axis] if size == -1 else size for size, axis in pairs)


def run_taps(session: OnnxSession, card: Card, batch: NDArray[Any]) -> NDArray[np.float32]:
    """Return the features float32 [width] of a batch of one, tap after tap.  Raises ModelError if
    an output does not match its tap.  Cost: one run of the graph."""
    results = session.run(card.input.name, batch, [tap.output for tap in card.taps])
    parts = [_pooled(result, tap) for result, tap in zip(results, card.taps, strict=True)]
    return np.concatenate(parts)


def _pooled(result: NDArray[Any], tap: Tap) -> NDArray[np.float32]:
    shape = result.shape
    if not (result.ndim > tap.axis and shape[0] == 1 and shape[tap.axis] == tap.width):
        raise ModelError(
            f"tap {tap.name!r}: expected output {tap.output!r} with {tap.width} features on axis "
            f"{tap.axis} for a batch of one, found shape {list(shape)}",
            "correct taps.width and taps.axis in the card",
        )
    others = tuple(axis for axis in range(1, result.ndim) if axis != tap.axis)
    values: NDArray[np.float32] = result[0].astype(np.float32)
    return values.mean(axis=tuple(axis - 1 for axis in others)) if others else values


def _fits(graph: tuple[int, ...], card: tuple[int, ...]) -> bool:
    """Say whether every size is equal or open on one side."""
    return len(graph) == len(card) and all(
        g == c or -1 in (g, c) for g, c in zip(graph, card, strict=True)
    )
