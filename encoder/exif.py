"""The time at which a camera captured an image, from the image's EXIF data."""

from __future__ import annotations

import io
import warnings
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from .preparation import FORMATS

if TYPE_CHECKING:
    from PIL.Image import Exif

EXIF_IFD = 0x8769
"""Tag of the directory that holds the tags below (Exif 2.32, section 4.6.3)."""
TAKEN = 0x9003
"""DateTimeOriginal: the local time of capture, to the second."""
TAKEN_FRACTION = 0x9291
"""SubSecTimeOriginal: the digits after the second."""
TAKEN_OFFSET = 0x9011
"""OffsetTimeOriginal: the local time's offset from UTC, as `+02:00`."""


def capture_time(data: bytes) -> int | None:
    """Return when an image was captured, in nanoseconds since 1970; None if its EXIF data doesn't
    say.  A time without an offset is read as UTC.  Never raises; decodes no pixels."""
    # Without these two imports, Pillow loads all its plugins at the first WebP or TIFF.
    import PIL.Image
    import PIL.TiffImagePlugin
    import PIL.WebPImagePlugin

    try:
        with warnings.catch_warnings(action="ignore"):
            image = PIL.Image.open(io.BytesIO(data), formats=FORMATS)
            # Pillow would decode a PNG without EXIF data to the end to look for some.
            if "exif" not in image.info and image.format != "TIFF":
                return None
            return _taken_ns(image.getexif())
    except Exception:  # noqa: BLE001 - decoders raise many classes for damaged or hostile files
        return None


def _taken_ns(exif: Exif) -> int | None:
    inner = exif.get_ifd(EXIF_IFD)
    taken, fraction, offset = (
        str(inner.get(tag, "")).strip(" \0") for tag in (TAKEN, TAKEN_FRACTION, TAKEN_OFFSET)
    )
    when = datetime.strptime(taken, "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
    if offset:
        when = datetime.fromisoformat(f"{when:%Y-%m-%dT%H:%M:%S}{offset}")
    second = int(when.timestamp())
    digits = fraction if fraction.isascii() and fraction.isdigit() else "0"
    return second * 10**9 + int(digits[:9].ljust(9, "0")) if second > 0 else None
