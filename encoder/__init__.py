"""Frozen ONNX encoders: turn measurements into uint8 features, as a model card describes.

Example: `open_model("efficientnet_lite0").encode(Path("photo.jpg").read_bytes())`.  Importing this
package loads neither onnxruntime nor Pillow."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .arrays import cut_windows
from .card import IMAGE_VERSION, Card, Input, Kind, Preparation, Tap, vector_card
from .card_file import load_card, save_card
from .errors import CardError, EncoderError, ModelError, PayloadError
from .exif import capture_time
from .model import SHIPPED, Features, Model, calibrate, open_model, shipped_card
from .preparation import prepare_image, thumbnail
from .quantiser import Granularity, Quantiser, freeze_quantiser

if TYPE_CHECKING:
    from .description import describe_model
    from .onnx_writer import Node, Value, onnx_bytes

__all__ = [
    "IMAGE_VERSION",
    "SHIPPED",
    "Card",
    "CardError",
    "EncoderError",
    "Features",
    "Granularity",
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
    "calibrate",
    "capture_time",
    "cut_windows",
    "describe_model",
    "freeze_quantiser",
    "load_card",
    "onnx_bytes",
    "open_model",
    "prepare_image",
    "save_card",
    "shipped_card",
    "thumbnail",
    "vector_card",
]

_MAKING = {
    "describe_model": ".description",
    "Node": ".onnx_writer",
    "Value": ".onnx_writer",
    "onnx_bytes": ".onnx_writer",
}
"""Names that only making a card or a model needs, with their files: a device starts without."""


def __getattr__(name: str) -> Any:
    if name not in _MAKING:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MAKING[name], __name__), name)
