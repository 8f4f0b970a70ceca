"""The console as a process: reads [web], listens, prints a one-time link, and stops on a signal.

It is started by `auricle web` or by the daemon.  One console serves a home: the second one says so.
"""

import asyncio
import fcntl
import json
import os
import signal
import sys
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Final, TextIO

import msgspec

from ..config import WebSettings
from ..logs import log, set_up_logs
from .app import Application
from .links import FOLDER, RUNNING, drop_expired_links, make_link, print_link, running_address
from .processes import lower_priority

SERVED: Final = 3
"""Exit status: another console serves this home."""

FAILED: Final = 1
"""Exit status: it could not start."""

TIDY_S: Final = 3_600.0
"""How often expired links and sessions are dropped: the time in which a link expires."""


def read_web_settings(folder: Path) -> tuple[WebSettings, str]:
    """Return [web] of a home, and why the defaults are used instead; empty if they are not.

    Only this section is read, so that the console can show and repair broken settings.
    """
    try:
        text = (folder / "auricle.toml").read_text("utf-8")
        return msgspec.convert(tomllib.loads(text).get("web", {}), WebSettings), ""
    except FileNotFoundError:
        return WebSettings(), ""
    except (OSError, ValueError) as error:
        return WebSettings(), f"reading [web] of {folder / 'auricle.toml'}: {error}"


def serve_console(folder: Path, port: int | None = None, *, child: bool = False) -> int:
    """Serve the console of a home until a signal; returns the exit status.

    port: instead of that in [web].  child: started by a daemon, with whose end (that of the
    standard input) it ends; it prints no link.
    """
    set_up_logs("info")
    os.umask(0o077)
    launcher = lower_priority()
    settings, problem = read_web_settings(folder)
    if problem:
        log.warning("settings_not_used", reason=problem, hint="the console uses its defaults")
    if port is not None:
        settings = msgspec.structs.replace(settings, port=port)
    try:
        (folder / FOLDER).mkdir(mode=0o700, parents=True, exist_ok=True)
        with (folder / FOLDER / RUNNING).open("a+", encoding="utf-8") as running:
            application = Application(folder, settings, launcher)
            return _serve_locked(application, running, child=child)
    except OSError as error:
        _say(f"error: opening {folder / FOLDER}: {error.strerror}")
        _say("  hint: choose a folder in which you may write, with --home")
        return FAILED


def _serve_locked(application: Application, running: TextIO, *, child: bool) -> int:
    folder = application.parts.folder
    try:
        fcntl.flock(running, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        _say(f"error: a console already serves {folder.absolute()}: {running_address(folder)}")
        _say("  hint: make another link for it: auricle web link")
        return SERVED
    try:
        return asyncio.run(_serve(application, running, child=child))
    finally:
        running.truncate(0)


async def _serve(application: Application, running: TextIO, *, child: bool) -> int:
    folder, settings = application.parts.folder, application.settings
    stop = asyncio.Event()
    _stop_on_signals(stop)
    try:
        server = await application.server.start(settings.host, settings.port)
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None)
        reason = os.strerror(number) if number else str(error)
        _say(f"error: listening on {settings.host}, port {settings.port}: {reason}")
        _say("  hint: choose another port with --port, or [web] port in auricle.toml")
        return FAILED
    port = server.sockets[0].getsockname()[1]
    application.cookie = f"auricle_{port}"
    running.truncate(0)
    json.dump({"address": shown_address(settings.host, port)}, running)
    running.flush()
    log.info("console_listening", host=settings.host, port=port)
    if not child:
        print_link(folder, make_link(folder, "owner"), "owner")
    tasks = [
        asyncio.create_task(application.parts.live.run()),
        asyncio.create_task(_tidy(application)),
    ]
    if child:
        tasks.append(asyncio.create_task(_wait_for_end_of_input(stop)))
    await stop.wait()
    server.close()
    for task in tasks:
        task.cancel()
    await application.server.stop()
    application.parts.sessions.save()
    await application.parts.programs.stop()
    log.info("console_stopped")
    return 0


def shown_address(host: str, port: int) -> str:
    """Return the address that a browser on this machine opens."""
    name = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 - compared, not bound
    return f"http://[{name}]:{port}/" if ":" in name else f"http://{name}:{port}/"


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # A terminal that is closed ends the console, unless it is a service.
    loop.add_signal_handler(signal.SIGHUP, stop.set)


async def _wait_for_end_of_input(stop: asyncio.Event) -> None:
    """Stop when the daemon has ended, however it ended: its end of the pipe closes."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()
    stop.set()


async def _tidy(application: Application) -> None:
    while True:
        await asyncio.sleep(TIDY_S)
        application.parts.sessions.save()
        drop_expired_links(application.parts.folder)


def _say(text: str) -> None:
    with suppress(OSError):
        sys.stderr.write(text + "\n")
