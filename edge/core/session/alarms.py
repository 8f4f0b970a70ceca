"""Drift alarms: when a stream is in alarm, and which domain the alarm opens, returns to or ends in.

docs/explanation/streams.md describes the steps.
"""

from typing import Final

import hdc

from ..config import Config
from ..knowledge import Knowledge
from .novel_domains import ReferenceModel, UnlabelledRow, unpack_rows
from .stream import SampleAssessment, SessionState, StreamState

SEPARATION_MIN: Final = 1.02
"""How many times farther from a learned domain than from each other samples must lie to open a
novel domain.  Samples of the domain itself come out below 1.  Tuned on PACS, like the next three
constants: docs/explanation/streams.md."""

NOVEL_SEPARATION_MIN: Final = 1.06
"""The same if the nearest domain is a novel one, known only by unlabelled observations.  Tuned on
PACS."""

YOUNG_SEPARATION_MIN: Final = 1.25
"""The same if that novel domain is young: it cannot hold its whole variety yet.  Tuned on PACS."""

YOUNG_WINDOWS: Final = 8
"""Windows of observations below which a novel domain is young.  Tuned on PACS."""

NOVEL_SAMPLES_MIN: Final = 4
"""Fewest individually novel samples that open a domain by themselves; with fewer, all drifted
samples open it.  Chosen by hand; effect not measured."""

ODD_WINDOWS: Final = 3
"""Windows for which a learned domain may look odd before its stream raises an alarm that names it.
Chosen by hand; effect not measured."""


class Alarms:
    """Raises and ends drift alarms.  session: updated in place."""

    def __init__(self, config: Config, session: SessionState) -> None:
        self._config = config
        self._session = session
        self._novel = session.novel_domains

    def update(
        self,
        stream: StreamState,
        window: hdc.WindowVerdict | None,
        known: Knowledge,
        reference: ReferenceModel,
    ) -> str | None:
        """Return the domain of the stream's alarm from now on: "" if the alarm ends, None if
        nothing changes.

        window: verdict on the stream's window against the learned domains, None until it is full.
        Windows outside every domain for longer than one window start a check: samples separated
        from the nearest domain open a novel one; odd samples of a learned domain do not, but a
        domain that stays odd for `ODD_WINDOWS` windows raises an alarm too.
        """
        stream.count_outside(known=self._is_inside(stream, window, reference))
        if window is None:
            return None
        here = stream.window_domain
        elsewhere = here != stream.alarm_domain
        stream.elsewhere_count = stream.elsewhere_count + 1 if elsewhere else 0
        due = stream.drifted and stream.outside_count % stream.half == 1 % stream.half
        if due and self._is_separate(stream, here, reference):
            current = stream.alarm_domain
            if current not in self._novel or self._is_separate(stream, current, reference):
                return self._open(stream, known)
            self._absorb(stream, known)
            return None
        if here in self._novel:
            return self._recognise(stream, window, known, reference)
        if stream.alarmed:
            return "" if window.known else None
        return here if stream.outside_count > ODD_WINDOWS * stream.length else None

    def smooth(self, stream: StreamState) -> None:
        """Assign the newest observation with half a window after it to its smoothed domain."""
        found = stream.fixed_lag()
        if found is None:
            return
        one, domain = found
        self._session.label_buffer.move(one.key, domain)
        if domain in self._novel and not stream.outside_count:
            self._collect(domain, one)

    def _is_inside(
        self, stream: StreamState, window: hdc.WindowVerdict | None, reference: ReferenceModel
    ) -> bool | None:
        """Return whether a window lies inside a learned or novel domain; None if undecidable."""
        if window is None or stream.window_domain not in self._novel:
            return window.known if window else None
        rate = self._config.false_alarm_rate
        placements = [one.placement for one in stream.window]
        return hdc.detect_window(placements, reference.calibration, rate).p_value > rate

    def _is_separate(self, stream: StreamState, domain: str, reference: ReferenceModel) -> bool:
        """Return whether the drifted samples are separate from a domain, not an odd part of it."""
        rows = stream.drifted_samples
        codes = hdc.Codes.concat([one.codes for one in rows])
        ratio = reference.separation(codes, [one.verdict.label for one in rows], domain)
        if domain not in self._novel:
            return ratio >= SEPARATION_MIN
        young = len(self._novel.rows(domain)) < YOUNG_WINDOWS * stream.length
        return ratio >= (YOUNG_SEPARATION_MIN if young else NOVEL_SEPARATION_MIN)

    def _open(self, stream: StreamState, known: Knowledge) -> str:
        """Open a domain with the novel ones of the drifted samples; assign the others by their
        neighbours."""
        name = self._session.unused_domain_name(known)
        rows = [one for one in stream.drifted_samples if one.is_novel]
        for one in rows if len(rows) >= NOVEL_SAMPLES_MIN else stream.drifted_samples:
            self._collect(name, one)
        self._reassess(stream, known)
        if stream.window_domain != name:
            for one in stream.window:
                self._collect(name, one)
            self._reassess(stream, known)
        stream.outside_count = stream.elsewhere_count = 0
        for at, one in enumerate(stream.recent):
            domain = stream.smoothed_domain(at)
            self._session.label_buffer.move(one.key, domain)
            if domain == name:
                self._collect(name, one)
            else:
                self._novel.drop((one.key,))
        return name

    def _absorb(self, stream: StreamState, known: Knowledge) -> None:
        """Add the drifted samples to the novel domain of the stream's alarm."""
        for one in stream.drifted_samples:
            self._collect(stream.alarm_domain, one)
        self._reassess(stream, known)
        stream.outside_count = 0

    def _recognise(
        self,
        stream: StreamState,
        window: hdc.WindowVerdict,
        known: Knowledge,
        reference: ReferenceModel,
    ) -> str | None:
        """Return the novel domain that a stream's window has entered, once it has stayed there."""
        here = stream.window_domain
        if not stream.alarmed:
            return here if window.known is False and not stream.outside_count else None
        if stream.elsewhere_count < stream.half:
            return None
        stream.elsewhere_count = 0
        current = stream.alarm_domain
        if current in self._novel and self._merge(here, current, known, reference):
            self._reassess(stream, known)
            return None
        return here

    def _merge(self, here: str, there: str, known: Knowledge, reference: ReferenceModel) -> bool:
        """Merge two novel domains if the smaller, still unlabelled, is not separate from the other;
        return whether they were merged."""
        less, more = sorted((here, there), key=lambda name: len(self._novel.rows(name)))
        rows = tuple(self._novel.rows(less).values())[-YOUNG_WINDOWS * self._config.window :]
        if less in known.domains or len(rows) < 2:
            return False
        codes = known.geometry.project(unpack_rows(rows))
        if reference.separation(codes, [row.label for row in rows], more) >= NOVEL_SEPARATION_MIN:
            return False
        self._session.rename(less, more)
        return True

    def _reassess(self, stream: StreamState, known: Knowledge) -> None:
        """Assess a stream's observations again, after novel domains have changed."""
        session = self._session
        reference = session.reference_model(known)
        stream.refresh(
            lambda one: session.assess(one.key, one.codes, known, reference), session.version
        )

    def _collect(self, name: str, one: SampleAssessment) -> None:
        """Add an observation to a novel domain, if its features are still buffered."""
        buffered = self._session.label_buffer.get(one.key)
        if buffered is not None:
            row = UnlabelledRow(one.verdict.label, buffered.features)
            self._novel.add(name, one.key, row)
