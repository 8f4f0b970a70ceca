"""The screen Forget: what is to be forgotten, a preview, a typed confirmation, and the receipt."""

import json
import secrets
from collections.abc import Mapping
from typing import Any, Final

from microdot import Request, Response

from ..client import AskError
from ..common import field
from ..console import Console
from ..forget_jobs import ForgetJob, ForgetJobs
from ..screen import Route, Screen
from ..selection import NAMES, Selection, read_selection, unknown_names

VERIFY_S: Final = 600.0
"""Seconds for `auricle verify`, which projects each fact twice: 20 s for 10,000 facts on a slow
board.  Chosen by hand; effect not measured."""

RECEIPTS_SHOWN: Final = 50
"""Receipts in the list, newest first.  Chosen by hand; effect not measured."""

RECEIPTS_MAX: Final = 500
"""Receipts that the daemon returns at once: `PAGE_MAX` of edge/commands/requests.py."""

JOBS: Final = ForgetJobs()
"""The requests of this process; a console serves one home."""


async def page(console: Console, _request: Request) -> Response:
    """Show the form and the receipts."""
    return await _show(console, read_selection({}), blank=True)


async def preview(console: Console, request: Request) -> Response:
    """Show exactly what a selector would forget."""
    return await _show(console, read_selection(request.form or {}))


async def confirm(console: Console, request: Request) -> Response:
    """Forget, if the typed count is that of a preview made now."""
    form = request.form or {}
    selection = read_selection(form)
    if selection.problems:
        return await _show(console, selection)
    seen = await console.ask("forget-preview", select=selection.select)
    wanted, typed = text_to_type(seen), _plain(field(request, "count"))
    if not wanted or typed != wanted:
        return await _show(console, selection, seen=seen, wrong=_why_not(typed, form, wanted))
    request_id = field(request, "request_id") or secrets.token_hex(12)
    examples = count_examples(seen)
    job = ForgetJob(request_id=request_id, select=selection.select, examples=examples)
    JOBS.start(console.parts.client, job)
    return Response(b"", 303, {"Location": f"forget-receipt?id={request_id}"})


async def repeat(console: Console, request: Request) -> Response:
    """Send a request again whose answer was lost; the daemon carries its id out once."""
    job = JOBS.get(field(request, "id"))
    if job is None:
        raise AskError("this request is not remembered any more", "look into the receipts")
    JOBS.start(console.parts.client, job)
    return Response(b"", 303, {"Location": f"forget-receipt?id={job.request_id}"})


async def receipt(console: Console, request: Request) -> Response:
    """Show a request on its way, or its receipt."""
    request_id = field(request, "id")
    job = JOBS.get(request_id)
    found = None if job and job.state == "running" else await _receipt(console, request_id)
    if found is None and job is None:
        raise AskError(f"there is no receipt {request_id!r}", "choose one from the list")
    template = "forget_receipt.html" if console.full_page else "forget_receipt_part.html"
    return console.render(template, job=job, receipt=found, request_id=request_id, verified=None)


async def verify(console: Console, request: Request) -> Response:
    """Derive the knowledge again in a process of its own, and compare it with the receipt."""
    request_id = field(request, "id")
    found = await _receipt(console, request_id)
    output = await console.parts.programs.run(
        "verify", "--json", "--home", str(console.folder), wait_s=VERIFY_S
    )
    try:
        verified = json.loads(output.out)
    except ValueError:
        last = output.err.splitlines()[-1] if output.err else "it printed nothing"
        raise AskError(f"auricle verify has failed: {last}", "try it in a terminal") from None
    template = "forget_receipt.html" if console.full_page else "forget_receipt_part.html"
    return console.render(
        template, job=None, receipt=found, request_id=request_id, verified=verified
    )


async def download(console: Console, request: Request) -> Response:
    """Send one receipt, or all, as a file."""
    request_id = field(request, "id")
    body = await console.ask("receipts", limit=RECEIPTS_MAX)
    found = [one for one in body["receipts"] if request_id in ("", one["request_id"])]
    if request_id and not found:
        raise AskError(f"there is no receipt {request_id!r}", "choose one from the list")
    content = json.dumps(found[0] if request_id else found, indent=1, sort_keys=True)
    name = "receipt" if request_id else "receipts"
    headers = {
        "Content-Type": "application/json",
        "Content-Disposition": f'attachment; filename="auricle-{name}.json"',
    }
    return Response(content + "\n", 200, headers)


def count_examples(seen: Mapping[str, Any]) -> int:
    """Return the number of facts, and of observations that wait for a label."""
    return int(seen["facts"]) + int(seen["candidates"])


def text_to_type(seen: Mapping[str, Any]) -> str:
    """Return what confirms a preview: its count; a word where only memory is concerned, whose
    content changes with each observation; "" if nothing matches."""
    examples = count_examples(seen)
    return str(examples) if examples else "forget" if seen["recent"] or seen["series"] else ""


async def _show(
    console: Console,
    selection: Selection,
    *,
    blank: bool = False,
    seen: Mapping[str, Any] | None = None,
    wrong: str = "",
) -> Response:
    """Show the screen, with the preview of a selection that is valid."""
    known = await _known_names(console)
    if seen is None and not blank and not selection.problems:
        seen = await console.ask("forget-preview", select=selection.select)
    values = {
        "names": NAMES,
        "selection": selection,
        "problems": {} if blank else selection.problems,
        "known": known,
        "unknown": unknown_names(selection.select, known),
        "seen": seen,
        "examples": count_examples(seen) if seen else 0,
        "wanted": text_to_type(seen) if seen else "",
        "request_id": secrets.token_hex(12),
        "wrong": wrong,
    }
    if not console.full_page:
        return console.render("forget_preview.html", **values)
    body = await console.ask("receipts", limit=RECEIPTS_SHOWN)
    return console.render(
        "forget.html",
        409 if wrong or values["problems"] else 200,
        receipts=body["receipts"],
        receipts_count=body["total"],
        running=JOBS.running(),
        **values,
    )


async def _known_names(console: Console) -> dict[str, list[str]]:
    """Return the names that exist, for suggestions: domains, labels and streams."""
    knowledge = await console.ask("knowledge")
    status = await console.ask("status")
    concepts = knowledge["concepts"]
    return {
        "domain": sorted({one["domain"] for one in concepts}),
        "label": sorted({one["label"] for one in concepts}),
        "stream": sorted({one["name"] for one in status["streams"]}),
    }


async def _receipt(console: Console, request_id: str) -> Mapping[str, Any] | None:
    body = await console.ask("receipts", limit=RECEIPTS_MAX)
    found = (one for one in body["receipts"] if one["request_id"] == request_id)
    return next(found, None)


def _plain(text: str) -> str:
    """Return a typed count without the marks of thousands."""
    return "".join(text.split()).replace(",", "").casefold()


def _why_not(typed: str, form: Mapping[str, Any], wanted: str) -> str:
    """Return why nothing was forgotten."""
    if not wanted:
        return "Nothing was forgotten: nothing matches any more."
    seen = str(form.get("seen", ""))
    if seen not in ("", wanted):
        return (
            f"Nothing was forgotten: the count changed from {seen} to {wanted} since the preview."
            f" Look at this new preview, and type {wanted} to confirm."
        )
    given = f"you typed {typed}" if typed else "you typed nothing"
    return f"Nothing was forgotten: type {wanted} to confirm; {given}."


SCREEN: Final = Screen(
    "forget",
    "Forget",
    "e",
    "owner",
    (
        Route("GET", "forget", page, "owner"),
        Route("POST", "forget-preview", preview, "owner"),
        Route("POST", "forget-confirm", confirm, "owner"),
        Route("POST", "forget-repeat", repeat, "owner"),
        Route("GET", "forget-receipt", receipt, "owner"),
        Route("POST", "forget-verify", verify, "owner"),
        Route("GET", "forget-download", download, "owner"),
    ),
)
