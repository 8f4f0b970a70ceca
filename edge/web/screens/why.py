"""The screen Why: the explanation of one answer, and a form that corrects its label."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from microdot import Request, Response

from ...pages import number, plural, sentence
from .. import phrases
from ..charts import distribution, ranged
from ..client import AskError
from ..common import field
from ..console import Console
from ..observations import HZ_MIN, NAME_CHARS_MAX, picture, raw_of, sound
from ..pictures import window_of
from ..screen import Route, Screen
from ..spectrogram import loudest_hz

GONE: Final = "it was forgotten or replaced by newer ones meanwhile, or the id is wrong"
"""In place of a hint for the command line."""


async def page(console: Console, request: Request) -> Response:
    """Explain the answer on an observation; without one, offer ways to find one."""
    observation_id = field(request, "id")
    part = field(request, "part") == "1"
    if not observation_id:
        return console.render("why.html", found=None, missing="")
    try:
        found = await _explained(console, field(request, "home"), observation_id)
    except AskError as error:
        if part:
            raise
        hint = GONE if "`auricle" in error.hint else error.hint
        missing = f"{sentence(error.reason)} {sentence(hint)}".rstrip()
        return console.render("why.html", 404, found=None, missing=missing)
    labels = [] if part else await _labels(console, field(request, "home"))
    template = "why_part.html" if part else "why.html"
    small = part and field(request, "page") != "1"
    return console.render(template, found=found, missing="", part=small, labels=labels)


async def _labels(console: Console, home: str) -> list[str]:
    """Return the labels in use, for the form that corrects."""
    knowledge = await console.ask("knowledge", home=home)
    return sorted({one["label"] for one in knowledge["concepts"]})


async def _explained(console: Console, home: str, observation_id: str) -> dict[str, Any]:
    """Return what the page shows of an observation."""
    found: dict[str, Any] = await console.ask("explain", home=home, observation_id=observation_id)
    shape = found["distribution"] or {"edges": (), "counts": ()}
    chart = distribution(shape["edges"], shape["counts"], found["score"], found["threshold"])
    heard = await _heard(console, home, observation_id, found)
    return found | {
        "id": observation_id,
        "home": home,
        "verdict": phrases.verdict(found),
        "adapted": phrases.adapted(found["adaptation"]),
        "learned_too": phrases.learned_unlabelled(found["unlabelled"]),
        "revised": phrases.revised(found["draft"], found["guess"]),
        "place": _place(found),
        "caption": _caption(found, heard),
        "chart": chart,
        "heard": heard,
        "bars": [
            (one, ranged(one["value"], one["low"], one["high"], one["mean"]))
            for one in found["columns"]
        ],
    }


def _place(found: Mapping[str, Any]) -> str:
    """Return where the score lies among the held-out scores, as a sentence."""
    shape = found["distribution"]
    if shape is None:
        return "This domain has no held-out scores yet to compare with."
    total = sum(shape["counts"])
    below = sum(
        count
        for end, count in zip(shape["edges"][1:], shape["counts"], strict=True)
        if end <= found["score"]
    )
    text = (
        f"Its score is higher than {number(below)} of {number(total)} held-out scores of known"
        " observations"
    )
    if found["threshold"] is None:
        return f"{text}. The threshold adapts to the recent past of the stream."
    side = "above" if found["score"] > found["threshold"] else "below"
    return f"{text}, and {side} the threshold for new (out-of-distribution) observations."


def _caption(found: Mapping[str, Any], heard: Mapping[str, Any] | None) -> str:
    """Return what the picture of an observation shows."""
    if heard is None:
        return f"From {found['stream']}." if found["stream"] else "Raw input."
    text = plural(heard["length"], "sample")
    if heard["rate_hz"]:
        text = f"{heard['seconds']:.2f} s at {number(heard['rate_hz'])} Hz, loudest near"
        text += (
            f" {number(round(heard['loudest_hz']))} Hz" if heard["loudest_hz"] else " no frequency"
        )
    return f"Waveform (top) and spectrogram (bottom, low frequencies first): {text}."


async def _heard(
    console: Console, home: str, observation_id: str, found: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Return what a window holds, in numbers that also describe its picture; None for others."""
    if found["kind"] != "window":
        return None
    window = window_of(await raw_of(console, home, observation_id))
    if window is None:
        return None
    rate_hz = found["rate_hz"]
    loud = loudest_hz(window.channels[0], rate_hz) if rate_hz else 0.0
    return {
        "length": window.length,
        "channels": len(window.channels),
        "peak": max(max(map(abs, one)) for one in window.channels),
        "seconds": window.length / rate_hz if rate_hz else 0.0,
        "rate_hz": rate_hz,
        "loudest_hz": loud,
        "plays": rate_hz >= HZ_MIN,
    }


async def correct(console: Console, request: Request) -> Response:
    """Label an observation, or correct its label, its domain, or both."""
    home, observation_id = field(request, "home"), field(request, "id")
    label, domain = field(request, "label").strip(), field(request, "domain").strip()
    if not label or max(len(label), len(domain)) > NAME_CHARS_MAX:
        raise AskError(f"a label has 1 to {NAME_CHARS_MAX} characters", "shorten it, or enter one")
    if field(request, "learned"):
        chosen = {"ids": [observation_id]}
        body = await console.ask("relabel", home=home, select=chosen, label=label, domain=domain)
    else:
        given = {"observation_id": observation_id, "label": label, "domain": domain}
        body = await console.ask("label-many", home=home, labels=[given])
        for one in body["refused"]:
            raise AskError(one["reason"], one["hint"])
    to = "why?" + urlencode({"id": observation_id, "home": home})
    return console.done(f"Labelled {label}.", to=to, undo_id=str(body.get("undo_id", "")))


SCREEN: Final = Screen(
    "why",
    "Why",
    "w",
    "viewer",
    (
        Route("GET", "why", page),
        Route("GET", "picture", picture),
        Route("GET", "sound", sound),
        Route("POST", "why-correct", correct, "labeller"),
    ),
)
