"""Texts that still name what was forgotten: files in the home, and labels of other facts.

Tables that were learned from, settings and notes often lie in the home and name a subject.  They
belong to the user, so that a forget request reports them and changes none.
"""

from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from itertools import islice
from pathlib import Path
from typing import Final

from ..core import NAME_CHARS_MIN, Concept, FileFound, Selector, names_subject
from .found_files import FILES_MAX, files_of

TEXT_BYTES_MAX: Final = 1 << 20
"""Bytes of one file that are searched: 4 ms (measured once), while decisions wait."""

BYTES_MAX: Final = 4 << 20
"""Bytes of all files that are searched: 16 ms."""

FIRST_BYTES: Final = 4096
"""First bytes of a file, which have no zero byte if it is text."""

HINT: Final = "it names what was forgotten: take that out of it, or remove it"

NOT_SEARCHED: Final = (
    "names in large or many texts in the home, which were not searched: `auricle audit` does that"
)


def texts_naming(
    folder: Path, selector: Selector, known: AbstractSet[str]
) -> tuple[tuple[FileFound, ...], bool]:
    """Return the texts in a home that name the subject or the recording of a request, as words,
    and whether all were searched.

    known: paths that are reported already.  Names of fewer than three characters are not looked
    for: numbers stand everywhere.  Cost: at most about 20 ms.
    """
    named = (selector.subject, selector.recording)
    names = [name for name in named if name and len(name) >= NAME_CHARS_MIN]
    if not names:
        return (), True
    found, left, whole, looked = [], BYTES_MAX, True, 0
    for path in islice(files_of(folder), FILES_MAX):
        looked += 1
        shown = str(path.relative_to(folder))
        content = b"" if shown in known else _text(path)
        whole = whole and len(content) <= min(TEXT_BYTES_MAX, left)
        content = content[: min(TEXT_BYTES_MAX, left)]
        left -= len(content)
        if any(_stands_in(name, content) for name in names):
            found.append(FileFound(shown, "other", "kept", HINT))
    return tuple(found), whole and looked < FILES_MAX


def describe_names(concepts: Iterable[Concept], subject: str) -> Iterator[str]:
    """Yield what a receipt says about labels of remaining facts that name a forgotten subject."""
    labels = {label for _, label in concepts if names_subject(label, subject)}
    if labels:
        several = (
            "labels of other facts name" if len(labels) > 1 else "a label of other facts names"
        )
        yield f"{several} the subject: `auricle relabel` changes that"


def _text(path: Path) -> bytes:
    """Return a little more of a file than is searched; nothing of one that is no text."""
    try:
        with path.open("rb") as file:
            first = file.read(FIRST_BYTES)
            return b"" if b"\x00" in first else first + file.read(TEXT_BYTES_MAX)
    except OSError:
        return b""


def _stands_in(name: str, content: bytes) -> bool:
    """Return whether a name is a word of a text: as it is, or in lower or upper case."""
    for form in {name, name.lower(), name.upper()}:
        raw, at = form.encode(), -1
        while (at := content.find(raw, at + 1)) >= 0:
            end = at + len(raw)
            around = content[max(0, at - 1) : at] + content[end : end + 1]
            if not any(bytes([one]).isalnum() for one in around):
                return True
    return False
