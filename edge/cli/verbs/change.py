"""Verbs that change the knowledge: `auricle forget`, `relabel` and `fit-geometry`."""

import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import click

from ...commands import ForgetCommand
from ...config import read_settings
from ...core import (
    SUMS,
    Acknowledgement,
    ConfigError,
    DuplicateGuard,
    FitGeometry,
    ForgetRequest,
    Receipt,
    Relabel,
    Selector,
    UndoMerge,
    accepted,
    summed_devices,
)
from ...home import (
    ForgetPreview,
    Home,
    KnownNames,
    actions,
    describe_selector,
    missing_names,
    preview_forget,
    search_home,
)
from ...home import growth as growing
from ...storage import Store
from ..name_prompt import confirm_name
from ..options import PATH, Moment, home_option, ids_option, json_option, yes_option
from ..views import common as views
from ..views import growth as growth_views
from .choosing import choose_like, choose_suspects
from .forget_client import (
    as_select,
    count_by_daemon,
    daemon_runs,
    forget_by_daemon,
    preview_by_daemon,
)


@click.command
@home_option
@ids_option
@click.option("--subject", help="Everything of this subject.")
@click.option("--stream", help="Everything of this stream.")
@click.option("--recording", help="Everything of this recording or session.")
@click.option("--domain", help="Everything in this domain.")
@click.option("--label", help="Everything with this label.")
@click.option("--since", type=Moment(), help="Captured at or after (UTC).")
@click.option("--until", type=Moment(), help="Captured before (UTC).")
@click.option("--like", type=PATH, help="Choose among the facts most like an example in a file.")
@click.option(
    "--suspect",
    is_flag=True,
    help="Choose among facts whose labels contradict the rest; with --id, those that are wrong in"
    " the same way.",
)
@click.option(
    "--duplicates",
    type=click.Choice(get_args(DuplicateGuard)),
    default="exact",
    show_default=True,
    help="What is not learned again: the same ids (off), also the same content under another id"
    " (exact), also nearly the same (near).",
)
@click.option(
    "--refit-geometry/--keep-geometry",
    default=None,
    help="Also fit the geometry again; default, except for members of a fleet.",
)
@click.option(
    "--remove-files",
    is_flag=True,
    help="Also remove backups, exports, bundles and firmware in the home that hold the facts; "
    "without another option: those that hold facts forgotten before.",
)
@click.option("--preview", is_flag=True, help="Show what would be forgotten; change nothing.")
@yes_option
@json_option
def forget(
    *,
    home: Path,
    fact_id: tuple[str, ...],
    subject: str | None,
    stream: str | None,
    recording: str | None,
    domain: str | None,
    label: str | None,
    since: datetime | None,
    until: datetime | None,
    like: Path | None,
    suspect: bool,
    duplicates: DuplicateGuard,
    refit_geometry: bool | None,
    remove_files: bool,
    preview: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Forget facts exactly, as if they had never been seen (machine unlearning).

    Facts must match all given options.  --like and --suspect show facts and ask which are meant.
    Works through the home's daemon if one runs.  Prints the receipt.
    """
    selector = Selector(
        ids=frozenset(fact_id) if fact_id else None,
        subject=subject,
        stream=stream,
        domain=domain,
        label=label,
        from_ns=nanoseconds(since),
        until_ns=nanoseconds(until),
        recording=recording,
    )
    if selector.empty and remove_files and like is None and not suspect:
        _remove_files(home, yes=yes, as_json=as_json)
        return
    _require_choice(selector, like, suspect=suspect)
    if preview:
        _require_no_question(like, suspect=suspect)
        seen = _preview(home, selector)
        views.show_json(seen) if as_json else views.show_preview(seen)
        return
    order = ForgetOrder(
        selector=selector,
        like=like,
        suspect=suspect,
        request_id=f"cli-{time.time_ns()}",
        duplicates=duplicates,
        refit_geometry=refit_geometry,
        remove_files=remove_files,
        yes=yes,
    )
    receipt = _forget_there(home, order) if daemon_runs(home) else _forget_here(home, order)
    views.show_json(receipt) if as_json else views.show_receipt(receipt)


@dataclass(frozen=True, slots=True, kw_only=True)
class ForgetOrder:
    """What `auricle forget` was given."""

    selector: Selector
    like: Path | None
    suspect: bool
    request_id: str
    duplicates: DuplicateGuard
    refit_geometry: bool | None
    remove_files: bool
    yes: bool

    def chosen(self, home: Home) -> Selector:
        """Return what is selected, after a person has chosen among facts that are shown."""
        if self.like is not None:
            return choose_like(home, self.like)
        return choose_suspects(home, self.selector.ids or ()) if self.suspect else self.selector


def _forget_there(folder: Path, order: ForgetOrder) -> Receipt:
    """Forget through the daemon of a home."""
    selector = order.selector
    if order.like is not None or order.suspect:
        # A snapshot: the daemon goes on.
        with Home(folder, writable=False) as home:
            selector = order.chosen(home)
    _warn_of_missing(folder, selector)
    what = count_by_daemon(folder, selector)
    if not order.yes:
        confirm(f"forget {what} ({describe_selector(selector)}) for good?")
    command = ForgetCommand(
        id=order.request_id,
        select=as_select(selector),
        refit_geometry=order.refit_geometry,
        remove_files=order.remove_files,
        duplicates=order.duplicates,
    )
    return forget_by_daemon(folder, command)


def _forget_here(folder: Path, order: ForgetOrder) -> Receipt:
    """Forget in a home that no daemon has open."""
    with Home(folder) as home:
        selector = order.chosen(home)
        completed = _completed(home, selector)
        if completed is not None:
            return completed
        views.show_warnings(missing_names(home.store, selector))
        traces = home.runtime.holds_traces(selector)
        count = len(home.store.select(selector)) if traces else _count_facts(home, selector)
        for one in home.runtime.series.preview(selector):
            click.echo(views.series_effect(one), err=True)
        if not order.yes:
            what = f"{count} facts" if count else _without_facts(home, selector)
            confirm(f"forget {what} ({describe_selector(selector)}) for good?")
        refit = order.refit_geometry
        request = ForgetRequest(
            request_id=order.request_id,
            selector=selector,
            requested_at_ns=time.time_ns(),
            refit_geometry=not home.shares_geometry if refit is None else refit,
            remove_files=order.remove_files,
            duplicates=order.duplicates,
        )
        receipt = _forget(home, request)
        with growth_views.show_progress() as beat:
            for outcome in growing.make_again(home, beat):
                views.errors.print(f"{outcome.domain}: {outcome.reason}", markup=False)
        actions.after_change("the facts are forgotten", home.stamp)
    return receipt


def _completed(home: Home, selector: Selector) -> Receipt | None:
    """Name the requests that opening the home has completed; return the one of this selection, as
    long as nothing else matches it."""
    found = None
    for one in home.completed:
        views.errors.print(
            f"completed the request {one.request_id}, which had been cut off:"
            f" {one.facts_forgotten} facts are forgotten",
            markup=False,
            soft_wrap=True,
        )
        if one.selector == selector and not home.store.select(selector):
            found = one
    return found


def _preview(folder: Path, selector: Selector) -> ForgetPreview:
    """Return what a request would do, and warn of names that no fact has."""
    _warn_of_missing(folder, selector)
    if daemon_runs(folder):
        return preview_by_daemon(folder, selector)
    with Home(folder, writable=False) as home:
        return preview_forget(home, selector)


def _warn_of_missing(folder: Path, selector: Selector) -> None:
    """Warn of names that no fact has, by a snapshot of the home's file."""
    path = folder / read_settings(folder).knowledge.file
    with Store.open(path, writable=False) as store:
        views.show_warnings(missing_names(store, selector))


def _require_no_question(like: Path | None, *, suspect: bool) -> None:
    if like is not None or suspect:
        raise ConfigError(
            "forgetting: --like and --suspect show the facts before they ask",
            "leave out --preview, and answer with Enter to change nothing",
        )


def _require_choice(selector: Selector, like: Path | None, *, suspect: bool) -> None:
    """Raise ConfigError unless facts are selected, by options or by one kind of choice."""
    start, stop = selector.from_ns, selector.until_ns
    if start is not None and stop is not None and start >= stop:
        raise ConfigError(
            "forgetting: expected a time range, found --until that is not after --since",
            "--since is the first moment of the range, --until the first one after it",
        )
    if like is None and not suspect:
        if selector.empty:
            raise ConfigError(
                "forgetting: nothing was selected",
                "give at least one of --id, --subject, --stream, --recording, --domain, --label,"
                " --since, --until, --like, --suspect",
            )
        return
    named = Selector(ids=selector.ids) if suspect else Selector()
    if selector != named or (like is not None and suspect):
        raise ConfigError(
            "forgetting: --like and --suspect select by themselves",
            "give --like alone, or --suspect alone or with the --id of facts that are wrong",
        )


def _without_facts(home: Home, selector: Selector) -> str:
    """Name what a selector reaches where it matches no fact."""
    samples = sum(one.samples for one in home.runtime.series.preview(selector))
    if samples:
        return f"{samples} samples of series, no facts"
    return "label candidates and recalibration, no facts"


def _forget(home: Home, request: ForgetRequest) -> Receipt:
    # Adaptors withdrawn with their facts are messages too; the receipt names them as well.
    messages = accepted(home.feed(request))
    return next(one for one in messages if isinstance(one, Receipt))


def _remove_files(folder: Path, *, yes: bool, as_json: bool) -> None:
    """Remove the files of a home that hold facts forgotten before, and print them."""
    with Home(folder) as home:
        found = search_home(folder, home.store, remove="nothing")
        if found and not yes:
            names = ", ".join(one.path for one in found)
            confirm(f"remove {len(found)} files that may hold forgotten facts ({names}) for good?")
        found = search_home(folder, home.store, remove="all")
    views.show_json(found) if as_json else views.show_files(found)


def _count_facts(home: Home, selector: Selector) -> int:
    """Count what is forgotten; raises ConfigError where nothing is, with the devices to ask."""
    devices = summed_devices(home.store)
    return _count(home, selector, "forgetting", f"{SUMS}: {', '.join(devices)}" if devices else "")


def _count(home: Home, selector: Selector, doing: str, more: str = "") -> int:
    count = len(home.store.select(selector))
    if not count:
        raise ConfigError(
            f"{doing}: no fact matches {describe_selector(selector)}",
            "; ".join(filter(None, ("`auricle inspect` lists domains and labels", more))),
        )
    return count


def confirm(question: str) -> None:
    """Ask on standard error, so that standard output holds only the result.  Raises ConfigError for
    any answer but yes."""
    click.echo(f"{question} [y/N]: ", nl=False, err=True)
    answer = sys.stdin.readline()
    if not answer:
        click.echo(err=True)
        raise ConfigError(
            "asking for confirmation: there was no answer, and nothing was changed", "give --yes"
        )
    if answer.strip().lower() not in {"y", "yes"}:
        raise ConfigError("asking for confirmation: nothing was changed", "")


@click.command
@home_option
@ids_option
@click.option("--domain", help="Facts of this domain.")
@click.option("--label", help="Facts with this label.")
@click.option("--to-label", default="", help="Their new label.")
@click.option("--to-domain", default="", help="Their new domain: renames it or merges two.")
@click.option("--undo", default="", help="Undo a merge of domains that the device made by itself.")
@json_option
def relabel(
    *,
    home: Path,
    fact_id: tuple[str, ...],
    domain: str | None,
    label: str | None,
    to_label: str,
    to_domain: str,
    undo: str,
    as_json: bool,
) -> None:
    """Correct labels, rename a domain or merge two.

    Facts must match all given options.
    """
    if undo:
        with Home(home) as opened:
            ack = actions.acknowledged(opened.feed(UndoMerge(undo)))
            digest = actions.after_change("the merge is undone", opened.refit_geometry)
        _show_relabelled(ack, digest, as_json=as_json)
        return
    selector = Selector(ids=frozenset(fact_id) if fact_id else None, domain=domain, label=label)
    if selector.empty:
        raise ConfigError(
            "relabelling: nothing was selected", "give at least one of --id, --domain, --label"
        )
    with Home(home) as opened:
        _count(opened, selector, "relabelling")
        known = KnownNames.of(opened.store.concepts())
        to_label = confirm_name("label", to_label, known.labels, ask=not as_json)
        to_domain = confirm_name("domain", to_domain, known.domains, ask=not as_json)
        ack = actions.acknowledged(opened.feed(Relabel(selector, to_label, to_domain)))
        digest = actions.after_change("the facts are relabelled", opened.refit_geometry)
    _show_relabelled(ack, digest, as_json=as_json)


def _show_relabelled(ack: Acknowledgement, digest: str, *, as_json: bool) -> None:
    if as_json:
        views.show_json({"count": ack.count, "detail": ack.detail, "knowledge_digest": digest})
        return
    views.say(f"relabelled {ack.count} facts {f'({ack.detail})' if ack.detail else ''}".rstrip())
    views.say(f"knowledge digest  {digest}")


@click.command("fit-geometry")
@home_option
@json_option
def fit_geometry(*, home: Path, as_json: bool) -> None:
    """Fit the feature geometry to the current facts and freeze it.

    Then derives the knowledge again, from the facts alone.
    """
    with Home(home) as opened:
        opened.derive_again()
        ack = actions.acknowledged(opened.feed(FitGeometry()))
        digest = actions.after_change("the geometry is fitted", opened.stamp)
    if as_json:
        views.show_json({"count": ack.count, "knowledge_digest": digest})
        return
    views.say(f"fitted the geometry to {ack.count} facts")
    views.say(f"knowledge digest  {digest}")


def nanoseconds(moment: datetime | None) -> int | None:
    """Return a moment in nanoseconds since 1970; a naive one counts as UTC."""
    if moment is None:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(aware.timestamp()) * 1_000_000_000 + aware.microsecond * 1_000
