"""The analysis process: reads questions from standard input, one line each, and answers them."""

import os
import selectors
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from ..config import read_settings
from ..core import ConfigError, EdgeError
from ..storage import Store
from .enough import how_much_more
from .learned import Learned, read_learned
from .prototypes import find_prototypes
from .suspicious import find_suspicious
from .waiting_groups import Waiting, group_waiting, read_waiting

IDLE_S: Final = 60.0
"""Seconds without a question after which the process ends."""

READ_S: Final = 4.0
"""Longest time that a file stays open: an erasure waits for readers five seconds
(`database.BUSY_TIMEOUT_S`), so the process ends before that."""

NICENESS: Final = 10
"""As a worker's (`worker.NICENESS`)."""

LEARNED: Final[dict[str, Callable[[Learned], Any]]] = {
    "suspicious": find_suspicious,
    "prototypes": find_prototypes,
    "enough": how_much_more,
}
WAITING: Final[dict[str, Callable[[Waiting], Any]]] = {"groups": group_waiting}


class AnalysisRequest(msgspec.Struct, frozen=True):
    """A question about a home."""

    what: str
    home: str = ""


def serve(folder: Path) -> None:
    """Answer questions until standard input ends or no question comes for `IDLE_S`."""
    os.nice(NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # A terminal sends it to the whole group.
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
        while selector.select(IDLE_S):
            block = os.read(sys.stdin.fileno(), 1 << 16)
            if not block:
                return
            *lines, rest = (rest + block).split(b"\n")
            for line in lines:
                sys.stdout.buffer.write(answer(folder, line) + b"\n")
                sys.stdout.buffer.flush()


def answer(folder: Path, line: bytes) -> bytes:
    """Return the answer to a question, or why there is none."""
    try:
        body = analyse(folder, msgspec.json.decode(line, type=AnalysisRequest))
    except EdgeError as error:
        return msgspec.json.encode({"done": False, "reason": error.message, "hint": error.hint})
    except msgspec.DecodeError as error:
        return msgspec.json.encode({"done": False, "reason": f"{error}", "hint": ""})
    return msgspec.json.encode({"done": True, "body": body})


def analyse(folder: Path, request: AnalysisRequest) -> Any:
    """Read the data for a question, close the file, and compute the answer."""
    path = _knowledge_file(folder, request.home)
    if request.what in LEARNED:
        learned = _read(path, read_learned)
        return LEARNED[request.what](learned)
    if request.what in WAITING:
        return WAITING[request.what](_read(path, read_waiting))
    known = ", ".join((*LEARNED, *WAITING))
    raise EdgeError(f"analysing: there is no question {request.what!r}", f"known: {known}")


def _read(path: Path, read: Callable[[Store], Any]) -> Any:
    overdue = threading.Timer(READ_S, os._exit, (1,))
    overdue.daemon = True
    overdue.start()
    try:
        with Store.open(path, writable=False) as store:
            return read(store)
    finally:
        overdue.cancel()


def _knowledge_file(folder: Path, home: str) -> Path:
    settings = read_settings(folder)
    if not home:
        return folder / settings.knowledge.file
    place = settings.homes.get(home)
    if place is None:
        known = ", ".join(settings.homes) or "none"
        raise ConfigError(f"analysing: there is no home {home!r}", f"known homes: {known}")
    own = folder / place
    return own / read_settings(own).knowledge.file
