"""Views of growth: search results, serving adaptors, and the progress of a worker."""

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ...core import GrowthReport
from ...home import AdaptorSummary, Beat, GrowthOutcome
from .common import errors, say, show_table

MISSING = "-"


@contextmanager
def show_progress() -> Iterator[Beat]:
    """Show in a terminal how long the worker has been running."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(
        *columns, console=errors, transient=True, disable=not errors.is_terminal
    ) as shown:
        task = shown.add_task("searching and training", total=None)
        yield lambda domain: shown.update(
            task, description=f"searching and training for {domain}".rstrip()
        )


def show_outcome(done: GrowthOutcome) -> None:
    """Print the stages of a search, the trained candidates, and the serving version."""
    for line in done.search:
        say(f"# {line}")
    if done.candidates:
        rows = (
            (one.blueprint, _number(one.score), _percent(one.accuracy)) for one in done.candidates
        )
        show_table(("candidate", "score", "accuracy"), rows)
    if done.state == "serving" and math.isnan(done.accuracy):
        say(f"{done.domain}: version {done.version} serves, {done.reason}, {done.seconds:.1f} s")
    elif done.state == "serving":
        accuracy = f"{_percent(done.accuracy)}, previous {_percent(done.incumbent)}"
        say(
            f"{done.domain}: version {done.version} serves, accuracy {accuracy} on held-out facts,"
            f" {done.seconds:.1f} s"
        )
        if any((one.accuracy or 0) > done.accuracy for one in done.candidates):
            say(
                "a candidate with a higher accuracy is not better beyond chance: the one that the"
                " search expects most of serves"
            )
    else:
        say(f"{done.domain}: no change, {done.seconds:.1f} s: {done.reason}")


def show_adaptors(rows: Iterable[AdaptorSummary]) -> None:
    """Print each adaptor version with its size and its accuracy on held-out facts."""
    names = (
        "domain",
        "version",
        "serves",
        "kind",
        "blueprint",
        "bytes",
        "operations",
        "facts",
        "accuracy",
        "previous",
    )
    cells = (
        (
            row.domain,
            row.version or MISSING,
            ("provisional" if row.provisional else "yes") if row.serves else "no",
            row.kind,
            row.blueprint,
            row.nbytes or MISSING,
            row.operations or MISSING,
            row.facts,
            _percent(row.accuracy),
            _percent(row.incumbent),
        )
        for row in rows
    )
    show_table(names, cells)


def show_rollback(report: GrowthReport) -> None:
    """Print the serving version after a rollback."""
    say(f"{report.domain}: version {report.version} was removed; {report.detail}")


def _number(score: float) -> str:
    return MISSING if math.isnan(score) else f"{score:.3f}"


def _percent(share: float | None) -> str:
    return MISSING if share is None or math.isnan(share) else f"{100 * share:.1f} %"
