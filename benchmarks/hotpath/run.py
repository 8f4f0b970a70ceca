"""Time per stage, memory and start-up, compared with torchhd and numpy in one run, on one
thread."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

import encoder
import hdc
from benchmarks.hotpath import serving, stages
from edge import Config, Store
from edge.core import Enrol, Fact, FitGeometry, Knowledge
from edge.home import create_home

from ..report import BenchmarkReport, BenchmarkRow
from .handling import IMAGE_DOMAINS, IMAGE_LABELS, clouds, replayed, vectors

BITS, WIDTH = 8_192, 1_280
"""The runtime's default hypervector, and the features of EfficientNet-Lite0."""
CONCEPTS = (1, 10, 100, 1_000, 10_000)
"""Decades, from one concept to far more than a home has."""
FACTS = 10_000
"""A home after some years; the benchmark `scale` has others."""
NUMPY = "auricle, numpy"
"""The method of rows without C."""
SECONDS = 0.6
"""Measuring time per figure.  Chosen by hand."""
BLOCKS = 60
"""Timed blocks, of which the fastest counts.  Chosen by hand."""
STARTS = 3
"""Starts of each process; the median counts."""

Features = NDArray[np.uint8]


def run(_data: Path | None) -> BenchmarkReport:
    """Run all stages, about three minutes; no data needed."""
    import torch

    torch.set_num_threads(1)
    with threadpool_limits(1):
        rows = [*_projections(), *_detections(), _bare_encoder()]
        with tempfile.TemporaryDirectory(prefix="hotpath-") as folder:
            path = Path(folder, "knowledge.db")
            rows += _handling(path)
            rows += _paths(path)
            footprints, loaded = _processes(path)
    rows += footprints
    notes = (
        f"auricle runs in {hdc.native_path()}; the column auricle, numpy is the same without C",
        f"of {', '.join(serving.FORBIDDEN)} loaded while serving: {loaded or 'none'}",
    )
    return BenchmarkReport("hotpath", tuple(rows), _summary(rows), notes)


def _summary(rows: Iterable[BenchmarkRow]) -> dict[str, float]:
    at = {(row.method, row.metric): row.value for row in rows}
    project, peer = at["auricle", "project_us"], at["torchhd", "project_us"]
    ours = project + at["auricle", "detect_us_100"]
    detect, read = at["auricle", "detect_us_10000"], at["plain read", "detect_us_10000"]
    return {
        "project_us": project,
        "detect_us_100": at["auricle", "detect_us_100"],
        "detect_us_10000": detect,
        "read_us_10000": read,
        "detect_over_read_10000": detect / read,
        "handle_overhead_us": at["auricle", "handle_overhead_us"],
        "vector_overhead_us": at["auricle", "vector_overhead_us"],
        "handle_overhead_numpy_us": at[NUMPY, "handle_overhead_us"],
        "vector_overhead_numpy_us": at[NUMPY, "vector_overhead_us"],
        "jpeg_total_us": at["auricle", "jpeg_total_us"],
        "frame_total_us": at["auricle", "frame_total_us"],
        "default_jpeg_total_us": at["auricle", "default_jpeg_total_us"],
        "default_frame_total_us": at["auricle", "default_frame_total_us"],
        "vector_total_us": at["auricle", "vector_total_us"],
        "after_label_ms": at["auricle", "image_after_label_ms"],
        "encode_us": at["onnxruntime", "encode_us"],
        "overhead_ratio": at["auricle", "handle_overhead_us"] / at["onnxruntime", "encode_us"],
        "speedup_vs_torchhd": (peer + at["torchhd", "detect_us_100"]) / ours,
        "serve_rss_mib": at["auricle", "rss_mib"],
        "bare_rss_mib": at["onnxruntime", "rss_mib"],
        "start_s": at["auricle", "start_s"],
        "bare_start_s": at["onnxruntime", "start_s"],
    }


def _projections() -> list[BenchmarkRow]:
    """Time one sample of one tap to 8,192 bits, each method in its fastest form."""
    import torch
    import torchhd

    random = np.random.default_rng(0)
    row = random.integers(0, 256, (1, WIDTH), np.uint8)
    geometry = hdc.identity_geometry(WIDTH, ((0, WIDTH),), 1, BITS)
    matrix = random.standard_normal((BITS, WIDTH)).astype(np.float32)
    floats = row[0].astype(np.float32)
    embedding = torchhd.embeddings.Projection(WIDTH, BITS)
    tensor = torch.from_numpy(row.astype(np.float32))
    with torch.inference_mode():
        peer = _time_us(lambda: torchhd.hard_quantize(embedding(tensor)))
    return [
        BenchmarkRow("auricle", "project_us", _time_us(lambda: geometry.project(row))),
        BenchmarkRow("torchhd", "project_us", peer),
        BenchmarkRow(
            "numpy dense", "project_us", _time_us(lambda: np.packbits(matrix @ floats < 0))
        ),
    ]


def _detections() -> list[BenchmarkRow]:
    """Time one sample against concepts of one bundle of three samples each."""
    import torch

    random = np.random.default_rng(0)
    geometry = hdc.identity_geometry(WIDTH, ((0, WIDTH),), 1, BITS)
    rows = []
    for count in CONCEPTS:
        metric = f"detect_us_{count}"
        memory, calibration = _memory(geometry, count, random)
        codes = geometry.project(random.integers(0, 256, (1, WIDTH), np.uint8))
        ours = _time_us(partial(hdc.detect, codes, memory, calibration))
        rows.append(BenchmarkRow("auricle", metric, ours))
        words = random.integers(0, 2**63, (count, BITS // 64), np.uint64)
        rows.append(BenchmarkRow("plain read", metric, _read_us(words)))
        with torch.inference_mode():
            rows.append(BenchmarkRow("torchhd", metric, _torchhd_us(count)))
    return rows


def _memory(
    geometry: hdc.Geometry, count: int, random: np.random.Generator
) -> tuple[hdc.Memory, hdc.Calibration]:
    """Return a memory of `count` concepts, calibrated on the samples of the first."""
    memory = hdc.Memory(geometry)
    samples = random.integers(0, 256, (128, WIDTH), np.uint8)
    first = geometry.project(samples)
    memory.add("home", "label 00000", first)
    for number in range(1, count):
        codes = geometry.project(random.integers(0, 256, (3, WIDTH), np.uint8))
        memory.add("home", f"label {number:05}", codes)
    return memory, hdc.calibrate(memory, [("home", "label 00000", first)])


def _read_us(words: NDArray[np.uint64]) -> float:
    """Return the time of the fastest of three plain ways to read the same bytes."""
    reads = (np.add.reduce, np.bitwise_or.reduce, np.maximum.reduce)
    return min(_time_us(partial(read, words, axis=None)) for read in reads)


def _torchhd_us(count: int) -> float:
    """Return the time of similarity and nearest concept, in the faster of torchhd's forms."""
    import torchhd

    bipolar, query = torchhd.random(count, BITS, "MAP"), torchhd.random(1, BITS, "MAP")
    binary, bits = torchhd.random(count, BITS, "BSC"), torchhd.random(1, BITS, "BSC")
    return min(
        _time_us(lambda: torchhd.dot_similarity(query, bipolar).argmax()),
        _time_us(lambda: torchhd.hamming_similarity(bits, binary).argmax()),
    )


def _bare_encoder() -> BenchmarkRow:
    """Time the graph of the shipped int8 encoder alone, on one thread."""
    pixels = np.random.default_rng(0).integers(0, 256, (224, 224, 3), np.uint8)
    session = serving.open_bare()
    image = ((pixels.astype(np.float32) - 127) / 128).transpose(2, 0, 1)[None].copy()
    bare = _time_us(lambda: session.run(None, {"image": image}))
    return BenchmarkRow("onnxruntime", "encode_us", bare)


def _handling(path: Path) -> list[BenchmarkRow]:
    """Time Runtime.handle without the encoder, on a store of 10,000 facts with all taps."""
    card = encoder.load_card(encoder.SHIPPED[serving.MODEL])
    create_home(path.parent, None, serving.MODEL)
    with Store.open(path, card) as store:
        handler = replayed(store, card)
        handler.feed(Enrol(tuple(_facts(clouds(card.width)))))
        handler.feed(FitGeometry())
        samples = [np.asarray(one) for one in handler.samples]
        rows = [*_stages(handler.runtime.knowledge, samples), *handler.rows("image")]
    return [*rows, *vectors(encoded=True).rows("vector")]


def _paths(path: Path) -> list[BenchmarkRow]:
    """Time decisions end to end by stage, and without the encoder: with C and with numpy alone."""
    return [
        BenchmarkRow(name, metric, value)
        for name, way in (("auricle", stages.NATIVE), (NUMPY, stages.NUMPY))
        for metric, value in stages.measure(way, path).items()
    ]


def _stages(known: Knowledge, samples: list[Features]) -> list[BenchmarkRow]:
    """Time the stages of `handle`, with the default recipe and all taps."""
    coded = known.geometry.project(np.array(samples[: Config().window]))
    first, calibration = coded[0], known.calibration()
    window = [hdc.detect(coded[row], known.memory, calibration) for row in range(len(coded))]
    stages: dict[str, Callable[[], Any]] = {
        "recipe_project_us": lambda: known.geometry.project(samples[0][None]),
        "recipe_detect_us": lambda: hdc.detect(first, known.memory, calibration),
        "recipe_window_us": lambda: hdc.detect_window(window, calibration),
        "recipe_answer_us": lambda: known.answer(known.domains[0], samples[0]),
    }
    return [BenchmarkRow("auricle", name, _time_us(call)) for name, call in stages.items()]


def _facts(clouds: Callable[[int, int], Features]) -> Iterable[Fact]:
    for number in range(FACTS):
        concept = number % (IMAGE_DOMAINS * IMAGE_LABELS)
        domain, label = divmod(concept, IMAGE_LABELS)
        features = clouds(concept, number).tobytes()
        yield Fact(
            id=f"fact {number}",
            stream="s",
            domain=f"domain-{domain}",
            label=f"{label}",
            captured_at_ns=number,
            features=features,
        )


def _processes(path: Path) -> tuple[list[BenchmarkRow], str]:
    """Return medians of a few processes each, in turn."""
    kinds = {"auricle": "auricle", "bare": "onnxruntime"}
    found = {kind: [serving.measure(kind, path) for _ in range(STARTS)] for kind in kinds}
    rows = [
        BenchmarkRow(kinds[kind], metric, median(getattr(one, metric) for one in ran))
        for kind, ran in found.items()
        for metric in ("start_s", "rss_mib", "peak_mib")
    ]
    return rows, ", ".join(found["auricle"][0].loaded)


def _time_us(call: Callable[[], Any]) -> float:
    """Return the processor time of the fastest of many short blocks of calls, in microseconds per
    call: other work disturbed the slower ones."""
    call()
    started = time.process_time()
    call()
    once = max(time.process_time() - started, 1e-7)
    count = max(1, int(SECONDS / BLOCKS / once))
    blocks = []
    for _ in range(BLOCKS):
        started = time.process_time()
        for _ in range(count):
            call()
        blocks.append((time.process_time() - started) / count)
    return min(blocks) * 1e6
