from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np

from edge.sim.replay import FeatureCache, ReplayModel, encode_timed, payload_key
from encoder.testing import tiny_model, tiny_payloads


def test_replayed_features_are_those_that_were_encoded(tmp_path: Path) -> None:
    """Cached features equal those of the model, and only missing ones are encoded."""
    model = tiny_model()
    first, second = tiny_payloads(2)
    cache = FeatureCache(model.card, tmp_path)
    cache.write({payload_key(first): encode_timed(model, first)})
    replay = ReplayModel(model, cache.read([payload_key(first), payload_key(second)]))
    for payload in (first, second):
        assert replay.encode(payload) == model.encode(payload)
    assert len(replay.encode_us) == 2
    assert replay.spent_ns > 0
    assert replay.card == model.card


def test_a_key_depends_on_content_form_and_nothing_else() -> None:
    """Equal arrays share a key; another shape or dtype of the same bytes has another."""
    array = np.arange(12, dtype=np.uint8)
    assert payload_key(array) == payload_key(array.copy())
    keys = {
        payload_key(array),
        payload_key(array.reshape(3, 4)),
        payload_key(array.view(np.int8)),
        payload_key(array.tobytes()),
    }
    assert len(keys) == 4


def test_a_damaged_cache_is_rebuilt(tmp_path: Path) -> None:
    """Garbage in the file costs time, not the run."""
    model = tiny_model()
    cache = FeatureCache(model.card, tmp_path)
    entry = {b"k" * 32: (bytes(model.card.width), 1.0)}
    cache.write(entry)
    (file,) = tmp_path.iterdir()
    file.write_bytes(b"garbage" * 1000)
    assert cache.read(entry) == {}
    cache.write(entry)
    assert cache.read(entry) == entry


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    """A file where the folder should be is no obstacle."""
    (tmp_path / "blocked").touch()
    cache = FeatureCache(tiny_model().card, tmp_path / "blocked")
    cache.write({b"k": (b"", 1.0)})
    assert cache.read([b"k"]) == {}


def test_a_cache_that_another_process_writes_to_is_kept(tmp_path: Path, monkeypatch) -> None:
    """A locked file gives nothing now, and is not taken for a damaged one."""
    cache = FeatureCache(tiny_model().card, tmp_path)
    entry = {b"k" * 32: (bytes(tiny_model().card.width), 1.0)}
    cache.write(entry)
    (file,) = tmp_path.iterdir()
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path: connect(path, timeout=0))
    with closing(connect(file)) as db:
        db.execute("BEGIN EXCLUSIVE")
        assert cache.read(entry) == {}
    assert cache.read(entry) == entry
