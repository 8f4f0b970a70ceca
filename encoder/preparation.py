"""Image preparation: decode a file or take pixels, resize, crop and normalise as the card says.

The only file that imports Pillow, on the first image."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .arrays import into_layout, normalise
from .card import Card, Preparation
from .errors import PayloadError
from .resampling import blocks_of, resize, resizes

if TYPE_CHECKING:
    from PIL.Image import Image

    Picture = Image | NDArray[np.uint8]  # an 8-bit RGB image, or its pixels [height, width, 3]

# A decoded image takes 3 to 4 bytes a pixel: 50 megapixels stay below 200 MB, and exceed the
# resolution of industrial cameras.
PIXELS_MAX = 50_000_000
# 50 megapixels of 16-bit RGB are 300 MB raw; a compressed file of 256 MiB is far beyond a camera's.
IMAGE_BYTES_MAX = 1 << 28
# Formats decoded in this process.  Pillow's others are rare, and some start other programs.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "PPM")

_EXIF_ORIENTATION = 0x0112  # tag Orientation (Exif 2.3, section 4.6.4)
# A JPEG is decoded at this many times the size needed or more, by the version of the preparation.
# At 2 the filter decides the pixels.  At 1 the decoder averages most of them, in half the time and
# without a loss of accuracy on PACS.  At 0.96 half of 640 x 480 is enough for 248 pixels: enlarging
# by a thirtieth loses no accuracy either (docs/howto/encoder.md).
_JPEG_GAPS = {1: 2.0, 2: 1.0, 3: 0.96}
_THUMBNAIL_GAP = 2  # for the eye: the filter decides the pixels
# From version 2 on, whole blocks of pixels are averaged first, down to this many times the size
# needed or more.  Lower than 1 would enlarge again.
_BLOCKS_GAP = 1.0
_BAD_FILE_HINT = "send the file whole, as JPEG, PNG, WebP, BMP, GIF, TIFF or PPM"
# The brands of HEIF files with HEVC images, bytes 8 to 12 (ISO/IEC 23008-12, annex B); `mif1` is
# the general one.
_HEIC_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})
_HEIC_HINT = "for example: heif-convert photo.heic photo.jpg"


def prepare_image(payload: object, card: Card) -> NDArray[Any]:
    """Prepare one image as a batch of one for the graph.

    payload: the bytes of an image file, or pixels [height, width], [h, w, 1], [h, w, 3] RGB or
    [h, w, 4] RGBA of dtype uint8 or uint16.  EXIF rotation is applied; transparent pixels are
    blended with white; 16-bit values keep their upper byte; CMYK, palette and grey become the
    card's colour.  Raises PayloadError, before decoding if the header suffices.  Cost: decoding."""
    return image_batch(_area_of(payload, card.preparation), card)


def prepare_pixels(payload: object, card: Card) -> NDArray[np.uint8]:
    """Return the pixels uint8 [height, width, channels] that `prepare_image` normalises: upright,
    scaled and cropped as the card says, RGB or grey.  payload, errors, cost: as there."""
    return _pixels(_area_of(payload, card.preparation), card.preparation)


def prepare_blocks(payload: object, card: Card) -> NDArray[np.uint8]:
    """Return the pixels of `prepare_pixels` as a batch of one for a graph of pixel_graph.py: uint8
    [1, height / 2, width / 2, 12], blocks of pixels [2, 2, 3].  Errors and cost: as there."""
    prepared = card.preparation
    image, found = _area_of(payload, prepared), None
    if prepared.resize is not None and prepared.crop in (None, prepared.resize):
        found = _scaled(image, prepared, blocks=True)
    if found is None:
        found = blocks_of(_pixels(image, prepared))
    return found.reshape(1, *found.shape[:2], -1)


def _area_of(payload: object, prepared: Preparation) -> Picture:
    """Return the part of an image that is resized, upright, in 8-bit RGB."""
    if isinstance(payload, np.ndarray):
        pixels = _checked(payload, prepared)
        return pixels if pixels.ndim == 3 and pixels.shape[2] == 3 else _from_pixels(pixels)
    if not isinstance(payload, bytes | bytearray | memoryview):
        raise PayloadError(
            f"preparing an image: expected the bytes of a file or an array of pixels, found "
            f"{type(payload).__name__}",
            "read the file first: `Path(name).read_bytes()`",
        )
    if not 0 < len(payload) <= IMAGE_BYTES_MAX:
        raise PayloadError(
            f"decoding an image: expected 1 to {IMAGE_BYTES_MAX} bytes, found {len(payload)}",
            "check the camera or the message: the payload is empty or too long",
        )
    side = 0
    if prepared.resize is not None:
        side = math.floor(max(prepared.resize) * _JPEG_GAPS[prepared.version])
    image = _decoded(bytes(payload), side)
    area = _area(image.size, prepared)
    return image if area is None else image.crop(area)


def thumbnail(data: bytes, side: int) -> NDArray[np.uint8]:
    """Decode an image file and scale it down to fit a square of `side` pixels: uint8 [h, w, 3],
    RGB, upright.  Raises PayloadError as `prepare_image` does."""
    image = _decoded(data, side * _THUMBNAIL_GAP)
    image.thumbnail((side, side))
    return np.asarray(image, dtype=np.uint8)


def image_batch(image: Picture, card: Card) -> NDArray[Any]:
    """Prepare an upright 8-bit RGB `image`, cut to its area, as a batch of one for the graph."""
    prepared = card.preparation
    pixels = _pixels(image, prepared)
    if prepared.colour == "BGR":
        pixels = pixels[:, :, ::-1]
    if card.input.layout == "NCHW" and card.input.dtype == "float32":
        return _planes(pixels, prepared)
    return into_layout(normalise(pixels.astype(np.float32), card), card)


def _pixels(image: Picture, prepared: Preparation) -> NDArray[np.uint8]:
    if prepared.colour == "L":
        grey = np.asarray(_resized(_as_image(image).convert("L"), prepared))
        return _cropped(grey[:, :, np.newaxis], prepared.crop)
    pixels = _scaled(image, prepared)
    if pixels is None:
        pixels = np.asarray(_resized(_as_image(image), prepared))
    return _cropped(pixels, prepared.crop)


def _scaled(
    image: Picture, prepared: Preparation, *, blocks: bool = False
) -> NDArray[np.uint8] | None:
    """Return the scaled pixels of an image, or None where Pillow scales it; see resampling.py."""
    if prepared.resize is None or prepared.version == 1:
        return None
    before = image.shape[:2] if isinstance(image, np.ndarray) else image.size[::-1]
    factor = max(int(before[0] / prepared.resize[0] / _BLOCKS_GAP), 1)
    reduced = before[0] // factor, before[1] // factor
    whole = (reduced[0] * factor, reduced[1] * factor) == before
    if not whole or not resizes(reduced, prepared.resize, prepared.interpolation):
        return None
    pixels = np.asarray(image if factor == 1 else _as_image(image).reduce(factor))
    return resize(pixels, prepared.resize, prepared.interpolation, blocks=blocks)


def _as_image(image: Picture) -> Image:
    import PIL.Image

    if isinstance(image, np.ndarray):
        return PIL.Image.fromarray(np.ascontiguousarray(image))
    return image


def _planes(pixels: NDArray[np.uint8], prepared: Preparation) -> NDArray[np.float32]:
    """Return what `normalise` and `into_layout` would for planes of float32, with one copy."""
    values = pixels.transpose(2, 0, 1).astype(np.float32, order="C")
    values -= np.array(prepared.mean, dtype=np.float32)[:, np.newaxis, np.newaxis]
    values /= np.array(prepared.scale, dtype=np.float32)[:, np.newaxis, np.newaxis]
    return values[np.newaxis]


def _decoded(data: bytes, side: int) -> Image:
    """Decode an image file; a JPEG with sides of at least `side` pixels, whole if that is 0."""
    # Without these two imports, Pillow loads all its plugins at the first WebP or TIFF.
    import PIL.Image
    import PIL.TiffImagePlugin
    import PIL.WebPImagePlugin

    try:
        image = PIL.Image.open(io.BytesIO(data), formats=FORMATS)
        _require_bounded(image.size)
        if side:
            # A JPEG decodes faster at a half, quarter or eighth of its size.
            image.draft(None, (side, side))
        image.load()
        return _in_rgb(_upright(image))
    except PayloadError:
        raise
    except (PIL.Image.DecompressionBombError, PIL.Image.DecompressionBombWarning) as error:
        raise PayloadError(f"decoding an image: {error}", _too_large_hint()) from error
    except PIL.UnidentifiedImageError as error:
        if data[4:8] == b"ftyp" and data[8:12] in _HEIC_BRANDS:
            raise PayloadError(
                "decoding an image: HEIC is not decoded here, convert it to JPEG", _HEIC_HINT
            ) from error
        raise PayloadError(
            f"decoding an image: found {len(data)} bytes of no supported image format, "
            f"beginning {data[:8].hex(' ')}",
            _BAD_FILE_HINT,
        ) from error
    except Exception as error:  # Decoders raise many classes for damaged or hostile files.
        raise PayloadError(
            f"decoding an image: found {len(data)} bytes that end early or are damaged: {error}",
            _BAD_FILE_HINT,
        ) from error


def _require_bounded(size: tuple[int, int]) -> None:
    if 0 < size[0] * size[1] <= PIXELS_MAX:
        return
    raise PayloadError(
        f"preparing an image: expected 1 to {PIXELS_MAX} pixels, found {size[0]} x {size[1]}",
        _too_large_hint(),
    )


def _too_large_hint() -> str:
    return "scale the image down before sending it, and check the sender"


def _upright(image: Image) -> Image:
    from PIL.Image import Transpose

    try:
        orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - damaged EXIF: keep the pixels as they are
        return image
    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    turn = turns.get(orientation)
    return image if turn is None else image.transpose(turn)


def _in_rgb(image: Image) -> Image:
    import PIL.Image

    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        return _from_pixels(_checked(_sixteen_bit(np.asarray(image))))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layers = image.convert("RGBA")
        ground = PIL.Image.new("RGBA", layers.size, "white")
        return PIL.Image.alpha_composite(ground, layers).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _sixteen_bit(values: NDArray[Any]) -> NDArray[np.uint16]:
    """Convert 32-bit pixels with 16-bit values to uint16."""
    if values.dtype.kind == "f" or values.min() < 0 or values.max() > 0xFFFF:
        raise PayloadError(
            f"decoding an image: expected 8 or 16 bits a channel, found {values.dtype}",
            "save it with 8 or 16 bits a channel",
        )
    return values.astype(np.uint16)


def _checked(pixels: NDArray[Any], prepared: Preparation | None = None) -> NDArray[np.uint8]:
    """Return an array of pixels in 8 bits, [h, w] or [h, w, 3 or 4], cut to its area if a
    preparation is given."""
    shape = pixels.shape
    if pixels.dtype not in (np.uint8, np.uint16) or not (
        pixels.ndim == 2 or (pixels.ndim == 3 and shape[2] in (1, 3, 4))
    ):
        raise PayloadError(
            f"preparing an image: expected uint8 or uint16 pixels [height, width] or [height, "
            f"width, 1, 3 or 4], found dtype {pixels.dtype} and shape {list(shape)}",
            "put the channels on the last axis and convert to uint8: floats have no standard range",
        )
    _require_bounded((shape[1], shape[0]))
    area = None if prepared is None else _area((shape[1], shape[0]), prepared)
    if area is not None:
        left, top, right, bottom = area
        pixels = pixels[top:bottom, left:right]
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    return pixels[:, :, 0] if pixels.ndim == 3 and shape[2] == 1 else pixels


def _from_pixels(pixels: NDArray[np.uint8]) -> Image:
    import PIL.Image

    return _in_rgb(PIL.Image.fromarray(np.ascontiguousarray(pixels)))


def _area(size: tuple[int, int], prepared: Preparation) -> tuple[int, int, int, int] | None:
    """Return the part of an image of `size` (width, height) that is resized, in whole pixels; None
    for all of it.  Version 1 cuts as it resizes, at fractions of pixels."""
    if prepared.version == 1 or prepared.resize is None or prepared.fit != "cover":
        return None
    height, width = prepared.resize
    ratio = max(width / size[0], height / size[1])
    wide, high = max(round(width / ratio), 1), max(round(height / ratio), 1)
    if (wide, high) == size:
        return None
    left, top = (size[0] - wide) // 2, (size[1] - high) // 2
    return left, top, left + wide, top + high


def _resized(image: Image, prepared: Preparation) -> Image:
    from PIL.Image import Resampling

    if prepared.resize is None:
        return image
    height, width = prepared.resize
    if image.size == (width, height):
        return image
    method = Resampling[prepared.interpolation.upper()]
    if prepared.version > 1:
        return image.resize((width, height), method, reducing_gap=_BLOCKS_GAP)
    box = (0.0, 0.0, float(image.width), float(image.height))
    if prepared.fit == "cover":
        # The larger ratio fills the area, whatever the aspect ratio.
        ratio = max(width / image.width, height / image.height)
        box = _centred_box(image.size, width / ratio, height / ratio)
    return image.resize((width, height), method, box=box)


def _centred_box(
    size: tuple[int, int], width: float, height: float
) -> tuple[float, float, float, float]:
    left, top = max((size[0] - width) / 2, 0.0), max((size[1] - height) / 2, 0.0)
    return left, top, min(left + width, size[0]), min(top + height, size[1])


def _cropped(pixels: NDArray[np.uint8], crop: tuple[int, int] | None) -> NDArray[np.uint8]:
    if crop is None or crop == pixels.shape[:2]:
        return pixels
    (height, width), (rows, columns) = crop, pixels.shape[:2]
    if height > rows or width > columns:
        raise PayloadError(
            f"cropping an image: expected at least {width} x {height} pixels, found "
            f"{columns} x {rows}",
            "send larger images, or let the card resize them first",
        )
    left, top = (columns - width) // 2, (rows - height) // 2
    return pixels[top : top + height, left : left + width]
