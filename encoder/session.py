"""The one place that runs ONNX: onnxruntime is imported here, when the first model is opened."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import ModelError
from .onnx_writer import Node, Value, onnx_bytes

UNTOLD = "ORT_DISABLE_TELEMETRY"
"""Set before onnxruntime is loaded, where the environment says nothing else: 1.32 and newer give
the device an id, keep it in the user's cache, and have a thread that reports to their makers."""

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
}


class TensorPort:
    """An input or output of a graph: name, shape (-1 for any size) and numpy dtype ('' if it is
    none of float32, float16, float64, uint8, int8)."""

    __slots__ = ("dtype", "name", "shape")

    def __init__(self, name: str, shape: tuple[int, ...], dtype: str) -> None:
        self.name = name
        self.shape = shape
        self.dtype = dtype


class OnnxSession:
    """A loaded graph.  data: the bytes of the ONNX file, already verified; folder: where its
    external data may lie.  threads: 1 is fastest on a busy device; the threads never spin while
    they wait.  providers: onnxruntime execution providers in order of preference, the CPU alone
    if left out.  Raises ModelError if onnxruntime cannot load it."""

    def __init__(
        self, data: bytes, folder: Path, threads: int = 1, providers: Sequence[str] | None = None
    ) -> None:
        runtime = _runtime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Spinning threads burn a whole core between two samples, and slow everything beside them.
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
            self._session = _lightened(runtime.InferenceSession(data, options, providers=wanted))
        except Exception as error:  # It raises a dozen unrelated classes.
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
        """The named `outputs` for one `batch` fed to the input `name`.  Raises ModelError."""
        try:
            results = self._session.run(list(outputs), {name: batch})
        except Exception as error:  # See above.
            raise ModelError(
                f"running the model on input {name!r} of shape {batch.shape} and dtype "
                f"{batch.dtype}: {_first_line(error)}",
                "compare [input] of the card with the model",
            ) from error
        return [np.asarray(result) for result in results]


@functools.cache
def products_overflow() -> bool:
    """Whether onnxruntime's fast int8 kernels give wrong sums on this processor, found by trying.

    x86 processors without VNNI add pairs of uint8 x int8 products in 16 bits, which saturates: the
    shipped encoder's features then fall to a cosine of 0.80.  onnxruntime has exact kernels, but
    on processors with VNNI they take more than twice the time, so they are asked for only here.
    Costs a millisecond, once a process."""
    weights = {"w": np.full((16, 16), 127, dtype=np.int8)}
    results = [Value("sums", (16,), "int32")]
    node = Node("MatMulInteger", ("x", "w"), "sums")
    data = onnx_bytes([node], weights, Value("x", (16,), "uint8"), results)
    options = _runtime().SessionOptions()
    # By itself it would start a thread for each core.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = _runtime().InferenceSession(data, options, providers=["CPUExecutionProvider"])
    (sums,) = session.run(["sums"], {"x": np.full((1, 16), 255, dtype=np.uint8)})
    return bool((sums != 16 * 127 * 255).any())


def _lightened(session: Any) -> Any:
    """The session without its copy of the file, which it keeps in order to start again with other
    providers when one fails; a run that fails is an error here.  The attribute is not public:
    where a version of onnxruntime lacks it, only memory is lost."""
    session.disable_fallback()
    if hasattr(session, "_model_bytes"):
        session._model_bytes = None  # noqa: SLF001 - there is no public way
    return session


def _runtime() -> Any:
    os.environ.setdefault(UNTOLD, "1")
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
            f"execution providers {missing} are not in this onnxruntime, which has "
            f"{list(available)}",
            "install the onnxruntime build for that hardware, or name another provider",
        )


def _port(found: Any) -> TensorPort:
    shape = tuple(size if isinstance(size, int) and size > 0 else -1 for size in found.shape or ())
    return TensorPort(found.name, shape, _DTYPES.get(found.type, ""))


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]
