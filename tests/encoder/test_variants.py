"""Forms of an encoder agree with what they are made of, bit for bit where they compute the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from encoder import (
    SHIPPED,
    Card,
    CardError,
    ModelError,
    at_side,
    cropped,
    flipped,
    load_card,
    open_model,
    side_by_side,
    variants,
    vector_card,
    with_spread,
    with_taps,
)
from encoder.testing import tiny_card, tiny_payloads


@pytest.fixture
def lite0() -> Card:
    """The card of the shipped encoder of pictures."""
    return load_card(SHIPPED["efficientnet_lite0"])


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    """A picture of 300 x 260 pixels with structure."""
    rows, columns = np.mgrid[:300, :260]
    return np.stack([rows % 200, columns % 250, (rows * columns) % 230], axis=-1).astype(np.uint8)


def measured(card: Card, *payloads: np.ndarray) -> np.ndarray:
    """Features before quantisation."""
    with open_model(card) as model:
        return model.measure(payloads)


def test_a_flip_is_the_mean_over_both_pictures(lite0, picture, tmp_path) -> None:
    """The features are the mean of those of the prepared picture and of its mirror image."""
    square = np.ascontiguousarray(picture[:224, :224])
    made = flipped(lite0, tmp_path / "flip")
    whole = measured(lite0, square, np.ascontiguousarray(square[:, ::-1]))
    assert np.allclose(measured(made, square)[0], whole.mean(axis=0), atol=1e-6)
    assert made.quantiser == lite0.quantiser
    assert made.fingerprint != lite0.fingerprint
    assert load_card(tmp_path / "flip" / "card.toml").fingerprint == made.fingerprint


def test_crops_are_the_mean_over_parts_of_the_picture(lite0, picture, tmp_path) -> None:
    """Two crops: upper left and lower right."""
    square = np.ascontiguousarray(picture[:256, :256])
    parts = [np.ascontiguousarray(square[at : at + 224, at : at + 224]) for at in (0, 32)]
    found = measured(cropped(lite0, 256, 2, tmp_path / "crops"), square)
    assert np.allclose(found[0], measured(lite0, *parts).mean(axis=0), atol=1e-6)


@pytest.mark.parametrize(("side", "count"), [(256, 1), (256, 6), (200, 2)])
def test_crops_that_make_no_sense_are_refused(lite0, tmp_path, side: int, count: int) -> None:
    """The number of crops and the side are checked."""
    with pytest.raises(CardError, match="crops"):
        cropped(lite0, side, count, tmp_path)


def test_early_taps_cost_less_and_stay_the_same(lite0, picture, tmp_path) -> None:
    """The features of early taps are bit-identical, in the order named; the file is smaller."""
    made = with_taps(lite0, ("stage5", "stage2"), tmp_path / "early")
    columns = dict(zip((tap.name for tap in lite0.taps), lite0.slices, strict=True))
    whole = measured(lite0, picture)[0]
    expected = np.concatenate([whole[columns["stage5"]], whole[columns["stage2"]]])
    assert np.array_equal(measured(made, picture)[0], expected)
    with open_model(made) as early, open_model(lite0) as full:
        values = full.encode(picture).values
        kept = np.concatenate([values[columns["stage5"]], values[columns["stage2"]]])
        assert np.array_equal(early.encode(picture).values, kept)
    assert (tmp_path / "early" / "model.onnx").stat().st_size < 1_000_000


def test_an_unknown_tap_is_refused(lite0, tmp_path) -> None:
    """The error lists the taps of the card."""
    with pytest.raises(CardError, match="stage7"):
        with_taps(lite0, ("stage9",), tmp_path)
    with pytest.raises(CardError, match="stage7"):
        with_spread(lite0, (), tmp_path)


def test_two_encoders_side_by_side(lite0, picture, tmp_path) -> None:
    """The features are those of both, one after the other; taps of the second carry its name."""
    second = replace(with_taps(lite0, ("stage3", "features"), tmp_path / "second"), name="second")
    made = side_by_side([lite0, second], tmp_path / "both")
    with open_model(made) as both, open_model(lite0) as one, open_model(second) as other:
        parts = [one.encode(picture).values, other.encode(picture).values]
        assert np.array_equal(both.encode(picture).values, np.concatenate(parts))
    assert [tap.name for tap in made.taps[-2:]] == ["second/stage3", "second/features"]


def test_encoders_of_two_sizes_are_joined_once_both_have_one(lite0, tmp_path) -> None:
    """Both must see the same prepared picture; what the hint says joins them."""
    smaller = at_side(lite0, 192, tmp_path / "smaller")
    with pytest.raises(CardError, match="prepare") as caught:
        side_by_side([lite0, smaller], tmp_path / "both")
    assert "`auricle encoder vary CARD --side N --out FOLDER` for each" in str(caught.value.hint)
    cards = [at_side(card, 160, tmp_path / card.name) for card in (lite0, smaller)]
    assert side_by_side(cards, tmp_path / "both").width == 2 * lite0.width


def test_encoders_that_differ_in_more_than_the_size_are_not_joined(lite0, tmp_path) -> None:
    """No size makes them alike, so none is asked for."""
    grey = replace(lite0, preparation=replace(lite0.preparation, mean=(0.0,)))
    for other in (grey, load_card(SHIPPED["log_mel"])):
        with pytest.raises(CardError, match="prepare") as caught:
            side_by_side([lite0, other], tmp_path / "both")
        assert "the same kind, [input] and [preparation]" in str(caught.value.hint)


def test_another_resolution(lite0, picture, tmp_path) -> None:
    """The same taps from fewer pixels, similar and not the same."""
    made = at_side(lite0, 192, tmp_path / "smaller")
    assert made.preparation.resize == made.preparation.crop == (192, 192)
    one, other = measured(lite0, picture)[0, :1280], measured(made, picture)[0, :1280]
    cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
    assert 0.8 < cosine < 0.9999


def test_spread_is_added_and_the_rest_stays(lite0, picture, tmp_path) -> None:
    """The old taps are bit-identical, the last one stays last, those of spread are positive, and
    nothing is calibrated yet."""
    made = with_spread(lite0, ("stage6",), tmp_path / "spread")
    found, before = measured(made, picture)[0], measured(lite0, picture)[0]
    assert [tap.name for tap in made.taps[-2:]] == ["stage6_spread", "stage7"]
    added = made.slices[-2]
    assert np.array_equal(np.delete(found, added), before)
    assert (found[added] > 0).all()
    assert made.quantiser is None


def test_a_tap_that_is_no_mean_has_no_spread(tmp_path) -> None:
    """The error says which taps have one."""
    card = tiny_card(tmp_path, kind="vector")
    with pytest.raises(CardError, match="no mean"):
        with_spread(card, ("features",), tmp_path / "spread")


def test_windows_have_no_mirror_image(tmp_path) -> None:
    """Only pictures are flipped, cropped or scaled; windows can stand side by side."""
    card = tiny_card(tmp_path, kind="window")
    with pytest.raises(CardError, match="pictures"):
        flipped(card, tmp_path / "flip")
    both = side_by_side([card, replace(card, name="other")], tmp_path / "both")
    assert measured(both, *tiny_payloads(2, kind="window")).shape == (2, 80)


def test_the_shipped_front_end_for_sound_can_stand_beside_another(tmp_path) -> None:
    """Its outputs have an axis more than those of pictures."""
    sound = load_card(SHIPPED["log_mel"])
    part = replace(with_taps(sound, ("spread",), tmp_path / "part"), name="part")
    window = np.random.default_rng(0).uniform(-0.5, 0.5, (16_000, 1)).astype(np.float32)
    both, whole = (
        measured(card, window)[0] for card in (side_by_side([sound, part], tmp_path / "b"), sound)
    )
    assert np.array_equal(both, np.concatenate([whole, whole[64:128]]))


def test_the_default_contains_the_encoder_without_spread(lite0, picture, tmp_path) -> None:
    """Without its taps of spread, its features are those of efficientnet_lite0 for pictures of the
    same size, bit for bit."""
    with open_model(at_side(lite0, 248, tmp_path)) as one, open_model() as other:
        found = other.encode(picture).values
        parts = zip(other.card.taps, other.card.slices, strict=True)
        kept = [found[part] for tap, part in parts if not tap.name.endswith("_spread")]
        assert np.array_equal(one.encode(picture).values, np.concatenate(kept))


@pytest.mark.parametrize("side", [-5, 0, 100_000])
def test_a_side_that_no_picture_has_is_refused(lite0, tmp_path, side: int) -> None:
    """The error names the sides that there are, and nothing is written."""
    with pytest.raises(CardError, match="a side of 1 to"):
        at_side(lite0, side, tmp_path / "new")
    with pytest.raises(CardError, match="a side of 1 to"):
        cropped(lite0, side, 5, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_vectors_have_no_graph_to_change(tmp_path) -> None:
    """A card without an ONNX file is refused by every change, with the reason."""
    card = vector_card(8)
    changes = (
        lambda folder: side_by_side([card, card], folder),
        lambda folder: with_taps(card, ["features"], folder),
        lambda folder: with_spread(card, ["features"], folder),
    )
    for change in changes:
        with pytest.raises(CardError, match="an ONNX file"):
            change(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_tap_named_twice_gets_one_spread(lite0, tmp_path) -> None:
    """As naming it twice keeps it once."""
    made = with_spread(lite0, ["stage3", "stage3"], tmp_path / "spread")
    assert [tap.name for tap in made.taps if tap.name.endswith("_spread")] == ["stage3_spread"]


def test_a_form_that_does_not_run_leaves_nothing(lite0, tmp_path, monkeypatch) -> None:
    """Otherwise the next try would find the folder."""
    monkeypatch.setattr(variants, "onnx_around", lambda *_: b"no graph")
    with pytest.raises(ModelError):
        flipped(lite0, tmp_path / "flip")
    assert not (tmp_path / "flip").exists()
