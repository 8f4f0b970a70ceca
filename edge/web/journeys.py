"""Journeys of new domains, from the first observation until the domain is classified.

Computed from events of the history, as the daemon's command `history` returns them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..pages import plural

KINDS: Final = ("alarm", "label-request", "label", "answered", "growth")
"""Kinds of events that a journey consists of."""

JOURNEYS_MAX: Final = 6
"""Journeys shown, newest first: as many as fit next to the time line.  Chosen by hand."""

NS_PER_S: Final = 10**9
"""Nanoseconds in a second."""


@dataclass(frozen=True)
class JourneyStep:
    """text: what happened; after_s: seconds since the first observation of the domain."""

    text: str
    at_ns: int
    after_s: float


@dataclass(frozen=True, kw_only=True)
class Journey:
    """A new domain.  answered: whether it is; seconds: from its first observation to answers, or
    to the newest step."""

    domain: str
    stream: str
    answered: bool
    seconds: float
    steps: tuple[JourneyStep, ...]


def journeys(events: Sequence[Mapping[str, Any]]) -> tuple[Journey, ...]:
    """Return the newest journeys.  events: of `KINDS`, newest first."""
    oldest_first = events[::-1]
    ended = [one for one in events if one["kind"] == "answered"]
    made = [_journey(one, oldest_first) for one in ended]
    found = {one["stream"]: one for one in oldest_first if one["kind"] == "alarm"}
    over = {(one["stream"], one["fields"]["from_ns"]) for one in ended}
    started = [
        one
        for one in found.values()
        if one["fields"].get("raised") and (one["stream"], one["at_ns"]) not in over
    ]
    made += [_journey(one, oldest_first) for one in started]
    made.sort(key=lambda one: one.steps[-1].at_ns, reverse=True)
    return tuple(made[:JOURNEYS_MAX])


def _journey(one: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> Journey:
    """Return the journey that an event ends (`answered`), or that an alarm began.  events: oldest
    first."""
    answered = one["kind"] == "answered"
    begun_ns = int(one["fields"]["from_ns"]) if answered else int(one["at_ns"])
    end_ns = int(one["at_ns"]) if answered else max(int(e["at_ns"]) for e in events)
    stream, domain = str(one["stream"]), str(one["domain"])
    during = [e for e in events if begun_ns <= int(e["at_ns"]) <= end_ns]
    asked = [e for e in during if e["kind"] == "label-request" and e["stream"] == stream]
    labels = [e for e in during if e["kind"] == "label" and e["domain"] in ("", domain)]
    grown = [
        e
        for e in events
        if e["kind"] == "growth"
        and e["domain"] == domain
        and e["fields"].get("state") == "serving"
        and int(e["at_ns"]) >= begun_ns
    ]
    found = [("left the known domains", begun_ns)]
    found += [("labels requested", int(e["at_ns"])) for e in asked[:1]]
    found += [("first label", int(e["at_ns"])) for e in labels[:1]]
    found += [("adaptor in service", int(e["at_ns"])) for e in grown[:1]]
    if answered:
        count = sum(int(e["fields"].get("count", 1)) for e in labels)
        many = f" after {plural(count, 'label')}" if count > 1 else ""
        found.append((f"classified{many}", end_ns))
    found.sort(key=lambda step: step[1])
    steps = tuple(JourneyStep(text, at, (at - begun_ns) / NS_PER_S) for text, at in found)
    return Journey(
        domain=domain,
        stream=stream,
        answered=answered,
        seconds=(end_ns - begun_ns) / NS_PER_S if answered else steps[-1].after_s,
        steps=steps,
    )
