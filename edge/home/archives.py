"""Compressed files and archives: whether a knowledge file, an export or the like is in one."""

import bz2
import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Final, cast

MEMBERS_MAX: Final = 64
"""Members that are looked at while the home serves: 5 ms (measured once).  An archive of more may
hold what is looked for."""

UNPACKED_BYTES_MAX: Final = 1 << 20
"""Bytes of a compressed archive that are unpacked while the home serves: 2 ms (once).  One of more
may hold what is looked for."""

READERS: Final = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\x00", lzma.open))
"""First bytes of compressed files, and what opens them."""

TAR_AT: Final = slice(257, 262)
TAR: Final = b"ustar"
"""The magic of a tar file (POSIX.1, pax interchange format, ustar header)."""

SQLITE: Final = b"SQLite format 3\x00"
"""The first bytes of a database (SQLite file format, section 1.3)."""

FIRST_BYTES: Final = 512
"""Bytes that tell what a file is: to the end of the magic of a tar file at least."""

ZIP: Final = b"PK\x03\x04"
DAMAGE: Final = (
    OSError,
    EOFError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    RuntimeError,  # a member of a zip file is encrypted
    NotImplementedError,  # or packed by an unknown method
)
"""What reading a damaged, encrypted or forbidden file raises."""

Recognised = Callable[[str, bytes], bool]
"""Whether a file of this name, with these first bytes, may hold facts."""


def is_archive(first: bytes) -> bool:
    """Return whether a file with these first bytes is compressed or an archive."""
    packed = any(first.startswith(head) for head, _ in READERS)
    return packed or first.startswith(ZIP) or first[TAR_AT] == TAR


def is_single(path: Path, first: bytes, first_bytes: int) -> bool:
    """Return whether a file is one compressed file, nothing else; a damaged one counts as more."""
    head = next((reader for start, reader in READERS if first.startswith(start)), None)
    if head is None:
        return False
    try:
        with head(path, "rb") as packed:
            return cast("IO[bytes]", packed).read(first_bytes)[TAR_AT] != TAR
    except DAMAGE:
        return False


def packs_database(path: Path) -> bool:
    """Return whether a file is compressed or an archive, and an SQLite database is in it."""
    with path.open("rb") as file:
        first = file.read(FIRST_BYTES)
    return is_archive(first) and holds(
        path, lambda _name, start: start.startswith(SQLITE), FIRST_BYTES, bounded=False
    )


def holds(path: Path, recognised: Recognised, first_bytes: int, *, bounded: bool) -> bool:
    """Return whether an archive holds a recognised file; a damaged or encrypted one may.

    first_bytes: that `recognised` looks at.  bounded: while the home serves.  Cost: that of
    unpacking a compressed tar file, otherwise below 0.1 ms a member.
    """
    members = _members(path, first_bytes, bounded=bounded)
    try:
        looked = islice(members, MEMBERS_MAX) if bounded else members
        return any(recognised(*one) for one in looked) or next(members, None) is not None
    except DAMAGE:
        return True


def _members(path: Path, first_bytes: int, *, bounded: bool) -> Iterator[tuple[str, bytes]]:
    """Yield the name and the first bytes of each member, or of the one compressed file."""
    with path.open("rb") as file:
        head = file.read(first_bytes)
    if head.startswith(ZIP):
        with zipfile.ZipFile(path) as archive:
            for one in archive.infolist():
                with archive.open(one) as member:
                    yield one.filename, member.read(first_bytes)
        return
    for start, reader in READERS:
        if head.startswith(start):
            with reader(path, "rb") as packed:
                head = cast("IO[bytes]", packed).read(first_bytes)
            if head[TAR_AT] != TAR:
                yield path.stem, head
                return
    unpacked = 0
    with tarfile.open(path) as tar:
        for entry in tar:
            unpacked += entry.size
            if bounded and unpacked > UNPACKED_BYTES_MAX:
                raise EOFError(path)
            member_file = tar.extractfile(entry)
            if member_file is not None:
                yield entry.name, member_file.read(first_bytes)
