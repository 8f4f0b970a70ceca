"""Numbers of the console in one plain sentence each."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from ..pages import number, percent, plural

UNITS: Final = ((86_400, "day"), (3_600, "hour"), (60, "minute"))
"""Seconds in each unit of an age, the longest first."""

NOW_S: Final = 5
"""Seconds that are called "just now": about as long as reading a page takes."""

BASES: Final = (100, 1_000)
"""Of how many observations a p-value is stated: the first of which it is at least one."""


def seconds(duration_ms: float) -> str:
    """Return a duration in seconds."""
    value = duration_ms / 1_000
    return f"{value:.1f} s" if value >= 0.1 else f"{value:.2f} s"


def age(at_ns: int, now_ns: int) -> str:
    """Return how long ago something was."""
    passed = max(0, now_ns - at_ns) // 1_000_000_000
    for size, noun in UNITS:
        if passed >= size:
            return f"{plural(passed // size, noun)} ago"
    return "just now" if passed < NOW_S else f"{plural(passed, 'second')} ago"


def unusual(p_value: float) -> str:
    """Return a p-value as a sentence: how many known observations look as unusual."""
    if round(p_value * 100) >= 100:
        return "every known observation looks at least as unusual as this one"
    for base in BASES:
        among = round(p_value * base)
        if among >= 1:
            verb = "looks" if among == 1 else "look"
            return f"about {among} of {number(base)} known observations {verb} at least as unusual"
    return "fewer than 1 of 1,000 known observations look as unusual"


def verdict(found: Mapping[str, Any]) -> str:
    """Return the verdict on an observation as a sentence.  found: `known` and `p_value`."""
    if found["known"] is None:
        return (
            "There are too few labelled observations to say whether this is known; each label"
            " brings the answer nearer."
        )
    word = "Known" if found["known"] else "New"
    return f"{word}: {unusual(found['p_value'])}."


def agreement(agree: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return how many waiting observations each label has reached."""
    return tuple(
        f"1 waiting one now agrees: {one['label']}."
        if one["waiting"] == 1
        else f"{number(one['waiting'])} waiting ones now agree: {one['label']}."
        for one in agree
        if one["waiting"]
    )


def answers_right(served: Iterable[Mapping[str, int]]) -> str:
    """Return the accuracy of the answers that were served on what people labelled later."""
    found = tuple(served)
    total, right = (sum(one[name] for one in found) for name in ("count", "right"))
    if not total:
        return "No answer was checked yet: each label checks one."
    share = percent(right / total)
    return f"{share} of the answers on {number(total)} labelled observations were right."


def enough(found: Mapping[str, Any]) -> str:
    """Return whether a label has enough examples.  found: accuracy, low, high, more."""
    low, high = percent(found["low"], 0), percent(found["high"], 0)
    sure = f"{percent(found['accuracy'], 0)} right on held-out examples, {low} to {high} for sure"
    more = found["more"]
    if not more:
        return f"{sure}. More labels would hardly help."
    return f"{sure}. About {number(more)} more labels would help."


def names(given: Sequence[str], most: int = 3) -> str:
    """Return some names in one line."""
    more = f" and {number(len(given) - most)} more" if len(given) > most else ""
    return ", ".join(given[:most]) + more


def growth(adaptor: Mapping[str, Any]) -> str:
    """Return what an adaptor gains.  adaptor: accuracy, incumbent, facts."""
    accuracy, before = adaptor["accuracy"], adaptor["incumbent"]
    if accuracy is None or before is None:
        return ""
    points = 100 * (accuracy - before)
    return f"{percent(before)} right before it, {percent(accuracy)} with it ({points:+.1f} points)"


def calibration(found: Mapping[str, Any] | None) -> str:
    """Return how a domain's false-alarm rate was set."""
    if found is None:
        return "There are too few examples to set a rate of false alarms."
    if found["shortfall"]:
        return f"The chosen rate cannot be kept: {found['shortfall']}."
    held = plural(found["samples"], "example")
    if found["exchangeable"]:
        return f"The chosen rate is kept: {held} were held out, as if in no order of time."
    return (
        f"The chosen rate is kept in time order: {held} were held out in"
        f" {plural(found['blocks'], 'block')} of time, worth"
        f" {number(found['effective_samples'])} independent ones."
    )
