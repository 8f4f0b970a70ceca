from __future__ import annotations

import dataclasses
from dataclasses import replace

import numpy as np
import pytest

from encoder import Card, CardError, Input, Preparation, Quantiser, Tap, vector_card


def image_card(**changes) -> Card:
    """A sound image card, with changes."""
    values = {
        "name": "m",
        "kind": "image",
        "file": "m.onnx",
        "sha256": "0" * 64,
        "licence": "MIT",
        "input": Input("x", (-1, 3, 8, 8), "float32", "NCHW"),
        "preparation": Preparation(mean=(127,), scale=(128,), resize=(8, 8)),
        "taps": (Tap("features", "f", 4), Tap("stage1", "s", 2)),
    }
    return Card(**{**values, **changes})


def window_card(**changes) -> Card:
    """A sound window card, with changes."""
    values = {
        "kind": "window",
        "input": Input("x", (-1, 16, 2), "float32", "NLC"),
        "preparation": Preparation(length=16),
    }
    return image_card(**{**values, **changes})


def quantiser(width: int) -> Quantiser:
    """The plainest quantiser of a width."""
    return Quantiser(np.ones(width, np.float32), np.zeros(width, np.int32))


def test_width_and_slices_follow_the_taps() -> None:
    """Taps lie one after the other."""
    card = image_card()
    assert card.width == 6
    assert card.slices == (slice(0, 4), slice(4, 6))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"licence": "other"},
        {"file": "other/m.onnx"},
        {"folder": "/elsewhere"},
        {"notes": ("a guess",)},
    ],
)
def test_the_fingerprint_ignores_names_and_places(changes) -> None:
    """Settings that do not change the features do not change the fingerprint."""
    assert image_card(**changes).fingerprint == image_card().fingerprint


@pytest.mark.parametrize(
    "changes",
    [
        {"sha256": "1" * 64},
        {"preparation": Preparation(mean=(127,), scale=(127.5,), resize=(8, 8))},
        {"preparation": Preparation(mean=(127,), scale=(128,), resize=(9, 9), crop=(8, 8))},
        {"preparation": Preparation(mean=(127,), scale=(128,), resize=(8, 8), version=2)},
        {"taps": (Tap("features", "f", 4),)},
        {"taps": (Tap("stage1", "s", 2), Tap("features", "f", 4))},
        {"taps": (Tap("features", "f", 4, 2), Tap("stage1", "s", 2))},
        {"quantiser": quantiser(6)},
        {"input": Input("x", (-1, 8, 8, 3), "float32", "NHWC")},
        {"input": Input("x", (-1, 3, 8, 8), "uint8", "NCHW")},
    ],
)
def test_the_fingerprint_covers_all_that_changes_the_features(changes) -> None:
    """Every part that decides the features decides the fingerprint."""
    assert image_card(**changes).fingerprint != image_card().fingerprint


def test_the_fingerprint_is_pinned() -> None:
    """Ledgers name cards by fingerprint, so its recipe cannot change unnoticed."""
    assert image_card().fingerprint == (
        "4db6a6574c69b1bd5722357c1a9aed78ae1f9c09e5959b4d9b33b2dadcc364c8"
    )
    assert vector_card(3, quantiser=quantiser(3)).fingerprint == (
        "f068c960a754adf768524ee62519c85f1eaaba13d709ab4ec0d2d2d130162e74"
    )


def test_whole_and_real_numbers_mean_the_same() -> None:
    """127 and 127.0 are one preparation."""
    whole = Preparation(mean=(127,), scale=(128,), resize=(8, 8))
    real = Preparation(mean=(127.0,), scale=(128.0,), resize=(8, 8))
    assert image_card(preparation=whole).fingerprint == image_card(preparation=real).fingerprint


def test_cards_are_equal_by_value_wherever_they_lie() -> None:
    """The folder is the place of the card file, not one of its fields."""
    assert image_card(folder="/a") == image_card(folder="/b")
    assert image_card() != image_card(name="other")
    assert len({image_card(quantiser=quantiser(6)), image_card(quantiser=quantiser(6))}) == 1


def test_a_card_cannot_be_changed() -> None:
    """Cards are frozen; a changed copy has its own fingerprint."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        image_card().name = "other"  # type: ignore[misc]
    changed = replace(image_card(), quantiser=quantiser(6))
    assert changed.fingerprint != image_card().fingerprint


def test_a_vector_card_needs_no_file() -> None:
    """Ready-made vectors have neither file nor digest, and one tap by default."""
    card = vector_card(5, name="sensors")
    assert (card.kind, card.file, card.sha256, card.width) == ("vector", None, "", 5)
    assert card.slices == (slice(0, 5),)
    parts = vector_card(5, taps={"near": 2, "far": 3})
    assert parts.slices == (slice(0, 2), slice(2, 5))
    with pytest.raises(CardError, match="add up to 5, found 4"):
        vector_card(5, taps={"near": 4})


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "printable"),
        ({"licence": "\x00"}, "printable"),
        ({"kind": "sound"}, "kind"),
        ({"file": None}, "model file"),
        ({"file": "/m.onnx"}, "leaves the folder"),
        ({"file": "../m.onnx"}, "leaves the folder"),
        ({"file": "a/../../m.onnx"}, "leaves the folder"),
        ({"file": "C:\\m.onnx"}, "leaves the folder"),
        ({"file": ""}, "leaves the folder"),
        ({"sha256": "ABC"}, "sha256"),
        ({"sha256": ""}, "sha256"),
        ({"input": Input("x", (-1, 3, 8, 8), "float32", "NCHH")}, "layout"),
        ({"input": Input("x", (-1, 3, 8, 8), "float32", "CNHW")}, "layout"),
        ({"input": Input("x", (-1, 3, 8, 8), "float32", "NLC1")}, "layout"),
        ({"input": Input("x", (-1, 3, 8), "float32", "NCHW")}, "shape"),
        ({"input": Input("x", (-1, 3, 0, 8), "float32", "NCHW")}, "shape"),
        ({"input": Input("x", (-1, 3, 8, 8, 2), "float32", "NCHW1")}, "shape"),
        ({"input": Input("x", (-1, 3, 8, 8), "int64", "NCHW")}, "dtype"),
        ({"input": Input("", (-1, 3, 8, 8), "float32", "NCHW")}, "no name"),
        ({"input": Input("x", (-1, 4, 8, 8), "float32", "NCHW")}, "channels"),
        ({"preparation": Preparation(resize=(9, 9))}, "input takes"),
        ({"preparation": Preparation()}, "input takes"),
        ({"preparation": Preparation(resize=(4, 4), crop=(8, 8))}, "larger than resize"),
        ({"preparation": Preparation(resize=(8, 8), mean=(1, 2))}, "mean"),
        ({"preparation": Preparation(resize=(8, 8), mean=(float("nan"),))}, "mean"),
        ({"preparation": Preparation(resize=(8, 8), scale=(0,))}, "scale"),
        ({"preparation": Preparation(resize=(8, 8), colour="CMYK")}, "colour"),
        ({"preparation": Preparation(resize=(8, 8), fit="zoom")}, "fit"),
        ({"preparation": Preparation(resize=(8, 8), interpolation="magic")}, "interpolation"),
        ({"preparation": Preparation(resize=(8, 8), version=4)}, "version 4"),
        ({"preparation": Preparation(resize=(8, 8), version=0)}, "version 0"),
        ({"preparation": Preparation(resize=(10**6, 8), crop=(8, 8))}, "input takes"),
        ({"taps": ()}, "taps"),
        ({"taps": (Tap("a", "f", 4), Tap("a", "s", 2))}, "name of its own"),
        ({"taps": (Tap("a", "f", 0),)}, "width 0"),
        ({"taps": (Tap("a", "", 4),)}, "output"),
        ({"taps": (Tap("a", "f", 4, 0),)}, "axis 0"),
        ({"taps": (Tap("a", "f", 2**20), Tap("b", "s", 1))}, "features"),
        ({"quantiser": quantiser(5)}, "quantiser holds 5"),
    ],
)
def test_contradictions_are_refused(changes, found) -> None:
    """A card that contradicts itself is refused, and the error names the part and has a hint."""
    with pytest.raises(CardError, match=found) as caught:
        image_card(**changes)
    assert caught.value.hint
    assert caught.value.message in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"preparation": Preparation()}, "window length"),
        ({"preparation": Preparation(length=8)}, "window length"),
        ({"preparation": Preparation(length=16, step=0)}, "step"),
        ({"preparation": Preparation(length=16, version=2)}, "version 2"),
        ({"preparation": Preparation(length=16, scale=(1, 2, 3))}, "scale"),
        ({"input": Input("x", (-1, 16, -1), "float32", "NLC")}, "channels is open"),
    ],
)
def test_contradictions_of_windows_are_refused(changes, found) -> None:
    """A window needs a length that fits, a step and known channels."""
    with pytest.raises(CardError, match=found):
        window_card(**changes)


@pytest.mark.parametrize("layout", ["NLC", "NCL", "NLC1", "N1LC", "NL"])
def test_windows_may_lie_in_any_order(layout) -> None:
    """Every usual layout of a window is accepted."""
    sizes = {"N": -1, "L": 16, "C": 1, "1": 1}
    shape = tuple(sizes[axis] for axis in layout)
    assert window_card(input=Input("x", shape, "float32", layout)).input.size("L") == 16


def test_vectors_must_add_up() -> None:
    """The taps of ready-made vectors cover the vector."""
    with pytest.raises(CardError, match="vectors of 4"):
        replace(vector_card(3), input=Input("vector", (-1, 4), "float32", "NV"))
