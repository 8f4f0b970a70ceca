"""Draw the output of a command in a colour terminal as an SVG image, for the README.

Usage: python scripts/draw_terminal.py OUT.svg [--rows FIRST:LAST] COMMAND [ARGUMENT ...]

The command runs in a pseudo-terminal of 96 columns.  The picture loads no fonts.
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

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

COLUMNS = 96
"""What the README's page shows at full size."""


def run(command: list[str]) -> str:
    """Run a command in a pseudo-terminal and return its output, escape sequences included."""
    child, terminal = pty.fork()
    if child == 0:
        size = struct.pack("HHHH", 50, COLUMNS, 0, 0)
        ioctl(1, termios.TIOCSWINSZ, size)
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
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
    return written.decode("utf-8", "replace")


def lines_of(written: str) -> list[str]:
    """Return the final lines: text overwritten after a carriage return is left out."""
    plain = re.sub(r"\x1b\[[0-9;?]*[ABCDEFGHJKSThl]", "", written)
    return [line.rstrip("\r").rpartition("\r")[2] for line in plain.split("\n")]


def main() -> None:
    """Run the command and write the picture."""
    out, *rest = sys.argv[1:]
    first: int | None = None
    last: int | None = None
    if rest[0] == "--rows":
        first, last = (int(one) if one else None for one in rest[1].split(":"))
        rest = rest[2:]
    lines = lines_of(run(rest))[first:last]
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        for line in lines:
            console.print(Text.from_ansi(line), soft_wrap=False)
        picture = console.export_svg(title="auricle demo", theme=MONOKAI)
    picture = re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL)
    Path(out).write_text(picture.replace("Fira Code", "monospace"), encoding="utf-8")


if __name__ == "__main__":
    main()
