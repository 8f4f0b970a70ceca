"""The command line: `auricle VERB`.  docs/reference/cli.md documents every verb."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from firmware_bridge import BridgeError

from . import (
    actions,
    cli_bridge,
    cli_bundle,
    cli_change,
    cli_command,
    cli_encoder,
    cli_files,
    cli_forecast,
    cli_grow,
    cli_run,
    cli_sim,
    cli_train,
    cli_watch,
    growing,
    growth_views,
    views,
)
from .cli_options import HERE, HomeOption, JsonOption, RateOption, YesOption
from .cli_verbs import Verbs
from .home import Home, create_home
from .sound_files import RATE_HZ

ORDER = (
    "demo", "init", "run", "check", "doctor", "learn", "grow", "predict", "status", "top",
    "label", "command", "keygen", "bundle", "inspect", "adaptors", "rollback", "relabel", "forget",
    "verify", "survey", "backup", "restore", "export", "merge", "encoder", "forecast", "train",
    "export-c", "bridge", "simulate",
)  # fmt: skip
"""The verbs as one comes to use them."""


class AllVerbs(Verbs):
    """Lists the verbs in the order of use."""

    errors = (*Verbs.errors, BridgeError)

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the verbs, in order."""
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


app = typer.Typer(
    cls=AllVerbs,
    name="auricle",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Edge continual learning: what is learned is a sum, what is forgotten is gone.",
)


@app.callback(invoke_without_command=True)
def _options(
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        views.say(f"auricle {installed('auricle')}")
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
    as_json: JsonOption = False,
) -> None:
    """Make a home: settings, encoder card and an empty ledger."""
    card, skipped = (None, ()) if vectors is None else actions.vector_card_from(vectors)
    path = create_home(folder, card, encoder_card)
    if as_json:
        views.show_json({"settings": str(path), "skipped": skipped})
        return
    views.show_skipped(skipped)
    views.say(f"made {path}; next: auricle learn --home {folder} EXAMPLES")


@app.command()
def learn(
    path: Annotated[
        Path, typer.Argument(help="A folder of images or sounds by class, .npz or .csv.")
    ],
    home: HomeOption = HERE,
    domain: Annotated[str, typer.Option(help="Domain of examples that do not say.")] = "",
    label: Annotated[str, typer.Option(help="Label of examples that do not say.")] = "",
    grow: Annotated[
        bool, typer.Option("--grow", help="Then grow adaptors where there are enough new facts.")
    ] = False,
    rate_hz: RateOption = RATE_HZ,
    yes: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Learn labelled examples: all of them, durably, or none.  In a terminal it asks before facts
    that are known move to another domain or label."""
    with Home(home) as opened:
        with views.counting("encoding") as tick:
            lesson = actions.read_lesson(opened, path, domain, label, tick, rate_hz=rate_hz)
        if lesson.moved and not yes and sys.stdin.isatty():
            cli_change.confirm(views.question_of(lesson.moved))
        done = actions.learn(opened, lesson)
        views.show_json(done) if as_json else views.show_learned(done)
        if grow:
            with growth_views.waiting() as beat:
                cli_grow.show_outcomes(growing.grow_due(opened, beat), as_json=as_json)


@app.command()
def predict(
    path: Annotated[Path, typer.Argument(help="An image, a sound, a folder, an .npz or a .csv.")],
    home: HomeOption = HERE,
    rate_hz: RateOption = RATE_HZ,
    as_json: JsonOption = False,
) -> None:
    """Say what examples are, and whether they are known at all.  Learns nothing."""
    score = views.Score()
    with Home(home, writable=False) as opened:
        found = actions.predict_path(opened, path, rate_hz)
        if not as_json:
            views.show_prediction_names()
        for one in found:
            views.show_json(one) if as_json else views.show_prediction(one)
            score.count(one)
    if not as_json:
        views.show_score(score)
    if not score.decided:
        raise typer.Exit(1)


@app.command()
def inspect(home: HomeOption = HERE, as_json: JsonOption = False) -> None:
    """Show what is known: concepts, receipts, encoder, file."""
    with Home(home, writable=False) as opened:
        shown = actions.inspect(opened)
    views.show_json(shown) if as_json else views.show_inspection(shown)


@app.command()
def verify(home: HomeOption = HERE, as_json: JsonOption = False) -> None:
    """Check the file, derive the knowledge again and compare digests.  Exit status 1 if wrong."""
    with Home(home, writable=False) as opened:
        result = actions.verify(opened)
    views.show_json(result) if as_json else views.show_verified(result)
    if result.complaints:
        raise typer.Exit(1)


app.command()(cli_run.run)
app.command()(cli_run.check)
app.command()(cli_run.doctor)
app.command()(cli_grow.grow)
app.command()(cli_train.train)
app.command()(cli_grow.adaptors)
app.command()(cli_grow.rollback)
app.command()(cli_watch.status)
app.command()(cli_watch.top)
app.command()(cli_watch.label)
app.command()(cli_command.command)
app.command()(cli_command.keygen)
app.command()(cli_change.forget)
app.command()(cli_change.relabel)
app.command()(cli_change.survey)
app.command()(cli_files.backup)
app.command()(cli_files.restore)
app.command()(cli_files.export)
app.command()(cli_files.merge)
app.add_typer(cli_encoder.app, name="encoder")
app.command(name="export-c")(cli_bridge.export_c)
app.add_typer(cli_bridge.app, name="bridge")
app.add_typer(cli_bundle.bundle, name="bundle")
app.command(name="forecast")(cli_forecast.forecast)
app.command(name="simulate")(cli_sim.simulate)
app.command(name="demo")(cli_sim.demo)
