"""The command line: `auricle VERB`.  docs/cli.md documents every verb."""

import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live

import encoder
import hdc

from ..core import ConfigError, EdgeError, ForgetRequest, Receipt, Rejected, Relabel, Selector
from ..core import Survey as SurveyEvent
from . import actions, cli_encoder, cli_sim, views
from .home import Home, create_home, read_settings
from .store import Store

app = typer.Typer(
    name="auricle",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Edge continual learning: what is learned is a sum, what is forgotten is gone.",
)

HomeOption = Annotated[
    Path, typer.Option("--home", envvar="AURICLE_HOME", help="Folder made by `auricle init`.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
HERE = Path()


def main() -> None:
    """Run the command line; errors become two lines on standard error and exit status 1."""
    try:
        app()
    except (EdgeError, encoder.EncoderError, hdc.HdcError) as error:
        views.show_error(error.message, error.hint)
        sys.exit(1)
    except OSError as error:
        views.show_error(f"{error.filename or 'input or output'}: {error.strerror}", "")
        sys.exit(1)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        views.console.print(f"auricle {installed('auricle')}")
        raise typer.Exit


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where to make the home.")] = HERE,
    encoder_card: Annotated[
        str, typer.Option("--encoder", help="A shipped encoder's name, or a card's path.")
    ] = "efficientnet_lite0",
    vectors: Annotated[
        Path | None,
        typer.Option(help="A .csv or .npz of ready-made vectors to freeze the quantiser on."),
    ] = None,
) -> None:
    """Make a home: settings, encoder card and an empty ledger."""
    card = actions.vector_card_from(vectors) if vectors is not None else None
    path = create_home(folder, card, encoder_card)
    views.console.print(f"made {path}; next: auricle learn --home {folder} FOLDER", markup=False)


@app.command()
def learn(
    path: Annotated[Path, typer.Argument(help="A folder of images by class, .npz or .csv.")],
    home: HomeOption = HERE,
    domain: Annotated[str, typer.Option(help="Domain of examples that do not say.")] = "",
    label: Annotated[str, typer.Option(help="Label of examples that do not say.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Learn labelled examples: all of them, durably, or none."""
    with Home(home) as opened, views.counting("encoding") as tick:
        done = actions.learn_path(opened, path, domain, label, tick)
    views.show_json(done) if as_json else views.show_learned(done)


@app.command()
def predict(
    path: Annotated[Path, typer.Argument(help="An image, a folder, an .npz or a .csv.")],
    home: HomeOption = HERE,
    as_json: JsonOption = False,
) -> None:
    """Say what examples are, and whether they are known at all.  Learns nothing."""
    right = asked = 0
    with Home(home, writable=False) as opened:
        table = views.predictions_table()
        live = Live(table, console=views.console, refresh_per_second=4)
        with live if not as_json else views.silence():
            for source, said, truth in actions.predict_path(opened, path):
                if as_json:
                    views.show_json({"source": source, "said": said})
                    continue
                table.add_row(*views.prediction_row(source, said))
                if truth and not isinstance(said, Rejected):
                    asked, right = asked + 1, right + (said.guess == truth)
    if asked:
        views.console.print(f"{right} of {asked} guesses agree with the labels given")


@app.command()
def forget(
    home: HomeOption = HERE,
    fact_id: Annotated[list[str] | None, typer.Option("--id", help="A fact's id; repeat.")] = None,
    subject: Annotated[str | None, typer.Option(help="Everything of this subject.")] = None,
    stream: Annotated[str | None, typer.Option(help="Everything of this stream.")] = None,
    domain: Annotated[str | None, typer.Option(help="Everything in this domain.")] = None,
    label: Annotated[str | None, typer.Option(help="Everything with this label.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Captured at or after (UTC).")] = None,
    until: Annotated[datetime | None, typer.Option(help="Captured before (UTC).")] = None,
    resurvey: Annotated[bool, typer.Option(help="Survey the geometry again, too.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Forget as if it had never been seen, and print the receipt.  Options given must all match."""
    selector = Selector(
        frozenset(fact_id) if fact_id else None,
        subject,
        stream,
        domain,
        label,
        _nanoseconds(since),
        _nanoseconds(until),
    )
    with Home(home) as opened:
        count = len(opened.store.select(selector))
        if count and not selector.empty and not yes:
            typer.confirm(f"forget {count} facts for good?", abort=True)
        at_ns = time.time_ns()
        request = ForgetRequest(f"cli-{at_ns}", selector, at_ns, resurvey)
        for message in opened.feed(request):
            if isinstance(message, Rejected):
                raise ConfigError(message.reason, message.hint)
            if isinstance(message, Receipt):
                views.show_json(message) if as_json else views.show_receipt(message)
        opened.stamp()


@app.command()
def relabel(
    home: HomeOption = HERE,
    fact_id: Annotated[list[str] | None, typer.Option("--id", help="A fact's id; repeat.")] = None,
    domain: Annotated[str | None, typer.Option(help="Facts of this domain.")] = None,
    label: Annotated[str | None, typer.Option(help="Facts with this label.")] = None,
    to_label: Annotated[str, typer.Option(help="Their new label.")] = "",
    to_domain: Annotated[str, typer.Option(help="Their new domain: renames or merges.")] = "",
) -> None:
    """Correct labels, rename a domain or merge two."""
    selector = Selector(frozenset(fact_id) if fact_id else None, domain=domain, label=label)
    with Home(home) as opened:
        ack = actions.told(opened.feed(Relabel(selector, to_label, to_domain)))
        digest = opened.stamp()
    views.console.print(
        f"relabelled {ack.count} facts {ack.detail}\nknowledge digest {digest}", markup=False
    )


@app.command()
def survey(home: HomeOption = HERE) -> None:
    """Freeze a new geometry from the facts held now; the knowledge is derived again."""
    with Home(home) as opened:
        ack = actions.told(opened.feed(SurveyEvent()))
        digest = opened.stamp()
    views.console.print(f"surveyed {ack.count} facts\nknowledge digest {digest}")


@app.command()
def verify(home: HomeOption = HERE, as_json: JsonOption = False) -> None:
    """Check the file, derive the knowledge again and compare digests.  Exit status 1 if wrong."""
    with Home(home, writable=False) as opened:
        result = actions.verify(opened)
    views.show_json(result) if as_json else views.show_verified(result)
    if result.complaints:
        raise typer.Exit(1)


@app.command()
def inspect(home: HomeOption = HERE, as_json: JsonOption = False) -> None:
    """Show what is known: concepts, receipts, encoder, file."""
    with Home(home, writable=False) as opened:
        shown = actions.inspect(opened)
    if as_json:
        views.show_json(shown)
    else:
        views.show_inspection(shown)


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="The new file.")], home: HomeOption = HERE
) -> None:
    """Write a consistent copy of the knowledge file."""
    with _store(home) as store:
        store.backup(target)
    views.console.print(f"wrote {target}", markup=False)


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="A file written by `auricle backup`.")],
    home: HomeOption = HERE,
) -> None:
    """Put a backup in the place of the knowledge file; the old one is kept beside it."""
    target = home / read_settings(home).knowledge.file
    actions.restore(source, target)
    views.console.print(f"restored {target}; check it with `auricle verify`", markup=False)


@app.command()
def export(
    target: Annotated[Path, typer.Argument(help="The new .npz file.")], home: HomeOption = HERE
) -> None:
    """Write all facts, with their quantised features, to an .npz."""
    with _store(home) as store:
        count = actions.export_facts(store, target)
    views.console.print(f"wrote {count} facts to {target}", markup=False)


@app.command()
def merge(
    other: Annotated[Path, typer.Argument(help="Another knowledge file of the same encoder.")],
    home: HomeOption = HERE,
) -> None:
    """Take in another ledger's facts; what either has forgotten stays forgotten."""
    with Home(home) as opened, Store.open(other, writable=False) as store:
        ack, buried = actions.merge_store(opened, store)
        digest = opened.stamp()
    views.console.print(
        f"took in {ack.count} facts {ack.detail}\nforgot {buried} that the other"
        f" had forgotten\nknowledge digest {digest}",
        markup=False,
    )


def _store(home: Path) -> Store:
    return Store.open(home / read_settings(home).knowledge.file, writable=False)


def _nanoseconds(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(aware.timestamp()) * 1_000_000_000 + aware.microsecond * 1_000


app.add_typer(cli_encoder.app, name="encoder")
app.command(name="simulate")(cli_sim.simulate)
app.command(name="demo")(cli_sim.demo)
