"""The verb `auricle forecast`: what a stream of numbers will do next, and when it changed."""

import os
import sys
from collections import deque
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from ..core import ConfigError
from ..core.drift import Change
from . import forecast_view, views
from .cli_options import JsonOption
from .lookahead import DEFAULT, Choice, Look, Record, look_ahead, tell, tell_change
from .recordings import Recording, Rows, read_recording

ROWS_DRAWN = 288
STDIN = Path("-")


def forecast(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV: a row a sample, a column a channel; - reads standard input row by row."
        ),
    ],
    horizon: Annotated[
        list[int] | None, typer.Option(help="Steps ahead; repeat. Default 1, 6 and 12.")
    ] = None,
    period: Annotated[
        int | None, typer.Option(help="Rows of a season; else the day, where times are given.")
    ] = None,
    weights: Annotated[
        Path | None, typer.Option(help="A network of your own, from `auricle train`.")
    ] = None,
    forecaster: Annotated[
        str, typer.Option(help="A kind of docs/explanation/forecasting.md.")
    ] = DEFAULT,
    detector: Annotated[
        str | None, typer.Option(help="joint, cusum or sequential. Default: cusum below 6 columns.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="File for a picture, .png; needs the extra sim.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Forecast a CSV's columns with intervals, and say where the stream changed."""  # fmt: skip
    ahead = tuple(sorted(set(horizon or (1, 6, 12))))
    choice = Choice(forecaster, ahead, period, weights, detector)
    if plot:
        _check_plot(plot)
    if file == STDIN:
        rows = Rows(sys.stdin)
        forecast_view.show_left_out(rows.left_out)
        recent = _follow(look_ahead(rows, len(rows.names), choice), rows.names, as_json=as_json)
        names = rows.names
    else:
        recording = read_recording(file)
        forecast_view.show_left_out(recording.left_out)
        names = recording.names
        recent = _whole(recording, choice, as_json=as_json)
    if plot:
        forecast_view.draw_forecast(recent, names, plot)
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


def _follow(looks: Iterable[Look], names: tuple[str, ...], *, as_json: bool) -> list[Look]:
    """Print each row's forecast as the row comes."""
    recent: deque[Look] = deque(maxlen=ROWS_DRAWN)
    for look in looks:
        views.show_json(tell(look, names)) if as_json else forecast_view.show_live(look, names)
        sys.stdout.flush()
        recent.append(look)
    return list(recent)


def _whole(recording: Recording, choice: Choice, *, as_json: bool) -> list[Look]:
    """Print what is expected after a file's last row, and how good earlier forecasts were."""
    recent: deque[Look] = deque(maxlen=ROWS_DRAWN)
    names, elapsed_s = recording.names, recording.elapsed_s
    record, changes = Record(choice.horizons), list[Change]()
    pairs = zip(elapsed_s.tolist(), recording.values, strict=True)
    for look in look_ahead(pairs, len(names), choice):
        record.take(look)
        changes += look.changes
        recent.append(look)
    if as_json:
        told = [tell_change(change, names) for change in changes]
        views.show_json(tell(recent[-1], names) | {"record": record.figures(), "changes": told})
        return list(recent)
    forecast_view.show_forecast(recent[-1], names)
    step_s = median(elapsed_s[1:]) if recording.timed and len(elapsed_s) > 1 else None
    forecast_view.show_record(record.figures(), len(elapsed_s), step_s)
    forecast_view.show_changes(changes, names)
    return list(recent)
