"""Draw the pictures of the pages on integrations: terminals as SVG files, and River's comparison.

Usage: python scripts/draw_integrations.py docs/images

Each runs the real thing: `auricle check` reads a Modbus server, `auricle export onnx` writes a home
that knows digits, the companion of Frigate replays its recorded session through mosquitto and a
daemon, and River's own stream is answered sample by sample.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import matplotlib as mpl  # noqa: E402 - after the path

mpl.use("Agg")

import matplotlib.pyplot as plt  # noqa: E402 - after the backend
import numpy as np  # noqa: E402 - after the path
from river import datasets, neighbors, preprocessing, tree  # noqa: E402 - after the path

from edge.river import Classifier  # noqa: E402 - after the path
from edge.sim import DigitSampler, load_mnist  # noqa: E402 - after the path
from scripts.draw_console import pictures  # noqa: E402 - after the path
from scripts.draw_terminal import draw, run  # noqa: E402 - after the path
from tests.brokers import free_port  # noqa: E402 - after the path
from tests.examples.test_frigate import replay, taught_home  # noqa: E402 - after the path
from tests.plants import Plant  # noqa: E402 - after the path

PROGRAM = Path(sys.executable).parent / "auricle"
EXAMPLES = 20
"""Pictures of each digit in the home that is exported."""

WINDOW = 200
"""Samples of the running accuracy: a sixth of the stream."""

PLANT = """
[device]
name = "press-1"

[streams.press]
source = "modbus"
address = "127.0.0.1:{port}"

[[streams.press.registers]]
name = "temperature"
address = 100
type = "int16"
scale = 0.1
unit = "°C"

[[streams.press.registers]]
name = "pressure"
address = 102
type = "uint16"
scale = 0.01
unit = "bar"
"""


def terminal(out: Path, words: list[str], folder: Path) -> None:
    """Draw the output of a command that runs in a folder."""
    os.chdir(folder)
    written = run([str(PROGRAM), *words[1:]])
    out.write_text(draw(written, " ".join(words)), encoding="utf-8")


def auricle(folder: Path, *words: str) -> None:
    """Run a command in a folder."""
    subprocess.run([PROGRAM, *words], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def draw_modbus(folder: Path, out: Path) -> None:
    """Draw `auricle check` with a Modbus server."""
    port = free_port()
    rows = np.random.default_rng(1).normal([21.0, 3.0], [1.0, 0.1], (120, 2)).round(2)
    lines = "\n".join(f"{row[0]},{row[1]}" for row in rows)
    (folder / "press.csv").write_text(f"temperature,pressure\n{lines}\n", "utf-8")
    auricle(folder, "init", "press", "--vectors", "press.csv")
    with (folder / "press" / "auricle.toml").open("a", encoding="utf-8") as settings:
        settings.write(PLANT.format(port=port))
    plant = Plant("modbus", port=port)
    try:
        plant.say(set={"100": 214, "102": 305})
        terminal(out / "industrial.svg", ["auricle", "check", "press"], folder)
    finally:
        plant.kill()


def draw_export(folder: Path, out: Path) -> None:
    """Draw `auricle export onnx` of a home that knows digits."""
    for number, (picture, digit) in enumerate(
        pictures(DigitSampler(load_mnist(), 1).draw_evenly(EXAMPLES))
    ):
        path = folder / "digits" / digit / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture)
    auricle(folder, "init", "reader")
    auricle(folder, "learn", "digits", "--home", "reader", "--domain", "desk")
    words = ["auricle", "export", "onnx", "reader.onnx", "--home", "reader"]
    terminal(out / "export.svg", words, folder)


def draw_frigate(folder: Path, out: Path) -> None:
    """Draw what the companion of Frigate prints while its recorded session is replayed."""
    found = replay(ROOT, folder, taught_home(folder))
    title = "python examples/frigate/companion.py --device gate --stream yard"
    written = "\r\n".join(found.printed).encode()
    (out / "frigate.svg").write_text(draw(written, title), encoding="utf-8")


def draw_river(out: Path) -> None:
    """Draw the running accuracy on River's stream of phishing pages."""
    methods: dict[str, Any] = {
        "Auricle": Classifier(),
        "Hoeffding adaptive tree": tree.HoeffdingAdaptiveTreeClassifier(seed=1),
        "KNN, scaled": preprocessing.StandardScaler() | neighbors.KNNClassifier(),
    }
    figure, axes = plt.subplots(figsize=(8, 3.2))
    for name, model in methods.items():
        right = []
        for features, label in datasets.Phishing():
            right.append(model.predict_one(features) == label)
            model.learn_one(features, label)
        running = np.convolve(right, np.full(WINDOW, 1 / WINDOW), "valid")
        axes.plot(np.arange(len(running)) + WINDOW, running, label=f"{name}: {np.mean(right):.3f}")
    axes.set_xlabel("samples, each answered first and learned afterwards")
    axes.set_ylabel(f"accuracy, last {WINDOW}")
    axes.grid(alpha=0.3)
    axes.legend(title="River's stream Phishing")
    figure.tight_layout()
    figure.savefig(out / "river.png", dpi=110)


def main(out: Path) -> None:
    """Draw all pictures."""
    out = out.absolute()
    with tempfile.TemporaryDirectory() as place:
        draw_modbus(Path(place), out)
        draw_export(Path(place), out)
        draw_frigate(Path(place), out)
    os.chdir(ROOT)
    draw_river(out)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
