"""Frozen ONNX encoders: turn measurements into uint8 features, as a model card describes.

Example: `open_model("efficientnet_lite0").encode(Path("photo.jpg").read_bytes())`.  Importing this
package loads neither onnxruntime nor Pillow."""

from __future__ import annotations

from .arrays import cut_windows
from .card import Card, Input, Kind, Preparation, Tap, vector_card
from .card_file import load_card, save_card
from .description import describe_model
from .errors import CardError, EncoderError, ModelError, PayloadError
from .exif import capture_time
from .model import SHIPPED, Features, Model, calibrate, open_model
from .onnx_writer import Node, Value, onnx_bytes
from .preparation import prepare_image, thumbnail
from .quantiser import Granularity, Quantiser, freeze_quantiser

__all__ = [
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
    "thumbnail",
    "vector_card",
]
