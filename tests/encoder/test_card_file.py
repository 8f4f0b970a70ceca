from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder import SHIPPED, CardError, EncoderError, Quantiser, load_card, save_card, vector_card
from encoder.card_file import card_text, parse_card
from encoder.testing import tiny_card

SHIPPED_CARD = SHIPPED["efficientnet_lite0"]
SCALES = st.floats(2.0**-126, 2.0**100, width=32)
WHOLES = st.integers(-(2**22), 2**22)


@given(
    st.lists(st.tuples(SCALES, WHOLES), min_size=3, max_size=3),
    st.text(st.characters(min_codepoint=32), min_size=1).filter(str.isprintable),
)
def test_every_bit_survives_the_text(columns, name) -> None:
    """A card written and read again is equal, with the same fingerprint, whatever its numbers."""
    scale, zero = zip(*columns, strict=True)
    quantiser = Quantiser(np.array(scale, np.float32), np.array(zero))
    card = vector_card(3, name=name, quantiser=quantiser, taps={"a": 1, "b": 2})
    back = parse_card(card_text(card), "text")
    assert back == card
    assert back.fingerprint == card.fingerprint


@pytest.mark.parametrize("kind", ["image", "window", "vector"])
def test_a_card_survives_the_disk(tmp_path: Path, kind) -> None:
    """Saving and loading gives the card back, with its folder."""
    card = replace(tiny_card(tmp_path, 1, kind), notes=('a "guess"', "täglich"))
    save_card(card, tmp_path / "card.toml")
    assert load_card(tmp_path / "card.toml") == card
    assert load_card(str(tmp_path / "card.toml")).folder == str(tmp_path.resolve())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["card.toml", "model.onnx"]


def test_a_card_takes_its_model_along(tmp_path: Path) -> None:
    """Saving the card into another folder copies the model there."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    card = tiny_card(tmp_path / "a")
    save_card(card, tmp_path / "b" / "card.toml")
    copied = (tmp_path / "b" / "model.onnx").read_bytes()
    assert copied == (tmp_path / "a" / "model.onnx").read_bytes()


def test_a_card_is_not_saved_next_to_another_model(tmp_path: Path) -> None:
    """A different model is neither overwritten nor described."""
    (tmp_path / "other").mkdir()
    tiny_card(tmp_path / "other", seed=2)
    before = (tmp_path / "other" / "model.onnx").read_bytes()
    card = tiny_card(tmp_path)
    with pytest.raises(CardError, match="not the model"):
        save_card(card, tmp_path / "other" / "card.toml")
    assert (tmp_path / "other" / "model.onnx").read_bytes() == before
    assert not (tmp_path / "other" / "card.toml").exists()


def test_a_card_without_its_model_is_not_saved(tmp_path: Path) -> None:
    """Where the model cannot be found, the error says where it belongs."""
    card = tiny_card(tmp_path)
    (tmp_path / "model.onnx").unlink()
    for lost in (card, replace(card, folder=None)):
        with pytest.raises(EncoderError, match=r"model\.onnx") as caught:
            save_card(lost, tmp_path / "card.toml")
        assert caught.value.hint


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    """A folder that does not exist is an error with a hint."""
    with pytest.raises(CardError, match="writing card") as caught:
        save_card(vector_card(2), tmp_path / "missing" / "card.toml")
    assert "exists" in caught.value.hint


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("format = 1", "format = 2", "format"),
        ("format = 1", "", "format"),
        ('name = "efficientnet_lite0"', "", "'name' is missing"),
        ('name = "efficientnet_lite0"', "name = 3", "must be a str"),
        ('kind = "image"', 'kind = "sound"', "kind"),
        ("[preparation]", "[preparation]\nblur = 3", "unknown keys blur"),
        ("[input]", "[input]\nrank = 3", "unknown keys rank"),
        ("[quantiser]", "[quantiser]\nbits = 8", "unknown keys bits"),
        ("format = 1", "format = 1\nspeed = 3", "unknown keys speed"),
        ('name = "stage1"', 'name = "stage1"\ncolour = 1', "unknown keys colour"),
        ("width = 16", 'width = "16"', "whole number"),
        ("width = 16", "width = true", "whole number"),
        ("width = 16", "", "'width' is missing"),
        ("width = 16", "width = 999999999999", "width"),
        ("shape = [-1, 3, 224, 224]", "shape = [-1, 3]", "shape"),
        ("shape = [-1, 3, 224, 224]", 'shape = "any"', "whole number"),
        ("resize = [224, 224]", "resize = [224]", "reading card"),
        ("mean = [127.0]", "mean = [nan]", "mean"),
        ('licence = "Apache-2.0"', 'licence = "Apache-2.0"\nnotes = [3]', "text"),
        ('file = "model.onnx"', 'file = "../model.onnx"', "leaves the folder"),
        ("zero = [", "zero = [0.5, ", "whole number"),
        ("zero = [", "zero = [0, ", "9 entries for 8 taps"),
        ("scale = [0.0", "scale = [-0.0", "positive"),
        ("scale = [0.0", "scale = [1e99, 0.0", "entries"),
    ],
)
def test_a_damaged_card_is_refused(tmp_path: Path, old, new, found) -> None:
    """Each kind of damage is an error that names the card and the place, with a hint."""
    text = SHIPPED_CARD.read_text("utf-8")
    assert old in text
    path = tmp_path / "card.toml"
    path.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(CardError, match=found) as caught:
        load_card(path)
    assert caught.value.hint


@pytest.mark.parametrize(
    "data", [b"\xff\xfe", b"name = ", b"", b"[" * 100_000, b"x = 1\nx = 2", b"\x00"]
)
def test_a_file_that_is_no_card_is_refused(tmp_path: Path, data) -> None:
    """Binary files, empty files and broken TOML are refused as cards."""
    path = tmp_path / "card.toml"
    path.write_bytes(data)
    with pytest.raises(CardError):
        load_card(path)


def test_a_missing_card_names_the_builtin_ones(tmp_path: Path) -> None:
    """The error for a wrong path, or a folder, suggests a likely one."""
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(CardError) as caught:
            load_card(path)
        assert "efficientnet_lite0" in caught.value.hint
