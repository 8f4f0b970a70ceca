"""Scaling in C has the bytes of Pillow's, on every instruction set of this processor."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from encoder import native, resampling, shipped_card
from encoder.preparation import prepare_pixels
from encoder.resampling import blocks_of, resize, resizes

BUILT = sorted(native.LEVELS)
Pixels = NDArray[np.uint8]


@pytest.fixture(params=BUILT or [""])
def level(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """One instruction set alone."""
    name = str(request.param)
    if not name:
        pytest.skip("nothing was compared with Pillow: the C part is not built here")
    monkeypatch.setattr(resampling, "LEVELS", {name: native.LEVELS[name]})
    return name


def cases(count: int) -> Iterator[tuple[Pixels, tuple[int, int]]]:
    """Pictures of random sizes and contrasts, wide or square, and sizes of the same proportions."""
    random = np.random.default_rng(4)
    for number in range(count):
        short, long = sorted(random.integers(1, 24, 2).tolist())
        before = int(random.integers(1, 9))
        after = int(random.integers(before // 2 + 1, 12))
        pixels = random.integers(0, 256, (short * before, long * before, 3), np.uint8)
        if number % 3 == 0:
            # Edges overshoot, and are clipped.
            pixels = np.where(pixels > 127, 255, 0).astype(np.uint8)
        yield pixels, (short * after, long * after)


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_the_bytes_are_those_of_pillow(level: str, interpolation: str) -> None:
    """Enlarged and reduced, with and without blocks."""
    for pixels, size in cases(120):
        method = Image.Resampling[interpolation.upper()]
        wanted = np.asarray(Image.fromarray(pixels).resize(size[::-1], method, reducing_gap=1.0))
        assert resizes(pixels.shape[:2], size, interpolation) == (pixels.shape[:2] != size)
        found = resize(pixels, size, interpolation)
        assert np.array_equal(found, wanted), (level, pixels.shape, size)
        if size[0] % 2 == size[1] % 2 == 0:
            blocks = resize(pixels, size, interpolation, blocks=True)
            assert np.array_equal(blocks, blocks_of(wanted))


def test_a_picture_whose_rows_are_apart_is_read_rightly(level: str) -> None:
    """A part of a frame, as a camera's driver gives it."""
    frame = np.random.default_rng(0).integers(0, 256, (30, 50, 3), np.uint8)
    part = frame[3:23, 7:47:2]
    wanted = Image.fromarray(np.ascontiguousarray(part)).resize((14, 14), Image.Resampling.BICUBIC)
    assert np.array_equal(resize(part, (14, 14), "bicubic"), np.asarray(wanted)), level


@pytest.mark.parametrize(
    ("shape", "size", "interpolation"),
    [
        ((20, 20), (10, 10), "bicubic"),
        ((20, 30), (24, 24), "bicubic"),
        ((30, 20), (24, 16), "bicubic"),
        ((20, 20), (24, 24), "lanczos"),
        ((20, 20), (24, 24), "nearest"),
    ],
)
def test_pillow_scales_what_c_does_not(
    level: str, shape: tuple[int, int], size: tuple[int, int], interpolation: str
) -> None:
    """By half or more, to other proportions, tall pictures, other filters."""
    assert not resizes(shape, size, interpolation), level


def test_without_c_pillow_scales(monkeypatch: pytest.MonkeyPatch) -> None:
    """As from a pure wheel."""
    assert resizes((20, 20), (24, 24), "bicubic") == bool(BUILT)
    monkeypatch.setattr(resampling, "LEVELS", {})
    assert not resizes((20, 20), (24, 24), "bicubic")


@pytest.mark.parametrize("version", [2, 3])
def test_prepared_pixels_are_those_that_pillow_alone_prepares(
    level: str, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames and files of many sizes: enlarged, reduced, reduced by whole blocks first, cut."""
    card = shipped_card("efficientnet_lite0")
    card = replace(card, preparation=replace(card.preparation, version=version))
    random = np.random.default_rng(6)
    sizes = ((480, 640), (640, 480), (224, 224), (215, 301), (448, 600), (449, 449), (1080, 1920))
    payloads: list[object] = []
    for size in sizes:
        payloads += [random.integers(0, 256, (*size, bands), np.uint8) for bands in (1, 3, 4)]
        payloads.append(random.integers(0, 1 << 16, (*size, 3), np.uint16)[:, ::-1])
        file = io.BytesIO()
        Image.fromarray(random.integers(0, 256, (*size, 3), np.uint8)).save(file, "JPEG")
        payloads.append(file.getvalue())
    found = [prepare_pixels(payload, card) for payload in payloads]
    monkeypatch.setattr(resampling, "LEVELS", {})
    for payload, pixels in zip(payloads, found, strict=True):
        assert np.array_equal(pixels, prepare_pixels(payload, card)), level


def test_sizes_that_contradict_each_other_are_refused(level: str) -> None:
    """Nothing is read or written beyond the arrays."""
    run = native.LEVELS[level]
    axis = resampling._axis(20, 24, "bicubic")  # noqa: SLF001 - the arguments of the C function
    source, made = np.zeros((20, 20, 3), np.uint8), np.zeros((24, 24, 3), np.uint8)
    beyond = axis._replace(bounds=axis.bounds + 1)
    before = axis._replace(bounds=axis.bounds - np.array([1, 0], np.int32))
    none = axis._replace(bounds=axis.bounds[:0], weights=axis.weights[:0])
    for across, down, given, target, width in (
        (axis, axis, source[:19], made, 20),
        (axis, axis, source, made[:23], 20),
        (axis, axis, source, made, 21),
        (axis, axis, source, made, 0),
        (beyond, axis, source, made, 20),
        (axis, beyond, source, made, 20),
        (before, axis, source, made, 20),
        (axis, none, source, made, 20),
    ):
        with pytest.raises(ValueError, match="the sizes of a picture"):
            run(np.ascontiguousarray(given), *across, *down, target, width, False)
    with pytest.raises(TypeError, match="expected 8 arguments"):
        run(source)


def test_the_interface_of_c_is_that_of_python(source: Path) -> None:
    """A module of another version would not be used."""
    header = source / "encoder" / "c" / "resize.h"
    assert f"#define INTERFACE {native.INTERFACE}\n" in header.read_text("utf-8")
