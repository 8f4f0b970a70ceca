"""The screen History: events on a time line, and the progress of new domains."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any, Final
from urllib.parse import urlencode

from microdot import Request, Response

from .. import journeys
from ..client import AskError
from ..common import all_fields, field, whole
from ..console import Console
from ..observations import GALLERY_MAX
from ..screen import Route, Screen

PAGE_EVENTS: Final = 100
"""Events of one page: a few screens of lines.  Chosen by hand; effect not measured."""

JOURNEY_EVENTS: Final = 200
"""Newest events that journeys are made of: the most that the daemon returns at once."""

NUMBER_MAX: Final = 2**53
"""Largest number of an event that is taken from an address: a JSON number stays exact below it."""

NS_PER_S: Final = 10**9
"""Nanoseconds in a second."""


@dataclass(frozen=True)
class EventGroup:
    """Kinds of events that a filter shows or hides together.  tone: colour of their marks."""

    title: str
    tone: str
    kinds: tuple[str, ...]


GROUPS: Final = {
    "alarms": EventGroup("Alarms", "bad", ("alarm", "alarm-question", "alarm-answer")),
    "domains": EventGroup("New domains", "good", ("answered",)),
    "changes": EventGroup("Changes of series", "new", ("change-point", "anomaly")),
    "labels": EventGroup(
        "Labels", "accent", ("label", "relabel", "label-kept", "label-request", "undo")
    ),
    "growth": EventGroup("Growth", "good", ("growth",)),
    "merges": EventGroup("Merges", "accent", ("merge",)),
    "bundles": EventGroup("Bundles", "accent", ("bundle-trial",)),
    "forgets": EventGroup("Forgets", "ink", ("receipt",)),
    "losses": EventGroup("Losses", "bad", ("gap",)),
    "daemon": EventGroup("Daemon", "quiet", ("restart", "clock", "command")),
}

KIND_TITLES: Final = {
    "alarm": "alarm",
    "alarm-question": "lasting alarm",
    "alarm-answer": "alarm answered",
    "answered": "new domain answered",
    "change-point": "change point",
    "anomaly": "anomaly",
    "label": "label",
    "relabel": "relabelled",
    "label-kept": "label kept",
    "label-request": "label request",
    "undo": "undone",
    "growth": "growth",
    "merge": "merge",
    "bundle-trial": "bundle",
    "receipt": "forget",
    "gap": "lost messages",
    "restart": "daemon",
    "clock": "clock",
    "command": "command",
}
"""Title of each kind; other kinds keep their own name."""

EXPLAINED: Final = {
    "window_p": "p-value of the latest observations together: how often known ones are as unusual",
    "p_value": "how often a normal series reaches this score",
    "severity": "size of the change, 0 to 1",
    "regime": "number of the current state of the series",
    "late": "samples between the change and its detection",
    "score": "anomaly score of the sample",
    "limit": "score from which a sample is an anomaly",
    "accuracy": "accuracy of the adaptor on held-out examples",
    "incumbent": "accuracy of its predecessor on the same examples",
    "seconds": "duration in seconds",
    "count": "number of observations",
    "shift": "shift of the stream in its standard deviations",
    "facts": "labelled examples",
}
"""One phrase for the fields of events that are numbers."""


@dataclass(frozen=True)
class HistoryView:
    """What is looked at.  shown: keys of `GROUPS`, none for all; before: a number that all events
    are below, 0 for the newest."""

    home: str
    shown: tuple[str, ...]
    stream: str
    before: int

    @property
    def kinds(self) -> list[str]:
        """The kinds of events, none for all."""
        return [kind for name in self.shown for kind in GROUPS[name].kinds]

    def address(self, before: int = 0) -> str:
        """The relative address of this view, from another event on."""
        given = [("show", name) for name in self.shown]
        for name, value in (("stream", self.stream), ("home", self.home), ("before", before)):
            given += [(name, str(value))] if value else []
        return f"history?{urlencode(given)}" if given else "history"


async def page(console: Console, request: Request) -> Response:
    """Show a page of the time line, and the journeys with its first page."""
    view = read_view(request)
    body = await console.ask(
        "history",
        home=view.home,
        before=view.before,
        kinds=view.kinds,
        stream=view.stream,
        limit=PAGE_EVENTS,
    )
    events = body["events"]
    values: dict[str, Any] = {
        "view": view,
        "days": by_day(events),
        "older": view.address(events[-1]["number"]) if body["more"] else "",
        "groups": GROUPS,
        "titles": KIND_TITLES,
        "tones": {kind: one.tone for one in GROUPS.values() for kind in one.kinds},
        "explained": EXPLAINED,
    }
    if not console.full_page:
        return console.render("history_part.html", **values)
    status = await console.ask("status")
    found: dict[str, Any] = {"events": []}
    if not view.before:
        found = await console.ask(
            "history", home=view.home, kinds=list(journeys.KINDS), limit=JOURNEY_EVENTS
        )
    return console.render(
        "history.html",
        streams=sorted({one["name"] for one in status["streams"]} | {view.stream} - {""}),
        homes=[one["name"] for one in status["homes"]],
        journeys=journeys.journeys(found["events"]),
        **values,
    )


async def why(console: Console, request: Request) -> Response:
    """Go to the recent observation of a stream that was captured nearest to a moment."""
    stream, home = field(request, "stream"), field(request, "home")
    at_ns = whole(field(request, "at"), 0, 2**63)
    body = await console.ask(
        "gallery", home=home, state="recent", order="newest", stream=stream, limit=GALLERY_MAX
    )
    items = body["items"]
    if not items:
        raise AskError(
            f"no observation of {stream!r} is in memory any more",
            "Label shows those that wait for a label",
        )
    nearest = min(items, key=lambda one: abs(one["captured_at_ns"] - at_ns))
    given = {"id": nearest["id"]} | ({"home": home} if home else {})
    return Response(b"", 303, {"Location": f"why?{urlencode(given)}"})


def read_view(request: Request) -> HistoryView:
    """Return what an address asks for; what it does not know is left out."""
    asked = all_fields(request.args, "show")
    return HistoryView(
        home=field(request, "home"),
        shown=tuple(name for name in GROUPS if name in asked),
        stream=field(request, "stream").strip(),
        before=whole(field(request, "before"), 0, NUMBER_MAX),
    )


def by_day(events: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[Mapping[str, Any]]]]:
    """Return events by day in UTC, the newest first.  Events arrive late: a change of yesterday may
    be recorded today."""

    def day(one: Mapping[str, Any]) -> str:
        moment = datetime.fromtimestamp(one["at_ns"] / NS_PER_S, UTC)
        return f"{moment:%A} {moment.day} {moment:%B %Y}"

    newest = sorted(events, key=lambda one: one["at_ns"], reverse=True)
    return [(name, list(group)) for name, group in groupby(newest, key=day)]


SCREEN: Final = Screen(
    "history",
    "History",
    "h",
    "viewer",
    (Route("GET", "history", page), Route("GET", "history-why", why)),
)
