from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from encoder import (
    CardError,
    ModelError,
    Preparation,
    Tap,
    calibrate,
    describe_model,
    load_card,
    open_model,
    save_card,
)
from encoder.testing import tiny_card, tiny_payloads

TYPES = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8, "int64": TensorProto.INT64}


def foreign(
    folder: Path, shape, nodes=None, dtype="float32", outputs=("y",), extra_input=False
) -> Path:
    """An ONNX file that passes its input on, or has the `nodes` given."""
    nodes = nodes or [helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)]
    inputs = [helper.make_tensor_value_info("x", TYPES[dtype], shape)]
    if extra_input:
        inputs.append(helper.make_tensor_value_info("mask", TensorProto.FLOAT, [1]))
    graph = helper.make_graph(
        nodes, "g", inputs, [helper.make_empty_tensor_value_info(name) for name in outputs]
    )
    for port in graph.output:
        port.type.tensor_type.elem_type = TensorProto.FLOAT
    opsets = [helper.make_opsetid("", 13)]
    path = folder / "foreign.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(path))
    return path


@pytest.mark.parametrize("kind", ["image", "window", "vector"])
def test_a_foreign_model_is_described_calibrated_and_used(tmp_path: Path, kind) -> None:
    """From an ONNX file alone to features: describe, save, load, calibrate, encode."""
    known = tiny_card(tmp_path, 4, kind)
    card = describe_model(tmp_path / "model.onnx", name="mine", licence="MIT")
    assert (card.kind, card.sha256, card.name) == (kind, known.sha256, "mine")
    assert card.input == known.input
    assert card.taps == known.taps
    save_card(card, tmp_path / "card.toml")
    with open_model(tmp_path / "card.toml") as model:
        done = calibrate(model, tiny_payloads(20, 4, kind))
    save_card(done, tmp_path / "card.toml")
    with open_model(load_card(tmp_path / "card.toml")) as model:
        assert model.encode(tiny_payloads(1, 4, kind)[0]).values.any()


@pytest.mark.parametrize(
    ("shape", "kind", "layout", "axis", "width"),
    [
        (["b", 3, 32, 32], "image", "NCHW", 1, 3),
        (["b", 32, 32, 3], "image", "NHWC", 3, 3),
        (["b", 1, 28, 28], "image", "NCHW", 1, 1),
        ([1, "h", "w", 3], "image", "NHWC", 3, 3),
        (["b", 128, 6], "window", "NLC", 2, 6),
        (["b", 6, 128], "window", "NCL", 2, 128),
        (["b", 40], "vector", "NV", 1, 40),
    ],
)
def test_kind_and_layout_are_guessed_and_noted(
    tmp_path: Path, shape, kind, layout, axis, width
) -> None:
    """The usual shapes are recognised; every guess is a note for the reader."""
    card = describe_model(foreign(tmp_path, shape))
    assert (card.kind, card.input.layout) == (kind, layout)
    assert card.taps == (Tap("y", "y", width, axis),)
    notes = " ".join(card.notes)
    assert f"layout {layout} was guessed" in notes
    assert "licence is unknown" in notes


def test_given_properties_are_not_guessed(tmp_path: Path) -> None:
    """Kind, layout, preparation, licence and outputs that are given leave nothing to note."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["a"], axes=[2], keepdims=0),
        helper.make_node("ReduceMax", ["x"], ["b"], axes=[2], keepdims=0),
    ]
    card = describe_model(
        foreign(tmp_path, ["b", 6, 64], nodes, outputs=("a", "b")),
        kind="window",
        layout="NCL",
        licence="MIT",
        preparation=Preparation(length=64, step=32, scale=(2.0,)),
        outputs=["b"],
    )
    assert card.notes == ()
    assert card.taps == (Tap("b", "b", 6),)
    assert card.preparation.step == 32


def test_whole_number_images_are_not_scaled(tmp_path: Path) -> None:
    """A graph that takes uint8 pixels gets them as they are."""
    card = describe_model(foreign(tmp_path, ["b", 3, 8, 8], dtype="uint8"))
    assert card.preparation.scale == (1.0,)
    assert "0 to 255" in " ".join(card.notes)


def test_open_sizes_are_filled_and_noted(tmp_path: Path) -> None:
    """A graph for images of any size gets 224 x 224, and a note."""
    card = describe_model(foreign(tmp_path, ["b", "c", "h", "w"]))
    assert card.preparation.resize == (224, 224)
    assert card.input.shape == (-1, 3, -1, -1)
    assert "224 x 224 was guessed" in " ".join(card.notes)
    assert "3 was guessed" in " ".join(card.notes)


def test_an_open_window_needs_its_length(tmp_path: Path) -> None:
    """Samples of any number: the length must be given, and then works."""
    path = foreign(tmp_path, ["b", "samples"])
    with pytest.raises(CardError, match="length of a window is open"):
        describe_model(path)
    card = describe_model(path, preparation=Preparation(length=160))
    assert (card.input.layout, card.width) == ("NL", 160)


@pytest.mark.parametrize(
    ("shape", "options", "error", "found"),
    [
        ([4, 3, 8, 8], {}, ModelError, "batches of exactly 4"),
        (["b", 3, 8, 8, 8], {}, CardError, "no layout is known"),
        (["b", 3, 8, 8], {"kind": "vector"}, CardError, "no layout is known"),
        (["b", 3, 8, 8], {"layout": "NC"}, CardError, "layout 'NC'"),
        (["b", 8], {"layout": "NQ"}, CardError, "fits no kind"),
        (["b", 8], {"outputs": ["z"]}, ModelError, "not in the graph"),
    ],
)
def test_an_unsupported_graph_is_refused(tmp_path: Path, shape, options, error, found) -> None:
    """Fixed batches, unknown ranks, misfits and missing outputs are refused with a hint."""
    with pytest.raises(error, match=found) as caught:
        describe_model(foreign(tmp_path, shape), **options)
    assert caught.value.hint


def test_graphs_with_several_inputs_or_whole_numbers_are_refused(tmp_path: Path) -> None:
    """One input of a supported dtype is needed."""
    with pytest.raises(ModelError, match="expected one input"):
        describe_model(foreign(tmp_path, ["b", 8], extra_input=True))
    with pytest.raises(ModelError, match="unsupported dtype"):
        describe_model(foreign(tmp_path, ["b", 8], dtype="int64"))


def test_outputs_without_features_are_left_out(tmp_path: Path) -> None:
    """An output without a batch is left out with a note; if none is left, that is an error."""
    mean = helper.make_node("ReduceMean", ["x"], ["m"], keepdims=0)
    same = helper.make_node("Identity", ["x"], ["y"])
    card = describe_model(foreign(tmp_path, ["b", 8], [mean, same], outputs=("m", "y")))
    assert [tap.output for tap in card.taps] == ["y"]
    assert "Output m" in " ".join(card.notes)
    with pytest.raises(ModelError, match="none of the outputs"):
        describe_model(foreign(tmp_path, ["b", 8], [mean], outputs=("m",)))


@pytest.mark.parametrize("data", [b"", b"text", b"PK\x03\x04" + b"\x00" * 50, b"\x08\x08"])
def test_a_file_that_is_no_onnx_model_is_refused(tmp_path: Path, data) -> None:
    """Empty files, text, archives and empty models are refused by name."""
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    with pytest.raises(ModelError) as caught:
        describe_model(path)
    assert caught.value.hint


def test_feature_maps_are_averaged(tmp_path: Path) -> None:
    """A tap on a feature map gives the mean over the other axes."""
    card = describe_model(foreign(tmp_path, ["b", 3, 2, 2]), licence="MIT")
    plain = replace(card, preparation=replace(card.preparation, scale=(1.0,)))
    pixels = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    with open_model(plain) as model:
        assert model.measure([pixels])[0].tolist() == pixels.mean(axis=(0, 1)).tolist()
