"""Draw what a command prints in a colour terminal as an SVG picture, for the README.

Usage: python scripts/draw_terminal.py OUT.svg [--rows FIRST:LAST] COMMAND [ARGUMENT ...]

The command runs in a pseudo-terminal of 96 columns.  The picture loads no fonts.  The README's
comes from `python scripts/draw_terminal.py docs/images/terminal.svg --rows 19:65 auricle demo`, in
an environment without the extra `grow`.
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
    """Run a command in a pseudo-terminal and return what it wrote, escape sequences included."""
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
    """Return the lines as they stand at the end, without overwritten frames of live displays."""
    lines, row = [""], 0
    for part in re.split(r"(\x1b\[[0-9;?]*[A-Za-ln-z]|\r|\n)", written):
        if part == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif part == "\x1b[2K":  # erase the line
            lines[row] = ""
        elif part.startswith("\x1b[") and part.endswith("A"):  # move up
            row = max(0, row - int(part[2:-1] or 1))
        elif part and part != "\r" and not re.fullmatch(r"\x1b\[[0-9;?]*[A-Za-ln-z]", part):
            lines[row] += part
    return lines


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
