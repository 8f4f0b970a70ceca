"""Verbs of growth: `auricle grow`, `adaptors` and `rollback`."""

from collections.abc import Iterable
from pathlib import Path

import click

from ...core import ConfigError
from ...home import Home
from ...home import growth as growing
from ..options import home_option, json_option
from ..views import common as views
from ..views import growth as growth_views


@click.command
@click.argument("domain", default="", help="The domain; default: each in turn.")
@home_option
@json_option
def grow(*, domain: str, home: Path, as_json: bool) -> None:
    """Search and train an adaptor now.

    It serves if its accuracy on held-out facts beats that of the serving one.
    """
    with Home(home) as opened, growth_views.show_progress() as beat:
        names = [domain] if domain else opened.runtime.knowledge.learned
        if not names:
            raise ConfigError("growing: there are no facts yet", "learn some: `auricle learn`")
        done = (growing.grow_domain(opened, name, beat) for name in names)
        show_outcomes(done, as_json=as_json)


def show_outcomes(done: Iterable[growing.GrowthOutcome], *, as_json: bool) -> None:
    """Show each growth when it ends."""
    for one in done:
        views.show_json(one) if as_json else growth_views.show_outcome(one)


@click.command
@home_option
@json_option
def adaptors(*, home: Path, as_json: bool) -> None:
    """List the adaptor versions of each domain, or the head that serves alone."""
    with Home(home, writable=False) as opened:
        rows = growing.list_adaptors(opened)
    for row in rows if as_json else ():
        views.show_json(row)
    if not as_json:
        growth_views.show_adaptors(rows)


@click.command
@click.argument("domain", help="The domain.")
@home_option
@json_option
def rollback(*, domain: str, home: Path, as_json: bool) -> None:
    """Remove a domain's newest adaptor for good; the previous version serves again."""
    with Home(home) as opened:
        report = growing.roll_back(opened, domain)
    views.show_json(report) if as_json else growth_views.show_rollback(report)
