from __future__ import annotations

from typing import Any

from edge.web.journeys import JOURNEYS_MAX, journeys

S = 10**9


def event(kind: str, at_s: int, domain: str = "d2", stream: str = "gate", **fields: Any):
    """An event of the history."""
    return {
        "kind": kind,
        "at_ns": at_s * S,
        "domain": domain,
        "stream": stream,
        "text": "",
        "fields": fields,
    }


TAUGHT = [
    event("alarm", 100, raised=True),
    event("label-request", 110),
    event("label-request", 115),
    event("label", 150, stream="", count=3),
    event("label", 151, domain="other", stream="", count=9),
    event("label", 160, stream="", count=2),
    event("answered", 170, from_ns=100 * S, seconds=70.0),
    event("growth", 300, stream="", state="started"),
    event("growth", 400, stream="", state="serving"),
]


def test_a_domain_goes_from_its_alarm_to_answers() -> None:
    """The steps are those of its domain and stream, in order, with the time since the alarm."""
    (made,) = journeys(TAUGHT[::-1])
    assert made.answered
    assert (made.domain, made.seconds) == ("d2", 70)
    assert [(step.text, step.after_s) for step in made.steps] == [
        ("left the known domains", 0),
        ("labels requested", 10),
        ("first label", 50),
        ("classified after 5 labels", 70),
        ("adaptor in service", 300),
    ]


def test_an_alarm_that_goes_on_is_a_journey_without_an_end() -> None:
    """It is shown until its stream is back; an alarm that has ended is not."""
    open_alarm = event("alarm", 200, domain="d3", stream="yard", raised=True)
    (made,) = journeys([open_alarm])
    assert not made.answered
    ended = event("alarm", 210, domain="d3", stream="yard", raised=False)
    assert journeys([ended, open_alarm]) == ()


def test_journeys_are_few_and_the_newest_first() -> None:
    """At most `JOURNEYS_MAX`, by their newest step."""
    events = [
        event("answered", 100 * n, domain=f"d{n}", from_ns=(100 * n - 50) * S)
        for n in range(JOURNEYS_MAX + 3, 0, -1)
    ]
    made = journeys(events)
    assert [one.domain for one in made] == [f"d{n}" for n in range(9, 3, -1)]
    assert journeys([]) == ()
