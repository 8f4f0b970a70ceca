"""Makes the shipped front end for sound, `log_mel`: windows of samples in, statistics of log-mel
bands out, as an ONNX graph.  Run `python scripts/make_mel.py OUT` for it.

Hann-windowed Fourier transforms as a convolution, triangular bands on the mel scale (Stevens,
Volkmann & Newman 1937, in O'Shaughnessy's form 2595 log10(1 + f / 700)), logarithms, and over the
window of each band the mean, the spread and the mean change from frame to frame.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from encoder import Card, Input, Preparation, Quantiser, Tap, save_card
from encoder.onnx_writer import Node, Value, onnx_bytes

RATE_HZ: Final = 16_000
"""The usual rate of audio models, such as YAMNet."""
LENGTH: Final = 16_000
"""Samples of a window: one second."""

STEP: Final = 8_000
"""Half a window: windows overlap by half."""
FRAME, HOP, BANDS = 512, 160, 64
"""64 mel bands every 10 ms, as in YAMNet, from frames of 32 ms, a power of two."""
LOW_HZ, HIGH_HZ = 60.0, 7_600.0
"""Above mains hum, and below half the sampling rate.  Chosen by hand."""
FLOOR: Final = 1e-10
"""Added to each band's energy: silence is -23, full scale about 5 (natural logarithm)."""

MEAN_RANGE: Final = (-23.1, 6.0)
"""From silence (see FLOOR) to just above full scale."""
SPREAD_MAX: Final = 8.0
"""Larger standard deviations of log energy saturate.  Chosen by hand."""
CHANGE_MAX: Final = 8.0
"""Larger changes of log energy between frames saturate.  Chosen by hand."""

Floats = NDArray[np.float32]


def main() -> None:
    """Write the card and the graph to the folder that the command line names."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    card = mel_card(folder)
    save_card(card, folder / "card.toml")
    print(f"wrote {folder}/card.toml and {card.file}, fingerprint {card.fingerprint[:12]}")


def mel_card(folder: Path) -> Card:
    """Write the graph to `folder`/model.onnx; return its card, quantiser included.

    The ranges are known beforehand (a logarithm between silence and full scale), so no
    sample data is needed to freeze them.
    """
    data = mel_onnx()
    (folder / "model.onnx").write_bytes(data)
    return Card(
        name="log_mel",
        kind="window",
        file="model.onnx",
        sha256=hashlib.sha256(data).hexdigest(),
        licence="Apache-2.0",
        notes=("mono sound, 16,000 samples a second, from -1 to 1; one second, every half second",),
        input=Input("input", (-1, 1, LENGTH), "float32", "NCL"),
        preparation=Preparation(length=LENGTH, step=STEP),
        taps=tuple(Tap(name, name, BANDS) for name in ("mean", "spread", "change")),
        quantiser=_quantiser(),
        folder=str(folder.resolve()),
    )


def mel_onnx() -> bytes:
    """Return the bytes of the graph; input float32 [batch, 1, LENGTH]."""
    after = np.array([1], np.int32), np.array([np.iinfo(np.int32).max], np.int32)
    before = np.array([0], np.int32), np.array([-1], np.int32)
    weights: dict[str, NDArray[np.generic]] = {
        "fourier": _fourier(),
        "bands": _bands(),
        "floor": np.full(BANDS, FLOOR, np.float32),
        "one": after[0],
        "end": after[1],
        "zero": before[0],
        "last": before[1],
        "axis": np.array([2], np.int32),
    }
    over_time = (("axes", (2,)),)
    nodes = [
        Node("Conv", ("input", "fourier"), "spectrum", (("strides", (HOP,)),)),
        Node("Mul", ("spectrum", "spectrum"), "power"),
        Node("Conv", ("power", "bands", "floor"), "energy"),
        Node("Log", ("energy",), "frames"),
        Node("ReduceMean", ("frames",), "mean", over_time),
        Node("Sub", ("frames", "mean"), "centred"),
        Node("Mul", ("centred", "centred"), "squared"),
        Node("ReduceMean", ("squared",), "variance", over_time),
        Node("Sqrt", ("variance",), "spread"),
        Node("Slice", ("frames", "one", "end", "axis"), "later"),
        Node("Slice", ("frames", "zero", "last", "axis"), "earlier"),
        Node("Sub", ("later", "earlier"), "step"),
        Node("Abs", ("step",), "size"),
        Node("ReduceMean", ("size",), "change", over_time),
    ]
    results = [Value(name, (BANDS, 1)) for name in ("mean", "spread", "change")]
    return onnx_bytes(nodes, weights, Value("input", (1, LENGTH)), results)


def _fourier() -> Floats:
    """Return the windowed transform float32 [2 * bins, 1, FRAME]: cosines, then sines."""
    time = np.arange(FRAME)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * time / FRAME)
    angles = 2 * np.pi * np.outer(np.arange(FRAME // 2 + 1), time) / FRAME
    waves = np.concatenate((np.cos(angles), np.sin(angles))) * window / np.sqrt(window.sum())
    return np.asarray(waves[:, np.newaxis], np.float32)


def _bands() -> Floats:
    """Return the weights float32 [BANDS, 2 * bins, 1] that add up powers to triangular bands."""
    edges = _hertz(np.linspace(_mel(LOW_HZ), _mel(HIGH_HZ), BANDS + 2))
    hertz = np.arange(FRAME // 2 + 1) * RATE_HZ / FRAME
    rise = (hertz - edges[:-2, np.newaxis]) / np.diff(edges)[:-1, np.newaxis]
    fall = (edges[2:, np.newaxis] - hertz) / np.diff(edges)[1:, np.newaxis]
    weights = np.clip(np.minimum(rise, fall), 0, None)
    # A narrow low band may lie between two bins: it takes the bin nearest to its centre.
    for band in np.flatnonzero(weights.sum(axis=1) < 0.5):
        weights[band, np.argmin(np.abs(hertz - edges[band + 1]))] = 1.0
    return np.tile(weights, 2)[..., np.newaxis].astype(np.float32)


def _mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(700 * (10 ** (mel / 2595) - 1))


def _quantiser() -> Quantiser:
    low, high = MEAN_RANGE
    scales = ((high - low) / 255, SPREAD_MAX / 255, CHANGE_MAX / 255)
    zeros = (round(-low / scales[0]), 0, 0)
    return Quantiser(
        np.repeat(np.array(scales, np.float32), BANDS), np.repeat(np.array(zeros, np.int32), BANDS)
    )


if __name__ == "__main__":
    main()
