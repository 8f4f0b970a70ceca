"""The pictures of the benchmark: encoded once, corrupted before the encoder, and cached."""

from __future__ import annotations

import io

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
Image = pytest.importorskip("PIL.Image")

from benchmarks.adapt.pictures import PICTURES, encode_pictures  # noqa: E402 - needs Pillow

CORRUPTED = tuple((domain, kind, 5) for domain in (0, 1) for kind in ("brightness", "jpeg"))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A file with three small pictures, two of them photos, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    files = []
    for _ in range(3):
        file = io.BytesIO()
        Image.fromarray(random.integers(0, 256, (40, 40, 3), dtype=np.uint8)).save(file, "PNG")
        files.append(file.getvalue())
    np.savez(
        tmp_path / PICTURES,
        blob=np.frombuffer(b"".join(files), np.uint8),
        offsets=np.cumsum([0, *map(len, files)]),
        label=np.array([0, 1, 0], np.int8),
        domain=np.array([0, 0, 1], np.int8),
        domains=np.array(["photo", "art_painting"]),
    )
    return tmp_path


def test_pictures_are_encoded_once(folder, monkeypatch):
    """A second run reads the same features from the cache, without the encoder."""
    first = encode_pictures(folder, CORRUPTED)
    monkeypatch.setattr("encoder.open_model", None)
    second = encode_pictures(folder, CORRUPTED)
    assert first.features.shape == (3, first.spans[-1][1])
    assert np.array_equal(first.features, second.features)
    assert first.corrupted.keys() == second.corrupted.keys()
    for key, features in first.corrupted.items():
        assert np.array_equal(features, second.corrupted[key])


def test_corruptions_change_the_features_of_their_domain(folder):
    """Each domain that is corrupted has a row for each of its pictures, other than the clean
    one."""
    found = encode_pictures(folder, CORRUPTED)
    assert {key: len(rows) for key, rows in found.corrupted.items()} == {
        (0, "brightness", 5): 2,
        (0, "jpeg", 5): 2,
        (1, "brightness", 5): 1,
        (1, "jpeg", 5): 1,
    }
    for (domain, _, _), rows in found.corrupted.items():
        assert not np.array_equal(rows, found.features[found.domain == domain])


@pytest.mark.parametrize("kept", [0, 200])
def test_a_damaged_cache_is_encoded_again(folder, kept):
    """A cached file that cannot be read, or has other rows, is replaced."""
    before = encode_pictures(folder, ())
    (cached,) = (folder / "cache").rglob("clean.npz")
    cached.write_bytes(cached.read_bytes()[:kept] + b"no archive")
    again = encode_pictures(folder, ())
    assert np.array_equal(before.features, again.features)
