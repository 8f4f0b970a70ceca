"""Verbs that change what is known: `auricle forget`, `relabel` and `survey`."""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import click

from ...core import ConfigError, ForgetRequest, Receipt, Relabel, Selector, accepted
from ...core import FitGeometry as SurveyEvent
from ...home import Home, KnownNames, actions
from ..name_prompt import settled_name
from ..options import Moment, home_option, ids_option, json_option, yes_option
from ..views import common as views


@click.command
@home_option
@ids_option
@click.option("--subject", help="Everything of this subject.")
@click.option("--stream", help="Everything of this stream.")
@click.option("--domain", help="Everything in this domain.")
@click.option("--label", help="Everything with this label.")
@click.option("--since", type=Moment(), help="Captured at or after (UTC).")
@click.option("--until", type=Moment(), help="Captured before (UTC).")
@click.option(
    "--resurvey/--keep-geometry",
    default=None,
    help="Survey the geometry again, too (default, but for members of a fleet).",
)
@yes_option
@json_option
def forget(
    *,
    home: Path,
    fact_id: tuple[str, ...],
    subject: str | None,
    stream: str | None,
    domain: str | None,
    label: str | None,
    since: datetime | None,
    until: datetime | None,
    resurvey: bool | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Forget as if it had never been seen, and print the receipt.  Options given must all match."""
    selector = Selector(
        ids=frozenset(fact_id) if fact_id else None,
        subject=subject,
        stream=stream,
        domain=domain,
        label=label,
        from_ns=nanoseconds(since),
        until_ns=nanoseconds(until),
    )
    if selector.empty:
        raise ConfigError(
            "forgetting: nothing was selected",
            "name at least one of --id, --subject, --stream, --domain, --label, --since, --until",
        )
    with Home(home) as opened:
        count = _count(opened, selector, "forgetting")
        if not yes:
            confirm(f"forget {count} facts ({actions.describe_selector(selector)}) for good?")
        again = not opened.shares_geometry if resurvey is None else resurvey
        receipt = _forget(opened, selector, resurvey=again)
        actions.after_change("the facts are forgotten", opened.stamp)
    views.show_json(receipt) if as_json else views.show_receipt(receipt)


def _forget(home: Home, selector: Selector, *, resurvey: bool) -> Receipt:
    at_ns = time.time_ns()
    # An adaptor that is withdrawn with its facts is told, too; the receipt says so as well.
    said = accepted(home.feed(ForgetRequest(f"cli-{at_ns}", selector, at_ns, resurvey)))
    return next(one for one in said if isinstance(one, Receipt))


def _count(home: Home, selector: Selector, doing: str) -> int:
    count = len(home.store.select(selector))
    if not count:
        raise ConfigError(
            f"{doing}: no fact matches {actions.describe_selector(selector)}",
            "see `auricle inspect` for what is known",
        )
    return count


def confirm(question: str) -> None:
    """Ask on standard error, so that standard output holds nothing but the result.  Raises
    ConfigError for any answer but yes."""
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
@click.option("--to-domain", default="", help="Their new domain: renames or merges.")
@json_option
def relabel(
    *,
    home: Path,
    fact_id: tuple[str, ...],
    domain: str | None,
    label: str | None,
    to_label: str,
    to_domain: str,
    as_json: bool,
) -> None:
    """Correct labels, rename a domain or merge two.  Options given must all match."""
    selector = Selector(ids=frozenset(fact_id) if fact_id else None, domain=domain, label=label)
    if selector.empty:
        raise ConfigError(
            "relabelling: nothing was selected", "name at least one of --id, --domain, --label"
        )
    with Home(home) as opened:
        _count(opened, selector, "relabelling")
        known = KnownNames.of(opened.store.concepts())
        to_label = settled_name("label", to_label, known.labels, ask=not as_json)
        to_domain = settled_name("domain", to_domain, known.domains, ask=not as_json)
        ack = actions.acknowledged(opened.feed(Relabel(selector, to_label, to_domain)))
        digest = actions.after_change("the facts are relabelled", opened.refit_geometry)
    if as_json:
        views.show_json({"count": ack.count, "detail": ack.detail, "knowledge_digest": digest})
        return
    views.say(f"relabelled {ack.count} facts {f'({ack.detail})' if ack.detail else ''}".rstrip())
    views.say(f"knowledge digest  {digest}")


@click.command
@home_option
@json_option
def survey(*, home: Path, as_json: bool) -> None:
    """Freeze a new geometry from the facts held now; the knowledge is derived again."""
    with Home(home) as opened:
        ack = actions.acknowledged(opened.feed(SurveyEvent()))
        digest = actions.after_change("the geometry is frozen", opened.stamp)
    if as_json:
        views.show_json({"count": ack.count, "knowledge_digest": digest})
        return
    views.say(f"surveyed {ack.count} facts")
    views.say(f"knowledge digest  {digest}")


def nanoseconds(moment: datetime | None) -> int | None:
    """Return a moment in nanoseconds since 1970; one without a zone is taken as UTC."""
    if moment is None:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(aware.timestamp()) * 1_000_000_000 + aware.microsecond * 1_000
