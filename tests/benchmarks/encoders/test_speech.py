from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import encoder
from benchmarks.encoders.speech import FOLDER, make_speech
from benchmarks.ood.sets import MissingError
from encoder import Graph, Node, Value, graph_bytes


def files(folder: Path) -> None:
    """Graphs with the ports of the package's: 97 frames of 32 bands, and 96 numbers a window."""
    models = folder / FOLDER
    models.mkdir(parents=True)
    bands = Graph(
        [
            Node("Slice", ("input", "from", "to", "axis"), "some"),
            Node("Reshape", ("some", "shape"), "output"),
        ],
        {
            "from": np.array([0]),
            "to": np.array([97 * 32]),
            "axis": np.array([1]),
            "shape": np.array([97, 1, 1, 32]),
        },
        [Value("input", (-1,))],
        [Value("output", (1, 1, 32))],
    )
    (models / "melspectrogram.onnx").write_bytes(graph_bytes(bands))
    network = Graph(
        [
            Node("Slice", ("input_1", "from", "to", "axis"), "some"),
            Node("Reshape", ("some", "shape"), "conv2d_19"),
        ],
        {
            "from": np.array([0]),
            "to": np.array([3]),
            "axis": np.array([1]),
            "shape": np.array([-1, 1, 1, 96]),
        },
        [Value("input_1", (76, 32, 1))],
        [Value("conv2d_19", (1, 1, 96))],
    )
    (models / "embedding_model.onnx").write_bytes(graph_bytes(network))


def test_both_files_become_one_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Samples are scaled and cut into three windows, whose mean and spread are the taps."""
    files(tmp_path / "package")
    monkeypatch.setattr(
        "benchmarks.encoders.speech.package_folder", lambda _name: tmp_path / "package"
    )
    card = make_speech(tmp_path / "made")
    assert [(tap.name, tap.width) for tap in card.taps] == [("embedding", 96), ("spread", 96)]
    window = np.random.default_rng(0).uniform(-1, 1, (16_000, 1)).astype(np.float32)
    with encoder.open_model(card) as model:
        found = model.measure([window])[0]
    frames = window[: 97 * 32, 0].reshape(97, 32) * 32_767 / 10 + 2
    rows = np.stack([frames[start : start + 3].ravel() for start in (0, 8, 16)])
    assert np.allclose(found[:96], rows.mean(axis=0), rtol=1e-4)
    assert np.allclose(found[96:], rows.std(axis=0), rtol=1e-3)


def test_without_the_models_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A later version of the package brings no models."""
    monkeypatch.setattr("benchmarks.encoders.speech.package_folder", lambda _name: tmp_path)
    with pytest.raises(MissingError, match=r"openwakeword==0\.4\.0"):
        make_speech(tmp_path / "made")
