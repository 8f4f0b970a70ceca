from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from encoder import ModelError, open_model, session
from encoder.session import OnnxSession, products_overflow
from encoder.testing import tiny_onnx

PIXELS = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)


def test_ports_match_the_graph(tmp_path: Path) -> None:
    """Names, shapes with -1 for any size, and dtypes are read from the graph."""
    loaded = OnnxSession(tiny_onnx(), tmp_path)
    (port,) = loaded.inputs
    assert (port.name, port.shape, port.dtype) == ("input", (-1, 3, 16, 16), "float32")
    assert [(p.name, p.shape) for p in loaded.outputs] == [
        ("features", (-1, 32)),
        ("stage1", (-1, 8)),
    ]


@pytest.mark.skipif(
    not Path("/proc/self/task").is_dir(), reason="without /proc threads cannot be counted"
)
def test_opening_a_model_sends_no_telemetry(tmp_path: Path) -> None:
    """The runtime writes nothing to the user's folders and starts no thread that could report."""
    code = """
import os
before = os.listdir("/proc/self/task")  # an emulator has threads of its own
import encoder
model = encoder.open_model("efficientnet_lite0")
print(os.listdir("/proc/self/task") == before)
"""
    unset = ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    given = {name: value for name, value in os.environ.items() if name not in unset}
    given |= {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    given |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=given, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True"
    assert list(tmp_path.rglob("*")) == []


def test_a_batch_of_another_shape_is_refused(tmp_path: Path) -> None:
    """An input that the runtime refuses becomes a ModelError with its shape."""
    loaded = OnnxSession(tiny_onnx(), tmp_path)
    with pytest.raises(ModelError, match=r"shape \(1, 3, 8, 8\)") as caught:
        loaded.run("input", np.zeros((1, 3, 8, 8), np.float32), ["features"])
    assert caught.value.hint


def test_fast_and_exact_int8_kernels_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor whose fast sums overflow is given exact kernels, and gets these very features."""
    found = []
    for overflow in (products_overflow(), True):
        monkeypatch.setattr(session, "products_overflow", lambda answer=overflow: answer)
        with open_model("efficientnet_lite0") as model:
            found.append(model.encode(PIXELS))
    assert found[0] == found[1]


def test_the_processor_is_tried_once() -> None:
    """The answer is kept for the process."""
    assert products_overflow() is products_overflow()
    assert products_overflow.cache_info().currsize == 1


def test_a_processor_with_vnni_needs_no_test(tmp_path: Path) -> None:
    """The flags of the first processor decide, whatever else the file says; no file decides no."""
    found = {}
    for name, text in {
        "vnni": "processor : 0\nflags : fpu avx2 avx512_vnni\n",
        "avx": "flags\t\t: avx_vnni fpu\n",
        "old": "model name : avx_vnni\nflags : fpu avx2\n",
        "arm": "processor : 0\nFeatures : fp asimddp\n",
        "empty": "",
    }.items():
        (tmp_path / name).write_text(text)
        found[name] = session.reports_vnni(str(tmp_path / name))
    assert found == {"vnni": True, "avx": True, "old": False, "arm": False, "empty": False}
    assert not session.reports_vnni(str(tmp_path / "none"))
