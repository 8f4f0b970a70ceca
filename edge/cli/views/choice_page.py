"""A numbered list of facts as a page with their pictures, for a browser, while a question waits."""

import base64
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Final

from ...home import Home
from ...web import picture_of
from .choices import Choice

SIDE: Final = 240
"""Longest side of a picture in pixels: that of a tile in the console."""

HEAD: Final = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark"><title>Forget which?</title>
<style>
body { font: 16px/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
ol { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1.5rem; }
li { overflow-wrap: anywhere; } img { display: block; max-width: 100%; max-height: 15rem; }
</style>
<h1>Forget which?</h1>
<p>Answer in the terminal with the numbers below. Nothing is forgotten yet. This file is removed
after the answer.</p>
<ol>
"""


@contextmanager
def choice_page(home: Home, choices: Sequence[Choice]) -> Iterator[Path | None]:
    """Write the choices with the pictures of their facts to a file that only its owner reads, and
    remove it at the end; None where no picture was kept."""
    pictures = [_picture(home, one) for one in choices]
    if not any(pictures):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="auricle-forget-") as folder:
        page = Path(folder) / "forget.html"
        rows = (
            f"<li>{picture}{escape(one.text)}</li>\n"
            for one, picture in zip(choices, pictures, strict=True)
        )
        page.write_text(f"{HEAD}{''.join(rows)}</ol>\n</html>\n", "utf-8")
        yield page


def _picture(home: Home, choice: Choice) -> str:
    """Return the picture of a choice of one fact as HTML, '' without."""
    raw = home.store.raw(choice.ids[0]) if len(choice.ids) == 1 else None
    found = None if raw is None else picture_of(raw, SIDE)
    if found is None:
        return ""
    body = base64.b64encode(found.content).decode()
    return f'<img alt="" src="data:{found.content_type};base64,{body}">'
