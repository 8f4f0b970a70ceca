"""Memory and start-up of a serving process, compared with a bare onnxruntime script on the same
model.

`python -m benchmarks.hotpath.serving auricle FILE` opens a knowledge file and decides on images;
`python -m benchmarks.hotpath.serving bare FILE` only runs the model on them.  Each prints a JSON
line with the time of its first answer and its final resident memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

MODEL = "efficientnet_lite0"
SERVED = 200
"""Images served before memory is read.  Chosen by hand."""
FORBIDDEN = ("torch", "sklearn", "matplotlib")
SIDE = 224
"""The input of EfficientNet-Lite0."""
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Footprint:
    """Resources of one process: seconds to its first answer, MiB resident, loaded packages."""

    start_s: float
    rss_mib: float
    peak_mib: float
    loaded: tuple[str, ...]


def measure(kind: str, path: Path) -> Footprint:
    """Run one process to its end.  kind: auricle or bare."""
    command = [sys.executable, "-m", "benchmarks.hotpath.serving", kind, str(path.absolute())]
    started = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=ROOT)
    report = json.loads(done.stdout)
    return Footprint(
        report["answered"] - started, report["rss_mib"], report["peak_mib"], tuple(report["loaded"])
    )


def serve(path: Path) -> float:
    """Decide on images in the home of the file; returns the time of the first decision."""
    import numpy as np

    from edge import Observation
    from edge.home import Home

    answered = 0.0
    with Home(path.parent) as home:
        random = np.random.default_rng(0)
        for number in range(SERVED):
            pixels = random.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
            home.feed(
                Observation(stream="cam", sequence=number, captured_at_ns=number, payload=pixels)
            )
            answered = answered or time.monotonic()
    return answered


def open_bare() -> Any:
    """Open the model's session alone, with the settings of a device."""
    import onnxruntime

    # The folder of the package, in a checkout or installed; finding it does not load it.
    found = find_spec("encoder")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("the bare script takes its model from the package encoder")
    path = Path(found.origin).parent / "models" / MODEL / "model.onnx"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def run_bare() -> float:
    """Run the model alone; returns the time of the first answer."""
    import numpy as np

    session = open_bare()
    random = np.random.default_rng(0)
    answered = 0.0
    for _ in range(SERVED):
        pixels = random.integers(0, 256, (1, 3, SIDE, SIDE), np.uint8)
        session.run(None, {"image": (pixels.astype(np.float32) - 127) / 128})
        answered = answered or time.monotonic()
    return answered


def _memory() -> dict[str, float]:
    """Return current and peak resident memory, in MiB, as the kernel reports it."""
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    found = {line.split(":")[0]: line.split()[1] for line in lines if line.startswith("Vm")}
    return {"rss_mib": int(found["VmRSS"]) / 1024, "peak_mib": int(found["VmHWM"]) / 1024}


def _main(kind: str, path: str) -> None:
    if kind == "auricle":
        from edge.home import keep_memory_small

        keep_memory_small()  # as `auricle run` does first
    answered = serve(Path(path)) if kind == "auricle" else run_bare()
    report: dict[str, Any] = {"answered": answered, **_memory()}
    report["loaded"] = [name for name in FORBIDDEN if name in sys.modules]
    print(json.dumps(report))


if __name__ == "__main__":
    _main(*sys.argv[1:])
