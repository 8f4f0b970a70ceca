"""How the command line shows things: tables and progress in a terminal, plain lines elsewhere."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ...core import Decision, DriftAlarm, Receipt
from ...datasets import Skipped
from ...home import (
    Inspection,
    LearnSummary,
    MergeSummary,
    Moved,
    Prediction,
    RestoreSummary,
    Tick,
    VerifyReport,
    json_line,
)

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)
SHOWN_SKIPS = 5
"""Lines for skipped files, so that they do not push the result out of sight.  Chosen by hand;
effect not measured."""
SHOWN_MOVES = 8
"""Lines of facts that move, so that the question after them stays in sight."""
PREDICTION = (("label", 14), ("known", 6), ("domain", 14), ("guess", 14), ("p-value", 8))
"""What a prediction shows before its source, with columns in a terminal."""


def say(text: str, style: str = "") -> None:
    """Print one line as it is: no markup, no wrapping, and nothing that could steer a terminal."""
    console.print(plain(text), style=style, markup=False, soft_wrap=True)


def plain(text: str) -> str:
    """Escape what cannot be printed, but for line ends."""
    lines = text.splitlines() or [""]
    return "\n".join(
        "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line) for line in lines
    )


def show_json(value: Any) -> None:
    """Print one line of JSON."""
    sys.stdout.write(json_line(value) + "\n")


def show_error(message: str, hint: str) -> None:
    """Print what went wrong and what to do, to standard error."""
    for name, style, text in (("error", "bold red", message), ("hint", "bold cyan", hint)):
        if text:
            errors.print(f"{name}: ", end="", style=style)
            errors.print(plain(text), markup=False, soft_wrap=True)


def show_warning(message: str) -> None:
    """Print a warning, to standard error."""
    errors.print("warning: ", end="", style="bold yellow")
    errors.print(plain(message), markup=False, soft_wrap=True)


def show_warnings(messages: Iterable[str]) -> None:
    """Print each warning, to standard error."""
    for message in messages:
        show_warning(message)


def choose_name(name: str, near: str) -> str:
    """Ask a person whether a new name is meant, or the known one near to it; returns the choice.

    Enter chooses the known one.  Raises EOFError or KeyboardInterrupt where there is no answer.
    """
    say(f"  {name!r} is new. Did you mean {near!r}?")
    while True:
        question = plain(f"  [Y]es, use {near} / [n]o, create {name}: ")
        answer = console.input(question, markup=False, emoji=False)
        match answer.strip().lower():
            case "" | "y" | "yes":
                return near
            case "n" | "no":
                return name


@contextmanager
def counting(what: str) -> Iterator[Tick]:
    """Show progress in a terminal; nothing where standard error is not one."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    bar = Progress(*columns, console=errors, transient=True, disable=not errors.is_terminal)
    with bar:
        task = bar.add_task(what, total=None)
        yield lambda total: bar.update(task, advance=1, total=total)


def show_table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table in a terminal, lines of cells between tabs elsewhere."""
    cells = [[plain(str(cell)) for cell in row] for row in rows]
    if not console.is_terminal:
        for line in (names, *cells):
            _show_tabbed(line)
        return
    table = Table(*names)
    for row in cells:
        table.add_row(*row)
    console.print(table, markup=False)


def show_pairs(pairs: Iterable[tuple[str, object]]) -> None:
    """Print names and values, a line each; a value of several lines is indented."""
    for name, value in pairs:
        for number, line in enumerate(str(value).splitlines() or [""]):
            say(f"{'' if number else name:18}{line}")


def show_learned(done: LearnSummary) -> None:
    """Print what was taken as what, what was learned, per concept, and what was skipped."""
    say(f"read as           {done.layout}")
    for note in done.notes:
        say(f"note: {note}", style="yellow")
    rows = ((count.domain, count.label, count.facts) for count in done.concepts)
    show_table(("domain", "label", "examples"), rows)
    say(f"learned {_facts(done.count)}{_in_brackets(done.detail)}")
    for line in _moves(done.moved):
        say(f"moved {line}", style="yellow")
    show_skipped(done.skipped)
    say(f"knowledge digest  {done.knowledge_digest}")


def question_of(moved: Sequence[Moved]) -> str:
    """Return the question before known facts move to other domains or labels."""
    facts = sum(one.facts for one in moved)
    return f"already known: {'; '.join(_moves(moved))}\nmove {facts} facts?"


def _moves(moved: Sequence[Moved]) -> list[str]:
    """Return the first moves in words, and how many more there are."""
    lines = [plain(one.text) for one in moved[:SHOWN_MOVES]]
    rest = sum(one.facts for one in moved[SHOWN_MOVES:])
    return [*lines, f"{rest} facts more"] if rest else lines


def show_prediction_names() -> None:
    """Print the heading of predictions."""
    _show_cells([name for name, _ in PREDICTION], "source")


def show_prediction(predicted: Prediction) -> None:
    """Print one prediction, or a drift alarm between them."""
    said = predicted.said
    if isinstance(said, Decision):
        known = {True: "yes", False: "NEW", None: "?"}[said.known]
        cells = [said.label or "-", known, said.domain or "-", said.guess or "-"]
        _show_cells([*cells, f"{said.p_value:.3f}"], predicted.source)
    elif isinstance(said, DriftAlarm):
        change = "is no longer known ground" if said.raised else "is known ground again"
        say(f"# drift alarm: the window of examples {change}, p-value {said.window_p:.3f}")
    else:
        _show_cells(["-"] * len(PREDICTION), f"{predicted.source}: {said.reason}")


@dataclass(slots=True)
class PredictionScore:
    """What predictions came to.  reasons: why known or new could not be said, with counts."""

    decided: int = 0
    new: int = 0
    asked: int = 0
    right: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def count(self, predicted: Prediction) -> None:
        """Take one prediction into account; an alarm, or what could not be read, is none."""
        said = predicted.said
        if not isinstance(said, Decision):
            return
        self.decided += 1
        self.new += said.known is False
        self.asked += bool(predicted.truth)
        self.right += bool(predicted.truth) and said.guess == predicted.truth
        if said.known is None:
            self.reasons[said.reason] += 1


def show_score(score: PredictionScore) -> None:
    """Print what predictions came to, each line behind a mark that other programs can skip."""
    say(f"# {score.decided} examples, {score.new} called new")
    for reason, count in score.reasons.most_common(SHOWN_SKIPS):
        say(f"# {count} of them neither known nor new: {reason}")
    if score.asked:
        say(f"# {score.right} of {score.asked} guesses agree with the labels given")


def _show_cells(cells: list[str], source: str) -> None:
    if not console.is_terminal:
        _show_tabbed([*cells, source])
        return
    widths = [width for _, width in PREDICTION]
    padded = [
        set_cell_size(cell, max(width, cell_len(cell)))
        for cell, width in zip(map(plain, cells), widths, strict=True)
    ]
    say(" ".join([*padded, source]))


def _show_tabbed(cells: Iterable[str]) -> None:
    """Print cells for other programs; rich would turn the tabs into blanks."""
    sys.stdout.write("\t".join(plain(cell).replace("\n", " ") for cell in cells) + "\n")


def show_receipt(receipt: Receipt) -> None:
    """Print a forget receipt."""
    when = datetime.fromtimestamp(receipt.requested_at_ns / 1e9, UTC).isoformat(timespec="seconds")
    show_pairs(
        (
            ("receipt", receipt.request_id),
            ("requested at", when),
            ("facts forgotten", receipt.facts_forgotten),
            ("concepts touched", "\n".join(receipt.concepts_touched) or "none"),
            ("digest before", receipt.digest_before),
            ("digest after", receipt.digest_after),
            ("rebuilt", ", ".join(receipt.rebuilt)),
            ("evictions before", receipt.evicted_before),
            ("not covered", "\n".join(receipt.not_covered)),
        )
    )


def show_verified(result: VerifyReport) -> None:
    """Print the digests and whether all is well."""
    if not result.stamped:
        stamp = "none yet"
    elif result.stamped.get("facts") != result.facts_digest:
        stamp = "of other facts: they changed since, without a clean end"
    elif result.stamped.get("beside") != result.beside_digest:
        stamp = "of another geometry, or other sums of other devices: they changed since"
    else:
        agrees = result.stamped.get("knowledge") == result.knowledge_digest
        stamp = "agrees" if agrees else "DISAGREES"
    show_pairs(
        (
            ("facts", result.facts),
            ("facts digest", result.facts_digest),
            ("knowledge digest", result.knowledge_digest),
            ("last stamp", stamp),
        )
    )
    for complaint in result.complaints:
        say(f"WRONG: {complaint}", style="bold red")
    if not result.complaints:
        say("all is well: the knowledge follows from the facts, bit for bit")


def show_inspection(shown: Inspection) -> None:
    """Print concepts, encoder, file and receipts."""
    rows = ((count.domain, count.label, count.facts) for count in shown.concepts)
    show_table(("domain", "label", "facts"), rows)
    surveyed = "surveyed" if shown.surveyed else "plain, not surveyed yet"
    show_pairs(
        (
            ("encoder", f"{shown.encoder}, {shown.width} features, card {shown.card[:12]}"),
            ("columns", ", ".join(shown.columns) or "without names: by position"),
            ("geometry", f"{shown.geometry[:12]} ({surveyed})"),
            ("knowledge digest", shown.knowledge_digest),
            ("adaptors", f"in {_domains(shown.adaptors)}, see `auricle adaptors`"),
            ("candidates", f"{shown.candidates} observations worth a label"),
            ("contributions", _listed(shown.contributions)),
            ("receipts", len(shown.receipts)),
            ("evictions", shown.evictions),
            ("file", f"{shown.file}, {shown.file_bytes} bytes"),
        )
    )
    for receipt in shown.receipts:
        say(f"  {receipt['request_id']}: {receipt['facts_forgotten']} facts forgotten")


def _domains(count: int) -> str:
    return "1 domain" if count == 1 else f"{count} domains"


def _listed(contributions: Mapping[str, int]) -> str:
    """Say whose sums take part, and in which revision."""
    named = (f"{device} (revision {number})" for device, number in sorted(contributions.items()))
    return ", ".join(named) or "none"


def show_merged(done: MergeSummary) -> None:
    """Print what a merge did."""
    say(f"took in {_facts(done.count)}{_in_brackets(done.detail)}")
    say(f"forgot {_facts(done.forgotten)} that the other ledger had forgotten")
    say(f"knowledge digest  {done.knowledge_digest}")


def show_restored(done: RestoreSummary) -> None:
    """Print what a restore did."""
    say(f"restored {done.file}; check it with `auricle verify`")
    if done.kept:
        say(f"the file before it is {done.kept}")
    if done.forgotten:
        say(f"forgot {_facts(done.forgotten)} again that had been forgotten since the backup")


def show_skipped(skipped: tuple[Skipped, ...]) -> None:
    """Print the first things skipped, and how many more there were."""
    for skip in skipped[:SHOWN_SKIPS]:
        say(f"skipped {skip.source}: {skip.reason}")
    if len(skipped) > SHOWN_SKIPS:
        say(f"... and {len(skipped) - SHOWN_SKIPS} more skipped")


def _facts(count: int) -> str:
    return f"{count} fact" if count == 1 else f"{count} facts"


def _in_brackets(detail: str) -> str:
    return f" ({detail})" if detail else ""
