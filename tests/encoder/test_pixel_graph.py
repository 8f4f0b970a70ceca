"""The graph that takes pixels gives the features of the one in the file, bit for bit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import encoder
from encoder import Card, shipped_card
from encoder.onnx_writer import part_field
from encoder.pixel_graph import pixel_graph
from encoder.preparation import prepare_blocks, prepare_image, prepare_pixels
from encoder.session import OnnxSession, run_taps
from encoder.testing import tiny_card

PICTURES = [name for name in encoder.SHIPPED if name != "log_mel"]


def data_of(card: Card) -> bytes:
    """The file of a card."""
    assert card.folder is not None
    assert card.file is not None
    return Path(card.folder, card.file).read_bytes()


@pytest.mark.parametrize("name", PICTURES)
def test_every_shipped_encoder_of_pictures_takes_pixels(name: str, tmp_path: Path) -> None:
    """Noise, a smooth picture and the extreme ones, before they are quantised."""
    card = shipped_card(name)
    found = pixel_graph(data_of(card), card)
    assert found is not None
    direct, plain = OnnxSession(found.data, tmp_path), OnnxSession(data_of(card), tmp_path)
    assert direct.inputs[0].shape[1:] == found.shape[1:]
    random = np.random.default_rng(0)
    for picture in (
        random.integers(0, 256, (300, 400, 3), np.uint8),
        np.repeat(np.arange(256, dtype=np.uint8), 3 * 200).reshape(256, 200, 3),
        np.zeros((50, 50, 3), np.uint8),
        np.full((50, 50, 3), 255, np.uint8),
    ):
        batch = prepare_blocks(picture, card)
        assert batch.shape == found.shape
        expected = run_taps(plain, card, prepare_image(picture, card))
        assert np.array_equal(run_taps(direct, card, batch), expected)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("crop", [(248, 248), (200, 220)])
def test_blocks_hold_the_pixels(version: int, crop: tuple[int, int]) -> None:
    """Scaled here or by Pillow, cut or not."""
    card = shipped_card(encoder.DEFAULT_ENCODER)
    card = replace(
        card,
        input=replace(card.input, shape=(-1, 3, *crop)),
        preparation=replace(card.preparation, version=version, crop=crop),
    )
    random = np.random.default_rng(0)
    for size in ((480, 640), (640, 480), (248, 248), (1080, 1920)):
        picture = random.integers(0, 256, (*size, 3), np.uint8)
        blocks = prepare_blocks(picture, card)[0].reshape(crop[0] // 2, crop[1] // 2, 2, 2, 3)
        pixels = blocks.transpose(0, 2, 1, 3, 4).reshape(*crop, 3)
        assert np.array_equal(pixels, prepare_pixels(picture, card))


def test_other_cards_keep_their_graph(tmp_path: Path) -> None:
    """Another form of pictures, a mean that is not the network's, odd sides, sounds."""
    card = shipped_card(encoder.DEFAULT_ENCODER)
    data, prepared, given = data_of(card), card.preparation, card.input
    for other in (
        replace(card, preparation=replace(prepared, mean=(126.0,))),
        replace(card, preparation=replace(prepared, scale=(127.0,))),
        replace(card, preparation=replace(prepared, colour="BGR")),
        replace(card, input=replace(given, dtype="float16")),
        replace(
            card,
            input=replace(given, shape=(-1, 3, 247, 247)),
            preparation=replace(prepared, resize=(247, 247), crop=(247, 247)),
        ),
    ):
        assert pixel_graph(data, other) is None
    sounds = shipped_card("log_mel")
    assert pixel_graph(data_of(sounds), sounds) is None
    tiny = tiny_card(tmp_path)
    assert pixel_graph(data_of(tiny), tiny) is None


@pytest.mark.parametrize("operator", [b"QuantizeLinear", b"DequantizeLinear", b"Conv"])
def test_a_first_layer_of_another_form_is_left_alone(operator: bytes) -> None:
    """Nodes with another operator, or nodes without what they read."""
    card = shipped_card(encoder.DEFAULT_ENCODER)
    changed = data_of(card).replace(part_field(4, operator), part_field(4, operator[:-1] + b"X"))
    assert changed != data_of(card)
    assert pixel_graph(changed, card) is None
    assert pixel_graph(data_of(card)[:-7], card) is None
    assert pixel_graph(b"no graph", card) is None


def test_a_damaged_file_is_refused_by_its_card() -> None:
    """The file is read as protobuf only after its digest was checked."""
    card = replace(shipped_card(encoder.DEFAULT_ENCODER), sha256="0" * 64)
    with pytest.raises(encoder.ModelError, match="expects sha256"):
        encoder.open_model(card)
