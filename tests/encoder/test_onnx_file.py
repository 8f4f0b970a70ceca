from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from encoder import ModelError, describe_model, load_card, open_model, save_card
from encoder.onnx_file import DEPTH_MAX, external_files, model_digest, model_files
from encoder.testing import tiny_onnx

FEATURES = 4


def outside_tensor(location: str, name: str = "w") -> TensorProto:
    """A tensor whose 12 x 4 numbers lie in the file `location`."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[12, FEATURES])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    tensor.external_data.add(key="length", value=str(12 * FEATURES * 4))
    return tensor


def model_with(tensor: TensorProto) -> onnx.ModelProto:
    """A graph `features = input @ w`."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["input", "w"], ["features"])],
        "g",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["b", 12])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["b", FEATURES])],
        [tensor],
    )
    opsets = [helper.make_opsetid("", 13)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8)


def saved(folder: Path, model: onnx.ModelProto) -> Path:
    """The model's file, written without touching external data."""
    path = folder / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def outside(folder: Path, location: str = "w.bin") -> Path:
    """A model with its weights in a separate file."""
    data = np.eye(12, FEATURES, dtype=np.float32).tobytes()
    (folder / location).parent.mkdir(parents=True, exist_ok=True)
    (folder / location).write_bytes(data)
    return saved(folder, model_with(outside_tensor(location)))


def test_the_digest_of_a_plain_file_is_its_sha256(tmp_path: Path) -> None:
    """Without external data, `sha256sum` gives the same."""
    path = tmp_path / "model.onnx"
    path.write_bytes(tiny_onnx())
    assert model_digest(path) == hashlib.sha256(tiny_onnx()).hexdigest()
    assert model_files(path) == [path]


@pytest.mark.parametrize("location", ["w.bin", "weights/w.bin", "./w.bin"])
def test_external_data_next_to_the_model_is_read(tmp_path: Path, location) -> None:
    """Weights in the model's folder or below work, from description to features."""
    path = outside(tmp_path, location)
    save_card(describe_model(path, kind="vector"), tmp_path / "card.toml")
    with open_model(tmp_path / "card.toml") as model:
        assert model.measure([np.arange(12)]).tolist() == [[0, 1, 2, 3]]


def test_a_saved_card_takes_external_data_along(tmp_path: Path) -> None:
    """Copied with its card, a model still finds its weights."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    card = describe_model(outside(tmp_path / "a", "weights/w.bin"), kind="vector")
    save_card(card, tmp_path / "b" / "card.toml")
    assert (tmp_path / "b" / "weights" / "w.bin").exists()
    assert load_card(tmp_path / "b" / "card.toml").sha256 == card.sha256


def test_exchanged_weights_are_noticed(tmp_path: Path) -> None:
    """The fingerprint covers external data, though the ONNX file itself is unchanged."""
    card = describe_model(outside(tmp_path), kind="vector")
    (tmp_path / "w.bin").write_bytes(b"\x00" * 12 * FEATURES * 4)
    with pytest.raises(ModelError, match="expects sha256"):
        open_model(card)


@pytest.mark.parametrize(
    "location",
    ["/etc/hostname", "../w.bin", "a/../../w.bin", "..\\w.bin", "C:\\w.bin", "", "a\x00b", "/"],
)
def test_external_data_that_leaves_the_folder_is_refused(tmp_path: Path, location) -> None:
    """Absolute paths and paths upwards are refused before anything is read."""
    (tmp_path / "w.bin").write_bytes(b"\x00" * 192)
    (tmp_path / "inside").mkdir()
    path = saved(tmp_path / "inside", model_with(outside_tensor(location)))
    with pytest.raises(ModelError, match="lies outside") as caught:
        describe_model(path)
    assert "trust" in caught.value.hint


def test_links_out_of_the_folder_are_refused(tmp_path: Path) -> None:
    """A symbolic link to a file or a folder elsewhere is refused."""
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "w.bin").write_bytes(b"\x00" * 192)
    folder = tmp_path / "inside"
    folder.mkdir()
    (folder / "w.bin").symlink_to(secret / "w.bin")
    (folder / "sub").symlink_to(secret)
    for location in ("w.bin", "sub/w.bin"):
        with pytest.raises(ModelError, match="lies outside"):
            describe_model(saved(folder, model_with(outside_tensor(location))))


def test_missing_external_data_is_named(tmp_path: Path) -> None:
    """The file that is missing is named."""
    path = outside(tmp_path)
    (tmp_path / "w.bin").unlink()
    with pytest.raises(ModelError, match=r"external data .*w\.bin"):
        describe_model(path)


def hidden(place: str) -> onnx.ModelProto:
    """A model that names an outside file in an unusual place."""
    bad = outside_tensor("/etc/hostname")
    model = model_with(numpy_helper.from_array(np.eye(12, FEATURES, dtype=np.float32), "w"))
    graph = model.graph
    constant = helper.make_node("Constant", [], ["c"], value=bad)
    if place == "constant":
        graph.node.append(constant)
    elif place == "sparse":
        graph.sparse_initializer.add().values.CopyFrom(bad)
    elif place == "branch":
        inner = helper.make_graph([constant], "inner", [], [])
        graph.node.append(helper.make_node("If", ["i"], ["o"], then_branch=inner))
    elif place == "list":
        attribute = graph.node[0].attribute.add(name="t", type=onnx.AttributeProto.TENSORS)
        attribute.tensors.append(bad)
    elif place == "function":
        model.functions.add(name="f", domain="d").node.append(constant)
    elif place == "training":
        model.training_info.add().algorithm.initializer.append(bad)
    return model


@pytest.mark.parametrize("place", ["constant", "sparse", "branch", "list", "function", "training"])
def test_every_place_that_can_name_a_file_is_walked(tmp_path: Path, place) -> None:
    """Constants, sparse weights, branches, functions and training graphs are looked into."""
    with pytest.raises(ModelError, match="lies outside"):
        external_files(hidden(place).SerializeToString(), tmp_path / "model.onnx")


def nested(depth: int) -> bytes:
    """Graphs inside attributes inside nodes, `depth` times."""

    def part(number: int, data: bytes) -> bytes:
        length, groups = len(data), []
        while length > 0x7F:
            groups.append(length & 0x7F | 0x80)
            length >>= 7
        return bytes([number << 3 | 2, *groups, length]) + data

    graph = b""
    for _ in range(depth):
        graph = part(1, part(5, part(6, graph)))
    return part(7, graph)


@pytest.mark.parametrize(
    "data",
    [
        b"\x3a\xff\xff\xff\xff\x0f",
        b"\x3a" + b"\xff" * 11,
        b"\x0b\x0c",
        b"not a model at all",
        b"\x80",
        nested(DEPTH_MAX),
    ],
    ids=["length", "varint", "group", "text", "cut", "deep"],
)
def test_damaged_files_are_refused_by_the_walk(tmp_path: Path, data) -> None:
    """Wrong lengths, endless numbers, groups and deep nesting end in a ModelError."""
    with pytest.raises(ModelError, match="expected an ONNX file") as caught:
        external_files(data, tmp_path / "model.onnx")
    assert caught.value.hint


@given(st.binary(max_size=300), st.integers(0, 2000))
def test_random_bytes_never_break_the_walk(noise, place) -> None:
    """Random bytes in or instead of a model are walked or refused, nothing else."""
    whole = tiny_onnx()
    for data in (noise, whole[:place] + noise + whole[place + len(noise) :]):
        try:
            external_files(data, Path("model.onnx"))
        except ModelError:
            continue


def test_missing_and_empty_files_are_refused(tmp_path: Path) -> None:
    """A file that is not there, is empty, or is a folder is refused by name."""
    (tmp_path / "empty.onnx").touch()
    for name in ("none.onnx", "empty.onnx", "."):
        with pytest.raises(ModelError, match="reading model") as caught:
            model_digest(tmp_path / name)
        assert caught.value.hint
