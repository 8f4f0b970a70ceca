from __future__ import annotations

import numpy as np
import onnx
import pytest

from encoder.testing import tiny_model, tiny_onnx, tiny_payloads

KINDS = ["image", "window", "vector"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_is_sound_onnx(kind) -> None:
    """The onnx package's own checker accepts files written without it."""
    model = onnx.load_from_string(tiny_onnx(3, kind))
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_decides_everything(kind) -> None:
    """The same seed gives the same fingerprint, model and payloads; another seed another."""
    one, two, other = tiny_model(1, kind), tiny_model(1, kind), tiny_model(2, kind)
    assert one.card.fingerprint == two.card.fingerprint != other.card.fingerprint
    assert np.array_equal(tiny_payloads(3, 1, kind), tiny_payloads(3, 1, kind))
    assert not np.array_equal(tiny_payloads(3, 1, kind), tiny_payloads(3, 2, kind))


@pytest.mark.parametrize("kind", KINDS)
def test_payloads_get_different_features(kind) -> None:
    """Different payloads get different features, so that a simulation has something to learn."""
    rows = tiny_model(0, kind).encode_batch(tiny_payloads(20, 5, kind))
    assert len(np.unique(rows, axis=0)) == 20


def test_sums_of_the_image_model_are_exact() -> None:
    """Its float32 features are whole numbers, as the same sums in float64 are."""
    measured = tiny_model().measure(tiny_payloads(20))[:, :32]
    assert np.array_equal(measured, np.rint(measured))
    assert measured.max() < 2**24
