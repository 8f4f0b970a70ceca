"""The verb `auricle train`: train a forecasting network on the user's data."""

from pathlib import Path

import click

from ...core import EdgeError
from ...core.forecasting import SEASON_STEPS
from ...datasets import read_recording
from ...export import write_onnx
from ...home import train_on_recording
from ...storage import write_weights
from ..options import PATH, json_option
from ..views import common as views
from ..views import growth as growth_views

NETWORK_RECIPES = ("plain", "rewarm", "budget-free", "warm-start")
"""The recipes of `edge.growth`, which runs in the worker process alone."""


@click.command
@click.argument("file", type=PATH, help="CSV, a row per sample, a column per channel.")
@click.option("--out", type=PATH, required=True, help="File for the weights, .safetensors.")
@click.option(
    "--period", type=int, help="Samples of a season; default: a day, if the CSV has times."
)
@click.option("--onnx", type=PATH, help="Also write the network as an ONNX graph to this file.")
@click.option(
    "--seed", type=int, default=1, show_default=True, help="Seed of the random initialisation."
)
@click.option(
    "--recipe",
    type=click.Choice(NETWORK_RECIPES),
    default="plain",
    show_default=True,
    help="How it is trained: on windows of the whole recording, or on the newest quarter last.",
)
@json_option
def train(
    *,
    file: Path,
    out: Path,
    period: int | None,
    onnx: Path | None,
    seed: int,
    recipe: str,
    as_json: bool,
) -> None:
    """Train a liquid forecaster on a recording; write it if it beats the shipped one."""
    recording = read_recording(file)
    with growth_views.show_progress() as beat:
        result = train_on_recording(
            recording.values,
            recording.elapsed_s,
            period,
            seed=seed,
            recipe=recipe,
            beat=lambda: beat(file.name),
        )
    if not result.arrays:
        raise EdgeError(f"training on {file}: {result.reason}", "nothing was written")
    write_weights(out, dict(result.arrays))
    if onnx:
        write_onnx(onnx, dict(result.arrays))
    if as_json:
        errors = {"horizons": SEASON_STEPS, "own": result.own, "shipped": result.start}
        views.show_json({"weights": str(out), **errors})
        return
    views.say(f"wrote {out}; error on the last fifth, relative to repeating the last value:")
    rows = zip(SEASON_STEPS, result.own, result.start, strict=True)
    views.show_table(
        ("steps ahead", "own", "shipped"),
        ((ahead, f"{own:.3f}", f"{shipped:.3f}") for ahead, own, shipped in rows),
    )
