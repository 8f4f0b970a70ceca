"""The screen Health: the daemon, its machine, and its settings as a text."""

import json
from typing import Any, Final

from microdot import Request, Response

from .. import settings_file
from ..client import AskError, DaemonOfflineError
from ..common import field
from ..console import Console
from ..screen import Route, Screen

CARD_BYTES: Final = 32 * 10**9 * 1_000
"""Bytes that a memory card of 32 GB takes before it wears out: 1,000 writes of each cell, a low
figure for consumer cards (TLC flash: 500 to 3,000)."""

DAYS_A_YEAR: Final = 365.25
"""Days in a Julian year (IAU)."""

YEARS_SHOWN_MAX: Final = 100
"""More years than this are shown as "more than"."""

DOCTOR_S: Final = 60.0
"""Seconds for the checks of the machine: they take two, on a slow card ten."""

BODY_BYTES_MAX: Final = 4 * settings_file.TEXT_BYTES_MAX
"""Longest form with settings: a form writes most signs as three bytes."""


async def page(console: Console, _request: Request) -> Response:
    """Show the screen; without a daemon the settings can still be repaired."""
    live = console.parts.live
    try:
        await live.refresh()
        offline = ""
    except DaemonOfflineError as error:
        if not console.may("owner") or not (console.folder / settings_file.SETTINGS).exists():
            raise
        offline = error.reason
    settings = _settings(console) if console.may("owner") else None
    return console.render(
        "health.html",
        status=None if offline else live.status,
        offline=offline,
        settings=settings,
        card_years=None if offline else card_years(live.status["written_bytes_day"]),
    )


async def state(console: Console, _request: Request) -> Response:
    """Show the daemon's part alone, for a page that is open."""
    return await console.parts.shared.render(console, "health_state.html", _state)


async def _state(console: Console) -> dict[str, Any]:
    status = console.parts.live.status
    return {"status": status, "card_years": card_years(status["written_bytes_day"])}


async def doctor(console: Console, _request: Request) -> Response:
    """Check the machine, in a process of its own."""
    words = ("doctor", "--json", "--home", str(console.folder))
    output = await console.parts.programs.run(*words, wait_s=DOCTOR_S)
    findings = [json.loads(line) for line in output.out.splitlines() if line.startswith("{")]
    if not findings:
        raise AskError(f"checking the machine: {output.err or 'no result'}", "auricle doctor")
    return console.render("health_doctor.html", findings=findings)


async def check(console: Console, request: Request) -> Response:
    """Check a text of settings without saving it."""
    text = _text(request)
    findings = await check_settings(console, text)
    return _editor(console, text, field(request, "mark"), findings, saved=False)


async def save(console: Console, request: Request) -> Response:
    """Save a text of settings that the daemon can use, and let it read them."""
    text, mark = _text(request), field(request, "mark")
    try:
        # Said at once: the check takes seconds.
        settings_file.unchanged_text(console.folder, mark)
        findings = await check_settings(console, text)
        if any(one["state"] == "error" for one in findings):
            return _editor(console, text, mark, findings, saved=False)
        settings_file.save(console.folder, text, mark)
    except AskError as error:
        findings = [finding("settings", "error", error.reason, error.hint)]
        return _editor(console, text, mark, findings, saved=False)
    findings += await _reload(console)
    return _editor(console, text, settings_file.mark_of(text), findings, saved=True)


async def restore(console: Console, _request: Request) -> Response:
    """Put the settings before the last save into the editor; nothing is saved yet."""
    text = settings_file.read_backup(console.folder)
    mark = settings_file.mark_of(settings_file.read_text(console.folder))
    findings = await check_settings(console, text)
    return _editor(console, text, mark, findings, saved=False)


async def reload(console: Console, _request: Request) -> Response:
    """Let the daemon read its settings again."""
    body = await console.ask("reload")
    return console.done("; ".join(body["did"]), to="health")


async def pause(console: Console, request: Request) -> Response:
    """Stop or resume decisions."""
    wanted = "pause" if field(request, "paused") == "yes" else "resume"
    body = await console.ask(wanted)
    text = "Decisions are paused." if body["paused"] else "Decisions have resumed."
    return console.done(text, to="health", tone="warn" if body["paused"] else "good")


async def check_settings(console: Console, text: str) -> list[dict[str, Any]]:
    """Return what `auricle check` finds in a text, with the line of each error."""
    words = ("check", "--proposed", "--json", "--home", str(console.folder))
    output = await console.parts.programs.run(*words, given=text.encode())
    found = [json.loads(line) for line in output.out.splitlines() if line.startswith("{")]
    if not found:
        found = [finding("settings", "error", output.err or "the check gave no result", "")]
    return [one | {"line": settings_file.line_of(text, one["detail"])} for one in found]


def finding(what: str, state: str, detail: str, hint: str) -> dict[str, Any]:
    """Return a finding of the console, as those of `auricle check`."""
    return {"what": what, "state": state, "detail": detail, "hint": hint, "line": 0}


def card_years(written_bytes_day: int) -> float | None:
    """Return how many years a memory card of 32 GB lasts at this pace; None for ever."""
    if not written_bytes_day:
        return None
    years = CARD_BYTES / written_bytes_day / DAYS_A_YEAR
    return years if years <= YEARS_SHOWN_MAX else None


async def _reload(console: Console) -> list[dict[str, Any]]:
    """Return what a reload has changed, as findings."""
    try:
        body = await console.ask("reload")
    except DaemonOfflineError:
        return [
            finding(
                "reload", "ok", "no daemon is running: the settings apply at its next start", ""
            )
        ]
    except AskError as error:
        return [finding("reload", "warning", error.reason, error.hint)]
    restart = [one for one in body["did"] if "restart" in one]
    return [
        finding("reload", "warning" if restart else "ok", "; ".join(body["did"]), ""),
    ]


def _settings(console: Console) -> dict[str, Any]:
    text = settings_file.read_text(console.folder)
    return _editor_values(console, text, settings_file.mark_of(text), [], saved=False)


def _text(request: Request) -> str:
    """Return the text of the form.  Browsers send CRLF (HTML, 4.10.21.7)."""
    text = field(request, "text").replace("\r\n", "\n")
    if len(text.encode()) > settings_file.TEXT_BYTES_MAX:
        most = settings_file.TEXT_BYTES_MAX >> 10
        raise AskError(f"the settings are longer than {most} KiB", "edit the file on the device")
    return text if text.endswith("\n") or not text else text + "\n"


def _editor_values(
    console: Console, text: str, mark: str, findings: list[dict[str, Any]], *, saved: bool
) -> dict[str, Any]:
    errors = [one for one in findings if one["state"] == "error"]
    return {
        "text": text,
        "mark": mark,
        "findings": findings,
        "errors": errors,
        "saved": saved,
        "backup": settings_file.has_backup(console.folder),
        "line": next((one["line"] for one in errors if one["line"]), 0),
    }


def _editor(
    console: Console, text: str, mark: str, findings: list[dict[str, Any]], *, saved: bool
) -> Response:
    values = _editor_values(console, text, mark, findings, saved=saved)
    if console.enhanced:
        return console.render("health_settings.html", settings=values)
    return console.render("health_edit.html", settings=values)


ROUTES: Final = (
    Route("GET", "health", page),
    Route("GET", "health-state", state),
    Route("POST", "health-doctor", doctor, "owner"),
    Route("POST", "health-check", check, "owner", BODY_BYTES_MAX),
    Route("POST", "health-save", save, "owner", BODY_BYTES_MAX),
    Route("POST", "health-restore", restore, "owner"),
    Route("POST", "health-reload", reload, "owner"),
    Route("POST", "health-pause", pause, "owner"),
)
SCREEN: Final = Screen("health", "Health", "s", "viewer", ROUTES)
