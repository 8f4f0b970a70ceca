"""Numbers of the console in one plain sentence each."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from ..pages import number, percent, plural

BASES: Final = (100, 1_000)
"""Of how many observations a p-value is stated: the first of which it is at least one."""


def unusual(p_value: float) -> str:
    """Return a p-value as a sentence: how many known observations look as unusual."""
    if round(p_value * 100) >= 100:
        return "every known observation is at least as unusual as this one"
    for base in BASES:
        among = round(p_value * base)
        if among >= 1:
            verb = "is" if among == 1 else "are"
            return f"about {among} of {number(base)} known observations {verb} at least as unusual"
    return f"fewer than 1 of {number(BASES[-1])} known observations is as unusual"


def verdict(found: Mapping[str, Any]) -> str:
    """Return the verdict on an observation as a sentence.  found: `known`, `p_value` and, where it
    is neither known nor new, `reason`."""
    if found["known"] is None:
        few = "too few labelled examples for out-of-distribution detection"
        return f"Undecided: {found.get('reason') or few}."
    word = "Known" if found["known"] else "New"
    return f"{word}: {unusual(found['p_value'])}."


def adapted(adaptation: Mapping[str, Any] | None) -> str:
    """Return how answers are adapted to a domain without labels, as a sentence; "" if they are
    not."""
    if adaptation is None:
        return ""
    order = ", and to the order of labels in the stream" if adaptation["order"] else ""
    return (
        "This domain has few or no labels yet; its answers are adapted to"
        f" {plural(adaptation['samples'], 'unlabelled observation')}{order}"
        f" ({percent(adaptation['strength'], 0)} of the measured shift)."
    )


def revised(draft: str, guess: str) -> str:
    """Return how the nearest facts changed the answer of an unsure head, as a sentence; "" if they
    were not asked."""
    if not draft:
        return ""
    if draft == guess:
        return f"The head was unsure; the nearest labelled examples confirm {draft}."
    return f"The head was unsure and said {draft}; the nearest labelled examples say {guess}."


def learned_unlabelled(unlabelled: int) -> str:
    """Return from how many observations without a label the answering head has learned, as a
    sentence; "" if from none."""
    if not unlabelled:
        return ""
    count = plural(unlabelled, "unlabelled observation")
    return f"This domain has few labels yet; its head has learned from {count} too."


def agreement(agree: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return how many waiting observations are now classified as each label."""
    return tuple(_agrees(one) for one in agree if one["waiting"])


def _agrees(one: Mapping[str, Any]) -> str:
    label, count, known = one["label"], one["waiting"], one["known"]
    waiting = f"{number(count)} waiting {'observation is' if count == 1 else 'observations are'}"
    if not known:
        return f"{waiting} probably {label}; too few labels to be certain."
    certain = "" if known == count else f", {number(known)} of them with certainty"
    return f"{waiting} now classified as {label}{certain}."


def answers_right(served: Iterable[Mapping[str, int]]) -> str:
    """Return the accuracy of the answers that were served on what people labelled later."""
    found = tuple(served)
    total, right = (sum(one[name] for one in found) for name in ("count", "right"))
    if not total:
        return "Accuracy of past answers: unknown until an answered observation is labelled."
    share = percent(right / total)
    return f"{share} of {number(total)} past answers agree with their later labels."


def growth(adaptor: Mapping[str, Any]) -> str:
    """Return what an adaptor gains.  adaptor: accuracy, incumbent, provisional."""
    if adaptor.get("provisional"):
        return "provisional: made again after a forget, not judged by growth yet"
    accuracy, before = adaptor["accuracy"], adaptor["incumbent"]
    if accuracy is None or before is None:
        return ""
    points = 100 * (accuracy - before)
    return f"{percent(accuracy)} accurate, {percent(before)} without it ({points:+.1f} points)"


def calibration(found: Mapping[str, Any] | None) -> str:
    """Return how a domain's false-alarm rate was calibrated."""
    if found is None:
        return "Not calibrated: too few examples."
    if found["shortfall"]:
        return f"The target rate is not guaranteed: {found['shortfall']}."
    held = plural(found["samples"], "example")
    if found["exchangeable"]:
        return f"Calibrated to the target rate on {held} held out, treated as exchangeable."
    return (
        f"Calibrated to the target rate on {held} held out in {plural(found['blocks'], 'block')} of"
        f" time, equivalent to {number(found['effective_samples'])} independent ones. Slow drift of"
        f" up to {found['absorbed']:.1f} deviations in all may pass without an alarm."
    )
