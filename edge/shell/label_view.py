"""Taking labels in a terminal, one observation after the other."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.style import Style
from rich.text import Text

import encoder

from ..core import EdgeError
from .labelling import Desk, Flagged
from .views import console, say, show_error

LABELS_SHOWN: Final = 12
PICTURE_SIDE: Final = 48
HELP: Final = "type a label or its number, Enter to skip, q to end"


def take_labels(desk: Desk, domain: str = "") -> None:
    """Show what waits, ask for a label each, and send it; ends with the last, with q or with ^D."""
    found = desk.waiting()
    if not found.flagged:
        say("nothing waits for a label")
        return
    labels, given = list(found.labels), 0
    say(f"{len(found.flagged)} observations wait for a label; {HELP}")
    for number, one in enumerate(found.flagged, 1):
        _show(one, number, len(found.flagged))
        if console.is_terminal and console.color_system:
            _draw(desk.raw(one.id))
        answer = _ask(labels)
        if answer is None:
            break
        if not answer:
            continue
        try:
            say(f"  {desk.label(one.id, answer, domain)}", style="green")
        except EdgeError as error:
            show_error(error.message, error.hint)
            continue
        given += 1
        if answer not in labels:
            labels.append(answer)
    say(f"{given} labelled")


def _show(one: Flagged, number: int, total: int) -> None:
    say(f"{number}/{total}  {one.id}", style="bold")
    say(f"  stream {one.stream}, seen as {one.domain}, {moment(one.captured_at_ns)}")


def _draw(raw: bytes | None) -> None:
    """Draw an image in a terminal that has colours: two pixels a cell, one above the other."""
    if raw is None:
        return
    try:
        pixels = encoder.thumbnail(raw, PICTURE_SIDE)
    except encoder.EncoderError as error:
        say(f"  (its image cannot be shown: {error.message})")
        return
    console.print(half_blocks(pixels))


def half_blocks(pixels: NDArray[np.uint8]) -> Text:
    """Return an image uint8 [h, w, 3] as text, h/2 lines of w cells."""
    rows = pixels[: len(pixels) // 2 * 2]
    picture = Text()
    for upper, lower in zip(rows[::2], rows[1::2], strict=True):
        picture.append("  ")
        for above, below in zip(upper.tolist(), lower.tolist(), strict=True):
            picture.append("▀", Style(color=_colour(above), bgcolor=_colour(below)))
        picture.append("\n")
    return picture


def _colour(rgb: list[int]) -> Color:
    return Color.from_rgb(*rgb)


def _ask(labels: Sequence[str]) -> str | None:
    """Return a label, nothing to skip, None to end."""
    # Where labels are numbers themselves, a number means the label.
    numbered = not any(name.isdecimal() for name in labels)
    shown = labels[:LABELS_SHOWN]
    choices = "  ".join(f"{at} {one}" if numbered else one for at, one in enumerate(shown, 1))
    if choices:
        say(f"  {choices}")
    try:
        answer = console.input("  label: ").strip()
    except (EOFError, KeyboardInterrupt):
        say("")
        return None
    if answer == "q":
        return None
    if numbered and answer.isdecimal() and 1 <= int(answer) <= len(labels):
        return labels[int(answer) - 1]
    return answer


def moment(captured_at_ns: int) -> str:
    """Say when something was captured, in UTC to the second."""
    try:
        return datetime.fromtimestamp(captured_at_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{captured_at_ns} ns"
