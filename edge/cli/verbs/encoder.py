"""`auricle encoder`: cards and quantisers for other ONNX models."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import click

import encoder

from ...core import ConfigError
from ...datasets import Skipped, read_column_names
from ...home import actions
from ..options import PATH, VerbGroup, home_option, json_option, rate_option
from ..views import common as views


@click.group("encoder", cls=VerbGroup)
def encoder_verbs() -> None:
    """Describe and calibrate encoders."""


@encoder_verbs.command
@click.argument("model", type=PATH, help="An ONNX file with one or more feature outputs.")
@click.option("--out", type=PATH, help="File for the card; default: next to the model.")
@json_option
def card(*, model: Path, out: Path | None, as_json: bool) -> None:
    """Write a card for an ONNX model; check it before use."""
    target = out or model.with_suffix(".card.toml")
    if target.exists():
        raise ConfigError(f"writing the card {target}: the file exists already", "choose --out")
    made = encoder.describe_model(model)
    encoder.save_card(made, target)
    _show(made, target, (), as_json=as_json)


@encoder_verbs.command
@click.argument("card_path", metavar="CARD", type=PATH, help="The card to complete.")
@click.argument("data", type=PATH, help="Sample data: images, sounds, .npz or .csv.")
@click.option("--out", type=PATH, help="File for the calibrated card; default: CARD.")
@click.option(
    "--granularity",
    type=click.Choice(get_args(encoder.Granularity)),
    default="tap",
    show_default=True,
    help="One scale for each tap, or for each channel.",
)
@rate_option
@json_option
def calibrate(
    *,
    card_path: Path,
    data: Path,
    out: Path | None,
    granularity: encoder.Granularity,
    rate_hz: int,
    as_json: bool,
) -> None:
    """Calibrate a card's uint8 quantiser on sample data and freeze it."""
    target = out or card_path
    given = encoder.load_card(card_path)
    if target.exists() and (out is not None or given.quantiser is not None):
        raise ConfigError(
            f"calibrating {card_path}: {target} is calibrated already, and homes may use it",
            "choose another file with --out",
        )
    with encoder.open_model(given) as model, views.counting("measuring") as tick:
        made, skipped = actions.calibrate_card(model, data, granularity, tick, rate_hz)
    encoder.save_card(made, target)
    _show(made, target, skipped, as_json=as_json)


@encoder_verbs.command
@click.argument("source", metavar="CARD", help="A card, or the name of a shipped encoder.")
@click.option("--out", type=PATH, required=True, help="New folder for model.onnx and card.toml.")
@click.option("--side", type=int, help="Pictures of N x N pixels; with --crops: cut from these.")
@click.option("--crops", type=int, help="Average N crops of the card's size; with --side.")
@click.option("--flip", is_flag=True, help="Average a picture and its mirror image.")
@click.option("--taps", metavar="NAMES", help="Only these taps: `stage5,stage4` ends early.")
@click.option("--spread", metavar="NAMES", help="Add the spread of these taps; calibrate next.")
@click.option("--beside", metavar="CARD", help="Add the taps of a second encoder.")
@json_option
def vary(*, source: str, out: Path, as_json: bool, **wanted: Any) -> None:
    """Write another form of an encoder: one kind of change at a time."""
    if out.exists():
        raise ConfigError(f"writing an encoder to {out}: it exists already", "choose another --out")
    given = encoder.load_card(encoder.SHIPPED.get(source, source))
    _show(_form_of(given, out, **wanted), out / "card.toml", (), as_json=as_json)


def _form_of(
    card: encoder.Card,
    out: Path,
    *,
    side: int | None,
    crops: int | None,
    flip: bool,
    taps: str | None,
    spread: str | None,
    beside: str | None,
) -> encoder.Card:
    """Return the form that the options name."""
    made: dict[str, Callable[[], encoder.Card]] = {}
    if crops is not None and side is None:
        raise ConfigError(
            f"varying encoder {card.name}: expected the side of the pictures that --crops are cut "
            "from, found none",
            "give --side too, larger than the pictures of the card",
        )
    if crops is not None and side is not None:
        made["--crops"] = lambda: encoder.cropped(card, side, crops, out)
    elif side is not None:
        made["--side"] = lambda: encoder.at_side(card, side, out)
    if flip:
        made["--flip"] = lambda: encoder.flipped(card, out)
    if taps is not None:
        made["--taps"] = lambda: encoder.with_taps(card, taps.split(","), out)
    if spread is not None:
        made["--spread"] = lambda: encoder.with_spread(card, spread.split(","), out)
    if beside is not None:
        second = encoder.load_card(encoder.SHIPPED.get(beside, beside))
        made["--beside"] = lambda: encoder.side_by_side([card, second], out)
    if len(made) != 1:
        raise ConfigError(
            f"varying encoder {card.name}: expected one change, found {' '.join(made) or 'none'}",
            "give one of --side, --crops, --flip, --taps, --spread or --beside a call",
        )
    return next(iter(made.values()))()


@encoder_verbs.command
@click.argument(
    "file",
    type=PATH,
    required=False,
    help="A CSV with a header, an .npz with `columns`, or text, one name per line.",
)
@home_option
@click.option("--yes", "replace_names", is_flag=True, help="Replace existing names.")
@json_option
def columns(*, file: Path | None, home: Path, replace_names: bool, as_json: bool) -> None:
    """Name the columns of a home's vectors, in the order of the learned data.

    Without FILE it shows their names.
    """
    names = read_column_names(file) if file is not None else ()
    held = actions.name_columns(home, names, replace_names=replace_names)
    if as_json:
        views.show_json({"columns": held})
    elif held:
        views.show_table(("column", "name"), enumerate(held))
    else:
        views.say("the columns have no names and are matched by position")


def _show(made: encoder.Card, path: Path, skipped: tuple[Skipped, ...], *, as_json: bool) -> None:
    if as_json:
        shown = {"card": str(path), "fingerprint": made.fingerprint, "skipped": skipped}
        views.show_json(shown)
        return
    frozen = "frozen" if made.quantiser is not None else "none yet; run auricle encoder calibrate"
    views.show_pairs(
        (
            ("card", path),
            ("kind", made.kind),
            ("taps", ", ".join(f"{tap.name} {tap.width}" for tap in made.taps)),
            ("licence", made.licence),
            ("quantiser", frozen),
            ("fingerprint", made.fingerprint),
            *(("to check", note) for note in made.notes),
        )
    )
    views.show_skipped(skipped)
