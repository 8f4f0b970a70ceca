from __future__ import annotations

import os
from pathlib import Path

import pytest
from PIL import Image

from edge.core.errors import ConfigError
from edge.datasets import class_folders as examples
from edge.datasets.class_folders import (
    Example,
    Form,
    Skipped,
    display_path,
    read_file,
    read_folder,
)
from edge.sources import content_id


def write(folder: Path, *names: str) -> None:
    """Files whose content is their name."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())


def test_folders_give_label_and_domain(tmp_path):
    """The last folder is the label, the one above it the domain; `layout` describes it."""
    write(tmp_path, "loose.png", "cat/a.PNG", "cat/b.jpg", "night/dog/c.png")
    found = read_folder(tmp_path)
    assert found.total == 4
    assert found.layout == (
        "1 as <image> without label, 2 as <label>/<image>, 1 as <domain>/<label>/<image>"
    )
    items = [item for item in found if isinstance(item, Example)]
    assert [(item.domain, item.label) for item in items] == [
        ("", "cat"),
        ("", "cat"),
        ("", ""),
        ("night", "dog"),
    ]
    assert items[0].payload == b"cat/a.PNG"
    assert items[0].captured_at_ns > 0


def test_the_time_of_capture_comes_before_that_of_the_file(tmp_path):
    """A photo with EXIF data has its time, any other image that of its file; neither has a
    recording."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = "2024:03:01 12:00:00"
    for name, data in (("photo", exif), ("scan", Image.Exif())):
        (tmp_path / "cat").mkdir(exist_ok=True)
        Image.new("RGB", (8, 8)).save(tmp_path / "cat" / f"{name}.jpg", exif=data)
        os.utime(tmp_path / "cat" / f"{name}.jpg", ns=(10**18, 10**18))
    photo, scan = (item for item in read_folder(tmp_path) if isinstance(item, Example))
    assert (photo.captured_at_ns, photo.timed_by) == (1_709_294_400 * 10**9, "EXIF data")
    assert (scan.captured_at_ns, scan.timed_by) == (10**18, "file times")
    assert (photo.recording, scan.recording) == ("", "")


def test_a_file_that_is_no_image_is_skipped_with_its_reason(tmp_path):
    """Other files and too deep ones are skipped with a reason; hidden ones are ignored."""
    write(tmp_path, "a/notes.txt", "a/b/c/deep.png", ".git/x.png", "a/.hidden.png", "a/noname")
    found = list(read_folder(tmp_path))
    reasons = {
        item.source[len(str(tmp_path)) + 1 :]: item.reason
        for item in found
        if isinstance(item, Skipped)
    }
    assert reasons == {
        "a/b/c/deep.png": "deeper than FOLDER/<domain>/<label>/<image>",
        "a/noname": "not a supported image type: no suffix",
        "a/notes.txt": "not a supported image type: .txt",
    }
    assert len(found) == 3


@pytest.mark.parametrize("name", ["a.heic", "cat/b.HEIF", "night/cat/c.hif"])
def test_a_photo_in_heic_is_skipped_with_the_way_to_convert_it(tmp_path, name):
    """In a folder and by itself, such a file names its format and the conversion, and no missing
    label."""
    write(tmp_path, name)
    for (found,) in (read_folder(tmp_path), read_file(tmp_path / name)):
        assert isinstance(found, Skipped)
        assert found.reason.startswith("HEIC is not decoded here: convert it to JPEG")


def test_a_sound_encoder_does_not_speak_of_photos(tmp_path):
    """For sounds an image file is skipped by its suffix alone."""
    write(tmp_path, "a.heic")
    sounds = Form("sound", frozenset({".wav"}), lambda whole: iter((whole,)))
    (found,) = read_folder(tmp_path, sounds)
    assert isinstance(found, Skipped)
    assert found.reason == "not a supported sound type: .heic"


def test_an_empty_folder_is_refused(tmp_path):
    """A folder without files raises ConfigError at once."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="no files"):
        read_folder(tmp_path)


def test_a_file_that_cannot_be_read_is_skipped(tmp_path, monkeypatch):
    """An unreadable and a too large file are skipped; the others are read."""
    write(tmp_path, "a/bad.png", "a/good.png", "a/long-long-long.png")
    monkeypatch.setattr(examples, "FILE_BYTES_MAX", 14)
    read = Path.read_bytes

    def fail(path: Path) -> bytes:
        if path.name == "bad.png":
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", fail)
    bad, good, long = read_folder(tmp_path)
    assert isinstance(bad, Skipped)
    assert bad.reason == "Permission denied"
    assert isinstance(good, Example)
    assert isinstance(long, Skipped)
    assert long.reason.startswith("longer than 14 bytes")


def test_names_of_any_bytes_can_be_shown(tmp_path):
    """A name that is not UTF-8 is escaped, so that two labels stay distinct."""
    folder = os.fsencode(tmp_path) + b"/caf\xe9"
    Path(os.fsdecode(folder)).mkdir()
    Path(os.fsdecode(folder + b"/x.png")).write_bytes(b"x")
    (item,) = read_folder(tmp_path)
    assert isinstance(item, Example)
    assert "caf\\udce9" in item.source
    item.source.encode("utf-8")
    assert display_path("plain") == "plain"


def test_two_spellings_of_a_name_are_one_label(tmp_path):
    """A label in decomposed Unicode, as some systems write it, is the same label."""
    write(tmp_path, "cafe\u0301/a.png", "caf\u00e9/b.png")
    assert {item.label for item in read_folder(tmp_path) if isinstance(item, Example)} == {"café"}


def test_content_names_an_example(tmp_path):
    """The same content has the same id in any folder."""
    write(tmp_path, "x.png")
    (item,) = read_file(tmp_path / "x.png")
    assert isinstance(item, Example)
    assert item.id == content_id(b"x.png") != content_id(b"y.png")
