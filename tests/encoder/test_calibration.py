from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from encoder import Model, PayloadError, calibrate, open_model, vector_card
from encoder.testing import tiny_model, tiny_payloads


def uncalibrated(kind) -> Model:
    """A tiny model whose quantiser was forgotten; the session is shared."""
    model = tiny_model(0, kind)
    model.card = replace(model.card, quantiser=None)
    return model


@pytest.mark.parametrize("kind", ["image", "window", "vector"])
@pytest.mark.parametrize("granularity", ["tap", "channel"])
def test_calibration_freezes_a_quantiser_that_covers_the_samples(kind, granularity) -> None:
    """The card gets a quantiser, a new fingerprint, and clips none of the samples."""
    model = uncalibrated(kind)
    payloads = tiny_payloads(30, 2, kind)
    card = calibrate(model, payloads, granularity)
    assert card.quantiser is not None
    assert card.fingerprint != model.card.fingerprint
    assert replace(card, quantiser=None) == model.card
    assert card.quantiser.clipped(model.measure(payloads)).max() == 0
    scales = [len(set(card.quantiser.scale[part].tolist())) for part in card.slices]
    assert (scales == [1, 1]) == (granularity == "tap")


def test_order_of_the_samples_does_not_matter() -> None:
    """The same samples in another order give the same card."""
    model = uncalibrated("image")
    payloads = tiny_payloads(10)
    assert calibrate(model, payloads) == calibrate(model, payloads[::-1])


def test_nothing_to_calibrate_on_is_refused() -> None:
    """No samples, and a bad one among them, are errors with a hint."""
    model = uncalibrated("image")
    for payloads in ([], [tiny_payloads(1)[0], b"no image"]):
        with pytest.raises(PayloadError) as caught:
            calibrate(model, payloads)
        assert caught.value.hint


def test_ready_made_vectors_are_calibrated_without_a_graph() -> None:
    """A vector card is calibrated from its rows."""
    rows = np.random.default_rng(0).normal(size=(50, 4))
    card = calibrate(open_model(vector_card(4)), rows, "channel")
    assert card.quantiser is not None
    levels = open_model(card).encode_batch(rows)
    assert np.abs(card.quantiser.dequantise(levels) - rows).max() <= card.quantiser.scale.max()
