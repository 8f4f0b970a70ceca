"""The static files of the console: read once, found by name in a table, cached by their hash."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from microdot import Response

HERE: Final = Path(__file__).parent / "static"
SHARED: Final = Path(__file__).parent.parent / "pages" / "templates"
"""Where the shared tokens.css and print.css are."""

TYPES: Final = {
    ".css": "text/css; charset=UTF-8",
    ".js": "text/javascript; charset=UTF-8",
    ".svg": "image/svg+xml",
}
"""Content types by suffix; other files are not served."""

YEAR_S: Final = 31_536_000
"""Seconds in a year: the longest that RFC 9111's predecessors allow a cache to keep a response."""


@dataclass(frozen=True)
class StaticFile:
    """One file.  tag: hash of its content."""

    content: bytes
    kind: str
    tag: str


class StaticFiles:
    """All static files by name; `vendor/` holds files of others."""

    def __init__(self) -> None:
        self._files = dict(_read(HERE)) | dict(_read(SHARED))

    def url(self, name: str) -> str:
        """Return the relative address of a file, which changes with its content."""
        return f"static/{name}?v={self._files[name].tag}"

    def respond(self, name: str, wanted: str, known_tag: str) -> Response:
        """Respond with a file.  wanted: the tag in the address; known_tag: If-None-Match."""
        found = self._files.get(name)
        if found is None:
            return Response("there is no such file\n", 404)
        lasting = f"public, max-age={YEAR_S}, immutable"
        headers = {
            "ETag": f'"{found.tag}"',
            "Cache-Control": lasting if wanted == found.tag else "no-cache",
            "Content-Type": found.kind,
        }
        if known_tag == f'"{found.tag}"':
            return Response(b"", 304, headers)
        return Response(found.content, 200, headers)


def _read(folder: Path) -> Iterator[tuple[str, StaticFile]]:
    for path in sorted(folder.rglob("*")):
        kind = TYPES.get(path.suffix)
        if kind is not None:
            content = path.read_bytes()
            tag = hashlib.sha256(content).hexdigest()[:16]
            yield path.relative_to(folder).as_posix(), StaticFile(content, kind, tag)
