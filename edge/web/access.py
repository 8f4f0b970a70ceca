"""Sessions: who a browser is, for how long, and the token that its actions must carry.

A session is a random secret in a cookie; only its hash is kept.  The CSRF token is derived from the
secret, so that a page of another origin, which cannot read the cookie, cannot know it.  Sessions
are saved in the home, so that a restart of the console asks for no new link.
"""

import hmac
import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..storage import write_bytes
from .links import FOLDER, ROLES, TOKEN_TEXT, Role, hash_secret, new_secret, redeem_link

IDLE_S: Final = 24 * 3_600.0
"""Seconds without a request until a session ends: who looks in every day stays.  Chosen by hand;
effect not measured."""

SESSION_S: Final = 30 * 86_400.0
"""Seconds until a session ends in any case.  Chosen by hand; effect not measured."""

SESSIONS_MAX: Final = 64
"""Sessions; the one that was idle longest gives way.  Chosen by hand; effect not measured."""

NOTES_MAX: Final = 8
"""Messages that wait for the next page of a session.  Chosen by hand; effect not measured."""

SAVE_S: Final = 60.0
"""How often the times of use are saved; a crash makes a session look idle for so much longer."""


@dataclass(kw_only=True)
class WebSession:
    """One browser.  secret: of its cookie, known only while a request carries it.  notes: messages
    for its next page.  via_ingress: Home Assistant has checked who it is."""

    role: Role
    begun_s: float
    used_s: float
    secret: str = ""
    notes: list[dict[str, str]] = field(default_factory=list)
    via_ingress: bool = False

    @property
    def csrf(self) -> str:
        """The token that this session's actions must carry."""
        return hmac.digest(self.secret.encode(), b"csrf", "sha256").hex()

    def note(self, text: str, tone: str = "good", undo_id: str = "") -> None:
        """Keep a message for the next page."""
        self.notes.append({"text": text, "tone": tone, "undo": undo_id})
        del self.notes[:-NOTES_MAX]

    def take_notes(self) -> list[dict[str, str]]:
        """Return the waiting messages once."""
        taken, self.notes = self.notes, []
        return taken


class Sessions:
    """The sessions of one home.  clock: seconds since 1970."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder, self._clock = folder, clock
        self._path = folder / FOLDER / "sessions.json"
        self._sessions: dict[str, WebSession] = {}
        self._saved_s = 0.0
        self._load()

    def redeem(self, token: str) -> WebSession | None:
        """Open a session with a one-time token; None if it opens nothing.

        The secret is always new: one that a browser brought is never adopted (session fixation).
        """
        role = redeem_link(self._folder, token, self._clock())
        return None if role is None else self.open(role)

    def open(self, role: Role, *, via_ingress: bool = False) -> WebSession:
        """Open a session in a role."""
        now_s = self._clock()
        session = WebSession(
            role=role, begun_s=now_s, used_s=now_s, secret=new_secret(), via_ingress=via_ingress
        )
        self._drop_expired(now_s)
        while len(self._sessions) >= SESSIONS_MAX:
            idle = min(self._sessions, key=lambda key: self._sessions[key].used_s)
            del self._sessions[idle]
        self._sessions[hash_secret(session.secret)] = session
        self.save()
        return session

    def find(self, secret: str) -> WebSession | None:
        """Return the session of a cookie's secret, None if it has none or it has ended."""
        if not TOKEN_TEXT.fullmatch(secret):
            return None
        now_s = self._clock()
        session = self._sessions.get(hash_secret(secret))
        if session is None or _ended(session, now_s):
            return None
        session.used_s, session.secret = now_s, secret
        if now_s - self._saved_s > SAVE_S:
            self.save()
        return session

    def holds(self, session: WebSession) -> bool:
        """Return whether a session has not ended."""
        kept = self._sessions.get(hash_secret(session.secret))
        return kept is session and not _ended(session, self._clock())

    def close(self, session: WebSession) -> None:
        """End a session."""
        self._sessions.pop(hash_secret(session.secret), None)
        self.save()

    def save(self) -> None:
        """Save the sessions; a full disk costs only their memory over a restart."""
        self._saved_s = self._clock()
        self._drop_expired(self._saved_s)
        kept = {
            key: {"role": one.role, "begun_s": one.begun_s, "used_s": one.used_s}
            for key, one in self._sessions.items()
            # Home Assistant opens a new one at its next request.
            if not one.via_ingress
        }
        with suppress(OSError):
            self._path.parent.mkdir(mode=0o700, exist_ok=True)
            write_bytes(self._path, json.dumps(kept).encode(), private=True)

    def _load(self) -> None:
        """Read the saved sessions; a damaged file holds none."""
        try:
            for key, one in json.loads(self._path.read_text("utf-8")).items():
                if one["role"] in ROLES:
                    begun_s, used_s = float(one["begun_s"]), float(one["used_s"])
                    self._sessions[str(key)] = WebSession(
                        role=one["role"], begun_s=begun_s, used_s=used_s
                    )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self._sessions = {}

    def _drop_expired(self, now_s: float) -> None:
        ended = [key for key, one in self._sessions.items() if _ended(one, now_s)]
        for key in ended:
            del self._sessions[key]


def _ended(session: WebSession, now_s: float) -> bool:
    """A clock that was set back ends no session early, and extends none beyond its times."""
    idle_s, age_s = abs(now_s - session.used_s), abs(now_s - session.begun_s)
    return idle_s > IDLE_S or age_s > SESSION_S
