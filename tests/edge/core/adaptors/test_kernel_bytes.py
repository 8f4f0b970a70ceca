from __future__ import annotations

import numpy as np
import pytest

import hdc
from edge.core.adaptors.head import build_transform
from edge.core.adaptors.kernel import Landmarks, choose_landmarks
from nas import Blueprint


def landmarks(width: int, count: int, seed: int) -> tuple[Landmarks, np.ndarray]:
    """Landmarks of random facts, and a random sample."""
    random = np.random.default_rng(seed)
    arrays = {
        "centre": random.uniform(0, 16, width).astype(np.float32),
        "factor": random.uniform(0, 0.5 / width**0.5, width).astype(np.float32),
        "penalty": np.ones(1, np.float32),
    }
    transform = build_transform((Blueprint(kind="kernel", taps=(0,)), arrays), ((0, width),))
    facts = random.integers(0, 256, (count, width), np.uint8)
    return choose_landmarks(transform, facts), random.integers(0, 256, width, np.uint8)


@pytest.mark.parametrize(("width", "count"), [(1, 1), (24, 300), (2064, 700)])
def test_products_of_bytes_give_the_similarities_of_floats(monkeypatch, width, count):
    """A sample is as similar to each landmark by products of bytes as in float64."""
    held, sample = landmarks(width, count, width)
    row = held.transform(sample)
    apart = held.rows(slice(None)).astype(np.float64) - row
    expected = np.exp(-np.square(apart).sum(axis=1))
    monkeypatch.setattr(hdc, "is_native", lambda: True)
    np.testing.assert_allclose(held.similarity(row), expected, atol=2e-4)
    monkeypatch.setattr(hdc, "is_native", lambda: False)
    np.testing.assert_allclose(held.similarity(row), expected, atol=2e-5)


def test_some_landmarks_have_the_same_similarities(monkeypatch):
    """A part of the landmarks is as similar as in the whole."""
    held, sample = landmarks(64, 500, 1)
    monkeypatch.setattr(hdc, "is_native", lambda: True)
    row = held.transform(sample)
    whole = held.similarity(row)
    np.testing.assert_array_equal(held.similarity(row, slice(7, 20)), whole[7:20])


def test_a_sample_without_weights_is_compared(monkeypatch):
    """A row of zeros has weights of 0, and is as similar as its distances say."""
    held, _ = landmarks(16, 20, 2)
    row = np.zeros(16, np.float32)
    monkeypatch.setattr(hdc, "is_native", lambda: True)
    expected = np.exp(-np.square(held.rows(slice(None))).sum(axis=1))
    np.testing.assert_allclose(held.similarity(row), expected, atol=1e-6)
