"""The screen Forecast: a series with its forecasts, changes and anomalies, as charts and tables."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode

from microdot import Request, Response

from ...pages import sentence
from ..client import AskError, DaemonOfflineError
from ..common import field
from ..console import Console
from ..screen import Route, Screen
from ..series import SHARED

FORECASTS: Final = 60
"""Forecasts drawn behind the samples, the newest.  The daemon takes 2 to 11 ms to return them with
the samples, twice as long for 120."""

NUMBERS_MAX: Final = 6_000
"""Numbers of these forecasts in one answer, about 60 kB; a wide series has fewer.  Chosen by
hand; effect not measured."""

STATED: Final = 0.9
"""The coverage that an interval states (`SeriesForecast`)."""

COUNTED_MIN: Final = 50
"""Past forecasts from which an observed coverage is judged: 45 of 50 inside has a 95 % interval of
78 to 96 % (Wilson)."""

OFF: Final = 0.08
"""Difference between stated and observed coverage that is marked: half the width of that interval.
"""

WINDOWS: Final = (120, 360)
"""Newest samples that a chart shows, or all: five and fifteen days of hourly ones.  Chosen by
hand."""

NOTHING_YET: Final = "no sample has arrived since the start"
"""What the daemon says of a series without samples (edge/commands/queries.py)."""

NEXT_ONE: Final = "What was learned is kept, and the charts begin with the next sample."
"""What follows for a person."""

ROWS: Final = 24
"""Newest samples in the table.  Chosen by hand; effect not measured."""

COLUMNS_MAX: Final = 12
"""Channels in the table of samples: wider ones are not read.  Chosen by hand."""


async def page(console: Console, request: Request) -> Response:
    """Show one series; the first one if none is named."""
    status = await console.ask("status")
    series = [one for one in status["streams"] if one["kind"] == "series"]
    asked = field(request, "stream")
    chosen = next((one for one in series if one["name"] == asked), None)
    chosen = chosen or (series[0] if series and not asked else None)
    name = chosen["name"] if chosen else asked
    home = field(request, "home") or (chosen["home"] if chosen else "")
    shown, trouble = (await _read(console, name, home)) if name else (None, "")
    return console.render(
        "forecast.html",
        404 if asked and not chosen and shown is None else 200,
        series=[one["name"] for one in series],
        name=name,
        trouble=trouble,
        alarmed=bool(shown and shown["anomaly"]["alarm"]),
        address=f"forecast-part?{urlencode({'stream': name, 'home': home})}",
        **_values(shown),
    )


async def part(console: Console, request: Request) -> Response:
    """Show what changes with each sample, with the numbers of the charts."""
    shown, trouble = await _read(console, field(request, "stream"), field(request, "home"))
    if shown is None:
        raise AskError(trouble)
    return console.render("forecast_part.html", name=field(request, "stream"), **_values(shown))


async def _read(console: Console, stream: str, home: str) -> tuple[Mapping[str, Any] | None, str]:
    """Return a series, or None and why there is nothing to show yet."""
    try:
        return await SHARED.ask(console, stream, home, FORECASTS), ""
    except DaemonOfflineError:
        raise
    except AskError as error:
        if NOTHING_YET in error.reason:
            return None, f"{error.reason.partition(': ')[2].capitalize()}. {NEXT_ONE}"
        return None, f"{sentence(error.reason)} {sentence(error.hint)}".rstrip()


def _values(shown: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what the templates show of a series."""
    if shown is None:
        return {"shown": None}
    return {
        "shown": shown,
        "drawn": _drawn(shown),
        "numbered": numbered(shown),
        "coverage": coverage_rows(shown),
        "forecast_rows": _forecast_rows(shown),
        "sample_rows": _sample_rows(shown),
        "columns": shown["channels"][:COLUMNS_MAX],
        "events": _events(shown),
        "stated": STATED,
        "windows": [count for count in WINDOWS if count < len(shown["at_ns"])],
    }


def _drawn(shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return the numbers of the charts, without forecasts that a wide series has too many of."""
    each = 3 * max(1, len(shown["horizons"]) * len(shown["channels"]))
    most = max(1, NUMBERS_MAX // each)
    kept = ("channels", "at_ns", "values", "horizons", "regime", "change_points", "anomalies")
    made = {name: shown[name] for name in kept}
    forecasts = shown["forecasts"][-most:]
    made["numbered"] = numbered(shown)
    at_ns = made.pop("at_ns")
    if made["numbered"]:
        made["at_s"] = list(range(1 - len(at_ns), 1))
        made_at = list(range(1 - len(forecasts), 1))
        ahead = [[start + one for one in shown["horizons"]] for start in made_at]
        made |= {"change_points": [], "anomalies": []}
    else:
        # Seconds: a script's numbers hold nanoseconds since 1970 to 256 ns only.
        made["at_s"] = [at / 1e9 for at in at_ns]
        made_at = [one["made_at_ns"] / 1e9 for one in forecasts]
        ahead = [[at / 1e9 for at in one["at_ns"]] for one in forecasts]
    made["forecasts"] = [
        {"made_at_s": start, "at_s": at} | {name: one[name] for name in ("point", "low", "high")}
        for one, start, at in zip(forecasts, made_at, ahead, strict=True)
    ]
    for name in ("change_points", "anomalies"):
        made[name] = [
            {"at_s": one["captured_at_ns"] / 1e9, "channels": one["channels"]}
            | ({"regime": one["regime"], "change": one["change"]} if "regime" in one else {})
            for one in made[name]
        ]
    return made


def numbered(shown: Mapping[str, Any]) -> bool:
    """Return whether the samples have no times of their own, as the rows of a table without times,
    which all get that of their file: a chart then counts samples up to 0, the newest."""
    return 2 * len(set(shown["at_ns"])) < len(shown["at_ns"])


def coverage_rows(shown: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return, for each horizon, the observed and the stated coverage.  counted: past
    forecasts that it rests on; tone: good, warn, or quiet while they are too few."""
    made = []
    for ahead, share in zip(shown["horizons"], shown["coverage"], strict=True):
        counted = max(0, len(shown["at_ns"]) - ahead)
        if share is None or counted < COUNTED_MIN:
            tone, words = "quiet", "too few forecasts"
        elif share < STATED - OFF:
            tone, words = "warn", "intervals too narrow"
        elif share > STATED + OFF:
            tone, words = "warn", "intervals too wide"
        else:
            tone, words = "good", "as nominal"
        made.append(
            {"ahead": ahead, "share": share, "counted": counted, "tone": tone, "words": words}
        )
    return made


def _forecast_rows(shown: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the newest forecast as rows of a table."""
    if not shown["forecasts"]:
        return []
    last = shown["forecasts"][-1]
    return [
        {
            "channel": channel,
            "ahead": ahead,
            "at_ns": last["at_ns"][row],
            "point": last["point"][row][column],
            "low": last["low"][row][column],
            "high": last["high"][row][column],
        }
        for column, channel in enumerate(shown["channels"][:COLUMNS_MAX])
        for row, ahead in enumerate(shown["horizons"])
    ]


def _sample_rows(shown: Mapping[str, Any]) -> list[tuple[int, Sequence[float | None]]]:
    """Return the newest samples as rows of a table, newest first."""
    values = shown["values"][:COLUMNS_MAX]
    newest = range(len(shown["at_ns"]) - 1, -1, -1)[:ROWS]
    return [(shown["at_ns"][at], [column[at] for column in values]) for at in newest]


def _events(shown: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return change points and anomalies, newest first."""
    made = [
        {
            "at_ns": one["captured_at_ns"],
            "kind": "change point",
            "tone": "new",
            "text": f"{one['change']}, now in state {one['regime']}",
            "channels": one["channels"],
            "number": one["severity"],
            "help": "Severity of the change, 0 to 1.",
        }
        for one in shown["change_points"]
    ] + [
        {
            "at_ns": one["captured_at_ns"],
            "kind": "anomaly",
            "tone": "bad",
            "text": "",
            "score": one["score"],
            "limit": one["limit"],
            "channels": one["channels"],
            "number": one["p_value"],
            "help": "How often a normal series reaches this score, per sample.",
        }
        for one in shown["anomalies"]
    ]
    return sorted(made, key=lambda one: -one["at_ns"])


SCREEN: Final = Screen(
    "forecast",
    "Forecast",
    "f",
    "viewer",
    (Route("GET", "forecast", page), Route("GET", "forecast-part", part)),
)
