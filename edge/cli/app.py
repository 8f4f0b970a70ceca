"""The command line: `auricle VERB`.  docs/reference/cli.md documents every verb."""

import sys
from pathlib import Path

import click

from encoder import DEFAULT_ENCODER

from ..daemon import HERE
from ..datasets import NamedColumns
from ..home import Home, KnownNames, actions, create_home
from ..home import growth as growing
from .name_prompt import confirm_name
from .options import PATH, VerbGroup, home_option, json_option, rate_option, yes_option
from .verbs import audit as cli_audit
from .verbs import bridge as cli_bridge
from .verbs import bundle as cli_bundle
from .verbs import change as cli_change
from .verbs import command as cli_command
from .verbs import encoder as cli_encoder
from .verbs import fleet_train as cli_fleet_train
from .verbs import forecast as cli_forecast
from .verbs import grow as cli_grow
from .verbs import run as cli_run
from .verbs import simulate as cli_sim
from .verbs import train as cli_train
from .verbs import transfer as cli_files
from .verbs import undo as cli_undo
from .verbs import watch as cli_watch
from .verbs import web as cli_web
from .views import common as views
from .views import encoders as encoder_views
from .views import growth as growth_views


@click.group(cls=VerbGroup, name="auricle")
@click.version_option(
    package_name="auricle", message="auricle %(version)s", help="Print the version."
)
def app() -> None:
    """Continual learning on edge devices: classify, detect new classes, learn, forget exactly."""


@click.command
@click.argument(
    "folder", type=PATH, default=HERE, help="The new home; default: the current folder."
)
@click.option(
    "--encoder",
    "encoder_card",
    default=DEFAULT_ENCODER,
    show_default=True,
    help="Name of a shipped encoder, or path of a card.",
)
@click.option(
    "--vectors",
    type=PATH,
    help="A .csv or .npz of feature vectors to calibrate the quantiser on.",
)
@json_option
def init(*, folder: Path, encoder_card: str, vectors: Path | None, as_json: bool) -> None:
    """Create a home: settings, encoder card and an empty knowledge file."""
    card, columns, skipped = (
        (None, (), ()) if vectors is None else actions.vector_card_from(vectors)
    )
    path = create_home(folder, card, encoder_card, columns)
    others = encoder_views.other_encoders(encoder_card) if card is None else {}
    if as_json:
        figures = {name: one._asdict() for name, one in others.items()}
        views.show_json({"settings": str(path), "skipped": skipped, "encoders": figures})
        return
    views.show_skipped(skipped)
    views.say(f"created {path}; next: auricle learn --home {folder} EXAMPLES")
    encoder_views.show_other_encoders(others)


@click.command
@click.argument("path", type=PATH, help="A folder of images or sounds by class, an .npz or a .csv.")
@home_option
@click.option("--domain", default="", help="Domain of examples without one.")
@click.option("--label", default="", help="Label of examples without one.")
@click.option("--grow", is_flag=True, help="Then grow adaptors in domains with enough new facts.")
@rate_option
@click.option("--time-column", default="", help="A table's column of the times of capture.")
@click.option("--recording-column", default="", help="A table's column of recordings or sessions.")
@yes_option
@json_option
def learn(
    *,
    path: Path,
    home: Path,
    domain: str,
    label: str,
    grow: bool,
    rate_hz: int,
    time_column: str,
    recording_column: str,
    yes: bool,
    as_json: bool,
) -> None:
    """Learn labelled examples, durably: all of them or none.

    In a terminal it asks before known facts move to another domain or label.
    """
    with Home(home) as opened:
        known = KnownNames.of(opened.store.concepts())
        shown = set(known.warnings(label=label, domain=domain))
        label = confirm_name("label", label, known.labels, ask=not as_json)
        domain = confirm_name("domain", domain, known.domains, ask=not as_json)
        with views.counting("encoding") as tick:
            named = NamedColumns(time_column, recording_column)
            lesson = actions.read_lesson(
                opened, path, domain, label, tick, rate_hz=rate_hz, named=named
            )
        views.show_warnings(lesson.warnings)
        if lesson.moved and not yes and sys.stdin.isatty():
            cli_change.confirm(views.question_of(lesson.moved))
        done = actions.learn(opened, lesson)
        views.show_json(done) if as_json else views.show_learned(done)
        if not as_json:
            # Warnings about the options and the files were shown before.
            shown |= {*lesson.warnings}
            views.show_warnings(one for one in done.warnings if one not in shown)
        if grow:
            with growth_views.show_progress() as beat:
                cli_grow.show_outcomes(growing.grow_due(opened, beat), as_json=as_json)


@click.command
@click.argument("path", type=PATH, help="An image, a sound, a folder, an .npz or a .csv.")
@home_option
@rate_option
@json_option
def predict(*, path: Path, home: Path, rate_hz: int, as_json: bool) -> None:
    """Classify examples and report which are new (out of distribution).  Learns nothing."""
    score = views.PredictionScore()
    with Home(home, writable=False) as opened:
        found, warnings = actions.predict_path(opened, path, rate_hz)
        views.show_warnings(warnings)
        if not as_json:
            views.show_prediction_names()
        for one in found:
            views.show_json(one) if as_json else views.show_prediction(one)
            score.count(one)
    if not as_json:
        views.show_score(score)
    if not score.decided:
        raise SystemExit(1)


@click.command
@home_option
@json_option
def inspect(*, home: Path, as_json: bool) -> None:
    """Show the knowledge: concepts, receipts, encoder and file."""
    with Home(home, writable=False) as opened:
        shown = actions.inspect_home(opened)
    views.show_json(shown) if as_json else views.show_inspection(shown)


@click.command
@home_option
@json_option
def verify(*, home: Path, as_json: bool) -> None:
    """Check the file, derive the knowledge again and compare digests.

    Exit status 1 if anything differs.
    """
    with Home(home, writable=False) as opened:
        result = actions.verify_home(opened)
    views.show_json(result) if as_json else views.show_verified(result)
    if result.complaints:
        raise SystemExit(1)


# The help lists the verbs in this order: that of first use.
for verb in (
    cli_sim.demo,
    init,
    cli_run.run,
    cli_run.check,
    cli_run.doctor,
    cli_web.web,
    learn,
    cli_grow.grow,
    predict,
    cli_watch.status,
    cli_watch.top,
    cli_watch.label,
    cli_watch.confirm,
    cli_undo.unlabel,
    cli_undo.undo,
    cli_command.command,
    cli_command.keygen,
    cli_bundle.bundle,
    cli_fleet_train.fleet,
    inspect,
    cli_grow.adaptors,
    cli_grow.rollback,
    cli_change.relabel,
    cli_change.forget,
    cli_audit.audit,
    verify,
    cli_change.fit_geometry,
    cli_files.backup,
    cli_files.restore,
    cli_files.export,
    cli_files.merge,
    cli_encoder.encoder_verbs,
    cli_forecast.forecast,
    cli_train.train,
    cli_bridge.export_c,
    cli_bridge.bridge,
    cli_sim.simulate,
):
    app.add_command(verb)
