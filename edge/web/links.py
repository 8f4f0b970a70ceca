"""Roles, and one-time links that open the console in one of them.

A link holds a random token; the home's folder `console/links` holds a file named by the token's
hash.  Who may write there owns the device anyway, as with the control socket.  Taking the file away
redeems the token, so a link works once even if two browsers open it in the same moment.
"""

import hashlib
import json
import os
import re
import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

Role = Literal["viewer", "labeller", "owner"]

ROLES: Final[tuple[Role, ...]] = ("viewer", "labeller", "owner")
"""Each role may do what those before it may."""

FOLDER: Final = "console"
"""Folder in the home with links and sessions; only its owner may read it."""

RUNNING: Final = "running.json"
"""File in that folder with the address of the console that runs; it is locked meanwhile."""

LINK_S: Final = 3_600
"""Seconds in which a link must be opened: time to send it to a colleague.  Chosen by hand; effect
not measured."""

LINKS_MAX: Final = 64
"""Links that wait to be opened; the oldest gives way.  Chosen by hand; effect not measured."""

TOKEN_BYTES: Final = 32
"""Random bytes of tokens and session secrets: twice what OWASP asks of session ids (128 bits)."""

TOKEN_TEXT: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)
"""`TOKEN_BYTES` in base64 for URLs."""


def new_secret() -> str:
    """Return a new random text for a token or a session."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def hash_secret(text: str) -> str:
    """Return the hash under which a token or a session is kept."""
    return hashlib.sha256(text.encode()).hexdigest()


def make_link(folder: Path, role: Role) -> str:
    """Return a new token that opens the console of a home once.  Raises OSError."""
    links = folder / FOLDER / "links"
    (folder / FOLDER).mkdir(mode=0o700, parents=True, exist_ok=True)
    links.mkdir(mode=0o700, exist_ok=True)
    waiting = sorted(links.iterdir(), key=_changed_s)
    for one in waiting[: max(0, len(waiting) + 1 - LINKS_MAX)]:
        one.unlink(missing_ok=True)
    token = new_secret()
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(links / hash_secret(token), flags, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"role": role, "until_s": time.time() + LINK_S}, file)
    return token


def redeem_link(folder: Path, token: str, now_s: float) -> Role | None:
    """Return the role that a token opens, and end the token; None for one that opens nothing."""
    if not TOKEN_TEXT.fullmatch(token):
        return None
    path = folder / FOLDER / "links" / hash_secret(token)
    try:
        content = json.loads(path.read_text("utf-8"))
        path.unlink()
        role, until_s = content["role"], float(content["until_s"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return role if role in ROLES and now_s <= until_s else None


def allows(role: Role, wanted: Role) -> bool:
    """Return whether a role includes another."""
    return ROLES.index(role) >= ROLES.index(wanted)


def drop_expired_links(folder: Path) -> None:
    """Delete links that were not opened in time."""
    now_s = time.time()
    for path in _links(folder):
        if _changed_s(path) + LINK_S < now_s:
            path.unlink(missing_ok=True)


def running_address(folder: Path) -> str:
    """Return the address of the console that serves a home; empty if none does."""
    with suppress(OSError, ValueError, KeyError):
        text = (folder / FOLDER / RUNNING).read_text("utf-8")
        return str(json.loads(text)["address"])
    return ""


def print_link(folder: Path, token: str, role: str) -> None:
    """Print a one-time link for a home whose console runs."""
    address = running_address(folder)
    with suppress(OSError):
        sys.stdout.write(
            f"open {address}open?token={token}\n"
            f"it opens the console once, as {role}, within an hour; more: auricle web link\n"
        )
        sys.stdout.flush()


def _links(folder: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from (folder / FOLDER / "links").iterdir()


def _changed_s(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
