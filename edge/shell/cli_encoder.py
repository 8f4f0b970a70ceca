"""`auricle encoder`: cards for foreign models, and their quantisers."""

from pathlib import Path
from typing import Annotated

import typer

import encoder

from . import actions, views

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Describe and calibrate encoders."
)


@app.command()
def card(
    model: Annotated[Path, typer.Argument(help="An ONNX file with one or more feature outputs.")],
    out: Annotated[Path | None, typer.Option(help="Where to write the card.")] = None,
) -> None:
    """Write a card for a foreign ONNX model; look it over before use."""
    target = out or model.with_suffix(".card.toml")
    made = encoder.describe_model(model)
    encoder.save_card(made, target)
    views.show_card(made, target)


@app.command()
def calibrate(
    card_path: Annotated[Path, typer.Argument(metavar="CARD", help="The card to complete.")],
    data: Annotated[Path, typer.Argument(help="Sample data: images, .npz or .csv.")],
    out: Annotated[Path | None, typer.Option(help="The calibrated card; default: CARD.")] = None,
    granularity: Annotated[
        encoder.Granularity, typer.Option(help="One scale per tap, or per channel.")
    ] = "tap",
) -> None:
    """Freeze a card's uint8 quantiser from sample data."""
    target = out or card_path
    with (
        encoder.open_model(encoder.load_card(card_path)) as model,
        views.counting("measuring") as tick,
    ):
        made, skipped = actions.calibrate_card(model, data, granularity, tick)
    encoder.save_card(made, target)
    views.show_card(made, target)
    views.show_skipped(skipped)
