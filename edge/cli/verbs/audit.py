"""`auricle audit`: what a forget request leaves behind, before it on a copy or after it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ...audit import AuditReport, as_data, audit_receipt, rehearse, render_page
from ...core import ConfigError, Fact, Selector
from ...home import Home, actions
from ...storage import guard_errors, write_text
from ..options import PATH, Moment, home_option, ids_option, json_option
from ..views import common as views
from .change import nanoseconds


@click.command
@home_option
@ids_option
@click.option("--subject", help="A request for everything of this subject.")
@click.option("--stream", help="A request for everything of this stream.")
@click.option("--recording", help="A request for everything of this recording or session.")
@click.option("--domain", help="A request for everything in this domain.")
@click.option("--label", help="A request for everything with this label.")
@click.option("--since", type=Moment(), help="A request for facts captured at or after (UTC).")
@click.option("--until", type=Moment(), help="A request for facts captured before (UTC).")
@click.option("--receipt", default="", help="Id of a receipt; default: the newest.")
@click.option("--items", type=PATH, help="The forgotten items, supplied again: as for `learn`.")
@click.option(
    "--page",
    type=PATH,
    default=Path("auricle-audit.html"),
    show_default=True,
    help="The page to write.",
)
@json_option
def audit(
    *,
    home: Path,
    fact_id: tuple[str, ...],
    since: datetime | None,
    until: datetime | None,
    receipt: str,
    items: Path | None,
    page: Path,
    as_json: bool,
    **names: str | None,
) -> None:
    """Audit a forget request: before it on a copy of the home, or after it.

    With a selection, the request is rehearsed; without one, the audit starts from
    a receipt.  Exit status 1 if anything was found.
    """
    selector = Selector(
        ids=frozenset(fact_id) if fact_id else None,
        from_ns=nanoseconds(since),
        until_ns=nanoseconds(until),
        **names,
    )
    _refuse_mixtures(selector, receipt, items)
    with _steps() as tick:
        if selector.empty:
            report = audit_receipt(home, receipt, _reader(items), tick)
        else:
            report = rehearse(home, selector, tick)
    if as_json:
        views.show_json(as_data(report))
    else:
        with guard_errors(page, "writing"):
            write_text(page, render_page(report))
        _show(report, page)
    if report.failed:
        raise SystemExit(1)


def _refuse_mixtures(selector: Selector, receipt: str, items: Path | None) -> None:
    if not selector.empty and (receipt or items is not None):
        raise ConfigError(
            "auditing: a selection rehearses a request, --receipt and --items belong to one that is"
            " complete",
            "give either a selection, or --receipt and --items",
        )


def _reader(items: Path | None) -> Callable[[Home], Sequence[Fact]] | None:
    """Return what reads the supplied items with a home's encoder, None without items."""
    if items is None:
        return None
    return lambda home: actions.read_lesson(home, items, "", "", lambda _: None).facts


def _show(report: AuditReport, page: Path) -> None:
    rows = ((one.outcome, one.evidence, one.title) for one in report.findings)
    views.show_table(("outcome", "evidence", "question"), rows)
    for one in (*report.failed, *report.open):
        views.say(f"{one.title}: {one.text}" + (f" {one.todo}" if one.todo else ""))
    views.say(f"\n{report.verdict}")
    views.say(f"{report.seconds:.1f} s; page: {page}")


@contextmanager
def _steps() -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar for each step, in a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    console = views.errors
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what)
            bar.update(tasks[what], completed=done, total=total)

        yield show
