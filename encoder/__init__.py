"""Frozen ONNX encoders: turn measurements into uint8 features, as a model card describes.

Example: `open_model().encode(Path("photo.jpg").read_bytes())`.  Importing this
package loads neither onnxruntime nor Pillow."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .arrays import cut_windows
from .card import IMAGE_VERSION, Card, Input, Kind, Preparation, Tap, vector_card
from .card_file import load_card, save_card
from .errors import CardError, EncoderError, ModelError, PayloadError
from .exif import capture_time
from .model import DEFAULT_ENCODER, SHIPPED, Features, Model, calibrate, open_model, shipped_card
from .native import is_native
from .preparation import prepare_image, prepare_pixels, thumbnail
from .quantiser import Granularity, Quantiser, freeze_quantiser

if TYPE_CHECKING:
    from .description import describe_model
    from .figures import EncoderFigures, shipped_figures
    from .graph_surgery import joined, parts_of, renamed
    from .onnx_writer import Graph, Node, Value, graph_bytes, onnx_around, onnx_bytes, opset_of
    from .variants import at_side, cropped, flipped, side_by_side, with_spread, with_taps

__all__ = [
    "DEFAULT_ENCODER",
    "IMAGE_VERSION",
    "SHIPPED",
    "Card",
    "CardError",
    "EncoderError",
    "EncoderFigures",
    "Features",
    "Granularity",
    "Graph",
    "Input",
    "Kind",
    "Model",
    "ModelError",
    "Node",
    "PayloadError",
    "Preparation",
    "Quantiser",
    "Tap",
    "Value",
    "at_side",
    "calibrate",
    "capture_time",
    "cropped",
    "cut_windows",
    "describe_model",
    "flipped",
    "freeze_quantiser",
    "graph_bytes",
    "is_native",
    "joined",
    "load_card",
    "onnx_around",
    "onnx_bytes",
    "open_model",
    "opset_of",
    "parts_of",
    "prepare_image",
    "prepare_pixels",
    "renamed",
    "save_card",
    "shipped_card",
    "shipped_figures",
    "side_by_side",
    "thumbnail",
    "vector_card",
    "with_spread",
    "with_taps",
]

_MAKING = {
    **dict.fromkeys(("EncoderFigures", "shipped_figures"), ".figures"),
    **dict.fromkeys(("joined", "parts_of", "renamed"), ".graph_surgery"),
    "describe_model": ".description",
    **dict.fromkeys(
        ("Graph", "Node", "Value", "graph_bytes", "onnx_around", "onnx_bytes", "opset_of"),
        ".onnx_writer",
    ),
    **dict.fromkeys(
        ("at_side", "cropped", "flipped", "side_by_side", "with_spread", "with_taps"), ".variants"
    ),
}
"""Names that only making a card, a model or a home needs, with their files: a device starts
without."""


def __getattr__(name: str) -> Any:
    if name not in _MAKING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MAKING[name], __name__), name)
