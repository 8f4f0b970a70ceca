from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import encoder
from benchmarks.continual.data import ContinualSamples
from benchmarks.encoders import run as encoders
from benchmarks.encoders.forms import FORMS, QUICK
from benchmarks.encoders.pictures import mebibytes, pacs_samples, picture_times
from benchmarks.encoders.run import EncoderResult, best_within, summarise
from benchmarks.encoders.screening import screened
from encoder.testing import tiny_card


def result(name: str, accuracy: float, ratio: float, **more: float) -> EncoderResult:
    """An encoder with these figures."""
    figures = {"accuracy": accuracy, "time_ratio": ratio, "labels10": accuracy / 2, **more}
    return EncoderResult(name=name, figures=figures)


def test_the_best_is_looked_for_within_a_time():
    """A more accurate encoder that takes too long does not count; adaptors count where grown."""
    all_of_them = [
        result("lite0", 0.89, 1.0),
        result("lite0 spread", 0.90, 1.1, labels10_unlabelled=0.7),
        result("close", 0.91, 1.2),
        result("twice", 0.92, 2.0),
        result("slow", 0.99, 2.1),
    ]
    assert best_within(all_of_them, 1.2).name == "close"
    found = summarise(all_of_them)
    assert found["best_accuracy"] == 0.92
    assert found["default"] == 0.90
    assert (found["labels10_default"], found["labels10_best"]) == (0.7, 0.46)
    assert set(found) == {
        "default",
        "best",
        "best_accuracy",
        "best_time_ratio",
        "labels10_default",
        "labels10_best",
    }
    all_of_them[2] = result("close", 0.91, 1.2, grown_accuracy=0.95)
    assert best_within(all_of_them, 2.0).name == "close"


def test_a_quick_run_is_part_of_a_whole_one(tmp_path: Path):
    """Every quick form exists, and the reference and the default are among them."""
    assert set(QUICK) <= set(FORMS)
    assert {encoders.REFERENCE, encoders.DEFAULT} <= set(QUICK)
    assert FORMS[encoders.DEFAULT](tmp_path) == encoder.shipped_card(encoder.DEFAULT_ENCODER)


@pytest.mark.parametrize("name", sorted(FORMS))
def test_every_form_encodes_a_picture(name: str, tmp_path: Path):
    """Each has a quantiser and gives as many features as its card says."""
    card = FORMS[name](tmp_path)
    pixels = np.arange(240 * 240 * 3, dtype=np.uint32).reshape(240, 240, 3).astype(np.uint8)
    with encoder.open_model(card) as model:
        assert model.encode(pixels).values.shape == (card.width,)
    assert mebibytes(card) > 0


def few_pictures(folder: Path) -> None:
    """A file like that of PACS: two domains of three classes, four noisy pictures of each."""
    import io

    from PIL import Image

    random = np.random.default_rng(0)
    blobs, label, domain, split = [], [], [], []
    for number in range(24):
        shade = 60 * (number % 3) + 40 * (number % 2)
        pixels = np.clip(random.normal(shade, 20, (16, 16, 3)), 0, 255).astype(np.uint8)
        held = io.BytesIO()
        Image.fromarray(pixels).save(held, "PNG")
        blobs.append(held.getvalue())
        label.append(number % 3)
        domain.append(number % 2)
        split.append(int(number >= 18))
    np.savez(
        folder / "pacs_webp65.npz",
        blob=np.frombuffer(b"".join(blobs), np.uint8),
        offsets=np.cumsum([0, *map(len, blobs)]),
        label=np.array(label, np.int8),
        domain=np.array(domain, np.int8),
        split=np.array(split, np.int8),
    )


def test_pictures_are_encoded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The second reading comes from the cache and is the same; the split is the file's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    few_pictures(tmp_path)
    card = tiny_card(tmp_path)
    first = pacs_samples(card, tmp_path)
    assert first.held.tolist() == list(range(18, 24))
    assert first.spans == ((0, 32), (32, 40))
    with monkeypatch.context() as blocked:
        blocked.setattr(encoder, "open_model", None)
        again = pacs_samples(card, tmp_path)
    assert np.array_equal(first.features, again.features)
    times = picture_times({"one": card, "other": replace(card, name="other")}, tmp_path)
    assert set(times) == {"one", "other"}
    assert min(times.values()) > 0


def test_a_quick_comparison_tells_a_good_encoder_from_noise():
    """Features that hold the label give more than noise, with all labels and with ten a class."""
    random = np.random.default_rng(0)
    label, domain = np.tile(np.arange(3), 240), np.repeat(np.arange(4), 180)
    noise = random.normal(size=(720, 24)).astype(np.float32)
    told = noise + 4 * np.eye(24, dtype=np.float32)[label]
    found = {}
    for name, values in (("good", told), ("noise", noise)):
        quantiser = encoder.freeze_quantiser(values, [slice(0, 24)])
        found[name] = screened(
            ContinualSamples(
                features=quantiser.quantise(values),
                label=label.astype(np.int64),
                domain=domain.astype(np.int64),
                train=np.arange(600),
                held=np.arange(600, 720),
                spans=((0, 24),),
                quantiser=quantiser,
            )
        )
    for metric in ("accuracy", "labels10"):
        assert found["good"][metric] > 0.9 > found["noise"][metric]


def test_without_data_it_is_skipped():
    """Without pictures the report has no figures."""
    report = encoders.run(None)
    assert not report.rows
    assert "skipped" in report.notes[0]
