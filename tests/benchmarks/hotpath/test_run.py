from __future__ import annotations

import time
from pathlib import Path

import numpy as np

import encoder
import hdc
from benchmarks.hotpath import handling, serving, stages
from benchmarks.hotpath import run as hotpath
from benchmarks.report import BenchmarkRow

ROWS = [
    BenchmarkRow("auricle", "project_us", 20.0),
    BenchmarkRow("torchhd", "project_us", 1500.0),
    BenchmarkRow("auricle", "detect_us_100", 30.0),
    BenchmarkRow("torchhd", "detect_us_100", 500.0),
    BenchmarkRow("auricle", "detect_us_10000", 700.0),
    BenchmarkRow("plain read", "detect_us_10000", 400.0),
    BenchmarkRow("auricle", "handle_overhead_us", 100.0),
    BenchmarkRow("auricle", "vector_overhead_us", 90.0),
    BenchmarkRow("auricle, numpy", "handle_overhead_us", 200.0),
    BenchmarkRow("auricle, numpy", "vector_overhead_us", 180.0),
    BenchmarkRow("auricle", "jpeg_total_us", 6000.0),
    BenchmarkRow("auricle", "frame_total_us", 5000.0),
    BenchmarkRow("auricle", "default_jpeg_total_us", 7000.0),
    BenchmarkRow("auricle", "default_frame_total_us", 6000.0),
    BenchmarkRow("auricle", "vector_total_us", 95.0),
    BenchmarkRow("auricle", "image_after_label_ms", 400.0),
    BenchmarkRow("onnxruntime", "encode_us", 2500.0),
    BenchmarkRow("auricle", "rss_mib", 95.0),
    BenchmarkRow("onnxruntime", "rss_mib", 75.0),
    BenchmarkRow("auricle", "start_s", 1.5),
    BenchmarkRow("onnxruntime", "start_s", 0.2),
]


def test_the_summary_has_its_keys_and_ratios():
    """Ratios come from the rows of the same run."""
    summary = hotpath._summary(ROWS)  # noqa: SLF001  the run itself takes minutes
    assert set(summary) >= {
        "project_us",
        "detect_us_100",
        "detect_us_10000",
        "detect_over_read_10000",
        "handle_overhead_us",
        "vector_overhead_us",
        "after_label_ms",
        "encode_us",
        "overhead_ratio",
        "speedup_vs_torchhd",
        "serve_rss_mib",
        "bare_rss_mib",
        "start_s",
        "bare_start_s",
    }
    assert summary["overhead_ratio"] == 0.04
    assert summary["detect_over_read_10000"] == 1.75
    assert summary["speedup_vs_torchhd"] == 40


def test_a_call_is_timed():
    """A call that computes for a millisecond takes at least that."""

    def compute() -> None:
        until = time.process_time() + 0.001
        while time.process_time() < until:
            pass

    assert 1000 <= hotpath._time_us(compute) < 100_000  # noqa: SLF001  as above


def test_features_are_replayed():
    """The model without an encoder hands features through."""
    card = encoder.vector_card(3)
    features = np.array([1, 2, 3], np.uint8)
    np.testing.assert_array_equal(handling.Replay(card).encode(features).values, features)


def test_stages_add_up_to_a_decision():
    """The stages of a decision on numbers and the rest add up to its total time."""
    handler = handling.vectors()
    found = stages.stages("vector", handler.runtime, handler.model, handler.samples[:32])
    parts = [found[f"vector_{name}_us"] for name in (*stages.STAGES, "rest")]
    assert all(part > 0 for part in parts[:4])
    assert sum(parts) >= found["vector_total_us"] * 0.99
    assert hdc.examine.__name__ == "examine"


def test_frames_and_files_are_shown_as_cameras_send_them():
    """A scene is a frame of pixels, and its file a JPEG that the encoder reads."""
    random = np.random.default_rng(0)
    frame = stages.photograph(stages.scenes()[0], random)
    assert frame.shape == (480, 640, 3)
    assert frame.dtype == np.uint8
    assert stages.as_jpeg(frame).startswith(b"\xff\xd8")


def test_a_bare_process_is_measured(tmp_path: Path):
    """A process that only runs the model says how much memory it took."""
    footprint = serving.measure("bare", tmp_path)
    assert footprint.rss_mib > 20
    assert footprint.start_s > 0
    assert footprint.loaded == ()


def test_a_small_card_is_shown_its_samples(monkeypatch):
    """The vector card's runtime decides and learns, and says how long it took."""
    monkeypatch.setattr(handling, "HANDLED", 20)
    monkeypatch.setattr(handling, "LABELLED", 1)
    handler = handling.vectors(encoded=True)
    handler.show()
    assert {row.metric for row in handler.rows("vector")} == {
        "vector_p50_us",
        "vector_p99_us",
        "vector_after_label_ms",
    }
