"""Terminal output shared by all verbs: tables and progress in a terminal, plain lines elsewhere."""

import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from ...core import Decision, DriftAlarm, FileFound, Receipt, SeriesForgotten
from ...datasets import Skipped
from ...home import (
    ForgetPreview,
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
"""Lines about facts that move, so that the question below them stays in sight.  Chosen by hand;
effect not measured."""
COLUMNS_UNLIMITED = 10_000  # wider than any terminal
PLACED = (
    "the detector chose these domains while it knew the forgotten facts, and might choose others"
    " now; move facts with `auricle relabel`"
)
EVICTED = (
    "full concepts dropped these for the forgotten ones, so a device that never saw those would"
    " hold them; learn them again where you have them"
)
NOT_KNOWN = "not known: an earlier request was not complete"
INDENT_COLUMNS = 4  # indentation of a list below its heading
PREDICTION = (("label", 14), ("known", 6), ("domain", 14), ("guess", 14), ("p-value", 8))
"""Columns of a prediction before its source, with their widths in a terminal."""


def say(text: str, style: str = "") -> None:
    """Print a line verbatim: no markup, no wrapping, and no control characters."""
    console.print(plain(text), style=style, markup=False, soft_wrap=True)


def plain(text: str) -> str:
    """Escape unprintable characters except line ends."""
    lines = text.splitlines() or [""]
    return "\n".join(
        "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line) for line in lines
    )


def show_json(value: Any) -> None:
    """Print one line of JSON."""
    sys.stdout.write(json_line(value) + "\n")


def show_error(message: str, hint: str) -> None:
    """Print an error and its hint to standard error."""
    for name, style, text in (("error", "bold red", message), ("hint", "bold cyan", hint)):
        if text:
            errors.print(f"{name}: ", end="", style=style)
            errors.print(plain(text), markup=False, soft_wrap=True)


def show_warning(message: str) -> None:
    """Print a warning to standard error."""
    errors.print("warning: ", end="", style="bold yellow")
    errors.print(plain(message), markup=False, soft_wrap=True)


def show_warnings(messages: Iterable[str]) -> None:
    """Print each warning to standard error."""
    for message in messages:
        show_warning(message)


@contextmanager
def counting(what: str) -> Iterator[Tick]:
    """Show progress on standard error if it is a terminal."""
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
    """Print a table in a terminal, as lists where it is too narrow; elsewhere a line for each row,
    with tabs between cells."""
    cells = [[plain(str(cell)) for cell in row] for row in rows]
    if not console.is_terminal:
        for line in (names, *cells):
            _show_tabbed(line)
        return
    table = Table(*names)
    for row in cells:
        table.add_row(*map(Text, row))
    # Below its minimum width rich breaks the words of a table.  Measured for any terminal: the
    # options of this one limit the result to its width.
    unlimited = console.options.update(max_width=COLUMNS_UNLIMITED)
    columns_min = Measurement.get(console, unlimited, table).minimum
    for part in table_or_lists(table, console.width, columns_min):
        console.print(part)


def table_or_lists(table: Table, columns: int, columns_min: int) -> Iterator[RenderableType]:
    """Yield a table for a terminal of `columns`; below `columns_min`, a list for each row instead:
    the first cell as its heading, the others with their names below it."""
    if columns >= columns_min:
        yield table
        return
    names = [str(column.header) for column in table.columns]
    cells = [[_as_text(cell) for cell in column.cells] for column in table.columns]
    for first, *rest in zip(*cells, strict=True):
        yield Text("")
        yield Text.assemble((f"{names[0]} ", "dim"), first)
        named = zip(names[1:], rest, strict=True)
        items = [Text.assemble((f"{name} ", "dim"), cell) for name, cell in named]
        yield from pack_lines(items, columns, INDENT_COLUMNS)


def _as_text(cell: RenderableType) -> Text:
    return cell if isinstance(cell, Text) else Text(str(cell))


def pack_lines(items: Sequence[Text], columns: int, indent: int) -> Iterator[Text]:
    """Yield lines with as many items as fit, two spaces apart.  A longer item gets a line of its
    own, which the terminal wraps."""
    line = Text(" " * indent)
    for item in items:
        if line.cell_len > indent and line.cell_len + item.cell_len + 2 > columns:
            yield line
            line = Text(" " * indent)
        line = line + (Text("  ") if line.cell_len > indent else Text("")) + item
    yield line


def show_pairs(pairs: Iterable[tuple[str, object]]) -> None:
    """Print a name and its value on each line; further lines of a value are indented."""
    for name, value in pairs:
        for number, line in enumerate(str(value).splitlines() or [""]):
            say(f"{'' if number else name:18}{line}")


def show_learned(done: LearnSummary) -> None:
    """Print how the files were read, the examples learned by concept, and the skipped ones."""
    say(f"read as           {done.layout}")
    say(f"times             {_times(done)}")
    if done.recordings:
        say(f"recordings        {done.recordings}")
    for note in done.notes:
        say(f"note: {note}", style="yellow")
    rows = ((count.domain, count.label, count.facts) for count in done.concepts)
    show_table(("domain", "label", "examples"), rows)
    say(f"learned {_facts(done.count)}{_in_brackets(done.detail)}")
    for line in _moves(done.moved):
        say(f"moved {line}", style="yellow")
    show_skipped(done.skipped)
    say(f"knowledge digest  {done.knowledge_digest}")


def _times(done: LearnSummary) -> str:
    """Return where the times of facts come from, with the number of facts."""
    total = sum(done.times.values())
    found = [f"{count} from {source}" for source, count in sorted(done.times.items()) if source]
    without = done.times.get("", 0)
    if not without:
        return f"{', '.join(found)}"
    rest = f"{without} of {total} have none"
    if not found:
        return f"{rest}, and count as independent of each other"
    return f"{', '.join(found)}; {rest}: more than a tenth turns time order off"


def question_of(moved: Sequence[Moved]) -> str:
    """Return the question to ask before known facts move to other domains or labels."""
    facts = sum(one.facts for one in moved)
    return f"already known: {'; '.join(_moves(moved))}\nmove {facts} facts?"


def _moves(moved: Sequence[Moved]) -> list[str]:
    """Return the first moves as text, and the number of further ones."""
    lines = [plain(one.text) for one in moved[:SHOWN_MOVES]]
    rest = sum(one.facts for one in moved[SHOWN_MOVES:])
    return [*lines, f"{rest} more facts"] if rest else lines


def show_prediction_names() -> None:
    """Print the heading of predictions."""
    _show_cells([name for name, _ in PREDICTION], "source")


def show_prediction(predicted: Prediction) -> None:
    """Print one prediction or drift alarm."""
    message = predicted.outcome
    if isinstance(message, Decision):
        known = {True: "yes", False: "NEW", None: "?"}[message.known]
        cells = [message.label or "-", known, message.domain or "-", message.guess or "-"]
        _show_cells([*cells, f"{message.p_value:.3f}"], predicted.source)
    elif isinstance(message, DriftAlarm):
        change = "raised: recent examples are new" if message.raised else "cleared"
        say(f"# drift alarm {change}, p-value {message.window_p:.3f}")
    else:
        _show_cells(["-"] * len(PREDICTION), f"{predicted.source}: {message.reason}")


@dataclass(slots=True)
class PredictionScore:
    """Counts over predictions.  labelled: examples with a true label; correct: those among them
    that were guessed right; reasons: why examples are neither known nor new, with counts."""

    decided: int = 0
    new: int = 0
    labelled: int = 0
    correct: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def count(self, predicted: Prediction) -> None:
        """Count one prediction; drift alarms and rejected examples do not count."""
        decision = predicted.outcome
        if not isinstance(decision, Decision):
            return
        self.decided += 1
        self.new += decision.known is False
        self.labelled += bool(predicted.truth)
        self.correct += bool(predicted.truth) and decision.guess == predicted.truth
        if decision.known is None:
            self.reasons[decision.reason] += 1


def show_score(score: PredictionScore) -> None:
    """Print the counts, each line after a `#` that other programs can skip."""
    say(f"# {score.decided} examples, {score.new} called new")
    for reason, count in score.reasons.most_common(SHOWN_SKIPS):
        say(f"# {count} of them neither known nor new: {reason}")
    if score.labelled:
        say(f"# {score.correct} of {score.labelled} guesses agree with the given labels")


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
    """Print cells for other programs; rich would replace the tabs with spaces."""
    sys.stdout.write("\t".join(plain(cell).replace("\n", " ") for cell in cells) + "\n")


def series_effect(one: SeriesForgotten) -> str:
    """Return one sentence on what a forget request will do to a series."""
    samples = f"{one.samples} sample{'' if one.samples == 1 else 's'}"
    if one.outcome == "replayed":
        return (
            f"series {plain(one.stream)}: {samples} forgotten; the forecaster continues as if it"
            " had never seen them"
        )
    return (
        f"series {plain(one.stream)}: {samples} of those kept forgotten; the forecaster learns the"
        f" kept ones again and loses what it learned from {one.lost_samples} older ones, which are"
        " not kept"
    )


def show_preview(seen: ForgetPreview) -> None:
    """Print what a forget request would do."""
    rows = ((one.domain, one.label, one.facts, one.remaining) for one in seen.concepts)
    if seen.concepts:
        show_table(("domain", "label", "to forget", "remaining"), rows)
    counts = (
        ("facts", seen.facts),
        ("waiting", seen.candidates and f"{seen.candidates} observations without a label"),
        ("recent", seen.recent and f"{seen.recent} observations in memory"),
        ("raw inputs", seen.raws),
        ("adaptors", ", ".join(seen.adaptors)),
        ("series", "\n".join(map(series_effect, seen.series))),
    )
    show_pairs((name, value) for name, value in counts if value or name == "facts")
    say("nothing was changed")


def show_receipt(receipt: Receipt) -> None:
    """Print a forget receipt: what every receipt has, and of the rest what is set."""
    when = datetime.fromtimestamp(receipt.requested_at_ns / 1e9, UTC).isoformat(timespec="seconds")
    show_pairs(
        (
            ("receipt", receipt.request_id),
            ("requested at", when),
            ("facts forgotten", receipt.facts_forgotten),
            ("concepts touched", "\n".join(receipt.concepts_touched) or "none"),
            ("digest before", receipt.digest_before or NOT_KNOWN),
            ("digest after", receipt.digest_after),
            ("rebuilt", ", ".join(receipt.rebuilt)),
            *_receipt_parts(receipt),
            ("evictions before", receipt.evicted_before),
            ("not covered", "\n".join(receipt.not_covered)),
        )
    )


def _receipt_parts(receipt: Receipt) -> Iterator[tuple[str, str]]:
    """Yield the parts of a receipt that name something, one line for each."""
    parts: dict[str, list[str]] = {
        "adaptors": [
            f"{one.domain} {one.version}: {one.outcome}"
            + (f", version {one.successor} serves" if one.successor else "")
            for one in receipt.adaptors
        ],
        "placed domains": [
            f"{one.domain}: {_facts(one.facts)} {one.outcome}"
            + (f", now {one.renamed_to}" if one.renamed_to else "")
            for one in receipt.placed
        ]
        + [PLACED] * bool(receipt.placed),
        "evicted by them": [
            f"{one.domain}/{one.label}: {_facts(one.facts)}" for one in receipt.evictions
        ]
        + [EVICTED] * bool(receipt.evictions),
        "series": [
            f"{one.stream}: {one.samples} samples forgotten, forecaster {one.outcome}"
            + (f", {one.lost_samples} other samples lost" if one.lost_samples else "")
            for one in receipt.series
        ],
        "files": [
            f"{one.path} ({one.kind}): {one.outcome}" + (f"; {one.hint}" if one.hint else "")
            for one in receipt.files
        ],
        "other devices": [
            f"{one.device} holds a {one.holds}: order {one.order_id}"
            f" {'sent' if one.sent else 'not sent yet'}"
            for one in receipt.devices
        ],
        "duplicates": [] if receipt.duplicates == "exact" else [receipt.duplicates],
    }
    yield from ((name, "\n".join(lines)) for name, lines in parts.items() if lines)
    if receipt.completed_at_ns == receipt.accepted_at_ns:
        return  # All done in one step: the receipt holds no time for it.
    if receipt.accepted_at_ns and receipt.excluded_at_ns:
        yield "excluded after", _seconds(receipt.excluded_at_ns - receipt.accepted_at_ns)
    if receipt.accepted_at_ns and receipt.completed_at_ns:
        yield "complete after", _seconds(receipt.completed_at_ns - receipt.accepted_at_ns)


def _seconds(duration_ns: int) -> str:
    return f"{duration_ns / 1e9:.3f} s"


def show_files(files: Sequence[FileFound]) -> None:
    """Print the files that may have held forgotten facts, and what became of each."""
    for one in files:
        say(f"{one.path} ({one.kind}): {one.outcome}" + (f"; {one.hint}" if one.hint else ""))
    if not files:
        say("no file in the home holds forgotten facts")


def show_verified(result: VerifyReport) -> None:
    """Print the digests and the result of the check."""
    if not result.stamped:
        stamp = "none yet"
    elif result.stamped.get("facts") != result.facts_digest:
        stamp = "of other facts: they changed later, and the process did not end cleanly"
    elif result.stamped.get("beside") != result.beside_digest:
        stamp = "of another geometry or other contributions: they changed later"
    else:
        agrees = result.stamped.get("knowledge") == result.knowledge_digest
        stamp = "agrees" if agrees else "DISAGREES"
    lost = f"{result.unchecked_receipts} receipts, of a key of the home that was lost"
    show_pairs(
        (
            ("facts", result.facts),
            ("facts digest", result.facts_digest),
            ("knowledge digest", result.knowledge_digest),
            ("last stamp", stamp),
            *((("as receipted", ", ".join(result.receipts)),) if result.receipts else ()),
            *((("not comparable", lost),) if result.unchecked_receipts else ()),
        )
    )
    for complaint in result.complaints:
        say(f"WRONG: {complaint}", style="bold red")
    if not result.complaints:
        say("verified: the knowledge follows from the facts, bit for bit")


def show_inspection(shown: Inspection) -> None:
    """Print concepts, encoder, file and receipts."""
    rows = ((count.domain, count.label, count.facts) for count in shown.concepts)
    show_table(("domain", "label", "facts"), rows)
    fitted = "fitted to facts" if shown.geometry_fitted else "not fitted yet"
    show_pairs(
        (
            ("encoder", f"{shown.encoder}, {shown.width} features, card {shown.card[:12]}"),
            ("columns", ", ".join(shown.columns) or "unnamed, matched by position"),
            ("geometry", f"{shown.geometry[:12]} ({fitted})"),
            ("knowledge digest", shown.knowledge_digest or "none while facts are being erased"),
            ("adaptors", f"in {_domains(shown.adaptors)}, see `auricle adaptors`"),
            ("candidates", f"{shown.candidates} observations to label"),
            ("contributions", _listed(shown.contributions)),
            ("receipts", len(shown.receipts)),
            ("evictions", shown.evictions),
            ("file", f"{shown.file}, {shown.file_bytes} bytes"),
        )
    )
    for one in shown.pending_forgets:
        parts = ["erasing them"] if one.state == "excluded" else one.deriving
        what = ", ".join(parts) or "the receipt"
        say(f"  {one.request_id}: {one.facts} facts excluded; to come: {what}")
    for receipt in shown.receipts:
        say(f"  {receipt['request_id']}: {receipt['facts_forgotten']} facts forgotten")
    for merge in shown.domain_merges:
        state = "undone" if merge.undone else f"{_facts(len(merge.fact_ids))} moved"
        say(f"  {merge.id}: {merge.source} merged into {merge.target}, {state}")


def _domains(count: int) -> str:
    return "1 domain" if count == 1 else f"{count} domains"


def _listed(contributions: Mapping[str, int]) -> str:
    """Return the contributing devices with their revisions."""
    named = (f"{device} (revision {number})" for device, number in sorted(contributions.items()))
    return ", ".join(named) or "none"


def show_merged(done: MergeSummary) -> None:
    """Print the result of a merge."""
    say(f"merged {_facts(done.count)}{_in_brackets(done.detail)}")
    say(f"forgot {_facts(done.forgotten)} that the other file had forgotten")
    say(f"knowledge digest  {done.knowledge_digest}")


def show_restored(done: RestoreSummary) -> None:
    """Print the result of a restore."""
    say(f"restored {done.file}; check it with `auricle verify`")
    if done.kept:
        say(f"the previous file is {done.kept}")
    if done.forgotten:
        say(f"forgot {_facts(done.forgotten)} again: forgotten after the backup was made")


def show_skipped(skipped: tuple[Skipped, ...]) -> None:
    """Print the first skipped sources, and the number of further ones."""
    for skip in skipped[:SHOWN_SKIPS]:
        say(f"skipped {skip.source}: {skip.reason}")
    if len(skipped) > SHOWN_SKIPS:
        say(f"... and {len(skipped) - SHOWN_SKIPS} more skipped")


def _facts(count: int) -> str:
    return f"{count} fact" if count == 1 else f"{count} facts"


def _in_brackets(detail: str) -> str:
    return f" ({detail})" if detail else ""
