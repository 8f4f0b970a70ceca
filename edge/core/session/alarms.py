"""When a stream is in alarm, and which domain it opens, comes back to, or leaves."""

from typing import Final

import hdc

from ..config import Config
from ..knowledge import Knowledge
from .novel_domains import ReferenceModel, UnlabelledRow, unpack_row
from .session import SessionState
from .stream import SampleAssessment, StreamState

APART_MIN: Final = 1.02
"""How many times nearer to each other than to a learned domain samples must be to open another."""

OPENING_APART_MIN: Final = 1.06
"""The same where the nearest is an opening, known by what was seen of it alone."""

YOUNG_APART_MIN: Final = 1.25
"""The same where it is an opening of fewer than eight windows, which can't hold yet all that
belongs to it."""

NEW_MIN: Final = 4
"""Fewest samples, new one by one, that a domain is opened with; else all that drifted open it."""

YOUNG_WINDOWS: Final = 8
LASTING_WINDOWS: Final = 3


class Alarms:
    """Raises and ends alarms.  config: of the runtime.  session: what is remembered."""

    def __init__(self, config: Config, session: SessionState) -> None:
        self._config = config
        self._session = session
        self._openings = session.openings

    def turn(
        self,
        stream: StreamState,
        window: hdc.WindowVerdict | None,
        known: Knowledge,
        ground: ReferenceModel,
    ) -> str | None:
        """Return the domain that a stream opens from now on: "" where its alarm ends, None where
        all stays as it was.

        window: the verdict of what is learned on the stream's window, None until it is full.
        A window outside every domain for more than its own length starts a check: samples that
        are apart from the nearest domain open a new one; odd samples of a domain do not, but a
        domain that stays odd for three windows is worth an alarm too.
        """
        stream.note(known=self._inside(stream, window, ground))
        if window is None:
            return None
        here = stream.here
        stream.elsewhere = stream.elsewhere + 1 if here != stream.opening else 0
        due = stream.drifted and stream.outside % stream.half == 1 % stream.half
        if due and self._is_new(stream, here, ground):
            if stream.opening not in self._openings or self._is_new(stream, stream.opening, ground):
                return self._open(stream, known)
            self._adopt(stream, known)
            return None
        if here in self._openings:
            return self._visit(stream, here, window, known, ground)
        if stream.alarmed:
            return "" if window.known else None
        return here if stream.outside > LASTING_WINDOWS * stream.length else None

    def settle(self, stream: StreamState) -> None:
        """Decide where the newest observation with enough on both sides belongs."""
        found = stream.settled()
        if found is None:
            return
        glance, domain = found
        self._session.recent.move(glance.key, domain)
        if domain in self._openings and not stream.outside:
            self._take(domain, glance)

    def _inside(
        self, stream: StreamState, window: hdc.WindowVerdict | None, ground: ReferenceModel
    ) -> bool | None:
        """Say whether a window lies in a domain or an opening; None where it can't be said."""
        if window is None or stream.here not in self._openings:
            return window.known if window else None
        rate = self._config.false_alarm_rate
        placed = [glance.placed for glance in stream.window]
        return hdc.detect_window(placed, ground.calibration, rate).p_value > rate

    def _is_new(self, stream: StreamState, here: str, ground: ReferenceModel) -> bool:
        """Say whether what drifted is apart from a domain, rather than an odd part of it."""
        rows = stream.strange
        codes = hdc.Codes.concat([glance.codes for glance in rows])
        ratio = ground.apart(codes, [glance.verdict.label for glance in rows], here)
        if here not in self._openings:
            return ratio >= APART_MIN
        young = len(self._openings.rows(here)) < YOUNG_WINDOWS * stream.length
        return ratio >= (YOUNG_APART_MIN if young else OPENING_APART_MIN)

    def _open(self, stream: StreamState, known: Knowledge) -> str:
        """Open a domain of what is new in what drifted, and file the rest by its neighbours."""
        name = self._session.next_domain(known)
        rows = [glance for glance in stream.strange if glance.odd]
        for glance in rows if len(rows) >= NEW_MIN else stream.strange:
            self._take(name, glance)
        self._look_again(stream, known)
        if stream.here != name:
            for glance in stream.window:
                self._take(name, glance)
            self._look_again(stream, known)
        stream.outside = stream.elsewhere = 0
        for at, glance in enumerate(stream.recent):
            domain = stream.place(at)
            self._session.recent.move(glance.key, domain)
            if domain == name:
                self._take(name, glance)
            else:
                self._openings.drop((glance.key,))
        return name

    def _adopt(self, stream: StreamState, known: Knowledge) -> None:
        """Let what drifted be part of the opening that the stream is in."""
        for glance in stream.strange:
            self._take(stream.opening, glance)
        self._look_again(stream, known)
        stream.outside = 0

    def _visit(
        self,
        stream: StreamState,
        here: str,
        window: hdc.WindowVerdict,
        known: Knowledge,
        ground: ReferenceModel,
    ) -> str | None:
        """Recognise an opening, of this stream or another, that a stream has come to."""
        if not stream.alarmed:
            return here if window.known is False and not stream.outside else None
        if stream.elsewhere < stream.half:
            return None
        stream.elsewhere = 0
        if stream.opening in self._openings and self._merge(here, stream.opening, known, ground):
            self._look_again(stream, known)
            return None
        return here

    def _merge(self, here: str, there: str, known: Knowledge, ground: ReferenceModel) -> bool:
        """Let two openings be one where the smaller, unlabelled yet, is not apart from the other;
        True where they are one now."""
        less, more = sorted((here, there), key=lambda name: len(self._openings.rows(name)))
        rows = tuple(self._openings.rows(less).values())[-YOUNG_WINDOWS * self._config.window :]
        if less in known.domains or len(rows) < 2:
            return False
        codes = known.geometry.project(unpack_row(rows))
        if ground.apart(codes, [row.label for row in rows], more) >= OPENING_APART_MIN:
            return False
        self._session.rename(less, more)
        return True

    def _look_again(self, stream: StreamState, known: Knowledge) -> None:
        """Look at a stream's observations again, now that the openings are others."""
        session, ground = self._session, self._session.lay(known)
        stream.refresh(
            lambda seen: session.glance(seen.key, seen.codes, known, ground), session.version
        )

    def _take(self, name: str, glance: SampleAssessment) -> None:
        seen = self._session.recent.get(glance.key)
        if seen is not None:
            self._openings.add(name, glance.key, UnlabelledRow(glance.verdict.label, seen.features))
