"""The verb `auricle forecast`: what a stream of numbers will do next, and when it changed."""

import os
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import click

from ...core import ConfigError
from ...core.drift import DetectedChange
from ...datasets import SeriesFile, SeriesRows, read_recording
from ...home import (
    DEFAULT,
    ForecastOptions,
    ForecastRow,
    ForecastScore,
    change_as_data,
    forecast_file,
    row_as_data,
)
from ..options import PATH, json_option
from ..views import common as views
from ..views import forecast as forecast_view

STDIN = Path("-")


@click.command
@click.argument(
    "file",
    type=PATH,
    help="CSV: a row a sample, a column a channel; - reads standard input row by row.",
)
@click.option(
    "--horizon", type=int, multiple=True, help="Steps ahead; repeat. Default 1, 6 and 12."
)
@click.option("--period", type=int, help="Rows of a season; else the day, where times are given.")
@click.option("--weights", type=PATH, help="A network of your own, from `auricle train`.")
@click.option(
    "--forecaster",
    default=DEFAULT,
    show_default=True,
    help="A kind of docs/explanation/forecasting.md.",
)
@click.option("--detector", help="joint, cusum or sequential. Default: cusum below 6 columns.")
@click.option("--plot", type=PATH, help="File for a picture, .png; needs the extra sim.")
@json_option
def forecast(
    *,
    file: Path,
    horizon: tuple[int, ...],
    period: int | None,
    weights: Path | None,
    forecaster: str,
    detector: str | None,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Forecast a CSV's columns with intervals, and say where the stream changed."""
    ahead = tuple(sorted(set(horizon or (1, 6, 12))))
    choice = ForecastOptions(forecaster, ahead, period, weights, detector)
    if plot:
        _check_plot(plot)
    if file == STDIN:
        rows = SeriesRows(sys.stdin)
        forecast_view.show_left_out(rows.left_out)
        picture = forecast_view.Picture(rows.names)
        _follow(forecast_file(rows, len(rows.names), choice), rows.names, picture, as_json=as_json)
        began_s = rows.began_s
    else:
        recording = read_recording(file)
        forecast_view.show_left_out(recording.left_out)
        picture = forecast_view.Picture(recording.names)
        _whole(recording, choice, picture, as_json=as_json)
        began_s = recording.began_s
    if plot:
        picture.draw(plot, began_s)
        if not as_json:
            views.say(f"picture {plot}")


def _check_plot(path: Path) -> None:
    """Raise ConfigError for a picture that could not be drawn, before an hour's rows were read."""
    if find_spec("matplotlib") is None:
        raise ConfigError(
            "drawing the forecast: matplotlib is not installed",
            "install the extra: pip install 'auricle[sim]', or leave --plot out",
        )
    if path.suffix.lower() != ".png" or path.is_dir():
        raise ConfigError(
            f"drawing the forecast: expected a file that ends in .png, found {path}",
            "name it so, or leave --plot out",
        )
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ConfigError(
            f"drawing the forecast: {path} cannot be written to",
            "name a file in a folder that is there and yours to write",
        )


def _follow(
    looks: Iterable[ForecastRow],
    names: tuple[str, ...],
    picture: forecast_view.Picture,
    *,
    as_json: bool,
) -> None:
    """Print each row's forecast as the row comes."""
    for look in looks:
        views.show_json(row_as_data(look, names)) if as_json else forecast_view.show_live(
            look, names
        )
        sys.stdout.flush()
        picture.take(look)


def _whole(
    recording: SeriesFile, choice: ForecastOptions, picture: forecast_view.Picture, *, as_json: bool
) -> None:
    """Print what is expected after a file's last row, and how good earlier forecasts were."""
    names, elapsed_s = recording.names, recording.elapsed_s
    record, changes = ForecastScore(choice.horizons), list[DetectedChange]()
    pairs = zip(elapsed_s.tolist(), recording.values, strict=True)
    for look in forecast_file(pairs, len(names), choice):
        record.add(look)
        changes += look.changes
        picture.take(look)
    if as_json:
        told = [change_as_data(change, names) for change in changes]
        views.show_json(row_as_data(look, names) | {"record": record.figures(), "changes": told})
        return
    forecast_view.show_forecast(look, names)
    step_s = median(elapsed_s[1:]) if recording.timed and len(elapsed_s) > 1 else None
    forecast_view.show_record(record.figures(), len(elapsed_s), step_s)
    forecast_view.show_changes(changes, names)
