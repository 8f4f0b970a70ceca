"""The group class, options and value types that verbs share."""

from collections.abc import Callable
from datetime import datetime
from math import isnan
from pathlib import Path
from typing import Any, TypeVar

import click

from firmware_bridge import BridgeError

from ..core import EXPECTED_ERRORS, limits
from ..daemon import HERE
from ..datasets import RATE_HZ
from .error_report import report_errors

PATH = click.Path(path_type=Path)

Verb = TypeVar("Verb", bound=Callable[..., Any])


class VerbGroup(click.Group):
    """A group that lists its verbs in the order in which they were added."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click passes it
        """Return the names of the verbs, in order."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the verb; a folder in its place is an error that names `--home`."""
        has_home = any(option.name == "home" for option in self.params)
        if has_home and args[0] not in self.commands and Path(args[0]).is_dir():
            found = f"expected a command or none, found a folder; try --home {args[0]}"
            raise click.UsageError(found, ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a verb; an error becomes two lines and exit status 1."""
        with report_errors((*EXPECTED_ERRORS, BridgeError)):
            return super().invoke(ctx)


class DefaultVerbGroup(VerbGroup):
    """A group whose first verb needs no name: `export FILE` is `export facts FILE`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Insert the name of the first verb where none is given, unless help is asked for."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [next(iter(self.commands)), *args]
        return super().parse_args(ctx, args)


class Moment(click.ParamType[datetime]):
    """A date, or a date and time, in ISO 8601."""

    name = "moment"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Return the moment; without a time zone it stays naive."""
        if isinstance(value, datetime):
            return value
        try:
            # fromisoformat would read a bare number as a date: 1712010121212 as one in 1712.
            return datetime.fromisoformat(value if value[4:5] == "-" else "")
        except ValueError:
            wanted = "a date such as 2026-03-01, or 2026-03-01T12:00:00"
            self.fail(f"expected {wanted}, found {value!r}", param, ctx)


class Number(click.FloatRange):
    """A number in a range; NaN, which passes every range check, is refused."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the number."""
        number = super().convert(value, param, ctx)
        if isnan(number):
            self.fail(f"expected a number, found {value!r}", param, ctx)
        return number


home_option = click.option(
    "--home",
    type=PATH,
    default=HERE,
    envvar="AURICLE_HOME",
    show_envvar=True,
    show_default=True,
    help="Folder made by `auricle init`.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, one value per line."
)
yes_option = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
ids_option = click.option("--id", "fact_id", multiple=True, help="Id of a fact; repeatable.")
rate_option = click.option(
    "--rate-hz",
    type=click.IntRange(1_000, 384_000),
    default=RATE_HZ,
    show_default=True,
    help="Samples per second of WAV files.",
)
folder_argument = click.argument(
    "path", type=PATH, default=HERE, help="A home's folder, or its auricle.toml."
)
key_option = click.option("--key", type=PATH, required=True, help="The publisher's private key.")
publisher_option = click.option(
    "--publisher", default="", help="Name of the key in [bundles.keys]; default: its file name."
)
counter_option = click.option(
    "--counter",
    type=click.IntRange(1, limits.COUNT_MAX),
    help="Above that of every earlier bundle; default: seconds since 1970.",
)


def count_option(
    name: str, default: int, most: int | None, text: str, least: int = 1
) -> Callable[[Verb], Verb]:
    """Return an option for a whole number within bounds, whose default its help shows."""
    kind = click.IntRange(least, most)
    return click.option(name, type=kind, default=default, show_default=True, help=text)


jobs_option = count_option("--jobs", 2, None, "Parallel processes.")


def seed_option(default: int, text: str) -> Callable[[Verb], Verb]:
    """Return an option for a seed of all randomness."""
    return count_option("--seed", default, 2**32 - 1, text, 0)
