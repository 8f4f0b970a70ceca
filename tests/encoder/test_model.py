"""A model encodes payloads, and calibration freezes its quantiser."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from encoder import (
    CardError,
    Features,
    Input,
    Model,
    ModelError,
    PayloadError,
    Preparation,
    Quantiser,
    Tap,
    calibrate,
    describe_model,
    load_card,
    open_model,
    save_card,
    vector_card,
)
from encoder.testing import tiny_card, tiny_model, tiny_payloads

KINDS = ["image", "window", "vector"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny image model."""
    return tmp_path_factory.mktemp("tiny")


@pytest.fixture(scope="module")
def card(folder: Path):
    """The card of the tiny image model."""
    return tiny_card(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_is_its_payloads_one_by_one(kind) -> None:
    """Batching changes no bit, and features are the quantised measures."""
    payloads = tiny_payloads(5, 1, kind)
    with tiny_model(0, kind) as model:
        rows = model.encode_batch(payloads)
        assert rows.dtype == np.uint8
        assert rows.shape == (5, model.card.width)
        for row, payload in zip(rows, payloads, strict=True):
            assert model.encode(payload) == Features(row)
        measured = model.measure(payloads)
        assert measured.dtype == np.float32
        assert model.card.quantiser is not None
        assert np.array_equal(model.card.quantiser.quantise(measured), rows)


def test_no_payloads_give_no_rows() -> None:
    """An empty batch keeps its width."""
    with tiny_model() as model:
        assert model.encode_batch([]).shape == (0, model.card.width)
        assert model.measure(iter([])).shape == (0, model.card.width)


def test_a_card_a_path_and_a_name_open_the_same(folder: Path, card) -> None:
    """A model opens from its card, its file, or its builtin name."""
    save_card(card, folder / "card.toml")
    payload = tiny_payloads(1)[0]
    found = {
        open_model(source).encode(payload)
        for source in (card, folder / "card.toml", str(folder / "card.toml"))
    }
    assert len(found) == 1
    with open_model("efficientnet_lite0") as shipped:
        assert shipped.card.name == "efficientnet_lite0"


def test_a_wrong_fingerprint_is_refused_before_loading(tmp_path: Path) -> None:
    """One flipped bit in the file is found, and the runtime never sees it."""
    card = tiny_card(tmp_path)
    path = tmp_path / "model.onnx"
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    with pytest.raises(ModelError, match="expects sha256") as caught:
        open_model(card)
    assert card.sha256 in caught.value.message
    assert "new card" in caught.value.hint


def test_a_graph_that_the_runtime_cannot_load_is_refused(tmp_path: Path) -> None:
    """A file that has the right digest but is no graph is refused with the runtime's words."""
    data = b"\x08\x08"
    (tmp_path / "model.onnx").write_bytes(data)
    digest = hashlib.sha256(data).hexdigest()
    (tmp_path / "sound").mkdir()
    broken = replace(tiny_card(tmp_path / "sound"), sha256=digest, folder=str(tmp_path))
    with pytest.raises(ModelError, match="cannot load the model"):
        open_model(broken)


def test_a_missing_model_file_is_named(tmp_path: Path) -> None:
    """Without its file a card cannot be opened; without a folder it cannot even be looked for."""
    card = tiny_card(tmp_path)
    (tmp_path / "model.onnx").unlink()
    with pytest.raises(ModelError, match="reading model"):
        open_model(card)
    with pytest.raises(CardError, match="which folder"):
        open_model(replace(card, folder=None))


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"taps": (Tap("features", "embedding", 32),)}, "needs output 'embedding'"),
        ({"taps": (Tap("features", "features", 31),)}, "with 31 features"),
        ({"taps": (Tap("features", "features", 32, 2),)}, "on axis 2"),
        ({"input": Input("picture", (-1, 3, 16, 16))}, "names input 'picture'"),
        ({"input": Input("input", (-1, 3, 16, 16), "uint8")}, "uint8"),
        (
            {
                "input": Input("input", (-1, 3, 8, 8)),
                "preparation": Preparation(resize=(8, 8)),
            },
            r"\[-1, 3, 8, 8\]",
        ),
        (
            {
                "input": Input("input", (-1, 16, 16, 3), "float32", "NHWC"),
            },
            r"\[-1, 16, 16, 3\]",
        ),
    ],
)
def test_a_card_that_does_not_fit_its_graph_is_refused(card, changes, found) -> None:
    """Wrong taps, widths, inputs, dtypes and layouts are found when opening, with both sides."""
    wrong = replace(card, quantiser=None, **changes)
    with pytest.raises(ModelError, match=found) as caught:
        open_model(wrong)
    assert "card" in caught.value.hint


def test_one_tap_of_several_is_enough(card) -> None:
    """A card may use some of the outputs, in its own order."""
    payload = tiny_payloads(1)
    with (
        open_model(card) as whole,
        open_model(replace(card, taps=tuple(reversed(card.taps)), quantiser=None)) as turned,
    ):
        both = whole.measure(payload)[0]
        assert np.array_equal(turned.measure(payload)[0], np.concatenate([both[32:], both[:32]]))


@pytest.mark.parametrize("threads", [0, -1, 10_000])
def test_impossible_threads_are_refused(card, threads) -> None:
    """The number of threads has bounds."""
    with pytest.raises(ModelError, match="threads"):
        open_model(card, threads=threads)


def test_threads_change_no_bit(card) -> None:
    """Two threads give the features of one."""
    payloads = tiny_payloads(3)
    with open_model(card, threads=2) as two, open_model(card) as one:
        assert np.array_equal(two.encode_batch(payloads), one.encode_batch(payloads))


def test_an_unknown_provider_is_refused_with_those_there_are(card) -> None:
    """The error for a provider that this runtime lacks lists those it has."""
    with pytest.raises(ModelError, match="CPUExecutionProvider") as caught:
        open_model(card, providers=["NoSuchExecutionProvider"])
    assert "NoSuchExecutionProvider" in caught.value.message
    with open_model(card, providers=["CPUExecutionProvider"]) as model:
        assert model.card == card


def test_without_a_quantiser_nothing_is_encoded(card) -> None:
    """An uncalibrated model measures, but refuses to encode and says how to calibrate."""
    with open_model(replace(card, quantiser=None)) as model:
        assert model.measure(tiny_payloads(1)).shape == (1, card.width)
        with pytest.raises(CardError, match="no quantiser") as caught:
            model.encode(tiny_payloads(1)[0])
    assert "calibrate" in caught.value.hint


def test_a_bad_payload_is_named_and_harms_nothing(card) -> None:
    """In a batch the bad payload is named by place; afterwards the model works as before."""
    good = tiny_payloads(2)
    with open_model(card) as model:
        before = model.encode_batch(good)
        with pytest.raises(PayloadError, match="payload 1: ") as caught:
            model.encode_batch([good[0], b"", good[1]])
        assert caught.value.hint
        assert np.array_equal(model.encode_batch(good), before)


def test_a_closed_model_refuses_to_encode(card) -> None:
    """After close, also of ready-made vectors, encoding is an error."""
    ready = vector_card(card.width, quantiser=card.quantiser)
    for source, payload in ((card, tiny_payloads(1)[0]), (ready, np.zeros(card.width))):
        with open_model(source) as model:
            model.encode(payload)
        with pytest.raises(ModelError, match="closed"):
            model.encode(payload)


def test_ready_made_vectors_need_no_graph() -> None:
    """A vector card without a file normalises and quantises."""
    quantiser = tiny_model(0, "vector").card.quantiser
    assert quantiser is not None
    card = vector_card(quantiser.width, quantiser=quantiser)
    values = np.linspace(0, 1, quantiser.width).astype(np.float32)
    with open_model(card) as model:
        assert np.array_equal(model.encode(values).values, quantiser.quantise(values))
        assert np.array_equal(model.measure([values])[0], values)


def test_features_are_values() -> None:
    """Features are read-only uint8, equal and hashed by value, and independent of their source."""
    source = np.arange(3, dtype=np.uint8)
    features = Features(source)
    source[0] = 9
    assert features.values.tolist() == [0, 1, 2]
    assert features == Features(np.arange(3, dtype=np.uint8))
    assert len({features, Features(np.arange(3, dtype=np.uint8))}) == 1
    assert features != [0, 1, 2]
    with pytest.raises(ValueError, match="read-only"):
        features.values[0] = 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        features.values = source  # type: ignore[misc]
    wrong: list[Any] = [np.zeros(3, np.float32), np.zeros((1, 3), np.uint8)]
    for bad in wrong:
        with pytest.raises(PayloadError, match="reading features"):
            Features(bad)


def test_a_graph_that_gives_nan_never_reaches_the_features(tmp_path: Path) -> None:
    """NaN out of the graph itself is refused by the quantiser."""
    graph = helper.make_graph(
        [helper.make_node("Log", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["b", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["b", 2])],
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(made, str(tmp_path / "log.onnx"))
    drawn = describe_model(tmp_path / "log.onnx", kind="vector")
    card = replace(drawn, quantiser=vector_quantiser(2))
    with open_model(card) as model, pytest.raises(PayloadError, match="nan at position 1"):
        model.encode([1.0, -1.0])


def vector_quantiser(width: int) -> Quantiser:
    """The plainest quantiser of a width."""
    return Quantiser(np.ones(width, np.float32), np.zeros(width, np.int32))


def test_the_saved_card_gives_the_same_bits(tmp_path: Path) -> None:
    """A model opened from its written card encodes like the one that was calibrated."""
    card = tiny_card(tmp_path)
    save_card(card, tmp_path / "card.toml")
    payloads = tiny_payloads(4, 9)
    with open_model(card) as one, open_model(load_card(tmp_path / "card.toml")) as other:
        assert np.array_equal(one.encode_batch(payloads), other.encode_batch(payloads))


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
