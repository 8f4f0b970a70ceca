"""Draw the output of a command in a colour terminal as an SVG image, for the README.

Usage: python scripts/draw_terminal.py OUT.svg FIRST:LAST COMMAND [ARGUMENT ...]

The command runs in a pseudo-terminal of 96 columns.  Rows FIRST to LAST of what the terminal shows
at the end are drawn (`:` for all).  The picture loads no fonts.  The README's
comes from `python scripts/draw_terminal.py docs/images/terminal.svg :41 auricle demo`.
"""

from __future__ import annotations

import os
import pty
import re
import struct
import sys
import termios
from fcntl import ioctl
from pathlib import Path

import pyte
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

COLUMNS = 96
"""What the README's page shows at full size."""

ROWS = 200
"""More rows than the demonstration prints, so that none scrolls away."""


def run(command: list[str]) -> bytes:
    """Run a command in a pseudo-terminal and return what it wrote, escape sequences included."""
    child, terminal = pty.fork()
    if child == 0:
        ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        environment = {**os.environ, "TERM": "xterm-256color"}
        os.execvpe(command[0], command, environment)  # noqa: S606 - no shell between
    written = b""
    while True:
        try:
            block = os.read(terminal, 1 << 16)
        except OSError:  # Linux reports the end of the last writer as EIO
            break
        if not block:
            break
        written += block
    os.waitpid(child, 0)
    return written


def screen_rows(written: bytes) -> list[Text]:
    """Return the rows of a terminal that has received these bytes."""
    screen = pyte.Screen(COLUMNS, ROWS)
    pyte.ByteStream(screen).feed(written)
    rows = []
    for number in range(ROWS):
        row = Text()
        for column in range(COLUMNS):
            cell = screen.buffer[number][column]
            colour = {"default": "", "brown": "yellow"}.get(cell.fg, cell.fg)
            if re.fullmatch(r"[0-9a-f]{6}", colour):
                colour = f"#{colour}"
            style = " ".join(filter(None, ("bold" if cell.bold else "", colour)))
            row.append(cell.data, style.replace("bright", "bright_"))
        row.rstrip()
        rows.append(row)
    while rows and not rows[-1].plain:
        rows.pop()
    return rows


def draw(written: bytes, title: str, part: slice = slice(None)) -> str:
    """Return the SVG image of a terminal that has received these bytes.  part: the rows shown."""
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        for row in screen_rows(written)[part]:
            console.print(row)
        picture = console.export_svg(title=title, theme=MONOKAI)
    picture = re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL)
    return picture.replace("Fira Code", "monospace")


def main() -> None:
    """Run the command and write the picture."""
    out, part, *command = sys.argv[1:]
    rows = slice(*(int(one) if one else None for one in part.split(":")))
    Path(out).write_text(draw(run(command), " ".join(command), rows), encoding="utf-8")


if __name__ == "__main__":
    main()
