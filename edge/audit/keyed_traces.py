"""Traces of forgotten names and ids, found by their keyed hashes alone.

Tombstones and receipts hold HMACs of forgotten ids and of the selector's names.  Every text in
every file of the home is hashed with the same keys and looked up, so that a forgotten name is found
without being known.
"""

import re
import sqlite3
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, cast

import msgspec
import numpy as np

from ..home import packs_database
from ..storage import DigestKey, Store, hash_id
from .copying import SQLITE
from .traces import DAMAGE, READERS

FIRST_BYTES: Final = 16
"""First bytes of a file that say how to read it."""

ZIP: Final = b"PK\x03\x04"
"""The first bytes of a zip file (APPNOTE.TXT, section 4.3.7)."""

TEXTS_MAX: Final = 2_000_000
"""Texts hashed: about 10 s.  More are not looked at, and the finding says so."""

TEXT_BYTES_MAX: Final = 400
"""Longest text that can be a name: ids have 200 characters at most."""

WORDS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[^\s",;{}\[\]()<>]+')
"""Quoted texts, and words between separators."""


UNREAD: Final = "not searched"
"""Where a trace is of a file that may hold names, and could not be searched."""

UNNAMED: Final = "a file whose name holds a forgotten name"
"""Stands for such a file in reports, which name nothing that was forgotten."""


@dataclass(frozen=True, slots=True)
class KeyedTrace:
    """A forgotten name or id that stands in a file.  path: relative to the folder.  where: the
    table, the member of an archive, "text", or `UNREAD`."""

    path: str
    where: str


class ForgottenNames:
    """The keyed hashes of everything forgotten that a knowledge file keeps."""

    def __init__(self, store: Store) -> None:
        self._key = DigestKey(store.path, writable=False)
        self._named = frozenset(_selectors(store.receipts()))
        self._buried = {key: frozenset(ids) for key, ids in store.tombstones()}
        self._asked: dict[str, bool] = {}

    def __len__(self) -> int:
        return len(self._named) + sum(len(hashes) for hashes in self._buried.values())

    @property
    def looked_at(self) -> int:
        """The number of different texts looked up so far."""
        return len(self._asked)

    def __contains__(self, text: str) -> bool:
        if text not in self._asked:
            buried = any(hash_id(key, text) in hashes for key, hashes in self._buried.items())
            self._asked[text] = buried or self._key.of("selector", text) in self._named
        return self._asked[text]


def scan_names(folder: Path, names: ForgottenNames) -> tuple[KeyedTrace, ...]:
    """Return where forgotten names and ids stand in the files of a folder, each place once.

    Compressed files are unpacked; one that cannot be read, or that packs a database, is reported as
    such.  Cost: one HMAC for each different text: a second for 200,000.
    """
    found: dict[KeyedTrace, None] = {}
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.is_symlink() or not len(names):
            continue
        shown = str(path.relative_to(folder))
        named = any(word in names for word in _file_words(shown))
        place = UNNAMED if named else shown
        if named:
            found[KeyedTrace(UNNAMED, "the file's name")] = None
        try:
            if packs_database(path):
                found[KeyedTrace(place, UNREAD)] = None
            for where, text in _texts(path):
                if names.looked_at >= TEXTS_MAX:
                    return tuple(found)
                if text in names:
                    found[KeyedTrace(place, where)] = None
        except DAMAGE:
            found[KeyedTrace(place, UNREAD)] = None
    return tuple(found)


def _texts(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the texts of a file with the place of each."""
    with path.open("rb") as file:
        first = file.read(FIRST_BYTES)
    if first.startswith(SQLITE):
        yield from _rows(path)
    elif first.startswith(ZIP):
        yield from _members(path)
    else:
        reader = next((one for head, one in READERS if first.startswith(head)), None)
        with reader(path, "rb") if reader else path.open("rb") as opened:
            for line in cast("IO[bytes]", opened):
                yield from (("text", text) for text in _words(line))


def _members(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the texts in the members of a zip file, and in arrays of texts as exports hold them."""
    with zipfile.ZipFile(path) as archive:
        for one in archive.infolist():
            with archive.open(one) as member:
                if not one.filename.endswith(".npy"):
                    for line in member:
                        yield from ((one.filename, text) for text in _words(line))
                    continue
                array = np.lib.format.read_array(member, allow_pickle=False)
                if array.dtype.kind == "U":
                    yield from ((one.filename, text) for text in set(array.ravel().tolist()))


def _file_words(shown: str) -> set[str]:
    """Return what may be a name in a file's path."""
    parts = (part for by in (r"[/\\]", r"[/\\.]", r"[/\\._]") for part in re.split(by, shown))
    return {shown, *parts, *re.findall(r"[^\W_]+", shown)} - {""}


def _rows(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the texts in the rows of a database, and the words in them."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        for table in tables:
            quoted = table.replace('"', '""')
            for row in db.execute(f'SELECT * FROM "{quoted}"'):  # noqa: S608 - of this file
                for cell in row:
                    if isinstance(cell, str):
                        yield table, cell
                    if isinstance(cell, str | bytes) and len(cell) > 2:
                        raw = cell.encode() if isinstance(cell, str) else _readable(cell)
                        yield from ((table, text) for text in _words(raw))


def _readable(cell: bytes) -> bytes:
    """Return a cell if it is text; features, arrays and hashes are not."""
    try:
        return cell if cell.decode().isprintable() else b""
    except UnicodeDecodeError:
        return b""


def _words(raw: bytes) -> Iterator[str]:
    for found in WORDS.finditer(raw):
        word = found.group()
        if not 2 < len(word) <= TEXT_BYTES_MAX:
            continue
        try:
            text = msgspec.json.decode(word, type=str) if word[:1] == b'"' else word.decode()
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        yield text
        # "stream:sequence", "domain/label", "subject=name": parts are names too.
        yield from (part for part in re.split(r"[:/=]", text) if part and part != text)


def _selectors(receipts: tuple[dict[str, Any], ...]) -> Iterator[str]:
    """Yield the keyed hashes of ids, subjects and recordings in the selectors of receipts."""
    for receipt in receipts:
        selector = receipt.get("selector")
        given: Mapping[str, Any] = selector if isinstance(selector, dict) else {}
        for value in (given.get(name) for name in ("ids", "subject", "recording")):
            for one in value if isinstance(value, list) else [value]:
                if isinstance(one, str) and re.fullmatch(r"[0-9a-f]{64}", one):
                    yield one
