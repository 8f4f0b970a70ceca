"""Growth while serving: seconds from the last label to the adaptor, and its effect on serving.

One process serves images at a steady rate through the shipped encoder on one core; its worker
searches and trains on the same core.  PACS images; one domain is new, the others are known.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edge.core import Enrol, Fact, FitGeometry
from edge.home import Home, create_home
from encoder import DEFAULT_ENCODER

from ..report import BenchmarkReport, BenchmarkRow

FILE = "pacs_webp65.npz"
NEW = "sketch"
OWN_A_CLASS, OTHERS_A_CLASS = 40, 40
"""Labels per class in the new domain and in each other.  Chosen by hand."""
SERVED = 256
"""Images kept in memory and served in turn.  Chosen by hand."""
TRAINING = 0
"""The code of the training split in the data file."""
SUMMARY = (
    "label_to_serving_s",
    "worker_peak_rss_mib",
    "serving_p99_idle_ms",
    "serving_p99_growing_ms",
)
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Image:
    """One image: its compressed bytes, label and domain."""

    domain: str
    label: str
    content: bytes


def run(data: Path | None) -> BenchmarkReport:
    """Grow in one new domain, a few rounds; about five minutes."""
    if data is None or not (data / FILE).is_file():
        return BenchmarkReport("growth", (), {}, (f"skipped: needs --data with {FILE}",))
    with tempfile.TemporaryDirectory(prefix="growth-") as folder:
        home, served = Path(folder) / "home", Path(folder) / "served"
        own, others, rest = _draw(_pacs(data / FILE))
        _enrol(home, [*own[:-1], *others])
        served.mkdir()
        for number, image in enumerate([own[-1], *rest]):
            (served / f"{number:04} {image.label}").write_bytes(image.content)
        output = _serve(home, served)
    figures: dict[str, float] = output["figures"]
    rows = tuple(BenchmarkRow("auricle", name, value) for name, value in figures.items())
    return BenchmarkReport(
        "growth", rows, {name: figures[name] for name in SUMMARY}, tuple(output["notes"])
    )


def _pacs(path: Path) -> list[Image]:
    with np.load(path, allow_pickle=False) as held:
        blob, edges = held["blob"].tobytes(), held["offsets"]
        domains, classes = held["domains"][held["domain"]], held["classes"][held["label"]]
        return [
            Image(str(domains[row]), str(classes[row]), blob[edges[row] : edges[row + 1]])
            for row in np.flatnonzero(held["split"] == TRAINING)
        ]


def _draw(images: list[Image]) -> tuple[list[Image], list[Image], list[Image]]:
    """Draw the new domain's labelled images, those of the known domains, and those to serve."""
    order = np.random.default_rng(0).permutation(len(images))
    counts: dict[tuple[str, str], int] = {}
    own: list[Image] = []
    others: list[Image] = []
    rest: list[Image] = []
    for image in (images[row] for row in order):
        at = (image.domain, image.label)
        counts[at] = counts.get(at, 0) + 1
        if counts[at] > (OWN_A_CLASS if image.domain == NEW else OTHERS_A_CLASS):
            rest.append(image)
        else:
            (own if image.domain == NEW else others).append(image)
    return own, others, rest[:SERVED]


def _enrol(folder: Path, images: Iterable[Image]) -> None:
    """Create a home with some learned images."""
    create_home(folder, None, DEFAULT_ENCODER)
    with Home(folder) as home:
        facts = tuple(
            Fact(
                id=f"fact {number:05}",
                stream="learn",
                domain=image.domain,
                label=image.label,
                captured_at_ns=number,
                features=home.model.encode(image.content).values.tobytes(),
            )
            for number, image in enumerate(images)
        )
        home.feed(Enrol(facts))
        home.feed(FitGeometry())


def _serve(home: Path, served: Path) -> Any:
    """Run the serving process to its end."""
    command = [sys.executable, "-m", "benchmarks.growth.serving", str(home), str(served)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=ROOT)
    return json.loads(done.stdout)
