"""Label observations in a terminal, one after the other."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.color import Color
from rich.style import Style
from rich.text import Text

import encoder

from ...core import EdgeError
from ...home import Explained, FlaggedObservation, WaitingLabels, likely_typo
from ..label_client import LabelClient
from ..name_prompt import choose_name
from .alarms import answer_questions
from .common import console, say, show_error
from .explanation import format_time, show_explained, show_window

LABELS_SHOWN: Final = 12
"""Labels offered by number: about two lines of 80 columns.  Chosen by hand; effect not measured."""
PICTURE_SIDE: Final = 48
"""Pixels: 48 cells wide and 24 lines high, the height of a VT100 screen."""
OUTLOOKS_SHOWN: Final = 6
"""Domains whose expected gain is shown, those with the most to gain.  Chosen by hand; effect not
measured."""
HELP: Final = "type a label or its number, Enter to skip, q to quit"


def read_labels(client: LabelClient, domain: str = "") -> None:
    """Ask about each lasting alarm, and for the name of each cluster without one; then show each
    waiting observation, read its label and send it, until the last, q or ^D.  Each label changes
    which one is the most useful next."""
    found = client.waiting()
    if not (answer_questions(client, found.alarms) and _name_columns(client, found, domain)):
        return
    if not found.flagged:
        say("no observation waits for a label")
        return
    labels, given, waiting = list(found.labels), 0, list(found.flagged)
    say(f"{len(found.flagged)} observations wait for a label; {HELP}")
    chosen_domain = _confirm(domain, found.names.domains)
    if chosen_domain is None:
        return
    shown: set[str] = set()
    while waiting:
        one = waiting.pop(0)
        shown.add(one.id)
        _show(one, len(shown), len(shown) + len(waiting))
        _show_sample(client, one.id)
        answer = _confirm(_read_label(labels), labels)
        if answer is None:
            break
        if not answer:
            continue
        try:
            say(f"  {client.label(one.id, answer, chosen_domain)}", style="green")
        except EdgeError as error:
            show_error(error.message, error.hint)
            continue
        given += 1
        if answer not in labels:
            labels.append(answer)
        if waiting:
            waiting = [one for one in client.waiting().flagged if one.id not in shown]
    say(f"{given} labelled")


def _name_columns(client: LabelClient, found: WaitingLabels, domain: str) -> bool:
    """Ask for a name of each cluster without one, by its first observation; False to end."""
    if not found.columns:
        return True
    labels = list(found.labels)
    say(f"{len(found.columns)} clusters of unlabelled observations have no name; {HELP}")
    for number, one in enumerate(found.columns, 1):
        say(f"cluster {number}/{len(found.columns)}  {one.count} observations", style="bold")
        say(f"  in {one.domain}, most like {one.nearest} ({one.likelihood:.0%})")
        say(f"  among them {', '.join(one.samples)}")
        _show_sample(client, one.samples[0])
        answer = _confirm(_read_label(labels), labels)
        if answer is None:
            return False
        if not answer:
            continue
        try:
            said = client.label(one.samples[0], answer, domain or one.domain)
        except EdgeError as error:
            show_error(error.message, error.hint)
            continue
        say(f"  {said}", style="green")
        if answer not in labels:
            labels.append(answer)
    return True


def show_outlooks(found: Mapping[str, Mapping[str, Any]]) -> None:
    """Show what the next labels of each domain will probably gain, the largest gain first.

    found: the answer of the analysis to the question `enough`.
    """
    gains = {one["domain"]: (-(one["gain"] or 0), one["outlook"]) for one in found.values()}
    for _, outlook in sorted(gains.values())[:OUTLOOKS_SHOWN]:
        say(outlook)


def _show(one: FlaggedObservation, number: int, total: int) -> None:
    say(f"{number}/{total}  {one.id}", style="bold")
    say(f"  stream {one.stream}, routed to {one.domain}, {format_time(one.captured_at_ns)}")


def _show_sample(client: LabelClient, observation_id: str) -> None:
    """Show an observation and its nearest examples; an error does not end labelling."""
    try:
        explained = client.explain(observation_id)
        if console.is_terminal and explained.kind != "vector":
            _draw(client.raw(observation_id), explained)
    except EdgeError as error:
        show_error(error.message, error.hint)
    else:
        show_explained(explained)


def _draw(raw: bytes | None, explained: Explained) -> None:
    """Draw an image in a colour terminal, two pixels in each cell, or a window as a waveform in any
    terminal."""
    if raw is None:
        noun = "image" if explained.kind == "image" else "window"
        say(f"  (the {noun} was not kept; to keep later ones, set raw = true in [candidates])")
        return
    if explained.kind == "window":
        show_window(raw, explained.rate_hz)
    elif console.color_system:
        _draw_image(raw)


def _draw_image(raw: bytes) -> None:
    try:
        pixels = encoder.thumbnail(raw, PICTURE_SIDE)
    except encoder.EncoderError as error:
        say(f"  (the image cannot be shown: {error.message})")
        return
    console.print(half_blocks(pixels))


def half_blocks(pixels: NDArray[np.uint8]) -> Text:
    """Return an image uint8 [h, w, 3] as text: h/2 lines of w cells."""
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


def _read_label(labels: Sequence[str]) -> str | None:
    """Return the entered label, "" to skip, None to quit."""
    # If labels are numbers themselves, a number is a label and not a position.
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


def _confirm(name: str | None, known: Sequence[str]) -> str | None:
    """Return a name, confirmed if it is probably a typo; None if the input ends."""
    near = likely_typo(name or "", known)
    if not (name and near):
        return name
    try:
        return choose_name(name, near)
    except (EOFError, KeyboardInterrupt):
        say("")
        return None
