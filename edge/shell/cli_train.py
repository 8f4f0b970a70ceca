"""The verb `auricle train`: a forecasting network of one's own."""

from pathlib import Path
from typing import Annotated

import typer

from ..core import EdgeError
from ..core.forecasting.history import SEASON_STEPS
from . import growth_views, views
from .cli_options import JsonOption
from .liquid_onnx import write_onnx
from .recordings import read_recording
from .studying import study_recording
from .weights import write_weights


def train(
    file: Annotated[Path, typer.Argument(help="CSV: a row a sample, a column a channel.")],
    out: Annotated[Path, typer.Option("--out", help="File for the weights, .safetensors.")],
    period: Annotated[
        int | None, typer.Option(help="Samples of a season; else the day, where times are given.")
    ] = None,
    onnx: Annotated[
        Path | None, typer.Option(help="File for the same network as an ONNX graph, beside it.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Other seeds give other networks.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Train a liquid forecaster on a recording; write it where it beats the shipped one."""
    recording = read_recording(file)
    with growth_views.waiting() as beat:
        result = study_recording(
            recording.values, recording.elapsed_s, period, seed=seed, beat=lambda: beat(file.name)
        )
    if not result.arrays:
        raise EdgeError(f"training on {file}: {result.reason}", "nothing was written")
    write_weights(out, dict(result.arrays))
    if onnx:
        write_onnx(onnx, dict(result.arrays))
    if as_json:
        told = {"horizons": SEASON_STEPS, "own": result.own, "shipped": result.start}
        views.show_json({"weights": str(out), **told})
        return
    views.say(f"wrote {out}; mean error on the last fifth, over that of the last value:")
    rows = zip(SEASON_STEPS, result.own, result.start, strict=True)
    views.show_table(
        ("steps ahead", "own", "shipped"),
        ((ahead, f"{own:.3f}", f"{shipped:.3f}") for ahead, own, shipped in rows),
    )
