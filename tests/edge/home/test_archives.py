"""Archives and compressed files: whether a knowledge file or the like is in one."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tarfile
import zipfile
from pathlib import Path

import pytest

from edge.home.archives import MEMBERS_MAX, UNPACKED_BYTES_MAX, holds, is_archive, is_single

FIRST = 512


def asked(name: str, first: bytes) -> bool:
    """A file that is looked for."""
    return first.startswith(b"wanted")


def tar(path: Path, contents: dict[str, bytes], mode: str) -> Path:
    """An archive of these files."""
    source = path.parent / "source"
    source.mkdir(exist_ok=True)
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, content in contents.items():
            (source / name).write_bytes(content)
            archive.add(source / name, name)
    return path


@pytest.mark.parametrize("bounded", [False, True])
@pytest.mark.parametrize("content", [b"wanted" * 200, b"else" * 200])
@pytest.mark.parametrize(("suffix", "packer"), [("gz", gzip), ("bz2", bz2), ("xz", lzma)])
def test_a_compressed_file_is_looked_into(tmp_path, suffix, packer, content, bounded):
    """One file, packed in each way."""
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(packer.compress(content))
    first = path.read_bytes()[:FIRST]
    assert is_archive(first)
    assert is_single(path, first, FIRST)
    assert holds(path, asked, FIRST, bounded=bounded) == content.startswith(b"wanted")


@pytest.mark.parametrize("bounded", [False, True])
@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_an_archive_is_looked_into(tmp_path, mode, bounded):
    """A file in a tar file, packed or not; nothing in one without it."""
    with_it = tar(tmp_path / "with.tar", {"other": b"else", "x": b"wanted"}, mode)
    without = tar(tmp_path / "without.tar", {"other": b"else"}, mode)
    for path in (with_it, without):
        first = path.read_bytes()[:FIRST]
        assert is_archive(first)
        assert not is_single(path, first, FIRST)
        assert holds(path, asked, FIRST, bounded=bounded) == (path == with_it)


def test_a_zip_file_is_looked_into(tmp_path):
    """Likewise."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("other", "else")
    assert is_archive(path.read_bytes()[:FIRST])
    assert not holds(path, asked, FIRST, bounded=True)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("folder/x", "wanted")
    assert holds(path, asked, FIRST, bounded=True)


def test_what_cannot_be_searched_may_hold_it(tmp_path):
    """A damaged archive; one of many members, and a large one, while the home serves."""
    damaged = tmp_path / "damaged.gz"
    damaged.write_bytes(gzip.compress(b"else" * 9999)[:12])
    assert holds(damaged, asked, FIRST, bounded=False)
    many = tar(tmp_path / "many.tar", {f"n{n}": b"else" for n in range(MEMBERS_MAX + 1)}, "w")
    large = tar(tmp_path / "large.tgz", {"a": bytes(UNPACKED_BYTES_MAX), "b": b"e"}, "w:gz")
    for path in (many, large):
        assert holds(path, asked, FIRST, bounded=True)
        assert not holds(path, asked, FIRST, bounded=False)
