"""The screen First run: from an empty folder to a stream that works, without a terminal.

Each step is read from the home itself (settings, daemon, gallery), so that a reload, a restart or
a second person continues where it stands.
"""

from typing import Any, Final
from urllib.parse import urlencode

from microdot import Request, Response

from ...pages import sentence
from .. import settings_file
from ..client import AskError, DaemonOfflineError
from ..common import all_fields, field
from ..console import Console
from ..observations import GALLERY_MAX, SELECTED_MAX
from ..screen import Route, Screen
from ..source_forms import (
    FORMS,
    SourceForm,
    check_values,
    form_of,
    look_into,
    toml_of,
)
from .health import check_settings

LEARN_S: Final = 600.0
"""Seconds for learning a folder of examples: 10,000 pictures on a small board."""

SHOWN_MAX: Final = 24
"""Newest measurements shown at once: two rows more than a screen has."""

ENROL: Final = 10
"""Examples from which a label answers well enough to go on.  Chosen by hand; effect not measured.
"""

CERTAIN: Final = 100
"""Examples of a domain from which measurements can be called new at a rate of 1 %: fewer calibrate
no such p-value (docs/explanation/detector.md)."""


async def page(console: Console, request: Request) -> Response:
    """Show the step at which the home stands."""
    stream = field(request, "stream")
    if stream:
        if stream not in _streams(console):
            raise AskError(f"there is no stream {stream!r}", "add it, or choose one of the list")
        return console.render("first_run_stream.html", **await _progress(console, stream))
    chosen = field(request, "source")
    form = form_of(chosen) if chosen else None
    return _form(console, form, {}, {})


async def preview(console: Console, request: Request) -> Response:
    """Show what has arrived so far, for a page that is open."""
    values = await _progress(console, field(request, "stream"))
    return console.render("first_run_preview.html", **values)


async def folders(console: Console, request: Request) -> Response:
    """Show a folder of this device, to choose it by mouse."""
    view = look_into(field(request, "path"))
    return console.render("first_run_folders.html", view=view, kind=field(request, "kind"))


async def add(console: Console, request: Request) -> Response:
    """Make the home if there is none, add the stream, and start or reload the daemon."""
    form = form_of(field(request, "source"))
    names = ("stream", "examples", "label", "keep", *(one.name for one in form.fields))
    given = {name: field(request, name).strip() for name in names}
    wrong = check_values(form, given)
    if wrong:
        return _form(console, form, given, wrong)
    try:
        await _make_home(console, form, given)
        await _add_stream(console, form, given)
        await _serve(console)
    except AskError as error:
        text = f"{sentence(error.reason)} {sentence(error.hint)}".rstrip()
        return _form(console, form, given, {"": text})
    return Response(b"", 303, {"Location": "first-run?" + urlencode({"stream": given["stream"]})})


async def enrol(console: Console, request: Request) -> Response:
    """Label the chosen measurements, or all that have arrived."""
    stream, label = field(request, "stream"), field(request, "label").strip()
    domain = field(request, "domain").strip()
    if not label:
        raise AskError("the label is missing", "enter what the selected measurements show")
    ids = all_fields(request.form, "id")
    if field(request, "all"):
        found = await _recent(console, stream, SELECTED_MAX)
        ids = [item["id"] for item in found["items"]]
    if not ids:
        raise AskError("no measurement is selected", "select at least one")
    labels = [
        {"observation_id": one, "label": label} | ({"domain": domain} if domain else {})
        for one in ids[:SELECTED_MAX]
    ]
    body = await console.ask("label-many", labels=labels)
    refused = body.get("refused", ())
    text = f"{body['labelled']} labelled as {label}."
    if refused:
        text += f" {len(refused)} were not: {refused[0]['reason']}."
    to = "first-run?" + urlencode({"stream": stream})
    return console.done(text, to=to, undo_id=str(body.get("undo_id", "")))


async def _make_home(console: Console, form: SourceForm, given: dict[str, str]) -> None:
    """Create the home with the encoder of a form, and learn its examples, unless it exists."""
    if (console.folder / settings_file.SETTINGS).exists():
        return
    words = ["init", str(console.folder), "--json"]
    if form.encoder == "vectors":
        words += ["--vectors", given["table"]]
    elif form.encoder != "default":
        words += ["--encoder", form.encoder]
    await _run(console, words, 60.0)
    if given["keep"]:
        text = settings_file.read_text(console.folder)
        kept = text.replace("raw = false", "raw = true ", 1)
        settings_file.save(console.folder, kept, settings_file.mark_of(text))
    examples = given["examples"] or (given["table"] if form.encoder == "vectors" else "")
    if examples and (given["examples"] or _has_labels(examples)):
        words = ["learn", examples, "--home", str(console.folder), "--json", "--yes"]
        await _run(console, words, LEARN_S)


async def _add_stream(console: Console, form: SourceForm, given: dict[str, str]) -> None:
    """Add the stream to the settings; raises AskError if they could not be used then."""
    before = settings_file.read_text(console.folder)
    known = settings_file.tables_of(before)
    if given["stream"] in known.get("streams", {}):
        raise AskError(f"there is a stream {given['stream']!r} already", "choose another name")
    text = before.rstrip("\n") + "\n" + toml_of(form, given, with_broker="mqtt" not in known)
    for one in await check_settings(console, text):
        if one["state"] == "error":
            raise AskError(one["detail"], one["hint"])
    settings_file.save(console.folder, text, settings_file.mark_of(before))


async def _serve(console: Console) -> None:
    """Let a running daemon read the settings, or start one."""
    try:
        await console.ask("reload")
    except DaemonOfflineError:
        try:
            await console.parts.programs.start_daemon()
        except OSError as error:
            raise AskError(f"starting the daemon: {error.strerror}", "auricle run") from error


async def _run(console: Console, words: list[str], wait_s: float) -> None:
    """Run a verb; raises AskError with its own message if it fails."""
    output = await console.parts.programs.run(*words, wait_s=wait_s)
    if output.status:
        lines = output.err.removeprefix("error: ").splitlines() or ["it has failed"]
        hint = next((one.strip().removeprefix("hint: ") for one in lines[1:]), "")
        raise AskError(lines[0], hint)


async def _progress(console: Console, stream: str) -> dict[str, Any]:
    """Return what the page of a stream shows; without a daemon, that it starts."""
    programs, live = console.parts.programs, console.parts.live
    values: dict[str, Any] = {
        "stream": stream,
        "status": None,
        "items": [],
        "total": 0,
        "labelled": 0,
        "labels": [],
        "waits": "",
        "log": "",
        "enrol": ENROL,
        "certain": CERTAIN,
        "home": "",
    }
    try:
        await live.refresh()
    except DaemonOfflineError as error:
        values["waits"] = "The daemon is starting." if programs.daemon_runs else error.reason
        values["log"] = "" if programs.daemon_runs else programs.daemon_log()
        return values
    found = [one for one in live.status["streams"] if one["name"] == stream]
    if not found:
        values["waits"] = "The daemon is reading its settings."
        return values
    values |= {"status": found[0], "home": found[0]["home"]}
    if found[0]["kind"] == "sample":
        gallery = await _recent(console, stream, SHOWN_MAX)
        knowledge = [one for one in live.status["homes"] if one["name"] == found[0]["home"]]
        values |= {
            "items": gallery["items"],
            "total": gallery["total"],
            "labels": gallery["labels"],
            "labelled": knowledge[0]["facts"] if knowledge else 0,
        }
    return values


async def _recent(console: Console, stream: str, limit: int) -> Any:
    """Return the newest measurements of a stream that have no label, a page of the gallery."""
    pages: list[Any] = []
    while not pages or (
        len(pages[-1]["items"]) == GALLERY_MAX and GALLERY_MAX * len(pages) < limit
    ):
        pages.append(
            await console.ask(
                "gallery",
                state="recent",
                order="newest",
                stream=stream,
                offset=GALLERY_MAX * len(pages),
                limit=min(limit, GALLERY_MAX),
            )
        )
    items = [item for one in pages for item in one["items"] if not item["label"]]
    return pages[0] | {"items": items[:limit]}


def _form(
    console: Console, form: SourceForm | None, given: dict[str, str], wrong: dict[str, str]
) -> Response:
    has_home = (console.folder / settings_file.SETTINGS).exists()
    return console.render(
        "first_run.html",
        422 if wrong else 200,
        forms=FORMS,
        form=form,
        given=given,
        wrong=wrong,
        has_home=has_home,
        streams=_streams(console),
        folder=str(console.folder.absolute()),
    )


def _streams(console: Console) -> list[str]:
    """Return the names of the streams in the settings, none without a home."""
    if not (console.folder / settings_file.SETTINGS).exists():
        return []
    text = settings_file.read_text(console.folder)
    return list(settings_file.tables_of(text).get("streams", {}))


def _has_labels(path: str) -> bool:
    """Return whether a table has a column of labels, by its first line."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - one line
            first = file.readline(65_536)
    except OSError:
        return False
    return "label" in [one.strip().strip('"') for one in first.split(",")]


ROUTES: Final = (
    Route("GET", "first-run", page, "owner"),
    Route("GET", "first-run-preview", preview, "owner"),
    Route("GET", "first-run-folders", folders, "owner"),
    Route("POST", "first-run-add", add, "owner"),
    Route("POST", "first-run-enrol", enrol, "owner"),
)
SCREEN: Final = Screen("first-run", "Add a stream", "a", "owner", ROUTES)
