"""Verbs that change what is known: `auricle forget`, `relabel` and `survey`."""

import sys
import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from ..core import ConfigError, ForgetRequest, Receipt, Relabel, Selector, accepted
from ..core import Survey as SurveyEvent
from . import actions, views
from .cli_options import HERE, HomeOption, IdsOption, JsonOption, YesOption
from .home import Home


def forget(
    home: HomeOption = HERE,
    fact_id: IdsOption = None,
    subject: Annotated[str | None, typer.Option(help="Everything of this subject.")] = None,
    stream: Annotated[str | None, typer.Option(help="Everything of this stream.")] = None,
    domain: Annotated[str | None, typer.Option(help="Everything in this domain.")] = None,
    label: Annotated[str | None, typer.Option(help="Everything with this label.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Captured at or after (UTC).")] = None,
    until: Annotated[datetime | None, typer.Option(help="Captured before (UTC).")] = None,
    resurvey: Annotated[
        bool | None,
        typer.Option(
            "--resurvey/--keep-geometry",
            help="Survey the geometry again, too (default, but for members of a fleet).",
        ),
    ] = None,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Forget as if it had never been seen, and print the receipt.  Options given must all match."""
    selector = Selector(
        frozenset(fact_id) if fact_id else None,
        subject,
        stream,
        domain,
        label,
        nanoseconds(since),
        nanoseconds(until),
    )
    if selector.empty:
        raise ConfigError(
            "forgetting: nothing was selected",
            "name at least one of --id, --subject, --stream, --domain, --label, --since, --until",
        )
    with Home(home) as opened:
        count = _count(opened, selector, "forgetting")
        if not yes:
            _ask(f"forget {count} facts ({actions.in_words(selector)}) for good?")
        again = not opened.shares_geometry if resurvey is None else resurvey
        receipt = _forget(opened, selector, resurvey=again)
        actions.after("the facts are forgotten", opened.stamp)
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
            f"{doing}: no fact matches {actions.in_words(selector)}",
            "see `auricle inspect` for what is known",
        )
    return count


def _ask(question: str) -> None:
    """Ask on standard error, so that standard output holds nothing but the result."""
    typer.echo(f"{question} [y/N]: ", nl=False, err=True)
    answer = sys.stdin.readline()
    if not answer:
        typer.echo(err=True)
        raise ConfigError(
            "asking for confirmation: there was no answer, and nothing was changed", "give --yes"
        )
    if answer.strip().lower() not in {"y", "yes"}:
        raise ConfigError("asking for confirmation: nothing was changed", "")


def relabel(
    home: HomeOption = HERE,
    fact_id: IdsOption = None,
    domain: Annotated[str | None, typer.Option(help="Facts of this domain.")] = None,
    label: Annotated[str | None, typer.Option(help="Facts with this label.")] = None,
    to_label: Annotated[str, typer.Option(help="Their new label.")] = "",
    to_domain: Annotated[str, typer.Option(help="Their new domain: renames or merges.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Correct labels, rename a domain or merge two.  Options given must all match."""
    selector = Selector(frozenset(fact_id) if fact_id else None, domain=domain, label=label)
    if selector.empty:
        raise ConfigError(
            "relabelling: nothing was selected", "name at least one of --id, --domain, --label"
        )
    with Home(home) as opened:
        _count(opened, selector, "relabelling")
        ack = actions.acknowledged(opened.feed(Relabel(selector, to_label, to_domain)))
        digest = actions.after("the facts are relabelled", opened.settle)
    if as_json:
        views.show_json({"count": ack.count, "detail": ack.detail, "knowledge_digest": digest})
        return
    views.say(f"relabelled {ack.count} facts {f'({ack.detail})' if ack.detail else ''}".rstrip())
    views.say(f"knowledge digest  {digest}")


def survey(home: HomeOption = HERE, as_json: JsonOption = False) -> None:
    """Freeze a new geometry from the facts held now; the knowledge is derived again."""
    with Home(home) as opened:
        ack = actions.acknowledged(opened.feed(SurveyEvent()))
        digest = actions.after("the geometry is frozen", opened.stamp)
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
