from __future__ import annotations

import io
import struct
import zlib
from dataclasses import replace

import numpy as np
import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder import Card, Input, PayloadError, Preparation, Tap
from encoder.arrays import into_layout, normalise
from encoder.preparation import PIXELS_MAX, prepare_image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def card(size=(4, 4), layout="NCHW", dtype="float32", **preparation) -> Card:
    """A card whose graph takes plain pixels 0..255 of that size (height, width)."""
    prepared = Preparation(**{"resize": size, "interpolation": "nearest", **preparation})
    height, width = prepared.crop or size
    channels = 1 if prepared.colour == "L" else 3
    sizes = {"N": -1, "C": channels, "H": height, "W": width}
    shape = tuple(sizes[axis] for axis in layout)
    taps = (Tap("f", "f", 1),)
    given_input = Input("x", shape, dtype, layout)
    return Card(
        name="m",
        kind="image",
        file="m.onnx",
        sha256="0" * 64,
        licence="none",
        input=given_input,
        preparation=prepared,
        taps=taps,
    )


def encoded(image: PIL.Image.Image, form: str = "PNG", **options) -> bytes:
    """The bytes of `image` as a file."""
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def pixels(payload: object, **settings) -> np.ndarray:
    """The input of the graph, as [height, width, channels]."""
    batch: np.ndarray = prepare_image(payload, card(**settings))
    return np.moveaxis(batch[0], 0, 2)


def quarters(mode: str = "RGB") -> PIL.Image.Image:
    """8 x 8 pixels: red and green above blue and white."""
    image = PIL.Image.new("RGB", (8, 8), WHITE)
    image.paste(RED, (0, 0, 4, 4))
    image.paste(GREEN, (4, 0, 8, 4))
    image.paste(BLUE, (0, 4, 4, 8))
    return image.convert(mode)


def corners(array: np.ndarray) -> list[tuple[int, ...]]:
    """The colours of the four corners, row by row, rounded to 0 or 255."""
    spots = [array[0, 0], array[0, -1], array[-1, 0], array[-1, -1]]
    return [tuple(255 if value > 127 else 0 for value in spot) for spot in spots]


UPRIGHT = [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("PNG", {}),
        ("JPEG", {"quality": 95, "subsampling": 0}),
        ("WEBP", {"lossless": True}),
        ("BMP", {}),
        ("GIF", {}),
        ("TIFF", {}),
        ("PPM", {}),
        ("MPO", {"quality": 95, "subsampling": 0}),
    ],
)
def test_every_known_format_is_decoded(form, options) -> None:
    """Each supported format gives the same picture, from each kind of bytes."""
    data = encoded(quarters(), form, **options)
    assert corners(pixels(data)) == UPRIGHT
    assert corners(pixels(memoryview(data))) == UPRIGHT
    assert corners(pixels(bytearray(data))) == UPRIGHT


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        ("P", "PNG"),
        ("RGBA", "PNG"),
        ("CMYK", "JPEG"),
        ("YCbCr", "JPEG"),
        ("CMYK", "TIFF"),
        ("YCbCr", "TIFF"),
        ("RGBA", "TIFF"),
        ("P", "TIFF"),
        ("RGBA", "WEBP"),
    ],
)
def test_other_colour_models_become_rgb(mode, form) -> None:
    """CMYK, palette, alpha and video colours show the same picture."""
    # Lossy where there is no other way: 95 keeps the corners far from the middle.
    data = encoded(quarters(mode), form, lossless=True, quality=95)
    assert corners(pixels(data, size=(2, 2))) == UPRIGHT


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16"])
def test_grey_becomes_three_equal_channels(mode) -> None:
    """One-bit, grey, grey with alpha and 16-bit grey are spread over the channels."""
    image = PIL.Image.new("L", (4, 4), 255)
    image.paste(0, (0, 0, 2, 4))
    if mode == "I;16":
        image = PIL.Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    else:
        image = image.convert(mode)
    found = pixels(encoded(image))
    assert found[0, 0].tolist() == [0, 0, 0]
    assert found[0, -1].tolist() == [255, 255, 255]


def test_sixteen_bits_keep_their_upper_byte() -> None:
    """A 16-bit grey ramp is scaled, not clipped, in PNG and in TIFF of either byte order."""
    ramp = np.array([[0, 0x1200, 0x80FF, 0xFFFF]], dtype=np.uint16).repeat(4, axis=0)
    for form in ("PNG", "TIFF"):
        data = encoded(PIL.Image.fromarray(ramp), form)
        assert pixels(data)[0, :, 0].tolist() == [0, 0x12, 0x80, 0xFF]
    assert pixels(ramp)[0, :, 0].tolist() == [0, 0x12, 0x80, 0xFF]
    wide = PIL.Image.fromarray(ramp.astype(np.int32))
    assert pixels(encoded(wide, "TIFF"))[0, :, 0].tolist() == [0, 0x12, 0x80, 0xFF]


@pytest.mark.parametrize("value", [-1, 70_000])
def test_pixels_without_a_known_white_are_refused(value) -> None:
    """32-bit whole numbers beyond 16 bits and floats cannot be scaled."""
    for array in (np.full((4, 4), value, np.int32), np.full((4, 4), value, np.float32)):
        with pytest.raises(PayloadError, match="expected 8 or 16 bits a channel"):
            pixels(encoded(PIL.Image.fromarray(array), "TIFF"))


def test_transparency_lies_over_white() -> None:
    """Transparent pixels become white, in RGBA, in a palette and in an array."""
    clear = PIL.Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert pixels(encoded(clear))[0, 0].tolist() == [255, 255, 255]
    assert pixels(np.asarray(clear))[0, 0].tolist() == [255, 255, 255]
    palette = PIL.Image.new("P", (4, 4), 0)
    palette.putpalette([255, 0, 0, 0, 0, 255])
    assert pixels(encoded(palette, transparency=0))[0, 0].tolist() == [255, 255, 255]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation_is_applied(orientation) -> None:
    """A picture stored turned or mirrored, and marked so, arrives upright."""
    undo = {
        2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
        3: PIL.Image.Transpose.ROTATE_180,
        4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
        5: PIL.Image.Transpose.TRANSPOSE,
        6: PIL.Image.Transpose.ROTATE_90,
        7: PIL.Image.Transpose.TRANSVERSE,
        8: PIL.Image.Transpose.ROTATE_270,
    }
    stored = quarters() if orientation == 1 else quarters().transpose(undo[orientation])
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    data = encoded(stored, "JPEG", quality=95, subsampling=0, exif=exif)
    assert corners(pixels(data)) == UPRIGHT


def test_damaged_exif_does_not_cost_the_picture() -> None:
    """Nonsense in the EXIF block leaves the pixels as they lie."""
    data = encoded(quarters(), "JPEG", quality=95, exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    assert corners(pixels(data)) == UPRIGHT


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"])
def test_truncated_files_are_refused(form) -> None:
    """A file that ends early is refused, wherever it was cut."""
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    data = encoded(PIL.Image.fromarray(noise), form)
    for share in (0.05, 0.5, 0.9):
        with pytest.raises(PayloadError, match="decoding an image") as caught:
            pixels(data[: int(len(data) * share)])
        assert caught.value.hint


@pytest.mark.parametrize(
    "data",
    [b"", b"\x00" * 100, b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"<svg></svg>", b"\xff\xd8"],
)
def test_bytes_that_are_no_image_are_refused(data) -> None:
    """Zero bytes, text, PostScript and other formats are refused as images."""
    with pytest.raises(PayloadError, match="decoding an image") as caught:
        pixels(data)
    assert caught.value.hint


@pytest.mark.parametrize("brand", [b"heic", b"mif1"])
def test_a_photo_in_heic_is_named(brand):
    """HEIC under any name is refused with its format and the way to convert it."""
    with pytest.raises(PayloadError, match="HEIC is not decoded here, convert it") as caught:
        prepare_image(b"\0\0\0\x18ftyp" + brand + bytes(12), card())
    assert "heif-convert" in caught.value.hint


@given(st.binary(max_size=200), st.integers(0, 300))
def test_random_damage_is_refused_or_decoded(noise, place) -> None:
    """Random bytes in or instead of a file give a picture or a PayloadError, nothing else."""
    whole = encoded(quarters())
    for data in (noise, whole[:place] + noise + whole[place + len(noise) :]):
        try:
            assert pixels(data).shape == (4, 4, 3)
        except PayloadError:
            continue


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose header promises width x height pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [7_100, 10_000, 60_000])
def test_decompression_bombs_are_refused_before_decoding(side) -> None:
    """More pixels than the limit are refused from the header, with nothing decoded."""
    assert side * side > PIXELS_MAX
    with pytest.raises(PayloadError, match=r"pixels|decompression bomb") as caught:
        pixels(bomb(side, side))
    assert "scale the image down" in caught.value.hint


@pytest.mark.filterwarnings("error::PIL.Image.DecompressionBombWarning")
def test_bombs_are_refused_where_warnings_are_errors() -> None:
    """A process that turns warnings into errors gets the same PayloadError."""
    with pytest.raises(PayloadError) as caught:
        pixels(bomb(10_000, 10_000))
    assert "scale the image down" in caught.value.hint


def test_too_many_pixels_in_an_array_are_refused() -> None:
    """The limit holds for arrays too."""
    huge = np.broadcast_to(np.zeros((1, 1), np.uint8), (PIXELS_MAX + 1, 1))
    with pytest.raises(PayloadError, match="pixels"):
        pixels(huge)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((3, 8, 8), np.uint8),
        np.zeros((2, 4, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4), bool),
    ],
)
def test_arrays_that_are_no_pixels_are_refused(array) -> None:
    """Floats, channels first, batches and empty pictures are refused with the shape found."""
    with pytest.raises(PayloadError, match="preparing an image"):
        pixels(array)


@pytest.mark.parametrize("payload", [None, "photo.jpg", 3, [[1, 2], [3, 4]]])
def test_payloads_of_another_kind_are_refused(payload) -> None:
    """A path or a number is no image; the hint says how to read a file."""
    with pytest.raises(PayloadError, match="expected the bytes of a file") as caught:
        pixels(payload)
    assert "read_bytes" in caught.value.hint


def test_files_and_arrays_give_the_same() -> None:
    """The same pixels as a lossless file and as an array are the same input, and unharmed."""
    noise = np.random.default_rng(0).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    before = noise.copy()
    settings = {"size": (5, 5), "interpolation": "bicubic"}
    one = pixels(noise, **settings)
    assert np.array_equal(one, pixels(encoded(PIL.Image.fromarray(noise)), **settings))
    assert np.array_equal(noise, before)


VERSIONS = st.sampled_from([1, 2])
SIDES = st.integers(1, 90)


@given(
    SIDES,
    SIDES,
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    st.sampled_from(["cover", "stretch"]),
    st.sampled_from(["nearest", "bilinear", "bicubic", "lanczos"]),
    VERSIONS,
)
def test_a_lossless_file_and_its_pixels_are_one_input(
    height, width, size, fit, interpolation, version
) -> None:
    """Whatever the sizes, a raw frame gives the same input as a lossless file of its pixels."""
    frame = np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8)
    settings = {"size": size, "fit": fit, "interpolation": interpolation, "version": version}
    from_file = pixels(encoded(PIL.Image.fromarray(frame), "BMP"), **settings)
    assert np.array_equal(pixels(frame, **settings), from_file)


@given(st.integers(8, 400), st.integers(8, 400), st.sampled_from(["cover", "stretch"]))
def test_version_1_is_as_it_was(height, width, fit) -> None:
    """Version 1 decodes a JPEG at twice the size or more, and its filter does all the rest."""
    frame = np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8)
    data = encoded(PIL.Image.fromarray(frame), "JPEG")
    image = PIL.Image.open(io.BytesIO(data))
    image.draft(None, (32, 32))
    box = None
    if fit == "cover":
        side = 16 / max(16 / image.width, 16 / image.height)
        left, top = max((image.width - side) / 2, 0), max((image.height - side) / 2, 0)
        box = (left, top, min(left + side, image.width), min(top + side, image.height))
    wanted = np.asarray(image.resize((16, 16), PIL.Image.Resampling.BICUBIC, box=box), np.float32)
    found = pixels(data, size=(16, 16), fit=fit, interpolation="bicubic")
    assert np.array_equal(found, wanted)


@given(
    st.sampled_from(["RGB", "BGR", "L"]),
    st.lists(st.floats(-300, 300, width=32), min_size=3, max_size=3),
    st.lists(st.floats(0.125, 300, width=32), min_size=3, max_size=3),
)
def test_planes_are_normalised_to_the_bit(colour, mean, scale) -> None:
    """Planes of float32 hold exactly the numbers of the general way through the layouts."""
    frame = np.random.default_rng(3).integers(0, 256, (6, 5, 3), np.uint8)
    count = 1 if colour == "L" else 3
    settings = {"colour": colour, "mean": tuple(mean[:count]), "scale": tuple(scale[:count])}
    planes = card((6, 5), **settings)
    plain = prepare_image(frame, card((6, 5), colour=colour))[0].transpose(1, 2, 0)
    wanted = into_layout(normalise(plain, planes), planes)
    assert np.array_equal(prepare_image(frame, planes), wanted)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("size", [(640, 480), (480, 640), (1920, 1080), (227, 227), (225, 1000)])
def test_each_version_shows_the_same_picture(version, size) -> None:
    """A scaled photograph differs little from one averaged exactly, as a JPEG and as a frame."""
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]] / 40.0
    waves = np.stack([np.sin(rows), np.cos(columns), np.sin(rows + columns)], axis=2)
    frame = np.rint(waves * 100 + 128).astype(np.uint8)
    side = min(size)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    middle = PIL.Image.fromarray(frame).crop((left, top, left + side, top + side))
    wanted = np.asarray(middle.resize((112, 112), PIL.Image.Resampling.BOX), np.float32)
    settings = {"size": (112, 112), "interpolation": "bicubic", "version": version}
    for payload in (frame, encoded(PIL.Image.fromarray(frame), "JPEG", quality=95)):
        # Half a pixel of a JPEG decoded at an eighth shifts the picture by half a pixel: 4.4.
        assert np.abs(pixels(payload, **settings) - wanted).mean() < 5


def test_cover_keeps_proportions_and_stretch_does_not() -> None:
    """A wide picture loses its sides when it covers, and is squeezed when it stretches."""
    wide = PIL.Image.new("RGB", (12, 4), GREEN)
    wide.paste(RED, (0, 0, 4, 4))
    wide.paste(BLUE, (8, 0, 12, 4))
    covered = pixels(encoded(wide), fit="cover")
    assert (covered == np.array(GREEN)).all()
    squeezed = pixels(encoded(wide), size=(3, 3), fit="stretch")
    assert squeezed[0].tolist() == [list(RED), list(GREEN), list(BLUE)]


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from(["cover", "stretch"]))
def test_every_size_becomes_the_size_of_the_graph(height, width, fit) -> None:
    """Whatever the proportions, the graph gets its size, and a plain colour stays plain."""
    plain = np.full((height, width, 3), 200, np.uint8)
    found = pixels(plain, size=(7, 5), fit=fit, interpolation="bilinear")
    assert found.shape == (7, 5, 3)
    assert (found == 200).all()


def test_the_crop_is_centred() -> None:
    """The crop cuts the same amount from both sides, and refuses images that are too small."""
    numbers = np.arange(64, dtype=np.uint8).reshape(8, 8)
    found = pixels(numbers, size=(8, 8), crop=(2, 2))
    assert found[:, :, 0].tolist() == [[27, 28], [35, 36]]
    bare = card((2, 2), resize=None, crop=(2, 2))
    assert prepare_image(numbers, bare)[0, 0].tolist() == [[27, 28], [35, 36]]
    with pytest.raises(PayloadError, match="cropping"):
        prepare_image(numbers[:1], bare)


def test_colour_orders_and_normalisation() -> None:
    """BGR turns the channels round, L makes one, and mean and scale follow per channel."""
    red = np.full((4, 4, 3), RED, np.uint8)
    assert pixels(red, colour="BGR")[0, 0].tolist() == [0, 0, 255]
    assert pixels(red, colour="L")[0, 0].tolist() == [76]
    normal = pixels(red, mean=(127,), scale=(128,))
    assert normal[0, 0].tolist() == [1.0, -127 / 128, -127 / 128]
    each = pixels(red, mean=(5, 10, 20), scale=(2, 5, 10))
    assert each[0, 0].tolist() == [125.0, -2.0, -2.0]


def test_layouts_and_dtypes_of_the_graph() -> None:
    """NHWC, a graph without a channel axis, and whole-number inputs are served."""
    numbers = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    last = prepare_image(numbers, card(layout="NHWC"))
    assert np.array_equal(last[0], numbers)
    grey = card(layout="NHW", colour="L")
    assert prepare_image(numbers[:, :, 0], grey).shape == (1, 4, 4)
    whole = prepare_image(numbers, card(dtype="uint8"))
    assert whole.dtype == np.uint8
    assert np.array_equal(whole[0].transpose(1, 2, 0), numbers)
    signed = prepare_image(numbers + 100, card(dtype="int8", mean=(128,)))
    assert signed.dtype == np.int8
    assert signed.min() == -28


def test_large_photographs_are_decoded_small() -> None:
    """A JPEG far larger than needed decodes at reduced size and still looks the same."""
    large = quarters().resize((1600, 1600), PIL.Image.Resampling.NEAREST)
    data = encoded(large, "JPEG", quality=90)
    found = pixels(data, size=(16, 16), interpolation="bicubic")
    assert corners(found) == UPRIGHT


def test_the_card_alone_decides() -> None:
    """Two cards that differ in one setting give different inputs for the same picture."""
    noise = np.random.default_rng(1).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    base = card(interpolation="bicubic")
    settings = ({"interpolation": "bilinear"}, {"fit": "stretch"}, {"mean": (1.0,)})
    for change in settings:
        other = replace(base, preparation=replace(base.preparation, **change))
        assert not np.array_equal(prepare_image(noise, base), prepare_image(noise, other))
