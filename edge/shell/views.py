"""How the command line shows things: tables and progress in a terminal, plain lines elsewhere."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import encoder

from ..core import Decision, Receipt, Rejected
from .actions import Inspection, Learned, Tick, Verified
from .examples import Skipped

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)
SHOWN_SKIPS = 5


def show_json(value: Any) -> None:
    """Print one line of JSON."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")


def show_error(message: str, hint: str) -> None:
    """Print what went wrong and what to do, to standard error."""
    errors.print("error: ", end="", style="bold red")
    errors.print(message, markup=False)
    if hint:
        errors.print("hint: ", end="", style="bold cyan")
        errors.print(hint, markup=False)


@contextmanager
def counting(what: str) -> Iterator[Tick]:
    """Show a running count in a terminal; nothing where the output is not one."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda: bar.advance(task)


@contextmanager
def silence() -> Iterator[None]:
    """Show nothing."""
    yield


def show_learned(done: Learned) -> None:
    """Print what was learned, per concept, and what was skipped."""
    table = Table("domain", "label", "examples")
    for (domain, label), count in done.per_concept.items():
        table.add_row(domain, label, str(count))
    console.print(table)
    detail = f" ({done.ack.detail})" if done.ack.detail else ""
    console.print(f"learned {done.ack.count} facts{detail}", markup=False)
    if done.surveyed:
        console.print("the geometry was surveyed from them and frozen")
    show_skipped(done.skipped)
    console.print(f"knowledge digest {done.digest}")


def predictions_table() -> Table:
    """Return the empty table of predictions."""
    return Table("source", "label", "known", "domain", "guess", "p-value", title=None)


def prediction_row(source: str, said: Decision | Rejected) -> tuple[str, ...]:
    """Return the cells of one prediction."""
    if isinstance(said, Rejected):
        return (source, "-", "-", "-", said.reason, "-")
    known = {True: "yes", False: "NEW", None: "?"}[said.known]
    return (source, said.label or "-", known, said.domain, said.guess, f"{said.p_value:.3f}")


def show_receipt(receipt: Receipt) -> None:
    """Print a forget receipt."""
    table = Table(title=f"receipt {receipt.request_id}", show_header=False)
    when = datetime.fromtimestamp(receipt.requested_at_ns / 1e9, UTC).isoformat(timespec="seconds")
    rows = (
        ("requested at", when),
        ("facts forgotten", str(receipt.facts_forgotten)),
        ("concepts touched", ", ".join(receipt.concepts_touched) or "none"),
        ("digest before", receipt.digest_before),
        ("digest after", receipt.digest_after),
        ("rebuilt", ", ".join(receipt.rebuilt)),
        ("evictions before", str(receipt.evicted_before)),
        ("not covered", "\n".join(receipt.not_covered)),
    )
    for name, value in rows:
        table.add_row(name, value)
    console.print(table)


def show_verified(result: Verified) -> None:
    """Print the digests and whether all is well."""
    console.print(f"facts             {result.facts}")
    console.print(f"facts digest      {result.facts_digest}")
    console.print(f"knowledge digest  {result.knowledge_digest}")
    if not result.stamped:
        console.print("last stamp        none yet")
    elif result.stamped["facts"] != result.facts_digest:
        console.print("last stamp        of other facts: they changed since, without a clean end")
    else:
        console.print(
            "last stamp        agrees" if not result.complaints else "last stamp        -"
        )
    for complaint in result.complaints:
        console.print(f"WRONG: {complaint}", style="bold red", markup=False)
    if not result.complaints:
        console.print("all is well: the knowledge follows from the facts, bit for bit")


def show_inspection(shown: Inspection) -> None:
    """Print concepts, encoder, file and receipts."""
    table = Table("domain", "label", "facts")
    for domain, label, count in shown.concepts:
        table.add_row(domain, label, str(count))
    console.print(table)
    rows = (
        ("encoder", f"{shown.encoder}, {shown.width} features, card {shown.card[:12]}"),
        ("geometry", shown.geometry),
        ("knowledge digest", shown.knowledge_digest),
        ("receipts", str(len(shown.receipts))),
        ("evictions", str(shown.evictions)),
        ("file", f"{shown.file}, {shown.file_bytes} bytes"),
    )
    for name, value in rows:
        console.print(f"{name:18}{value}", markup=False, soft_wrap=True)
    for receipt in shown.receipts:
        console.print(
            f"  {receipt['request_id']}: {receipt['facts_forgotten']} facts forgotten", markup=False
        )


def show_skipped(skipped: tuple[Skipped, ...]) -> None:
    """Print the first things skipped, and how many more there were."""
    for skip in skipped[:SHOWN_SKIPS]:
        console.print(f"skipped {skip.source}: {skip.reason}", markup=False)
    if len(skipped) > SHOWN_SKIPS:
        console.print(f"... and {len(skipped) - SHOWN_SKIPS} more skipped")


def show_card(card: encoder.Card, path: Path) -> None:
    """Print what a card says, and where it was written."""
    taps = ", ".join(f"{tap.name} {tap.width}" for tap in card.taps)
    frozen = "frozen" if card.quantiser is not None else "none yet: auricle encoder calibrate"
    for name, value in (
        ("card", path),
        ("kind", card.kind),
        ("taps", taps),
        ("licence", card.licence),
        ("quantiser", frozen),
        ("fingerprint", card.fingerprint),
    ):
        console.print(f"{name:12}{value}", markup=False, soft_wrap=True)
