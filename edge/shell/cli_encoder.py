"""`auricle encoder`: cards for foreign models, and their quantisers."""

from pathlib import Path
from typing import Annotated

import typer

import encoder

from ..core import ConfigError
from . import actions, views
from .cli_options import HERE, HomeOption, JsonOption, RateOption, YesOption
from .examples import Skipped
from .sound_files import RATE_HZ
from .tables import read_column_names

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Describe and calibrate encoders."
)


@app.command()
def card(
    model: Annotated[Path, typer.Argument(help="An ONNX file with one or more feature outputs.")],
    out: Annotated[Path | None, typer.Option(help="Where to write the card.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a card for a foreign ONNX model; look it over before use."""
    target = out or model.with_suffix(".card.toml")
    if target.exists():
        raise ConfigError(f"writing the card {target}: the file exists already", "choose --out")
    made = encoder.describe_model(model)
    encoder.save_card(made, target)
    _show(made, target, (), as_json)


@app.command()
def calibrate(
    card_path: Annotated[Path, typer.Argument(metavar="CARD", help="The card to complete.")],
    data: Annotated[Path, typer.Argument(help="Sample data: images, sounds, .npz or .csv.")],
    out: Annotated[Path | None, typer.Option(help="The calibrated card; default: CARD.")] = None,
    granularity: Annotated[
        encoder.Granularity, typer.Option(help="One scale per tap, or per channel.")
    ] = "tap",
    rate_hz: RateOption = RATE_HZ,
    as_json: JsonOption = False,
) -> None:
    """Freeze a card's uint8 quantiser from sample data."""
    target = out or card_path
    given = encoder.load_card(card_path)
    if target.exists() and (out is not None or given.quantiser is not None):
        raise ConfigError(
            f"calibrating {card_path}: {target} is frozen already, and homes may stand on it",
            "choose another file with --out",
        )
    with encoder.open_model(given) as model, views.counting("measuring") as tick:
        made, skipped = actions.calibrate_card(model, data, granularity, tick, rate_hz)
    encoder.save_card(made, target)
    _show(made, target, skipped, as_json)


@app.command()
def columns(
    file: Annotated[
        Path | None, typer.Argument(help="A CSV with a header, or a text file, one name a line.")
    ] = None,
    home: HomeOption = HERE,
    replace_names: YesOption = False,
    as_json: JsonOption = False,
) -> None:
    """Name the columns of a home's vectors, in the order in which they were learned; without FILE
    show their names."""
    names = read_column_names(file) if file is not None else ()
    held = actions.name_columns(home, names, replace_names=replace_names)
    if as_json:
        views.show_json({"columns": held})
    elif held:
        views.show_table(("column", "name"), enumerate(held))
    else:
        views.say("the columns have no names and count by position")


def _show(made: encoder.Card, path: Path, skipped: tuple[Skipped, ...], as_json: bool) -> None:
    if as_json:
        said = {"card": str(path), "fingerprint": made.fingerprint, "skipped": skipped}
        views.show_json(said)
        return
    frozen = "frozen" if made.quantiser is not None else "none yet: auricle encoder calibrate"
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
