from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from edge.web import static_files

FOLDER = Path(static_files.__file__).parent / "static" / "vendor"

# Files of npm packages: name in the package, and SHA-256 as it was published.
FILES = {
    "htmx-4.0.1.min.js": "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130",
    "uPlot-1.6.32.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "uPlot-1.6.32.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
}
LICENSES = {"htmx.LICENSE": "Zero-Clause BSD", "uPlot.LICENSE": "The MIT License"}


@pytest.mark.parametrize("name", FILES)
def test_a_vendored_file_is_as_published(name) -> None:
    """A file of others has the checksum of the published version, so that it was not edited."""
    assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == FILES[name]


def test_every_vendored_file_is_known_and_licensed(source) -> None:
    """Each file has a checksum or is a licence, and NOTICE names each work."""
    assert {path.name for path in FOLDER.iterdir()} == {*FILES, *LICENSES}
    notice = (source / "NOTICE").read_text("utf-8")
    for name, words in LICENSES.items():
        assert words in (FOLDER / name).read_text("utf-8")
        assert name.removesuffix(".LICENSE") in notice


def test_nothing_vendored_evaluates_text() -> None:
    """No file calls eval; htmx makes functions from attributes only, which the content security
    policy refuses."""
    for name in FILES:
        text = (FOLDER / name).read_text("utf-8")
        assert "eval(" not in text
        assert "new Function(" not in text


def test_the_first_load_is_small() -> None:
    """What every page loads stays within 150 KiB without compression, a page's own parts aside."""
    files = static_files.StaticFiles()
    loaded = ("tokens.css", "auricle.css", "auricle.js", "vendor/htmx-4.0.1.min.js", "icon.svg")
    sizes = {name: len(files.respond(name, "", "").body) for name in loaded}
    assert sum(sizes.values()) <= 150 << 10, sizes
