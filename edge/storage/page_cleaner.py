"""Overwrites what SQLite leaves of moved rows in the gaps of its pages.

`secure_delete` overwrites deleted rows and free pages.  When SQLite splits, joins or rebuilds
pages, though, old copies of rows stay behind in the unallocated part of a page.  Every page that
SQLite writes passes through the log, so after each checkpoint the pages that the log names are
cleaned, before the log is cut.  The gaps of the file are then always empty, and erasing a fact
costs the pages that it changes.

Offsets are those of the SQLite file format: sections 1.3 (header), 1.6 (b-tree pages), 4.1 (log).
"""

import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

LOG_HEADER_BYTES: Final = 32
"""Length of the log's header (SQLite file format, section 4.1)."""
SALT_AT: Final = 16
"""Where the header's salts start: they change whenever the log begins again (section 4.1)."""
SALT_BYTES: Final = 8
"""Length of both salts (section 4.1)."""
FRAME_HEADER_BYTES: Final = 24
"""Length of a frame's header, which begins with its page number (section 4.1)."""
FIRST_HEADER: Final = 100
"""Where the first page's b-tree header starts: after the file's header (section 1.6)."""
HEADERS: Final = {2: 12, 5: 12, 10: 8, 13: 8}
"""Length of a b-tree page's header by its flag (section 1.6).  An overflow page begins with a page
number instead, and looks like none of these in files below 256 GiB."""
FREEBLOCK_BYTES: Final = 4
"""A free block begins with the next one's place and its own size (section 1.6)."""


class PageCleaner:
    """Cleans pages of an open database file.

    The file stays open until `close`, which must follow that of the database: closing any
    descriptor of a file drops the locks that SQLite holds on it.
    """

    def __init__(self, path: Path) -> None:
        self._log = path.with_name(path.name + "-wal")
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        head = os.pread(self._file, FIRST_HEADER, 0)
        size = int.from_bytes(head[16:18], "big")
        self._size = size if size > 1 else 1 << 16
        self._usable = self._size - head[20]

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    @property
    def log_bytes(self) -> int:
        """The size of the log."""
        try:
            return self._log.stat().st_size
        except FileNotFoundError:
            return 0

    @property
    def generation(self) -> bytes:
        """What tells a log from the one before it in the same file; empty without a log."""
        if not self.log_bytes:
            return b""
        with self._log.open("rb", buffering=0) as log:
            return os.pread(log.fileno(), SALT_BYTES, SALT_AT)

    def logged(self) -> tuple[int, ...]:
        """Return the number of the page in each frame of the log, earlier generations included."""
        if not self.log_bytes:
            return ()
        step = FRAME_HEADER_BYTES + self._size
        with self._log.open("rb", buffering=0) as log:
            places = range(LOG_HEADER_BYTES, os.fstat(log.fileno()).st_size, step)
            heads = (os.pread(log.fileno(), 4, place) for place in places)
            return tuple(int.from_bytes(head, "big") for head in heads if len(head) == 4)

    def clean(self, pages: Iterable[int] | None = None) -> None:
        """Overwrite the unallocated parts of pages, by number, or of all, and sync the file.

        Everything that was committed must be in the file.  Raises OSError.
        """
        every = range(1, os.fstat(self._file).st_size // self._size + 1)
        written = False
        for number in every if pages is None else sorted(set(pages).intersection(every)):
            place = (number - 1) * self._size
            page = os.pread(self._file, self._size, place)
            for start, stop in self._unallocated(page, FIRST_HEADER if number == 1 else 0):
                if page[start:stop] != bytes(stop - start):
                    os.pwrite(self._file, bytes(stop - start), place + start)
                    written = True
        if written:
            os.fsync(self._file)

    def _unallocated(self, page: bytes, at: int) -> Iterator[tuple[int, int]]:
        """Yield the unallocated parts of a page whose b-tree header is at `at`: the gap between the
        cells' places and the cells, and the free blocks.  None of other pages."""
        length = HEADERS.get(page[at])
        if length is None:
            return
        block, cells, content = struct.unpack_from(">HHH", page, at + 1)
        start, stop = at + length + 2 * cells, content or 1 << 16
        if start < stop <= self._usable:
            yield start, stop
        while stop <= block <= self._usable - FREEBLOCK_BYTES:
            following, size = struct.unpack_from(">HH", page, block)
            yield block + FREEBLOCK_BYTES, min(block + size, self._usable)
            if following <= block:
                return
            block = following
