"""The verb `auricle forecast`: forecasts, change points and anomalies of recorded time series."""

import os
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from statistics import median

import click

from ...core import ConfigError
from ...core.anomaly import FALSE_ALARMS_PER_DAY, FALSE_ALARMS_PER_DAY_MAX
from ...core.drift import DetectedChange
from ...datasets import SeriesFile, SeriesRows, read_recording
from ...extras import install_command
from ...home import (
    DEFAULT,
    ForecastOptions,
    ForecastRow,
    ForecastScore,
    anomaly_as_data,
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
    help="CSV, a row per sample, a column per channel; - reads standard input.",
)
@click.option(
    "--horizon", type=int, multiple=True, help="Steps ahead; repeatable.  Default: 1, 6 and 12."
)
@click.option("--period", type=int, help="Rows of a season; default: a day, if the CSV has times.")
@click.option("--weights", type=PATH, help="Weights of your own network, from `auricle train`.")
@click.option(
    "--forecaster",
    default=DEFAULT,
    show_default=True,
    help="A kind listed in docs/explanation/forecasting.md.",
)
@click.option(
    "--detector",
    help="auto, joint, segments, cusum or sequential; default: segments below 6 columns, auto up"
    " to 40.",
)
@click.option(
    "--false-alarms-per-day",
    type=click.FloatRange(min=0, min_open=True, max=FALSE_ALARMS_PER_DAY_MAX),
    default=FALSE_ALARMS_PER_DAY,
    help="Rate of false anomaly alarms; default: one a week.",
)
@click.option("--plot", type=PATH, help="File for a plot, .png; needs the extra sim.")
@json_option
def forecast(
    *,
    file: Path,
    horizon: tuple[int, ...],
    period: int | None,
    weights: Path | None,
    forecaster: str,
    detector: str | None,
    false_alarms_per_day: float,
    plot: Path | None,
    as_json: bool,
) -> None:
    """Forecast the columns of a CSV with intervals; report change points and anomalies."""
    ahead = tuple(sorted(set(horizon or (1, 6, 12))))
    choice = ForecastOptions(
        kind=forecaster,
        horizons=ahead,
        period=period,
        weights=weights,
        detector=detector,
        false_alarms_per_day=false_alarms_per_day,
    )
    if plot:
        _check_plot(plot)
    if file == STDIN:
        rows = SeriesRows(sys.stdin)
        forecast_view.show_left_out(rows.left_out)
        chart = forecast_view.ForecastPlot(rows.names)
        _follow(forecast_file(rows, len(rows.names), choice), rows.names, chart, as_json=as_json)
        began_s = rows.began_s
    else:
        recording = read_recording(file)
        forecast_view.show_left_out(recording.left_out)
        chart = forecast_view.ForecastPlot(recording.names)
        _whole(recording, choice, chart, as_json=as_json)
        began_s = recording.began_s
    if plot:
        chart.draw(plot, began_s)
        if not as_json:
            views.say(f"plot {plot}")


def _check_plot(path: Path) -> None:
    """Raise ConfigError for a plot that cannot be drawn, before the rows are read."""
    if find_spec("matplotlib") is None:
        raise ConfigError(
            "drawing the forecast: matplotlib is not installed",
            f"install the extra: {install_command('sim')}, or leave --plot out",
        )
    if path.suffix.lower() != ".png" or path.is_dir():
        raise ConfigError(
            f"drawing the forecast: expected a file that ends in .png, found {path}",
            "name a .png file, or leave --plot out",
        )
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ConfigError(
            f"drawing the forecast: {path} is not writable",
            "name a file in an existing folder that you may write to",
        )


def _follow(
    rows: Iterable[ForecastRow],
    names: tuple[str, ...],
    chart: forecast_view.ForecastPlot,
    *,
    as_json: bool,
) -> None:
    """Print the forecast after each row as it arrives."""
    for row in rows:
        views.show_json(row_as_data(row, names)) if as_json else forecast_view.show_live(row, names)
        sys.stdout.flush()
        chart.take(row)


def _whole(
    recording: SeriesFile,
    choice: ForecastOptions,
    chart: forecast_view.ForecastPlot,
    *,
    as_json: bool,
) -> None:
    """Print the forecast after a file's last row, and the errors of all earlier forecasts."""
    names, elapsed_s = recording.names, recording.elapsed_s
    score, changes = ForecastScore(choice.horizons), list[DetectedChange]()
    alarms = list[ForecastRow]()
    pairs = zip(elapsed_s.tolist(), recording.values, strict=True)
    for row in forecast_file(pairs, len(names), choice):
        score.add(row)
        changes += row.changes
        alarms += [row] if row.anomaly.raised else []
        chart.take(row)
    if as_json:
        found = [change_as_data(change, names) for change in changes]
        raised = [anomaly_as_data(alarm, names) for alarm in alarms]
        views.show_json(
            row_as_data(row, names)
            | {"record": score.figures(), "changes": found, "anomalies": raised}
        )
        return
    forecast_view.show_forecast(row, names)
    step_s = median(elapsed_s[1:]) if recording.timed and len(elapsed_s) > 1 else None
    forecast_view.show_errors(score.figures(), len(elapsed_s), step_s)
    forecast_view.show_changes(changes, names)
    forecast_view.show_anomalies(alarms, row.anomaly, names)
