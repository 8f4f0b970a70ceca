from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from encoder import Model, PayloadError, calibrate, open_model, read_samples, vector_card
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
    levels = open_model(card).encode_batch(rows)
    assert np.abs(card.quantiser.dequantise(levels) - rows).max() <= card.quantiser.scale.max()


def test_samples_come_from_a_folder_of_images(tmp_path: Path) -> None:
    """Files in a folder and below are read by name, spread evenly where there are too many."""
    (tmp_path / "below").mkdir()
    for number in range(5):
        place = tmp_path / ("below" if number > 2 else ".") / f"{number}.png"
        PIL.Image.fromarray(np.full((4, 4), number * 9, np.uint8)).save(place)
    model = uncalibrated("image")
    assert len(list(read_samples(tmp_path, model.card))) == 5
    first, last = read_samples(tmp_path, model.card, samples_max=2)
    assert first == (tmp_path / "0.png").read_bytes()
    assert last == (tmp_path / "below" / "4.png").read_bytes()
    assert calibrate(model, read_samples(tmp_path, model.card)).quantiser is not None


def test_samples_come_from_arrays(tmp_path: Path) -> None:
    """Rows of .npy and .npz files are payloads; a recording is cut into windows."""
    windows = np.stack(tiny_payloads(6, 0, "window"))
    card = tiny_model(0, "window").card
    np.save(tmp_path / "windows.npy", windows)
    np.savez(tmp_path / "windows.npz", windows=windows)
    np.save(tmp_path / "recording.npy", windows.reshape(-1, 3))
    for name, count in (("windows.npy", 6), ("windows.npz", 6), ("recording.npy", 11)):
        samples = list(read_samples(tmp_path / name, card))
        assert len(samples) == count
        assert np.array_equal(samples[0], windows[0])


def test_samples_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    """Nothing there, an empty folder or archive, pickled objects and text are refused."""
    card = tiny_model(0, "vector").card
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.csv").write_text("1,2")
    np.savez(tmp_path / "none.npz")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "no_rows.npy", np.zeros((0, 12)))
    names = ("missing", "empty", "text.csv", "none.npz", "objects.npy", "no_rows.npy")
    for name in names:
        with pytest.raises(PayloadError, match="reading samples") as caught:
            list(read_samples(tmp_path / name, card))
        assert "folder of images" in caught.value.hint
