"""The screen Knowledge: concepts, their quality, and corrections."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from microdot import Request, Response

from ...pages import number, plural
from .. import phrases
from ..analyses import analyse
from ..charts import Bar, heat_level
from ..client import AskError
from ..common import field, kept_undo_id
from ..console import Console
from ..observations import bars_of
from ..screen import Route, Screen

DOMAINS_SHOWN: Final = 60
"""Rows of the table, the largest domains.  Chosen by hand; effect not measured."""
LABELS_SHOWN: Final = 40
"""Columns of the table, the largest labels.  Chosen by hand; effect not measured."""
SUSPICIOUS_SHOWN: Final = 24
"""Suspicious labels at once, the worst first: two screens of pictures."""
PROTOTYPES_SHOWN: Final = 12
"""Prototypes of a concept: two rows of pictures."""
COMPARED_MAX: Final = 1_000
"""Suspicious labels that are compared with those that people keep: as many as a command takes."""


async def page(console: Console, request: Request) -> Response:
    """Show the screen."""
    home = field(request, "home")
    knowledge = await console.ask("knowledge", home=home)
    actions = await console.ask("actions", home=home)
    labels, rows = _heat(knowledge["concepts"])
    return console.render(
        "knowledge.html",
        home=home,
        knowledge=knowledge,
        labels=labels,
        rows=rows,
        left=len({one["domain"] for one in knowledge["concepts"]}) - len(rows),
        domains=[_domain(one) for one in knowledge["domains"]],
        adapted=phrases.adapted,
        actions=actions["actions"],
        names=sorted({one["label"] for one in knowledge["concepts"]}),
        places=sorted({one["domain"] for one in knowledge["concepts"]}),
    )


async def concept(console: Console, request: Request) -> Response:
    """Show the most typical examples of a concept."""
    home, domain, label = (field(request, name) for name in ("home", "domain", "label"))
    knowledge = await console.ask("knowledge", home=home)
    found = [
        one for one in knowledge["concepts"] if (one["domain"], one["label"]) == (domain, label)
    ]
    if not found:
        raise AskError(f"there is no concept {label} in {domain}", "it was renamed or forgotten")
    trouble, ids = "", []
    try:
        every = await analyse(console, "prototypes", home)
        ids = every.get(f"{domain}/{label}", [])[:PROTOTYPES_SHOWN]
    except AskError as error:
        trouble = error.reason
    return console.render(
        "knowledge_concept.html",
        home=home,
        concept=found[0],
        ids=ids,
        trouble=trouble,
        kind=knowledge["kind"],
        bars=await _bars(console, home, knowledge, ids),
        share=_share(found[0], knowledge),
    )


async def suspicious(console: Console, request: Request) -> Response:
    """Show the labels that the other examples contradict."""
    home = field(request, "home")
    try:
        every = await analyse(console, "suspicious", home)
    except AskError as error:
        return console.render(
            "knowledge_suspicious.html", home=home, trouble=error.reason, rows=[], kept=[]
        )
    every = every[:COMPARED_MAX]
    given = [{"observation_id": one["id"], "label": one["label"]} for one in every]
    body = await console.ask("kept-labels", home=home, labels=given)
    kept = {(one["observation_id"], one["label"]) for one in body["labels"]}
    rows = [one for one in every if (one["id"], one["label"]) not in kept]
    shown = rows[:SUSPICIOUS_SHOWN]
    knowledge = await console.ask("knowledge", home=home)
    return console.render(
        "knowledge_suspicious.html",
        home=home,
        trouble="",
        rows=shown,
        kind=knowledge["kind"],
        bars=await _bars(console, home, knowledge, [one["id"] for one in shown]),
        left=len(rows) - len(shown),
        kept=[one for one in every if (one["id"], one["label"]) in kept][:SUSPICIOUS_SHOWN],
    )


async def keep(console: Console, request: Request) -> Response:
    """Keep a label that looked suspicious."""
    home, name, label = (field(request, one) for one in ("home", "observation", "label"))
    await console.ask("keep-label", home=home, observation_id=name, label=label)
    undo_id = kept_undo_id(home, name, label)
    return console.done(f"Kept as {label}.", to="knowledge", tone="quiet", undo_id=undo_id)


async def look_again(console: Console, request: Request) -> Response:
    """Take back that a label is kept: it may look wrong again."""
    home, name, label = (field(request, one) for one in ("home", "observation", "label"))
    await console.ask("keep-label", home=home, observation_id=name, label=label, kept=False)
    return console.done(f"{label} is checked again.", to="knowledge", tone="quiet")


async def relabel(console: Console, request: Request) -> Response:
    """Give one observation a better label."""
    label = field(request, "label").strip()
    body = await console.ask(
        "relabel",
        home=field(request, "home"),
        select={"ids": [field(request, "observation")]},
        label=label,
    )
    undo_id = str(body.get("undo_id", ""))
    return console.done(f"1 observation is now {label}.", to="knowledge", undo_id=undo_id)


async def preview(console: Console, request: Request) -> Response:
    """Preview a rename or a merge."""
    home, kind, old, new = (field(request, name) for name in ("home", "kind", "old", "new"))
    new = new.strip()
    knowledge = await console.ask("knowledge", home=home)
    return console.render(
        "knowledge_preview.html",
        home=home,
        kind=kind,
        old=old,
        new=new,
        trouble=_wrong_name(kind, old, new),
        changes=_changes(knowledge, kind, old, new),
    )


async def rename(console: Console, request: Request) -> Response:
    """Rename a label or a domain; a name in use merges the two."""
    home, kind, old, new = (field(request, name) for name in ("home", "kind", "old", "new"))
    wrong = _wrong_name(kind, old, new)
    if wrong:
        raise AskError(wrong)
    body = await console.ask("relabel", home=home, select={kind: old}, **{kind: new})
    text = f"{plural(body.get('count', 0), 'observation')} changed from {old} to {new}."
    undo_id = str(body.get("undo_id", ""))
    return console.done(text, to="knowledge", undo_id=undo_id, renamed=True)


async def separate(console: Console, request: Request) -> Response:
    """Undo a merge of domains that the device made by itself."""
    home, merge_id = field(request, "home"), field(request, "merge_id")
    body = await console.ask("undo-merge", home=home, merge_id=merge_id)
    undo_id = str(body.get("undo_id", ""))
    return console.done("The two domains are separate again.", to="knowledge", undo_id=undo_id)


async def fit(console: Console, request: Request) -> Response:
    """Fit the geometry to the examples of today."""
    body = await console.ask("fit-geometry", home=field(request, "home"))
    return console.done(
        f"The geometry was fitted to {plural(body['facts'], 'example')}.", to="knowledge"
    )


async def grow(console: Console, request: Request) -> Response:
    """Search and train an adaptor for a domain now."""
    domain = field(request, "domain")
    await console.ask("grow", home=field(request, "home"), domain=domain)
    text = f"Growing an adaptor for {domain}. The result appears here."
    return console.done(text, to="knowledge", tone="quiet")


async def roll_back(console: Console, request: Request) -> Response:
    """Remove the newest adaptor of a domain."""
    domain = field(request, "domain")
    body = await console.ask("rollback", home=field(request, "home"), domain=domain)
    undo_id = str(body.get("undo_id", ""))
    return console.done(
        f"The newest adaptor of {domain} was removed.", to="knowledge", undo_id=undo_id
    )


async def _bars(
    console: Console, home: str, knowledge: Mapping[str, Any], ids: list[str]
) -> dict[str, tuple[Bar, ...]]:
    """Return the bars of examples by id; none for pictures and windows."""
    return await bars_of(console, home, ids) if knowledge["kind"] == "vector" else {}


def _heat(concepts: Iterable[Mapping[str, Any]]) -> tuple[list[str], list[dict[str, Any]]]:
    """Return the labels and the rows of the table: domains with a cell for each label."""
    counts = {(one["domain"], one["label"]): one["facts"] for one in concepts}
    by_domain, by_label = _sums(counts, 0), _sums(counts, 1)
    labels, most = by_label[:LABELS_SHOWN], max(counts.values(), default=0)
    rows = []
    for domain in by_domain[:DOMAINS_SHOWN]:
        cells = [(label, counts.get((domain, label), 0)) for label in labels]
        total = sum(count for (name, _), count in counts.items() if name == domain)
        shades = [(label, count, heat_level(count, most)) for label, count in cells]
        rows.append({"domain": domain, "cells": shades, "total": total})
    return labels, rows


def _sums(counts: Mapping[tuple[str, str], int], at: int) -> list[str]:
    """Return the domains or the labels, those with the most facts first."""
    sums: dict[str, int] = {}
    for key, count in counts.items():
        sums[key[at]] = sums.get(key[at], 0) + count
    return sorted(sums, key=lambda name: (-sums[name], name))


def _domain(one: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the page shows of a domain."""
    adaptor = one["adaptor"]
    return {
        "name": one["domain"],
        "facts": one["facts"],
        "served": one["served"],
        "adaptor": adaptor,
        "gain": phrases.growth(adaptor) if adaptor else "",
        "calibration": phrases.calibration(one["calibration"]),
    }


def _share(found: Mapping[str, Any], knowledge: Mapping[str, Any]) -> str:
    """Return the fill level of a concept as a sentence."""
    most = knowledge["facts_per_concept"]
    if found["facts"] < most:
        return f"{plural(found['facts'], 'example')}; at most {number(most)} are kept."
    if knowledge["keep"] == "newest":
        full = "each new one replaces the oldest"
    else:
        full = f"a selector ({knowledge['keep']}) chooses which stay, and may leave a new one out"
    return f"{plural(found['facts'], 'example')}: the concept is full; {full}."


def _wrong_name(kind: str, old: str, new: str) -> str:
    """Return what is wrong with a new name; empty if nothing is."""
    if kind not in {"label", "domain"} or not old:
        return "Choose a label or a domain first."
    if not new:
        return "Enter the new name."
    return "The new name is the old one." if new == old else ""


def _changes(knowledge: Mapping[str, Any], kind: str, old: str, new: str) -> list[dict[str, Any]]:
    """Return each concept that a new name changes: its facts, those that are there already, and how
    many then leave because the concept is full."""
    counts = {(one["domain"], one["label"]): one["facts"] for one in knowledge["concepts"]}
    at = 0 if kind == "domain" else 1
    made = []
    for key, count in sorted(counts.items()):
        if key[at] != old:
            continue
        into = (new, key[1]) if kind == "domain" else (key[0], new)
        there = counts.get(into, 0)
        made.append(
            {
                "domain": key[0],
                "label": key[1],
                "into": into,
                "facts": count,
                "there": there,
                "leave": max(0, count + there - knowledge["facts_per_concept"]),
            }
        )
    return made


SCREEN: Final = Screen(
    "knowledge",
    "Knowledge",
    "k",
    "viewer",
    (
        Route("GET", "knowledge", page),
        Route("GET", "knowledge-concept", concept),
        Route("GET", "knowledge-suspicious", suspicious),
        Route("POST", "knowledge-keep", keep, "labeller"),
        Route("POST", "knowledge-look-again", look_again, "labeller"),
        Route("POST", "knowledge-relabel", relabel, "labeller"),
        Route("POST", "knowledge-preview", preview, "labeller"),
        Route("POST", "knowledge-rename", rename, "labeller"),
        Route("POST", "knowledge-separate", separate, "labeller"),
        Route("POST", "knowledge-fit", fit, "owner"),
        Route("POST", "knowledge-grow", grow, "owner"),
        Route("POST", "knowledge-roll-back", roll_back, "owner"),
    ),
)
