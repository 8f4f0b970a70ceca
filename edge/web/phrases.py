"""Numbers of the console in one plain sentence each."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ..pages import number, percent, plural

BASES: Final = (100, 1_000)
"""Of how many observations a p-value is stated: the first of which it is at least one."""


def seconds(duration_ms: float) -> str:
    """Return a duration in seconds."""
    value = duration_ms / 1_000
    return f"{value:.1f} s" if value >= 0.1 else f"{value:.2f} s"


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
    """Return how many waiting observations each label has reached, and how many of them surely."""
    return tuple(_agrees(one) for one in agree if one["waiting"])


def _agrees(one: Mapping[str, Any]) -> str:
    label, count, known = one["label"], one["waiting"], one["known"]
    if not known:
        verb = "one now leans" if count == 1 else "ones now lean"
        return f"{number(count)} waiting {verb} towards {label}; too few labels to be sure."
    verb = "one now agrees" if count == 1 else "ones now agree"
    sure = "" if known == count else f", {number(known)} of them surely"
    return f"{number(count)} waiting {verb}: {label}{sure}."


def answers_right(served: Iterable[Mapping[str, int]]) -> str:
    """Return the accuracy of the answers that were served on what people labelled later."""
    found = tuple(served)
    total, right = (sum(one[name] for one in found) for name in ("count", "right"))
    if not total:
        return "No answer was checked yet: each label checks one."
    share = percent(right / total)
    return f"{share} of the answers on {number(total)} labelled observations were right."


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
