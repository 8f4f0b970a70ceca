"""`auricle demo` in the terminal: the demonstration as it runs, then its results.

In a terminal a progress bar and a small table update while images stream in; elsewhere only lines
are printed.
"""

import shlex
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.rule import Rule
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from encoder import DEFAULT_ENCODER

from ...core import Decision, GrowthJob, GrowthResult, Receipt
from ...demo import (
    DEMO_TITLE,
    PIXELS_TITLE,
    DemoEvent,
    DemoOutcome,
    DemoPlan,
    ImageEvent,
    PhaseEvent,
    PixelOutcome,
    TextEvent,
    Tone,
    WaitEvent,
    run_demo,
)
from ...extras import missing_torch
from ...home import Home, create_home
from ...sim import Digits, write_report
from ...worker import Worker
from .common import console as terminal

COMMAND: Final = "auricle"
# Twice the default of [growth], since a demonstration that ends without an adaptor shows nothing.
WORKER_MIB_MAX: Final = 2_048
WORKER_SECONDS_MAX: Final = 120.0  # the default of [growth]
POLL_SECONDS: Final = 0.05
"""Delay between polls of the worker; a growth takes seconds.  Chosen by hand; effect not
measured."""
PIXELS: Final = "pixels"
SHADES: Final = " ░▒▓█"
SAMPLE_ROWS: Final = 7
"""Text rows of a drawn digit: 28 pixels of MNIST, pooled by 4."""
SAMPLE_DIGITS: Final = (2, 4, 7, 8)
"""Digits drawn: they remain readable at this size.  Chosen by hand; effect not measured."""
LOOKS: Final[dict[Tone, tuple[str, str]]] = {
    "plain": ("·", ""),
    "good": ("✓", "green"),
    "bad": ("✗", "red"),
    "alarm": ("▲", "bold red"),
}


def show_demo(out: Path, plan: DemoPlan | None = None, console: Console = terminal) -> int:
    """Run the demonstration in a new home and print it; return the exit status.

    out: folder for home and report; if it is not empty, the next free name is used instead.  The
    status is 0 if forgetting was verified as exact, else 1.
    """
    began = time.monotonic()
    folder = free_folder(out)
    create_home(folder, None, DEFAULT_ENCODER)
    console.print(Text(f"Auricle: {DEMO_TITLE[0].lower()}{DEMO_TITLE[1:]}", "bold"))
    console.print(f"Encoder {DEFAULT_ENCODER}, frozen; no network; all numbers are measured now.")
    with Home(folder) as home:
        screen = _Screen(console)
        events = run_demo(
            home.model,
            home.store,
            home.settings.config(),
            plan,
            started_at_ns=time.time_ns(),
            grower=find_worker(),
        )
        with screen.live if console.is_terminal else nullcontext():
            for event in events:
                screen.show(event)
        outcome = screen.outcome
        assert outcome is not None, "the demonstration ends with its outcome"
        home.store.stamp(outcome.recording.digest)
    report = write_report((outcome.recording,), folder, DEMO_TITLE)
    if outcome.pixels is not None:
        write_report((outcome.pixels.recording,), folder / PIXELS, PIXELS_TITLE)
    show_outcome(outcome, console)
    _show_paths(folder, report, time.monotonic() - began, console)
    return 0 if outcome.proof.holds else 1


def free_folder(out: Path) -> Path:
    """Return `out` if it is missing or empty, else the first of out-2, out-3 ... that is."""
    folder, number = out, 1
    while folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        number += 1
        folder = out.with_name(f"{out.name}-{number}")
    return folder


def find_worker() -> Callable[[GrowthJob], GrowthResult] | None:
    """Return a function that grows adaptors in a worker process, or None without torch."""
    if find_spec("torch") is None:
        return None
    worker = Worker(WORKER_MIB_MAX, WORKER_SECONDS_MAX)

    def grow(job: GrowthJob) -> GrowthResult:
        worker.start(job)
        while (result := worker.poll()) is None:
            time.sleep(POLL_SECONDS)
        return result

    return grow


class _Screen:
    """Prints events, with a live progress bar and table below them while images stream in."""

    def __init__(self, console: Console) -> None:
        self.outcome: DemoOutcome | None = None
        self._console = console
        self._phases = 0
        self._pausing = False
        self._seen = self._right = self._new = 0
        self._bar = Progress(
            TextColumn("  "),
            BarColumn(40),
            MofNCompleteColumn(),
            TextColumn("images"),
            TimeRemainingColumn(),
            console=console,
        )
        self.live = Live(console=console, transient=True, refresh_per_second=8)

    def show(self, event: DemoEvent) -> None:
        """Show one event."""
        if isinstance(event, ImageEvent):
            self._count(event)
        elif isinstance(event, PhaseEvent):
            self._open(event)
        elif isinstance(event, TextEvent):
            if self._pausing:
                self.live.update(Text(""))
            self._pausing = False
            sign, style = LOOKS[event.tone]
            line = Table.grid(padding=(0, 1, 0, 0))
            line.add_row(Text(f"  {sign}", style), Text(event.text, style))
            self._console.print(line)
        elif isinstance(event, WaitEvent):
            self._pausing = True
            spinner = Spinner("dots", f" {event.text}", style="cyan")
            self.live.update(Padding(spinner, (0, 0, 0, 2)))
        elif isinstance(event, Receipt):
            self._console.print(_receipt(event))
        else:
            self.outcome = event

    def _open(self, phase: PhaseEvent) -> None:
        self._phases += 1
        self._pausing = False
        self._seen = self._right = self._new = 0
        self._console.print()
        self._console.print(Rule(f"{self._phases}  {phase.title}", align="left", style="cyan"))
        self._console.print(Text(f"  {phase.text}"))
        if phase.samples is not None:
            self._console.print(Text(draw(phase.samples), "dim"))
        for task in self._bar.task_ids:
            self._bar.remove_task(task)
        if phase.images:
            self._bar.add_task("", total=phase.images)
        self.live.update(Text(""))

    def _count(self, image: ImageEvent) -> None:
        for task in self._bar.task_ids:
            self._bar.advance(task)
        if not self._console.is_terminal:
            return
        rows: list[RenderableType] = [self._bar]
        if image.decision is not None:
            self._seen += 1
            self._right += image.right
            self._new += image.decision.known is False
            rows.append(self._table(image.decision))
        self.live.update(Group(*rows))

    def _table(self, decision: Decision) -> Table:
        table = Table(box=box.SIMPLE, pad_edge=False)
        for name in ("correct", "called new", "domain", "last guess", "window p", "alarm"):
            table.add_column(name, justify="right", min_width=10)
        table.add_row(
            f"{self._right / self._seen:.1%}",
            f"{self._new / self._seen:.1%}",
            decision.domain,
            decision.guess if decision.known else f"{decision.guess}?",
            f"{decision.window_p:.3f}",
            Text("ALARM", "bold red") if decision.alarm else Text("quiet", "green"),
        )
        return table


def _receipt(receipt: Receipt) -> Table:
    table = Table(box=box.ROUNDED, show_header=False, title=f"receipt {receipt.request_id}")
    table.add_row("forgotten", f"{receipt.facts_forgotten} facts")
    table.add_row("from", ", ".join(receipt.concepts_touched))
    table.add_row("digest before", receipt.digest_before[:32])
    table.add_row("digest after", receipt.digest_after[:32])
    table.add_row("rebuilt", ", ".join(receipt.rebuilt))
    table.add_row("not covered", "\n".join(receipt.not_covered))
    return table


def show_outcome(outcome: DemoOutcome, console: Console) -> None:
    """Print the accuracy table and the summary."""
    console.print()
    console.print(Rule("What happened", align="left", style="cyan"))
    accuracy = Table("accuracy on held-out digits", box=box.SIMPLE_HEAD)
    for name in ("MNIST", "new scanner", f"its {outcome.digit}s", "its other digits"):
        accuracy.add_column(name, justify="right")
    for one in outcome.evaluations:
        shares = (one.known, one.new, one.digit, one.others)
        accuracy.add_row(one.when, *(f"{share:.1%}" for share in shares))
    console.print(accuracy)
    if outcome.recording.left_out:
        console.print(Text(f"  not evaluated: {outcome.recording.left_out}", "dim"))
    facts = Table(box=box.SIMPLE, show_header=False, pad_edge=True)
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column()
    for name, text in _figures(outcome):
        facts.add_row(name, Text(text))
    console.print(facts)


def _figures(outcome: DemoOutcome) -> tuple[tuple[str, str], ...]:
    known, new, again = outcome.known, outcome.unlabelled, outcome.labelled
    proof = outcome.proof
    noticed = f"after {new.alarm_after}" if new.alarm_after else f"not in {new.images}"
    decided = known.images - known.undecided + again.images - again.undecided
    called = known.new + again.new
    mistaken = f"{called} of {decided} decided = {called / max(1, decided):.1%}"
    exact = "bit-identical to a twin that never saw them"
    encoding, rest = f"{outcome.encoder_ms:.2f} ms", f"{outcome.rest_ms:.2f} ms"
    share = f"{outcome.rest_ms / outcome.encoder_ms:.0%}"
    return (
        ("new scanner noticed", f"{noticed} images"),
        ("false alarms", f"{known.alarms or 'none'} in {known.images} images of the known one"),
        ("called new though known", f"{mistaken} (chosen: {outcome.recording.rate:.0%})"),
        (
            "late labels",
            f"{outcome.placed} of {outcome.labels} assigned to the new domain automatically",
        ),
        ("adaptor", _adaptor(outcome)),
        *_pixels(outcome.pixels),
        ("routed", f"{again.routed} of {again.images} to the new scanner's domain automatically"),
        ("forgotten", f"{proof.facts} facts, {proof.traces_after} of them still in the file"),
        ("sent again", f"{proof.relearned} of {proof.redelivered} relearned"),
        ("knowledge", exact if proof.exact else f"NOT {exact}"),
        ("time per image", f"encoder {encoding}, everything else {rest} ({share})"),
    )


def _pixels(pixels: PixelOutcome | None) -> tuple[tuple[str, str], ...]:
    if pixels is None:
        return ()
    before, after, images = pixels.before, pixels.after, pixels.images
    known = f"MNIST {before.known:.1%} → {after.known:.1%}"
    new = f"new scanner {before.new:.1%} → {after.new:.1%}"
    return (
        ("adaptors, raw pixels", f"{known}, {new}, {pixels.routed} of {images} routed correctly"),
    )


def _adaptor(outcome: DemoOutcome) -> str:
    episodes = outcome.recording.episodes
    if not episodes:
        return f"none: {missing_torch()}"
    if episodes[0].accuracy is None:
        return f"none: {episodes[0].reason}"
    grown = [one for one in episodes if one.state == "serving"]
    spent = f"searched and trained in {episodes[0].seconds or 0:.1f} s"
    return f"{grown[-1].blueprint}, {spent}" if grown else f"none was better, {spent}"


def _show_paths(folder: Path, report: Path, seconds: float, console: Console) -> None:
    home, command = shlex.quote(str(folder)), own_command()
    pixels = folder / PIXELS / report.name
    rows = (
        ("report", f"{report}  (open it in a browser)"),
        *([("raw pixels", str(pixels))] if pixels.exists() else []),
        ("knowledge", str(folder / "knowledge.db")),
        ("took", f"{seconds:.0f} s"),
        ("look inside", f"{command} inspect --home {home}"),
        ("check it", f"{command} verify --home {home}"),
        ("your own data", f"{command} init my-reader"),
        ("", f"{command} learn --home my-reader FOLDER_WITH_ONE_FOLDER_PER_CLASS"),
    )
    for name, text in rows:
        console.print(Text.assemble((f"  {name:15}", "bold"), text), soft_wrap=True)


def own_command() -> str:
    """Return the command, quoted for a shell, that runs this command line again.

    `auricle` if the shell finds this very program; else its path, relative if it is below the
    current folder.  Started in another way (a test, `python -m`): the executable next to this
    Python, or `auricle` if there is none.
    """
    running = Path(sys.argv[0]).absolute()
    if running.name != COMMAND or not running.is_file():
        running = Path(sys.executable).with_name(COMMAND)
    found = which(COMMAND)
    if not running.is_file() or (found and Path(found).absolute().samefile(running)):
        return COMMAND
    here = Path.cwd()
    return shlex.quote(str(running.relative_to(here) if here in running.parents else running))


def draw(digits: Digits) -> str:
    """Draw an image of each of SAMPLE_DIGITS side by side in block characters."""
    rows = [np.flatnonzero(digits.labels == digit)[:1] for digit in SAMPLE_DIGITS]
    cells = [_shade(digits.images[row[0]]) for row in rows if len(row)]
    return "\n".join("    " + "  ".join(lines) for lines in zip(*cells, strict=True))


def _shade(image: NDArray[np.uint8]) -> list[str]:
    """Return grey pixels as lines of text; a cell is twice as high as wide."""
    height = max(1, image.shape[0] // SAMPLE_ROWS)
    width = max(1, height // 2)
    pooled = image[: image.shape[0] // height * height].astype(np.float64)
    pooled = pooled.reshape(-1, height, image.shape[1] // width, width).mean(axis=(1, 3))
    if height == 1:
        pooled = pooled.repeat(2, axis=1)
    levels = np.minimum(pooled / 256 * 1.4, 0.999) * len(SHADES)
    return ["".join(SHADES[int(level)] for level in line) for line in levels]
