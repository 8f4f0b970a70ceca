from __future__ import annotations

import io
import random

import pytest
from PIL import Image

from encoder import capture_time

NOON_NS = 1_709_294_400 * 10**9
"""2024-03-01 12:00:00 UTC."""


def photo(form: str = "JPEG", *, where: int = 0x8769, **tags: str) -> bytes:
    """An image with EXIF data: its time, its fraction of a second, its offset from UTC."""
    numbers = {"taken": 0x9003, "fraction": 0x9291, "offset": 0x9011}
    exif = Image.Exif()
    exif[0x010F] = "the maker of the camera"
    for name, text in tags.items():
        exif.get_ifd(where)[numbers[name]] = text
        exif[where] = exif.get_ifd(where)  # Pillow writes a TIFF's directory only if it is listed.
    data = io.BytesIO()
    Image.new("RGB", (8, 8)).save(data, form, exif=exif)
    return data.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_the_time_of_capture_is_read(form):
    """DateTimeOriginal is the time, in every format that can hold EXIF data."""
    assert capture_time(photo(form, taken="2024:03:01 12:00:00")) == NOON_NS


def test_offset_and_fraction_count():
    """The offset turns local time into UTC, and the digits after the second are a fraction."""
    found = capture_time(photo(taken="2024:03:01 14:00:00", offset="+02:00", fraction="25"))
    assert found == NOON_NS + 250_000_000
    assert capture_time(photo(taken="2024:03:01 12:00:00", fraction="none")) == NOON_NS


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"taken": "0000:00:00 00:00:00"},
        {"taken": "yesterday"},
        {"taken": "1969:12:31 12:00:00"},
        {"taken": "2024:03:01 12:00:00", "offset": "+99:99"},
    ],
)
def test_an_image_without_a_usable_time_has_none(tags):
    """Missing, unset, earlier and unreadable times give None."""
    assert capture_time(photo(**tags)) is None


def test_damaged_images_have_no_time():
    """Cut, flipped and foreign bytes give a time or None, never an error."""
    whole, chance = photo(taken="2024:03:01 12:00:00"), random.Random(3)
    assert capture_time(b"") is None
    assert capture_time(b"no image") is None
    for length in range(0, len(whole), 7):
        capture_time(whole[:length])
    for _ in range(200):
        flipped = bytearray(whole)
        flipped[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        found = capture_time(bytes(flipped))
        assert found is None or found > 0
