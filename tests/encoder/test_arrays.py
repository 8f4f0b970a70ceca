"""Payloads are checked, normalised and put into the layout of the graph."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from encoder import Card, Input, PayloadError, Preparation, Tap, cut_windows, vector_card
from encoder.arrays import numeric, prepare_vector, prepare_window, require_finite


def window_card(layout="NLC", channels=2, **preparation) -> Card:
    """A card for windows of four samples."""
    sizes = {"N": -1, "L": 4, "C": channels, "1": 1}
    shape = tuple(sizes[axis] for axis in layout)
    prepared = Preparation(**{"length": 4, **preparation})
    given = Input("x", shape, "float32", layout)
    taps = (Tap("f", "f", 1),)
    return Card(
        name="w",
        kind="window",
        file="m.onnx",
        sha256="0" * 64,
        licence="none",
        input=given,
        preparation=prepared,
        taps=taps,
    )


def prepare(payload: object, card: Card) -> np.ndarray:
    """Prepare a payload as the model of the card does."""
    if card.kind == "window":
        return prepare_window(payload, card, card.input.size("C"))
    return prepare_vector(payload, card, card.input.size("V"))


WINDOW = np.arange(8, dtype=np.float32).reshape(4, 2)


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("NLC", WINDOW[np.newaxis]),
        ("NCL", WINDOW.T[np.newaxis]),
        ("NLC1", WINDOW[np.newaxis, :, :, np.newaxis]),
        ("N1CL", WINDOW.T[np.newaxis, np.newaxis]),
    ],
)
def test_windows_take_the_layout_of_the_graph(layout, expected) -> None:
    """A window [length, channels] is turned into the input of the graph."""
    found = prepare(WINDOW, window_card(layout))
    assert np.array_equal(found, expected)
    assert found.flags.c_contiguous


def test_one_channel_may_be_left_out() -> None:
    """A mono window may be [length] or [length, 1], for graphs with or without a channel axis."""
    for card in (window_card("NL", 1), window_card("NLC", 1)):
        for payload in (np.arange(4), np.arange(4)[:, np.newaxis], [0, 1, 2, 3]):
            assert prepare(payload, card).ravel().tolist() == [0, 1, 2, 3]


def test_windows_are_normalised_per_channel() -> None:
    """Mean and scale apply to each channel."""
    found = prepare(WINDOW, window_card(mean=(0, 1), scale=(2, 4)))
    assert found[0, 2].tolist() == [2.0, 1.0]


@pytest.mark.parametrize("shape", [(2, 4), (4,), (3, 2), (5, 2), (1, 4, 2), (0,), ()])
def test_windows_of_another_shape_are_refused(shape) -> None:
    """Too short, too long, turned or batched windows are refused with both shapes."""
    with pytest.raises(PayloadError, match=r"expected shape \[4, 2\]") as caught:
        prepare(np.zeros(shape), window_card())
    assert "cut_windows" in caught.value.hint


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e39])
def test_bad_numbers_are_refused_by_position(bad) -> None:
    """NaN, infinity and what float32 cannot hold are refused, and the sample is named."""
    window = WINDOW.astype(np.float64)
    window[2, 1] = bad
    with pytest.raises(PayloadError, match=r"window.*position \[2, 1\]"):
        prepare(window, window_card())
    with pytest.raises(PayloadError, match=r"vector.*position 1"):
        prepare([0.0, bad], vector_card(2))


def test_overflow_by_normalisation_is_refused() -> None:
    """A finite value that the card's scale makes infinite is refused too."""
    with pytest.raises(PayloadError, match="position"):
        prepare(np.full((4, 2), 1e38), window_card(scale=(1e-5,)))


@pytest.mark.parametrize(
    "payload", [b"12", "12", None, [[1], [1, 2]], np.array([1j, 2]), np.array(["a", "b"]), {}]
)
def test_an_input_that_is_no_array_of_numbers_is_refused(payload) -> None:
    """Bytes, text, nothing, ragged rows and complex numbers are refused."""
    for card in (vector_card(2), window_card()):
        with pytest.raises(PayloadError) as caught:
            prepare(payload, card)
        assert caught.value.hint


@pytest.mark.parametrize("payload", [[1, 2], np.array([True, False]), np.array([1, 2], "<i8")])
def test_every_real_dtype_is_taken(payload) -> None:
    """Whole numbers, booleans and lists become float32."""
    assert prepare(payload, vector_card(2)).dtype == np.float32


@pytest.mark.parametrize("shape", [(3,), (1, 2), ()])
def test_vectors_of_another_shape_are_refused(shape) -> None:
    """A vector has one axis and the width of its card."""
    with pytest.raises(PayloadError, match=r"expected shape \[2\]"):
        prepare(np.zeros(shape), vector_card(2))


def test_recordings_are_cut_by_length_and_step() -> None:
    """Windows start every `step` samples; the rest at the end is dropped."""
    recording = np.arange(22).reshape(11, 2)
    starts = [int(window[0, 0]) // 2 for window in cut_windows(recording, window_card(step=3))]
    assert starts == [0, 3, 6]
    assert len(list(cut_windows(recording, window_card()))) == 2
    assert list(cut_windows(recording[:3], window_card())) == []


def test_only_window_cards_cut() -> None:
    """A vector card does not say how to cut."""
    with pytest.raises(PayloadError, match="kind 'vector'"):
        list(cut_windows(np.zeros((9, 2)), vector_card(2)))
    with pytest.raises(PayloadError, match="single number"):
        list(cut_windows(5.0, window_card()))


def test_the_payload_is_not_changed() -> None:
    """Preparing leaves the array that was given as it was."""
    before = WINDOW.copy()
    prepare(WINDOW, window_card(mean=(1,), scale=(2,)))
    card = replace(vector_card(4), preparation=Preparation(mean=(1,), scale=(2,)))
    prepare(WINDOW[:, 0], card)
    assert np.array_equal(WINDOW, before)


def test_numbers_become_float32_without_a_copy_where_they_are() -> None:
    """float32 passes through; other numbers are converted."""
    array = np.ones(3, np.float32)
    assert numeric(array, "row") is array
    assert numeric([1, 2], "row").dtype == np.float32


def test_the_first_bad_number_is_named() -> None:
    """The position of the first bad number is given, whatever the number of axes."""
    require_finite(np.zeros((2, 2), np.float32), "row")
    with pytest.raises(PayloadError, match="found nan at position 3"):
        require_finite(np.array([0, 0, 0, np.nan, np.inf], np.float32), "row")
