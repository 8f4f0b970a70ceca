"""The screen Forget: what is to be forgotten, a preview, a typed confirmation, and the receipt."""

import json
import secrets
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from microdot import Request, Response

from ..client import AskError
from ..common import field
from ..console import Console
from ..forget_jobs import ForgetJob, ForgetJobs
from ..screen import Route, Screen
from ..selection import NAMES, Selection, read_selection, unknown_names

VERIFY_S: Final = 600.0
"""Seconds for `auricle verify` and `auricle audit`: the first projects each fact twice, 20 s for
10,000 facts on a slow board.  Chosen by hand; effect not measured."""

RECEIPTS_SHOWN: Final = 50
"""Receipts in the list, newest first.  Chosen by hand; effect not measured."""

RECEIPTS_MAX: Final = 500
"""Receipts that the daemon returns at once: `PAGE_MAX` of edge/commands/requests.py."""

JOBS: Final = ForgetJobs()
"""The requests of this process; a console serves one home."""


async def page(console: Console, request: Request) -> Response:
    """Show the form and the receipts."""
    return await _show(console, field(request, "home"), read_selection({}), blank=True)


async def preview(console: Console, request: Request) -> Response:
    """Show exactly what a selector would forget."""
    return await _show(console, field(request, "home"), read_selection(request.form or {}))


async def confirm(console: Console, request: Request) -> Response:
    """Forget, if the typed count is that of a preview made now."""
    form = request.form or {}
    selection, home = read_selection(form), field(request, "home")
    if selection.problems:
        return await _show(console, home, selection)
    seen = await console.ask("forget-preview", home=home, select=selection.select)
    wanted, typed = text_to_type(seen), _plain(field(request, "count"))
    if not wanted or typed != wanted:
        wrong = _why_not(typed, form, wanted)
        return await _show(console, home, selection, seen=seen, wrong=wrong)
    request_id = field(request, "request_id") or secrets.token_hex(12)
    job = ForgetJob(
        request_id=request_id,
        home=home,
        select=selection.select,
        examples=count_examples(seen),
        options=_options(form),
    )
    JOBS.start(console.parts.client, job)
    return _go_to(request_id, home)


async def repeat(console: Console, request: Request) -> Response:
    """Send a request again whose answer was lost; the daemon carries its id out once."""
    job = JOBS.get(field(request, "id"))
    if job is None:
        raise AskError("the console no longer has this request", "see the receipts")
    JOBS.start(console.parts.client, job)
    return _go_to(job.request_id, job.home)


async def receipt(console: Console, request: Request) -> Response:
    """Show a request on its way, or its receipt."""
    request_id, home = field(request, "id"), field(request, "home")
    job = JOBS.get(request_id)
    running = job is not None and job.state == "running"
    found = pending = None
    problem = ""
    if not running:
        body = await console.ask("receipts", home=home, limit=RECEIPTS_MAX)
        found, pending = (_of(request_id, body[name]) for name in ("receipts", "pending"))
        problem = body["problem"]
    if found is not None:
        JOBS.completed(request_id)
    if found is None and pending is None and job is None:
        raise AskError(f"there is no receipt {request_id!r}", "choose one from the list")
    shown = pending and {**pending, "problem": problem}
    return _show_receipt(console, request_id, home, found, job=job, pending=shown)


async def verify(console: Console, request: Request) -> Response:
    """Derive the knowledge again in a process of its own, and compare it with the receipt."""
    request_id, home = field(request, "id"), field(request, "home")
    body = await console.ask("receipts", home=home, limit=RECEIPTS_MAX)
    found = _of(request_id, body["receipts"])
    output = await console.parts.programs.run(
        "verify", "--json", "--home", str(console.folder), wait_s=VERIFY_S
    )
    try:
        verified = json.loads(output.out)
    except ValueError:
        last = output.err.splitlines()[-1] if output.err else "it printed nothing"
        raise AskError(f"auricle verify failed: {last}", "run it in a terminal") from None
    return _show_receipt(console, request_id, home, found, verified=verified)


async def audit(console: Console, request: Request) -> Response:
    """Audit a receipt in a process of its own, on a copy; send the page as a file."""
    request_id = field(request, "id")
    with tempfile.TemporaryDirectory(prefix="auricle-audit-") as folder:
        page = Path(folder) / "audit.html"
        words = ("--home", str(console.folder), "--receipt", request_id, "--page", str(page))
        output = await console.parts.programs.run("audit", *words, wait_s=VERIFY_S)
        if not page.exists():
            last = output.err.splitlines()[-1] if output.err else "it printed nothing"
            raise AskError(f"auricle audit failed: {last}", "run it in a terminal")
        content = page.read_text("utf-8")
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Disposition": 'attachment; filename="auricle-audit.html"',
    }
    return Response(content, 200, headers)


async def download(console: Console, request: Request) -> Response:
    """Send one receipt, or all, as a file."""
    request_id = field(request, "id")
    body = await console.ask("receipts", home=field(request, "home"), limit=RECEIPTS_MAX)
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
    home: str,
    selection: Selection,
    *,
    blank: bool = False,
    seen: Mapping[str, Any] | None = None,
    wrong: str = "",
) -> Response:
    """Show the screen, with the preview of a selection that is valid."""
    status = await console.ask("status")
    known = await _known_names(console, home, status)
    if seen is None and not blank and not selection.problems:
        seen = await console.ask("forget-preview", home=home, select=selection.select)
    values: dict[str, Any] = {
        "names": NAMES,
        "home": home,
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
    body = await console.ask("receipts", home=home, limit=RECEIPTS_SHOWN)
    return console.render(
        "forget.html",
        409 if wrong or values["problems"] else 200,
        receipts=body["receipts"],
        receipts_count=body["total"],
        pending=body["pending"],
        homes=[one["name"] for one in status["homes"]],
        running=JOBS.running(),
        **values,
    )


def _show_receipt(
    console: Console,
    request_id: str,
    home: str,
    receipt: Mapping[str, Any] | None,
    *,
    job: ForgetJob | None = None,
    pending: Mapping[str, Any] | None = None,
    verified: Mapping[str, Any] | None = None,
) -> Response:
    """Show a request on its way, how far it is, or its receipt with the result of a check."""
    return console.render(
        "forget_receipt.html" if console.full_page else "forget_receipt_part.html",
        here="forget",
        job=job,
        receipt=receipt,
        pending=pending,
        took=_seconds(receipt) if receipt else {},
        request_id=request_id,
        home=home,
        verified=verified,
    )


async def _known_names(
    console: Console, home: str, status: Mapping[str, Any]
) -> dict[str, list[str]]:
    """Return the names that exist, for suggestions: domains, labels and streams."""
    knowledge = await console.ask("knowledge", home=home)
    concepts = knowledge["concepts"]
    return {
        "domain": sorted({one["domain"] for one in concepts}),
        "label": sorted({one["label"] for one in concepts}),
        "stream": sorted({one["name"] for one in status["streams"]}),
    }


def _of(request_id: str, listed: Iterable[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    return next((one for one in listed if one["request_id"] == request_id), None)


def _seconds(receipt: Mapping[str, Any]) -> dict[str, float]:
    """Return the seconds from the acceptance of a request until its facts were excluded, and until
    everything was derived again; {} where a receipt of an earlier release has no times."""
    accepted = receipt.get("accepted_at_ns", 0)
    ends = {name: receipt.get(f"{name}_at_ns", 0) for name in ("excluded", "completed")}
    known = {name: end for name, end in ends.items() if end >= accepted > 0}
    return {name: (end - accepted) / 1e9 for name, end in known.items()}


def _options(form: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a request besides its selection that differ from what is usual."""
    chosen = str(form.get("duplicates", ""))
    given: dict[str, Any] = {"duplicates": chosen} if chosen in ("off", "near") else {}
    return given | ({"remove_files": True} if form.get("remove_files") else {})


def _go_to(request_id: str, home: str) -> Response:
    """Go to the page of a request."""
    given = {"id": request_id} | ({"home": home} if home else {})
    return Response(b"", 303, {"Location": f"forget-receipt?{urlencode(given)}"})


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
            f" Check the new preview, and type {wanted} to confirm."
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
        Route("POST", "forget-audit", audit, "owner"),
        Route("GET", "forget-download", download, "owner"),
    ),
)
