"""The screen Now: a card for each stream, live, and the answer to a lasting alarm in one click."""

import asyncio
import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from microdot import Request, Response

from ...pages import plural
from .. import phrases
from ..client import AskError
from ..common import field
from ..console import Console
from ..live import StreamNews
from ..screen import Route, Screen
from ..series import SHARED

SPARK_WIDTH: Final = 240
"""Width of a sparkline in its own units: four for each of 60 values."""

SPARK_VALUES_MIN: Final = 4
"""Fewest places for p-values in a sparkline: as many as a daemon keeps for a console's start."""

SPARK_HEIGHT: Final = 48
"""Height of a sparkline in its own units."""

P_MIN: Final = 1e-3
"""Smallest p-value that a sparkline shows: smaller ones are drawn at its upper edge."""

SERIES_SAMPLES: Final = 120
"""Newest samples of a series in its sparkline: one each two units."""

SERIES_S: Final = 2.0
"""Seconds to wait for a series: a card without its line is better than a page that waits.  Chosen
by hand; effect not measured."""

NEAREST_ANSWER: Final = "This domain has no labels yet; the nearest known domains answer."
"""What a card says of a domain that is not adapted to."""

CHANNELS_MAX: Final = 3
"""Channels of a series in one sparkline: more lines cannot be distinguished at this size."""


@dataclass(frozen=True, kw_only=True)
class StreamCard:
    """What a stream's card shows.  tone, state: its badge.  spark: lines of the sparkline as points
    of SVG; limit: height of the chosen rate in it, None for a series.  picture: the observation
    whose raw input is shown, empty for none.  trouble: sentences, worst first.  policy: of
    adaptation, in force where the stream is in a domain without labels, else empty."""

    stream: dict[str, Any]
    decision: dict[str, Any] | None
    tone: str
    state: str
    spark: tuple[str, ...]
    limit: float | None
    picture: str
    rate_chosen: float
    trouble: tuple[str, ...]
    channels: tuple[str, ...] = ()
    policy: str = ""


async def page(console: Console, _request: Request) -> Response:
    """Show the screen; before there is a home, the first run."""
    if not (console.folder / "auricle.toml").exists():
        return Response(b"", 303, {"Location": "first-run"})
    return console.render("now.html", **await _content(console))


async def cards(console: Console, _request: Request) -> Response:
    """Show the cards alone, for a page that is open."""
    return await console.parts.shared.render(console, "now_cards.html", _content)


async def confirm(console: Console, request: Request) -> Response:
    """Answer the question about a lasting alarm."""
    stream, harmless = field(request, "stream"), field(request, "harmless") == "yes"
    body = await console.ask(
        "confirm", stream=stream, harmless=harmless, home=field(request, "home")
    )
    text = (
        f"{stream}: the present state now counts as normal, and the alarm has ended."
        if harmless
        else f"{stream}: this counts as a real change; the alarm stays, and its question is closed."
    )
    return console.done(text, undo_id=str(body.get("undo_id", "")))


async def adapt(console: Console, request: Request) -> Response:
    """Switch adaptation to domains without labels on or off, for a home."""
    policy = "off" if field(request, "policy") == "off" else "auto"
    await console.ask("adaptation", policy=policy, home=field(request, "home"))
    return console.done(
        "Domains without labels are answered by the nearest known domains as they are."
        if policy == "off"
        else "Answers adapt to domains without labels again."
    )


async def _content(console: Console) -> dict[str, Any]:
    live = console.parts.live
    await live.refresh()
    status = live.status
    homes = {home["name"]: home for home in status["homes"]}
    series = await _series(console, status["streams"])
    made = [
        card_of(
            stream,
            live.streams.get(stream["name"]),
            homes.get(stream["home"], {}),
            series.get(stream["name"]),
        )
        for stream in status["streams"]
    ]
    order = {"bad": 0, "new": 1, "warn": 2}
    made.sort(key=lambda card: order.get(card.tone, 3))
    return {"status": status, "cards": made, "totals": totals_of(status)}


async def _series(console: Console, streams: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Return the newest samples of each series; one that has none yet is left out."""

    async def ask(stream: dict[str, Any]) -> tuple[str, Any]:
        found = None
        with suppress(AskError, TimeoutError):
            async with asyncio.timeout(SERIES_S):
                found = await SHARED.ask(console, stream["name"], stream["home"], 1)
        return stream["name"], found

    asked = [ask(one) for one in streams if one["kind"] == "series" and one["forecasts"]]
    return {name: found for name, found in await asyncio.gather(*asked) if found}


def card_of(
    stream: dict[str, Any], news: StreamNews | None, home: dict[str, Any], series: Any = None
) -> StreamCard:
    """Return the card of a stream.  home: its state, empty if it is not known.  series: its newest
    samples, for a series."""
    rate_chosen = float(home.get("false_alarm_rate", 0.0))
    decision = news.decision if news is not None else None
    pictured = stream["kind"] == "sample" and home.get("kind") != "vector"
    tone, state = _state(stream, decision)
    if series:
        lines = [_line(channel[-SERIES_SAMPLES:]) for channel in series["values"][:CHANNELS_MAX]]
        spark, limit = tuple(line for line in lines if line), None
    else:
        judged = news is not None and len(news.p_values) > 1 and news.decision["known"] is not None
        spark = (_p_values(news.p_values),) if news is not None and judged else ()
        limit = _height(rate_chosen) if rate_chosen else None
    return StreamCard(
        stream=stream,
        decision=decision,
        tone=tone,
        state=state,
        spark=spark,
        limit=limit,
        picture=str(decision["observation_id"]) if decision and pictured else "",
        rate_chosen=rate_chosen,
        trouble=tuple(_trouble(stream, decision, home)),
        channels=tuple(series["channels"]) if series else (),
        policy=str(home.get("adaptation", "")) if stream["degraded"] else "",
    )


def totals_of(status: dict[str, Any]) -> dict[str, int]:
    """Return what all homes hold together."""
    return {
        name: sum(home[name] for home in status["homes"])
        for name in ("facts", "concepts", "candidates")
    }


def _state(stream: dict[str, Any], decision: dict[str, Any] | None) -> tuple[str, str]:
    """Return the tone and the words of a card's badge."""
    if stream["problem"]:
        return "bad", "no data"
    if stream["alarmed"]:
        return "new", "alarm"
    if stream["input_problem"]:
        return "warn", "rejecting"
    if stream["kind"] == "series":
        return ("good", "forecasting") if stream["forecasts"] else ("quiet", "waiting")
    if decision is None:
        return ("quiet", "answering") if stream["decided"] else ("quiet", "waiting")
    if decision["known"] is None:
        return "quiet", "learning"
    return ("good", "known") if decision["known"] else ("new", "new")


def _trouble(
    stream: dict[str, Any], decision: dict[str, Any] | None, home: dict[str, Any]
) -> Iterable[str]:
    if stream["problem"]:
        yield f"The source is not working: {stream['problem']}"
    if stream["input_problem"]:
        yield f"Measurements are rejected: {stream['input_problem']}"
    if decision is not None and decision["known"] is None and decision["reason"]:
        calibrations = home.get("calibration", ())
        if calibrations and not any(one["shortfall"] for one in calibrations):
            yield "Out-of-distribution detection became ready after the newest measurement."
        else:
            yield f"Out-of-distribution detection is not ready: {decision['reason']}"
    if decision is not None and decision.get("provisional"):
        parts = [one for one in decision["provisional"] if one != "judgement"]
        derived = f"these are derived again: {', '.join(parts)}"
        judged = "an adaptor that was made again answers until growth has judged it"
        yield f"Provisional answers: facts were forgotten, and {derived if parts else judged}."
    if stream["dropped"]:
        yield f"{plural(stream['dropped'], 'measurement')} dropped because they arrived too fast."
    if stream["degraded"]:
        adaptation = decision.get("adaptation") if decision is not None else None
        yield phrases.adapted(adaptation) or NEAREST_ANSWER


def _height(p_value: float) -> float:
    """Return the height of a p-value in a sparkline: on a logarithmic scale, unusual ones high."""
    share = math.log10(min(max(p_value, P_MIN), 1.0)) / math.log10(P_MIN)
    return round(SPARK_HEIGHT - 2 - share * (SPARK_HEIGHT - 4), 1)


def _p_values(values: Iterable[float]) -> str:
    """Return the points of the newest p-values, the newest one at the right edge.  Few of them take
    up more room each, down to a few, so that a console that has just started shows a line."""
    newest = list(values)
    places = max(len(newest), SPARK_VALUES_MIN)
    step = SPARK_WIDTH / (places - 1)
    first = places - len(newest)
    return " ".join(
        f"{(first + place) * step:.1f},{_height(value)}" for place, value in enumerate(newest)
    )


def _line(values: Sequence[float | None]) -> str:
    """Return the points of a channel between its own smallest and largest value."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return ""
    low, high = min(known), max(known)
    scale = (SPARK_HEIGHT - 4) / (high - low) if high > low else 0.0
    step = SPARK_WIDTH / max(len(values) - 1, 1)
    return " ".join(
        f"{place * step:.1f},{SPARK_HEIGHT - 2 - (value - low) * scale:.1f}"
        for place, value in enumerate(values)
        if value is not None
    )


ROUTES: Final = (
    Route("GET", "", page),
    Route("GET", "now-cards", cards),
    Route("POST", "now-confirm", confirm, "labeller"),
    Route("POST", "now-adaptation", adapt, "owner"),
)
SCREEN: Final = Screen("now", "Now", "n", "viewer", ROUTES)
