"""A trained embedding of sound as an encoder: Google's speech embedding (Lin et al. 2020,
arXiv 2002.01322, abstract), a convolutional network trained on spoken keywords, Apache-2.0.

The weights come with the Python package openwakeword 0.4.0, whose README names their source and
licence; its wake-word models, which have another licence, are not used.  The two files, mel bands
and network, become one graph with the input of `log_mel`: a second of mono sound.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

import encoder
from encoder import Card, Graph, Node, Preparation, Value

from ..ood.sets import MissingError, package_folder

RATE_HZ: Final = 16_000
"""As `log_mel`, and as the network was trained."""
STEP: Final = 8_000
"""Half a window, as `log_mel`."""
FRAMES: Final = 97
"""Frames of 10 ms that the mel graph gives for a second."""
WINDOW: Final = 76
"""Frames that the network sees: its input."""
STARTS: Final = (0, 8, 16)
"""First frames of its windows within a second: every 8 frames, as the package does."""
BANDS, WIDTH = 32, 96
"""Mel bands, and numbers of an embedding: shapes of the two files."""
FULL_SCALE: Final = 32_767.0
"""The mel graph takes 16-bit samples."""
DECIBELS, OFFSET = 0.1, 2.0
"""Decibels become the network's input by x / 10 + 2 (openwakeword/utils.py, melspec_transform)."""
FOLDER: Final = Path("resources", "models")

Weights = dict[str, NDArray[np.generic]]


def make_speech(folder: Path) -> Card:
    """Write model.onnx to `folder` and return its card, without quantiser.  Raises MissingError
    unless the package with the weights is installed."""
    models = package_folder("openwakeword") / FOLDER
    paths = models / "melspectrogram.onnx", models / "embedding_model.onnx"
    if not all(path.is_file() for path in paths):
        raise MissingError(
            "openwakeword brings no models: `pip install --no-deps openwakeword==0.4.0`"
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(_speech_onnx(*(path.read_bytes() for path in paths)))
    return encoder.describe_model(
        folder / "model.onnx",
        name="speech_embedding",
        licence="Apache-2.0",
        kind="window",
        layout="NCL",
        preparation=Preparation(length=RATE_HZ, step=STEP),
        outputs=["embedding", "spread"],
    )


def _speech_onnx(bands: bytes, network: bytes) -> bytes:
    """Return one graph of both files: [batch of one, 1, RATE_HZ] in, `embedding` (mean over the
    windows) and `spread` (standard deviation over them) out."""
    mel = encoder.renamed(encoder.parts_of(bands), "bands/")
    second = [Value("input", (1, RATE_HZ))]
    framed = encoder.onnx_around(mel.data(), _windows_of(second))
    parts = [encoder.parts_of(framed), encoder.renamed(encoder.parts_of(network), "network/")]
    results = [Value("embedding", (WIDTH,)), Value("spread", (WIDTH,))]
    weights: Weights = {"row": np.array([-1, WIDTH])}
    over_windows = (("axes", (0,)),)
    nodes = [
        Node("Reshape", ("network/conv2d_19", "row"), "rows"),
        Node("ReduceMean", ("rows",), "embedding", over_windows),
        Node("Sub", ("rows", "embedding"), "centred"),
        Node("Mul", ("centred", "centred"), "squared"),
        Node("ReduceMean", ("squared",), "variance", over_windows),
        Node("Sqrt", ("variance",), "spread"),
    ]
    return encoder.onnx_around(encoder.joined(parts).data(), Graph(nodes, weights, second, results))


def _windows_of(second: Sequence[Value]) -> Graph:
    """Return the nodes around the mel graph: samples in, its frames cut into the windows of the
    network out."""
    weights: Weights = {
        "samples": np.array([1, RATE_HZ]),
        "full_scale": np.array(FULL_SCALE, np.float32),
        "decibels": np.array(DECIBELS, np.float32),
        "offset": np.array(OFFSET, np.float32),
        "frames": np.array([1, FRAMES, BANDS, 1]),
        "time": np.array([1]),
    }
    before = [
        Node("Reshape", ("input", "samples"), "flat"),
        Node("Mul", ("flat", "full_scale"), "bands/input"),
    ]
    nodes = [
        Node("Mul", ("bands/output", "decibels"), "softer"),
        Node("Add", ("softer", "offset"), "levels"),
        Node("Reshape", ("levels", "frames"), "image"),
    ]
    for start in STARTS:
        weights[f"start{start}"] = np.array([start])
        weights[f"end{start}"] = np.array([start + WINDOW])
        cutting = ("image", f"start{start}", f"end{start}", "time")
        nodes.append(Node("Slice", cutting, f"window{start}"))
    windows = [f"window{start}" for start in STARTS]
    nodes.append(Node("Concat", windows, "network/input_1", (("axis", 0),)))
    made = [Value("network/input_1", (WINDOW, BANDS, 1))]
    return Graph(nodes, weights, second, made, before=before)
