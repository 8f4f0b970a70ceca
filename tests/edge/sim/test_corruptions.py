from __future__ import annotations

import numpy as np
import pytest

from edge.sim.corruptions import IMAGES_ONLY, KINDS, VECTORS_ONLY, corrupt_values

SPREAD = np.array(255.0)


def image() -> np.ndarray:
    """A small picture with structure."""
    return np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - VECTORS_ONLY))
def test_a_corruption_of_images_keeps_their_form_and_its_input(kind: str) -> None:
    """Pixels stay pixels, the input is unharmed, and the same seed gives the same picture."""
    before = image()
    first, second = (
        corrupt_values(before, kind, 0.6, SPREAD, np.random.default_rng(3)) for _ in range(2)
    )
    assert first.dtype == np.uint8
    assert first.shape == before.shape
    assert np.array_equal(first, second)
    assert np.array_equal(before, image())
    assert not np.array_equal(first, before)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - IMAGES_ONLY))
def test_a_corruption_of_vectors_grows_with_its_severity(kind: str) -> None:
    """Severity nothing changes nothing, and more severity moves vectors further."""
    vector = np.random.default_rng(0).normal(size=20).astype(np.float32)
    spread = np.full(20, 2.0)

    def moved(severity: float) -> float:
        random = np.random.default_rng(3)
        changed = corrupt_values(vector, kind, severity, spread, random)
        return float(np.abs(changed - vector).sum())

    assert moved(0) == pytest.approx(0, abs=1e-4)
    assert 0 < moved(0.3) < moved(0.9)


def test_blur_keeps_the_mean_and_removes_detail() -> None:
    """A blurred picture is as bright as before, with less contrast."""
    before = image().astype(np.float32)
    after = corrupt_values(before, "blur", 0.5, SPREAD, np.random.default_rng(0))
    assert after.mean() == pytest.approx(before.mean(), rel=0.05)
    assert after.std() < before.std() / 1.5


def test_brightness_clips_and_may_darken() -> None:
    """Brightness moves pixels up or down by its share of the range, and no further than 0..255."""
    grey = np.full((4, 4), 200, np.uint8)
    random = np.random.default_rng(0)
    assert (corrupt_values(grey, "brightness", 1, SPREAD, random) == 255).all()
    assert (corrupt_values(grey, "brightness", -1, SPREAD, random) == 72).all()
