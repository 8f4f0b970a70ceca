"""Drift alarms: when a stream is in alarm, and which domain the alarm opens, returns to or ends in.

docs/explanation/streams.md describes the steps.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import hdc

from ..config import Config
from ..knowledge import Knowledge
from .novel_domains import ReferenceModel, UnlabelledRow, unpack_rows
from .session_state import SessionState
from .stream import (
    SETTLED_WINDOWS,
    SampleAssessment,
    StreamState,
)

NOVEL_SAMPLES_MIN: Final = 4
"""Fewest individually novel samples that open a domain by themselves; with fewer, all drifted
samples open it.  Chosen by hand; effect not measured."""

LABELS_MIN: Final = 32
"""Facts of a novel domain at which its alarm may end: two default windows.  Chosen by hand; effect
not measured."""

RIVALS: Final = 3
"""Nearest domains that drifted samples must be separate from to open another.  Chosen by hand."""

MERGE_SHIFT_MAX: Final = 0.5
"""Shift below which a domain is a part of another, half of what opens one.  Chosen by hand; effect
not measured."""

MERGE_WINDOWS: Final = 8
"""Windows of a domain's newest observations that are compared before it is merged into another.
Chosen by hand; effect not measured."""

MERGE_PART_WINDOWS: Final = 2
"""Windows of a part of these observations that must not lie far from the other domain either: of
one sensor of ELEC2, 106 had moved 2.1 times as far as chance explains, and with a few extreme ones
more, all together 0.4 times."""

MERGE_PART_SHIFT_MAX: Final = 1.5
"""Shift from which such a part lies far from a domain: parts of one domain reached 1.3, those of
others 2 (six sensors of ELEC2)."""

SHORT_WINDOWS: Final = 2
"""Windows of a run that is revised when the stream moves on: its domain was found in a hurry.
Chosen by hand; effect not measured."""

YOUNG_WINDOWS: Final = 2
"""Windows after an opening in which samples that differ from it still join it.  Chosen by hand;
effect not measured."""

ODD_WINDOWS: Final = 3
"""Windows for which a learned domain may look odd before its stream raises an alarm that names it.
Chosen by hand; effect not measured."""


FITTING_RATES: Final = 3.0
"""Chosen rates above which the p-value of a window fits the learned domains well.  1.5 to 20 give
the same alarms, within two, on 5,644 samples of SKAB's fault-free recording."""


class Alarms:
    """Raises and ends drift alarms.  session: updated in place."""

    def __init__(self, config: Config, session: SessionState) -> None:
        self._config = config
        self._session = session
        self._novel = session.novel_domains
        self._compared: dict[str, int] = {}

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

        A novel domain may lie beside a learned one and hold samples that both explain, so the
        learned domains come first: no alarm is raised while the window is inside them at the chosen
        rate, and a stream is back once its windows fit them for as long as a window.
        """
        fits = self._fits_learned(window)
        stream.fit_count = stream.fit_count + 1 if fits else 0
        self._follow(stream, known, reference)
        self._return(stream, known)
        stream.count_outside(known=fits or self._is_inside(stream, window, reference))
        if stream.due and not stream.outside_count:
            self._reconsider(stream, known, reference)
        due = stream.drifted and stream.outside_count % stream.half == 1
        novel = window is None or not window.known
        opened = due and self._check(stream, known, reference, opens=novel)
        self._file(stream, known, reference)
        if opened:
            return stream.domain
        return self._turn(stream, window, known) if window is not None else None

    def _turn(self, stream: StreamState, window: hdc.WindowVerdict, known: Knowledge) -> str | None:
        """Return the domain of the stream's alarm, "" if it ends, None if nothing changes."""
        here = stream.domain
        settled = stream.tracker.age >= stream.length and not stream.outside_count
        if here in self._novel and not self._has_labels(here, known):
            moved = here not in known.domains and stream.alarm_domain != here
            if settled and moved and not window.known:
                return here
            if moved or stream.alarm_domain in (here, ""):
                return None
        if stream.alarmed:
            elsewhere = here != stream.alarm_domain and window.known is None
            ended = settled and (here in self._novel or elsewhere)
            return "" if stream.fit_count or ended else None
        odd = stream.outside_count > ODD_WINDOWS * stream.length
        return here if odd and not window.known else None

    def _fits_learned(self, window: hdc.WindowVerdict | None) -> bool:
        """Return whether a window fits the learned domains well: its p-value lies so far above the
        chosen rate that an alarm does not begin and end with chance."""
        least = FITTING_RATES * self._config.false_alarm_rate
        return window is not None and bool(window.known) and window.p_value > least

    def _return(self, stream: StreamState, known: Knowledge) -> None:
        """Move a stream from a novel domain without facts to the nearest learned one, once its
        windows have fitted the learned domains for as long as a window."""
        here = stream.domain
        if here not in self._novel or here in known.domains or stream.fit_count < stream.length:
            return
        learned = [name for name in stream.nearest_domains() if name in known.domains]
        if learned:
            stream.tracker.enter(learned[0])
            self._assign(stream.recent[-stream.fit_count :], learned[0])

    def _follow(self, stream: StreamState, known: Knowledge, reference: ReferenceModel) -> None:
        """Move the stream to the domain that its newest observations favour, if their mean fits it
        better too; merge novel domains that prove to be one."""
        before = stream.domain
        after, count = stream.follow(reference.memory.parts)
        if not after:
            return
        rows = stream.recent[-count:]
        compared = before in reference.memory.parts
        unproved = after in self._novel and after not in known.domains
        if compared and unproved and stream.fit_count:
            stream.tracker.dismiss(after)
            return
        if compared and len(rows) > 1:
            labelled = self._has_labels(before, known) and self._has_labels(after, known)
            there, here = (self._shift(rows, name, reference) for name in (after, before))
            doubtful = (here < 1 and not labelled) or (there >= 1 and stream.outside_count)
            if there >= here or doubtful:
                stream.tracker.dismiss(after)
                return
        run = stream.recent[-count - stream.tracker.age :][:-count]
        stream.tracker.enter(after)
        if compared and self._merge(after, before, known, reference):
            self._reassess(stream, known)
        self._assign(rows, stream.domain)
        self._revise(stream, run, before, reference)

    def _reconsider(self, stream: StreamState, known: Knowledge, reference: ReferenceModel) -> None:
        """Merge the domain that a stream is in with near ones that are one with it: once the stream
        has been there for a window, with the `RIVALS` nearest; a novel domain each time its
        observations have doubled with the nearest."""
        here, size = stream.domain, len(self._novel.rows(stream.domain))
        entered = 0 <= stream.tracker.age - stream.length < stream.half
        grown = here in self._novel and size >= 2 * self._compared.get(here, self._config.window)
        if not (entered or grown):
            return
        names = self._novel.names
        self._compared = {name: count for name, count in self._compared.items() if name in names}
        if here in names:
            self._compared[here] = size
        rivals = [name for name in stream.nearest_domains() if name != here]
        for rival in rivals[: RIVALS if entered else 1]:
            # A domain of one window has not shown its variety when its stream moves on.
            least = 1 if grown else MERGE_PART_WINDOWS
            if self._merge(here, rival, known, reference, least):
                self._reassess(stream, known)
                return

    def _revise(
        self,
        stream: StreamState,
        run: Sequence[SampleAssessment],
        before: str,
        reference: ReferenceModel,
    ) -> None:
        """Assign a short run in the domain before to the stream's domain if it fits that better."""
        short = 1 < len(run) <= SHORT_WINDOWS * stream.length
        names = (stream.domain, before)
        if short and all(name in reference.memory.parts for name in names):
            there, here = (self._shift(run, name, reference) for name in names)
            if there < here:
                self._assign(run, stream.domain)

    def _file(self, stream: StreamState, known: Knowledge, reference: ReferenceModel) -> None:
        """Assign the newest observation to a domain, for its label, and a settled one to the novel
        domain that it is in, while that has few labels.

        A labelled domain no longer follows its stream, which may have moved on to a similar one.

        A stream's observations belong to the domain that it is in; those of a mixed stream, or of
        one whose first window is not full, to the domain of their own neighbourhood.
        """
        if stream.due:
            rows = stream.recent[-stream.length - stream.half :]
            stream.mixed = stream.alternates and not self._fits(rows, stream.domain, reference)
        if stream.mixed or not stream.domain:
            found = stream.fixed_lag()
            if found is not None:
                self._session.label_buffer.move(found[0].key, found[1])
        else:
            self._assign(stream.recent[-1:], stream.domain)
        if stream.outside_count or not (stream.mixed or stream.tracker.steady):
            return
        settled = stream.settled()
        buffered = settled and self._session.label_buffer.get(settled.key)
        if settled and buffered and self._grows(buffered.domain, known):
            self._collect(buffered.domain, settled)

    def _assign(self, rows: Iterable[SampleAssessment], domain: str) -> None:
        """Assign observations to a domain."""
        for one in rows:
            before = self._session.label_buffer.get(one.key)
            if before is None or before.domain == domain:
                continue
            self._session.label_buffer.move(one.key, domain)
            if before.domain in self._novel and one.key in self._novel.rows(before.domain):
                self._novel.drop((one.key,))
                if domain in self._novel:
                    self._collect(domain, one)

    def _grows(self, domain: str, known: Knowledge) -> bool:
        """Return whether a domain is a novel one that takes in observations of its stream."""
        return domain in self._novel and not self._has_labels(domain, known)

    def _has_labels(self, domain: str, known: Knowledge) -> bool:
        """Return whether a novel domain has so many facts that its alarm may end."""
        own = known.own
        if domain not in own.parts:
            return False
        counts = own.counts
        return sum([counts[key] for key in own.keys[own.parts[domain]]]) >= LABELS_MIN

    def _check(
        self, stream: StreamState, known: Knowledge, reference: ReferenceModel, *, opens: bool
    ) -> bool:
        """Open a domain if the drifted samples are separate from all near ones, and return whether
        one was opened; add them to a novel domain that they are a part of.  opens: whether the
        window lies outside the learned domains."""
        near = dict.fromkeys((*stream.nearest_domains()[:RIVALS], stream.domain))
        shifts = {
            name: self._shift(stream.drifted_samples, name, reference)
            for name in near
            if name in reference.memory.parts
        }
        best = min(sorted(shifts), key=shifts.__getitem__)
        if shifts[best] >= 1:
            if not opens:
                return False
            if self._is_young(stream):
                self._absorb(stream, known)
                return False
            self._open(stream, known)
            return True
        before = stream.domain
        run = stream.recent[-stream.tracker.age :]
        stream.tracker.enter(best)
        if self._grows(best, known):
            self._absorb(stream, known)
        elif best in self._novel:
            # A labelled domain takes in nothing, but the stream is where it belongs.
            stream.outside_count = 0
        if best != before:
            self._assign(stream.recent[stream.change_point(best) :], best)
            self._revise(stream, run, before, reference)
            if self._merge(best, before, known, reference):
                self._reassess(stream, known)
        return False

    def _is_inside(
        self, stream: StreamState, window: hdc.WindowVerdict | None, reference: ReferenceModel
    ) -> bool | None:
        """Return whether a window lies inside a learned or novel domain; None if undecidable.

        Thresholds of a novel domain rest on its own few observations, and a domain of few facts has
        none, so that the means are compared there, half a window apart.
        """
        if window is None:
            return None
        opened = len(self._novel) > 0 and stream.window_domain in self._novel
        if stream.due and (opened or window.known is None):
            spans = (stream.length + stream.half, SETTLED_WINDOWS * stream.length)
            fits = [self._fits(stream.recent[-span:], stream.domain, reference) for span in spans]
            stream.shifted = not all(fits) if opened else not any(fits)
        if not opened:
            return False if window.known is None and stream.shifted else window.known
        rate = self._config.false_alarm_rate
        placements = [one.placement for one in stream.window]
        verdict = hdc.detect_window(placements, reference.calibration, rate)
        return verdict.p_value > rate and not stream.shifted

    def _fits(
        self, rows: Sequence[SampleAssessment], domain: str, reference: ReferenceModel
    ) -> bool:
        """Return whether the mean of observations has not moved from a domain."""
        there = domain in reference.memory.parts and len(rows) > 1
        return there and self._shift(rows, domain, reference) < 1

    def _shift(
        self, rows: Sequence[SampleAssessment], domain: str, reference: ReferenceModel
    ) -> float:
        """Return the shift of observations from a domain, 1 or more if they are separate."""
        codes = [one.codes for one in rows]
        recordings = [one.origin.recording for one in rows]
        scores = reference.known_scores([one.compared for one in rows])
        return reference.shift(codes, domain, recordings, scores)

    def _open(self, stream: StreamState, known: Knowledge) -> None:
        """Open a domain with the window, which lies after the change point, then add the earlier
        observations that are nearer to it than to any other; in a mixed stream, the novel ones."""
        name = self._session.unused_domain_name(known)
        rows = [one for one in stream.drifted_samples if one.is_novel] if stream.mixed else ()
        for one in rows if len(rows) >= NOVEL_SAMPLES_MIN else stream.window:
            self._collect(name, one)
        self._reassess(stream, known)
        if stream.window_domain != name:
            for one in stream.window:
                self._collect(name, one)
            self._reassess(stream, known)
        stream.tracker.enter(name)
        stream.outside_count = 0
        start = min(stream.change_point(name), len(stream.recent) - stream.length)
        for at, one in enumerate(stream.recent):
            belongs = stream.smoothed_domain(at) == name if stream.mixed else at >= start
            if belongs:
                self._session.label_buffer.move(one.key, name)
                self._collect(name, one)
            else:
                self._novel.drop((one.key,))

    def _is_young(self, stream: StreamState) -> bool:
        """Return whether the stream is in a domain that was opened a moment ago, and that cannot
        hold its whole variety yet."""
        span = YOUNG_WINDOWS * stream.length
        rows = len(self._novel.rows(stream.domain))
        return 0 < rows < 2 * span and 0 < stream.tracker.age < span

    def _absorb(self, stream: StreamState, known: Knowledge) -> None:
        """Add the drifted samples to the novel domain that the stream is in."""
        drifted = stream.drifted_samples
        for one in drifted[-stream.tracker.age or -len(drifted) :]:
            self._collect(stream.domain, one)
        self._reassess(stream, known)
        stream.outside_count = 0

    def _merge(
        self, here: str, there: str, known: Knowledge, reference: ReferenceModel, least: int = 1
    ) -> bool:
        """Merge an opened domain into another that it does not differ from: the younger of two
        opened ones.  Return whether they were merged: one with facts waits for the runtime.  least:
        windows of observations that it holds."""
        opened = sorted(
            (name for name in (here, there) if name in self._novel),
            # The younger goes: its number is the higher.
            key=lambda name: (name in known.domains, -len(name), [-ord(sign) for sign in name]),
        )
        if here == there or not opened:
            return False
        less = opened[0]
        more = there if less == here else here
        rows = tuple(self._novel.rows(less).values())[-MERGE_WINDOWS * self._config.window :]
        if len(rows) < least * self._config.window or more not in reference.memory.parts:
            return False
        if not self._is_part(rows, more, known, reference):
            return False
        self._session.propose_merge(less, more)
        if less in known.domains:
            return False
        self._session.merge(less, more)
        return True

    def _is_part(
        self,
        rows: Sequence[UnlabelledRow],
        domain: str,
        known: Knowledge,
        reference: ReferenceModel,
    ) -> bool:
        """Return whether rows of a domain are a part of another: all together lie near it, and no
        `MERGE_PART_WINDOWS` of them far from it, since a few extreme rows hide a shift in their
        spread."""
        codes = known.geometry.project(unpack_rows(rows))
        recordings = [row.recording for row in rows]
        if reference.shift(codes, domain, recordings) >= MERGE_SHIFT_MAX:
            return False
        size = MERGE_PART_WINDOWS * self._config.window
        parts = [slice(at, at + size) for at in range(0, len(rows) - size + 1, size)]
        shifts = [reference.shift(codes[at], domain, recordings[at]) for at in parts]
        return all(one < MERGE_PART_SHIFT_MAX for one in shifts)

    def _reassess(self, stream: StreamState, known: Knowledge) -> None:
        """Assess a stream's observations again, after novel domains have changed."""
        session = self._session
        reference = session.reference_model(known)
        stream.refresh(lambda kept: session.assess_again(kept, known, reference), session.version)

    def _collect(self, name: str, one: SampleAssessment) -> None:
        """Add an observation to a novel domain, if its features are still buffered."""
        buffered = self._session.label_buffer.get(one.key)
        if buffered is not None:
            row = UnlabelledRow(one.verdict.label, buffered.features, one.origin.recording)
            self._novel.add(name, one.key, row)
