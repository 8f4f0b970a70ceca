"""A numbered list of facts on standard error, each with its picture or its values, and the question
which of them are meant."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import click

import encoder

from ...core import ConfigError
from ...home import Alike, Home, observation_values
from .common import errors, plain
from .explanation import format_time
from .label import half_blocks

PICTURE_SIDE: Final = 20
"""Pixels of a small picture: ten lines of a terminal.  Chosen by hand; effect not measured."""

VALUES_SHOWN: Final = 6
"""Values shown of a vector: with their names they fit a line.  Chosen by hand; effect not
measured."""

EXAMPLE: Final = "numbers such as 1,3-5, or all; Enter for none"


@dataclass(frozen=True, slots=True)
class Choice:
    """A fact, or all facts of a concept.  ids: of the facts.  text: a line about it."""

    ids: tuple[str, ...]
    text: str


def facts_alike(alike: Alike) -> Iterator[Choice]:
    """Yield a choice for each fact."""
    for one in alike.facts:
        when = format_time(one.captured_at_ns) if one.captured_at_ns else "time unknown"
        yield Choice((one.id,), f"{one.likeness:.3f}  {one.domain}/{one.label}  {when}  {one.id}")


def show_choices(home: Home, choices: Sequence[Choice]) -> None:
    """Print the choices, numbered from 1.  A choice of one fact is shown with its picture, if that
    was kept and this is a colour terminal, or with its values."""
    for number, one in enumerate(choices, 1):
        _say(f"{number:4}  {one.text}")
        if len(one.ids) == 1:
            _show_content(home, one.ids[0])


def _show_content(home: Home, fact_id: str) -> None:
    if home.model.card.kind == "vector":
        found = observation_values(home, (fact_id,))
        pairs = list(zip(found.names, found.rows.get(fact_id, ()), strict=False))
        shown = "  ".join(f"{name} {value:.4g}" for name, value in pairs[:VALUES_SHOWN])
        rest = len(pairs) - VALUES_SHOWN
        _say(f"      {shown}" + (f"  and {rest} more" if rest > 0 else ""))
        return
    raw = home.store.raw(fact_id)
    if raw is None or not errors.color_system:
        return
    try:
        errors.print(half_blocks(encoder.thumbnail(raw, PICTURE_SIDE)))
    except encoder.EncoderError:
        return  # A window, or a picture that cannot be read: its line stands for it.


def ask_which(choices: Sequence[Choice], what: str) -> frozenset[str]:
    """Ask which choices are meant, and return the ids of their facts.  Raises ConfigError for none,
    and for anything else than numbers of the list."""
    click.echo(f"{what} [{EXAMPLE}]: ", nl=False, err=True)
    answer = sys.stdin.readline()
    if not answer:
        click.echo(err=True)
        raise ConfigError(
            "choosing: there was no answer, and nothing was changed",
            "answer in a terminal, or send the numbers to standard input",
        )
    chosen = parse_numbers(answer, len(choices))
    if not chosen:
        raise ConfigError("choosing: nothing was chosen, and nothing was changed", "")
    return frozenset(fact_id for number in chosen for fact_id in choices[number - 1].ids)


def parse_numbers(text: str, most: int) -> tuple[int, ...]:
    """Return the numbers that an answer names, ascending; raises ConfigError for anything else."""
    found: set[int] = set()
    words = text.replace(",", " ").split()
    if words == ["all"]:
        return tuple(range(1, most + 1))
    for word in words:
        first, dash, last = word.partition("-")
        ends = (first, last if dash else first)
        if not all(one.isdecimal() and 1 <= int(one) <= most for one in ends):
            raise ConfigError(
                f"choosing: expected numbers from 1 to {most}, found {word!r}",
                f"nothing was changed; answer {EXAMPLE}",
            )
        found.update(range(int(ends[0]), int(ends[1]) + 1))
    return tuple(sorted(found))


def _say(text: str) -> None:
    errors.print(plain(text), markup=False, soft_wrap=True)
