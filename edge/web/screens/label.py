"""The screen Label: labelling many observations by sight, and what each label changed."""

import json
from dataclasses import replace
from itertools import takewhile
from typing import Any, Final

from microdot import Request, Response

from ...home import likely_typo
from ...pages import number, sentence
from .. import phrases
from ..analyses import analyse
from ..client import AskError, DaemonOfflineError
from ..common import field, whole
from ..console import Console
from ..observations import (
    GALLERY_MAX,
    NAME_CHARS_MAX,
    ORDERS,
    SELECTED_MAX,
    STATES,
    View,
    bars_of,
    groups_of,
    ids_of,
)
from ..screen import Route, Screen

KEYS: Final = 9
"""Labels with a key of their own: 1 to 9."""
FORM_BYTES_MAX: Final = 1 << 20
"""Bytes of a form: as much as the daemon reads in one request."""
COLUMNS_SHOWN: Final = 4
"""Clusters to name on the page: as many as a row has room for.  Chosen by hand."""
GROUP_MAX: Final = 1 << 31
"""Largest number of a group that is read from an address."""
ENOUGH_SHOWN: Final = 12
"""Labels, and domains, in "Have I labelled enough?", those with the most to gain.  Chosen by hand;
effect not measured."""


async def page(console: Console, request: Request) -> Response:
    """Show the screen."""
    view = View.of(request)
    gallery = await console.ask("gallery", **view.fields())
    knowledge = await console.ask("knowledge", home=view.home)
    counts: dict[str, int] = {}
    for one in knowledge["concepts"]:
        counts[one["label"]] = counts.get(one["label"], 0) + one["facts"]
    used = sorted(gallery["labels"], key=lambda name: (-counts.get(name, 0), name))
    status = await console.ask("status")
    columns = (await console.ask("columns", home=view.home))["columns"][:COLUMNS_SHOWN]
    vectors = [key for one in columns if one["kind"] == "vector" for key in one["samples"]]
    return console.render(
        "label.html",
        view=view,
        states=STATES,
        orders=ORDERS,
        gallery=gallery,
        columns=columns,
        bars=await bars_of(console, view.home, vectors),
        groups=await groups_of(console, view, gallery["items"]),
        keyed=used[:KEYS],
        labels=used,
        streams=[one["name"] for one in status["streams"]],
        right=phrases.answers_right(one["served"] for one in knowledge["domains"]),
        selected_max=SELECTED_MAX,
        result=None,
    )


async def tiles(console: Console, request: Request) -> Response:
    """Show the tiles of one part of the list."""
    view = View.of(request)
    gallery = await console.ask("gallery", **view.fields())
    response = console.render(
        "label_tiles.html", view=view, groups=await groups_of(console, view, gallery["items"])
    )
    response.headers["X-Counts"] = json.dumps({"total": gallery["total"]} | gallery["counts"])
    response.headers["X-Busy"] = "1" if gallery["pending"] or gallery["grouping"] else "0"
    return response


async def ids(console: Console, request: Request) -> Response:
    """List the ids of one part of the list, or of the group around a place in it, as JSON; at most
    `SELECTED_MAX`."""
    view = View.of(request)
    group = field(request, "group")
    if not group:
        most = whole(field(request, "limit"), 1, SELECTED_MAX, SELECTED_MAX)
        found = await _items(console, view, most)
    else:
        found = await _group(console, view, whole(group, 0, GROUP_MAX))
    return _json({"ids": [one["id"] for one in found]})


async def apply(console: Console, request: Request) -> Response:
    """Label the selected observations."""
    label = (field(request, "key_label") or field(request, "label")).strip()
    domain = field(request, "domain").strip()
    chosen = ids_of(request)
    wrong = _wrong(chosen, label, domain)
    if wrong:
        return await _shown(console, request, {"trouble": wrong})
    if not (field(request, "sure") or field(request, "known")):
        near = await _near(console, request, label)
        if near:
            return await _shown(console, request, {"label": label, "domain": domain, "near": near})
    given = [{"observation_id": one, "label": label, "domain": domain} for one in chosen]
    return await _label(console, request, given)


async def confirm(console: Console, request: Request) -> Response:
    """Give a label to the waiting observations that agreed with it."""
    label, undo_id = field(request, "label"), field(request, "agreed")
    try:
        body = await console.ask(
            "agreeing", home=field(request, "home"), undo_id=undo_id, label=label
        )
    except AskError as error:
        return await _failed(console, request, error)
    if not body["observation_ids"]:
        nothing = "The console no longer has this list. Select the observations below."
        return await _shown(console, request, {"trouble": nothing})
    given = [{"observation_id": one, "label": label} for one in body["observation_ids"]]
    return await _label(console, request, given)


async def undo(console: Console, request: Request) -> Response:
    """Undo an action, and report it in place of the result."""
    try:
        body = await console.ask(
            "undo",
            undo_id=field(request, "undo_id"),
            home=field(request, "home"),
            **_request_id(request),
        )
    except AskError as error:
        return await _failed(console, request, error)
    return await _shown(console, request, {"done": True, "undone": body["text"]})


async def right(console: Console, request: Request) -> Response:
    """Send the accuracy of past answers as JSON."""
    knowledge = await console.ask("knowledge", home=field(request, "home"))
    text = phrases.answers_right(one["served"] for one in knowledge["domains"])
    return _json({"text": text})


async def enough(console: Console, request: Request) -> Response:
    """Show the accuracy of each label, and the benefit of more labels."""
    home = field(request, "home")
    found = await analyse(console, "enough", home)
    rows = sorted(found.items(), key=lambda one: (one[1]["accuracy"], one[0]))
    gains = {one["domain"]: (-(one["gain"] or 0), one["outlook"]) for one in found.values()}
    outlooks = [outlook for _, outlook in sorted(gains.values())]
    return console.render(
        "label_enough.html",
        rows=rows[:ENOUGH_SHOWN],
        outlooks=outlooks[:ENOUGH_SHOWN],
        left=max(0, len(rows) - ENOUGH_SHOWN),
    )


async def _items(console: Console, view: View, most: int) -> list[dict[str, Any]]:
    """Return at most so many items from a view's offset on."""
    found: list[dict[str, Any]] = []
    while len(found) < most:
        limit = min(GALLERY_MAX, most - len(found))
        fields = view.fields(offset=view.offset + len(found), limit=limit)
        page_of = await console.ask("gallery", **fields)
        found += page_of["items"]
        if len(page_of["items"]) < limit:
            break
    return found


async def _group(console: Console, view: View, group: int) -> list[dict[str, Any]]:
    """Return the items of a group, which stand together, from a place within it on both sides."""
    first = max(0, view.offset - SELECTED_MAX)
    before = await _items(console, replace(view, offset=first), view.offset - first)
    after = await _items(console, view, SELECTED_MAX)
    start = len(before)
    while start and before[start - 1]["group"] == group:
        start -= 1
    rest = takewhile(lambda one: one["group"] == group, after)
    return [*before[start:], *rest][:SELECTED_MAX]


def _wrong(chosen: list[str], label: str, domain: str) -> str:
    """Return what is wrong with a form; empty if nothing is."""
    if not chosen:
        return "Select observations first."
    if len(chosen) > SELECTED_MAX:
        most = f"At most {number(SELECTED_MAX)} observations can be labelled at once"
        return f"{most}; {number(len(chosen))} are selected."
    if not label:
        return "Type a label, or press the number key of one."
    for kind, name in (("label", label), ("domain", domain)):
        if len(name) > NAME_CHARS_MAX:
            return f"The {kind} has {len(name)} characters; at most {NAME_CHARS_MAX} are possible."
    return ""


async def _near(console: Console, request: Request, label: str) -> str:
    """Return the label of which a new one is probably a typo, or ''."""
    found = await console.ask("gallery", home=field(request, "home"), offset=0, limit=1)
    return likely_typo(label, found["labels"])


async def _label(console: Console, request: Request, given: list[dict[str, str]]) -> Response:
    home = field(request, "home")
    try:
        body = await console.ask(
            "label-many",
            home=home,
            labels=given,
            only_unlabelled=field(request, "state") != "labelled",
            **_request_id(request),
        )
    except AskError as error:
        return await _failed(console, request, error)
    refused = {one["observation_id"] for one in body["refused"]}
    # Whoever has answered the question about a new label needs no warning of it.
    answered = bool(field(request, "sure"))
    warnings = [
        one for one in body.get("warnings", ()) if not (answered and one.startswith("the label "))
    ]
    # A disk error may end the count after the labels were stored.
    agree = body.get("agree", [])
    result = body | {
        "done": True,
        "label": given[0]["label"],
        "agree": agree,
        "compared": body.get("compared", 0),
        "waiting": body.get("waiting", 0),
        "warnings": warnings,
        "agreement": phrases.agreement(agree),
        "ids": [one["observation_id"] for one in given if one["observation_id"] not in refused],
        "gone": sorted(refused),
    }
    return await _shown(console, request, result)


def _request_id(request: Request) -> dict[str, str]:
    """Return the id that the page gave its action: sent again, it takes effect once."""
    given = field(request, "request_id")
    return {"id": given} if given.startswith("web-") and len(given) < 64 else {}


async def _failed(console: Console, request: Request, error: AskError) -> Response:
    status = 503 if isinstance(error, DaemonOfflineError) else 409
    trouble = f"{sentence(error.reason)} {sentence(error.hint)}".rstrip()
    result = {"trouble": trouble, "again": status == 503}
    return await _shown(console, request, result, status)


async def _shown(
    console: Console, request: Request, result: dict[str, Any], status: int = 200
) -> Response:
    """Respond with the result of an action: as JSON to the script, else with a page that shows it
    and keeps what was typed and selected."""
    scripted = "application/json" in request.headers.get("Accept", "")
    values: dict[str, Any] = {
        "result": {"again": False} | result,
        "view": View.of(request),
        "chosen": ids_of(request),
        "scripted": scripted,
    }
    if not scripted:
        return console.render("label_outcome.html", status, **values)
    html = console.render("label_result.html", **values).body
    return _json(
        {
            "done": bool(result.get("done")),
            "html": html.decode(),
            "label": result.get("label", ""),
            "labelled": result.get("ids", []),
            "gone": result.get("gone", []),
        },
        status,
    )


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(content), status, {"Content-Type": "application/json"})


SCREEN: Final = Screen(
    "label",
    "Label",
    "l",
    "labeller",
    (
        Route("GET", "label", page, "labeller"),
        Route("GET", "label-tiles", tiles, "labeller"),
        Route("GET", "label-ids", ids, "labeller"),
        Route("GET", "label-enough", enough, "labeller"),
        Route("GET", "label-right", right, "labeller"),
        Route("POST", "label-apply", apply, "labeller", FORM_BYTES_MAX),
        Route("POST", "label-confirm", confirm, "labeller"),
        Route("POST", "label-undo", undo, "labeller"),
    ),
)
