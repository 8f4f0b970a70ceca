"""The state of each stream: its windows, and the domain that it is in.

A crash may lose all of it; the verdict, route and answer of the next observation do not depend on
it.
"""

from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from math import exp, log1p
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

import hdc

from .. import limits
from .tracker import EVIDENCE_MAX, SPREAD, DomainTracker

OUTLIER_SPREADS: Final = 3
"""Spreads above the mean novelty beyond which a sample is an outlier while too few facts are known
for a p-value: the three-sigma rule."""

KEPT_WINDOWS: Final = 3
"""Windows kept per stream: an alarm may come that late, and its domain must reach back to where the
drift began."""

SETTLED_WINDOWS: Final = 2
"""Windows after which an observation joins the novel domain that its stream is in: the newest ones
are compared with that domain, and must not be a part of it."""

OWN_WEIGHT: Final = 8
"""Neighbours that an observation outweighs when its domain is decided: half of those around it in
the default window of 16.  Chosen by hand; effect not measured."""

STAY_RATES: Final = (0.0, 0.9, 0.99, 0.999)
"""Probabilities of staying in a domain that the filter follows in parallel: from a stream that
mixes domains to one that stays for a thousand samples.  Chosen by hand; effect not measured."""

ROUTE_MAX: Final = 8 * SPREAD
"""Novelty that a learned domain gains at most because the router prefers another: three in 10,000.
Chosen by hand; effect not measured."""

DECISIVE: Final = 3 * SPREAD
"""Lead of an observation's nearest domain that decides on the observation alone: three spreads, the
three-sigma rule."""

MIXED_CHANGES: Final = 4
"""Changes between decisive observations, within the kept windows, that make a stream mixed: a
stream that visits a domain and returns makes two.  Chosen by hand; effect not measured."""

ROUNDING: Final = 1e-3
"""Margin, far above the rounding error of a float32 log-probability."""

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


class RouterLogits(msgspec.Struct, frozen=True, eq=False):
    """What the router says of an observation.

    domains: all that it covers; places: of each, its place among them.  row: their logits, float32
    [domains]; logits: the same as numbers.
    """

    domains: tuple[str, ...]
    places: Mapping[str, int]
    row: Floats
    logits: Sequence[float]


NO_ROUTE: Final = RouterLogits((), {}, np.empty(0, np.float32), ())
"""What a router says without facts."""


class SampleOrigin(msgspec.Struct, frozen=True, eq=False):
    """What is known of an observation besides its codes.

    route: the router's preference among the learned domains.  recording: the recording that the
    observation is a part of, or else its subject; "" if unknown.
    """

    route: RouterLogits = NO_ROUTE
    recording: str = ""


NOWHERE: Final = SampleOrigin()
"""The origin of an observation of which nothing is known."""


class SampleAssessment(msgspec.Struct, frozen=True, eq=False, kw_only=True):
    """One observation compared with the reference model.

    verdict: against the learned domains.  placement: the same with novel domains included.
    novelties: novelty to each domain compared, novel ones included, and the router's preference
    among the learned ones; learned_novelties: without both.  compared: with the concepts of the
    reference model, whose distances are used again; None if it was not.
    """

    key: str
    codes: hdc.Codes
    verdict: hdc.Verdict
    placement: hdc.Verdict
    novelties: dict[str, int]
    learned_novelties: dict[str, int] = msgspec.field(default_factory=dict)
    origin: SampleOrigin = NOWHERE
    compared: hdc.Comparison | None = None

    @property
    def decisive_domain(self) -> str:
        """The domain that the observation alone decides for, "" if it is in doubt."""
        return hdc.decisive(self.novelties, DECISIVE)

    @property
    def is_novel(self) -> bool:
        """True if the sample alone is out of distribution, or, where too few facts are known for a
        p-value, an outlier."""
        if self.placement.doubtful:
            return False
        if self.placement.known is None:
            return self.placement.deviation > OUTLIER_SPREADS
        return not self.placement.known


class DomainVotes:
    """Running vote on the domain of a run of observations; same result as `rank_domains`.

    Sums, per domain, how much nearer it is than the farthest one, in integers, so that removing an
    observation restores the earlier sums exactly.  A domain that an observation was not compared
    with counts as the farthest, which adds nothing.
    """

    def __init__(self) -> None:
        self._leads: dict[str, int] = {}
        self._counts: dict[str, int] = {}
        self._leader = ""

    def add(self, novelties: dict[str, int]) -> None:
        """Add an observation.  novelties: to each domain it was compared with."""
        farthest, leads, counts = max(novelties.values()), self._leads, self._counts
        self._leader = ""
        for name, novelty in novelties.items():
            leads[name] = leads.get(name, 0) + farthest - novelty
            counts[name] = counts.get(name, 0) + 1

    def remove(self, novelties: dict[str, int]) -> None:
        """Remove an observation that was added before."""
        farthest, leads, counts = max(novelties.values()), self._leads, self._counts
        self._leader = ""
        for name, novelty in novelties.items():
            leads[name] -= farthest - novelty
            counts[name] -= 1
            if not counts[name]:
                del leads[name], counts[name]

    def slide(self, newest: dict[str, int], oldest: dict[str, int]) -> None:
        """Add an observation and remove another; in one pass if both were compared with the same
        domains, as nearly all are."""
        if hdc.slide(self._leads, newest, oldest):
            self._leader = ""
        else:
            self.add(newest)
            self.remove(oldest)

    def leader(self) -> str:
        """Return the nearest domain; ties go to the first by name."""
        if not self._leader:
            self._leader = hdc.leader(self._leads)
        return self._leader

    def leader_with(self, weighted: Sequence[tuple[dict[str, int], int]]) -> str:
        """Return the nearest domain if observations count so many times more."""
        return hdc.leader(self._leads, weighted)


class DomainFilter:
    """Filters a stream's routes with a hidden Markov model over domains.

    A stream that stays in one domain carries more evidence than single samples do; one that mixes
    domains does not, and is left alone.  length: observations kept.
    """

    def __init__(self, length: int) -> None:
        self._length = length
        self._domains: tuple[str, ...] = ()
        self._rows: list[list[float]] = []
        self.clear()

    def clear(self) -> None:
        """Drop all observations."""
        self._rows.clear()
        self._last_first, self._run = -1, 0

    def update(self, route: RouterLogits) -> str:
        """Add what the router says of an observation and return its domain.

        Logits of other domains are dropped.  The filter runs only where it can change the result:
        not where all kept observations agree, nor where the newest outweighs any past.
        """
        domains, logits = route.domains, route.logits
        if domains is not self._domains and domains != self._domains:
            self.clear()
            self._domains = domains
        rows, most = self._rows, max(logits)
        rows.append([exp(one - most) for one in logits])
        if len(rows) > self._length:
            del rows[0]
        first = logits.index(most)
        self._run = self._run + 1 if first == self._last_first else 1
        self._last_first = first
        if self._run >= len(rows) or _is_decisive(logits, first):
            return domains[first]
        return domains[hdc.likeliest(rows, STAY_RATES)]


def posterior(window: Floats) -> Floats:
    """Return probabilities float32 [domains] of the last sample, given those before it.

    window: logits [n, domains] of one stream, oldest first.  The forward pass runs for several stay
    rates in parallel, see `hdc.forward_posterior`.
    """
    rows = np.exp(np.asarray(window, np.float64) - window.max(axis=1, keepdims=True))
    return np.asarray(hdc.forward_posterior(rows, STAY_RATES), np.float32)


def apply_route(novelties: dict[str, int], route: RouterLogits) -> dict[str, int]:
    """Return novelties in which the router decides among the domains it covers: the nearest of them
    keeps its distance from all others, and goes to the domain that the router prefers.

    A factor of e by which a domain is less likely than the likeliest counts as one spread of
    novelty, at most `ROUTE_MAX`.
    """
    return hdc.prefer(novelties, route.places, route.logits, SPREAD, ROUTE_MAX)


@dataclass(slots=True, kw_only=True)
class StreamState:
    """A stream's last observations, and the domain of its alarm.

    alarm_domain: empty without an alarm.  announced: the domains that alarms have named since there
    was none, the last one last.  version: of the knowledge that its assessments are based
    on.  outside_count: consecutive observations whose window lay outside every domain.
    shifted: whether the last comparison found that the stream has left the novel domain it is in.
    fit_count: consecutive observations whose window fitted the learned domains well.
    mixed: whether observations of several domains alternate.  tracker: the domain that the stream
    is in.
    """

    length: int
    alarm_domain: str = ""
    announced: list[str] = field(default_factory=list)
    version: int = 0
    outside_count: int = 0
    shifted: bool = False
    fit_count: int = 0
    mixed: bool = False
    domain_filter: DomainFilter = field(init=False)
    tracker: DomainTracker = field(init=False)
    _kept: list[SampleAssessment] = field(default_factory=list)
    _decided: list[str] = field(default_factory=list)
    _seen: int = 0
    _window_votes: DomainVotes = field(default_factory=DomainVotes)
    _labels: hdc.LabelCounts = field(default_factory=hdc.LabelCounts)

    def __post_init__(self) -> None:
        """Create filter and tracker for this window length."""
        self.domain_filter = DomainFilter(self.length)
        self.tracker = DomainTracker(self.length)

    @property
    def alarmed(self) -> bool:
        """True from an alarm until the window is back inside a known domain."""
        return bool(self.alarm_domain)

    def announce(self, domain: str) -> bool:
        """Change the domain of the stream's alarm, "" for none; return whether to report it.

        A stream whose state alternates outside the known domains has one alarm for each of these
        states, not one for each change.
        """
        self.alarm_domain = domain
        if not domain:
            self.announced.clear()
            return True
        if domain in self.announced:
            return False
        self.announced.append(domain)
        del self.announced[: -limits.NOVEL_DOMAINS_MAX]
        return True

    @property
    def full(self) -> bool:
        """True once the window is full."""
        return len(self._kept) >= self.length

    @property
    def half(self) -> int:
        """Half a window, at least one."""
        return max(1, self.length // 2)

    @property
    def due(self) -> bool:
        """True at one observation in half a window."""
        return self._seen % self.half == 0

    @property
    def drifted(self) -> bool:
        """True once windows have lain outside for so long that the first and the newest share no
        observation.  A single stray sample never causes that, and chance does at about the square
        of the chosen false-alarm rate."""
        return self.outside_count > self.length

    @property
    def recent(self) -> tuple[SampleAssessment, ...]:
        """The last `KEPT_WINDOWS` windows, oldest observation first."""
        return tuple(self._kept)

    @property
    def window(self) -> tuple[SampleAssessment, ...]:
        """The window, oldest observation first."""
        return tuple(self._kept[-self.length :])

    @property
    def window_verdicts(self) -> list[hdc.Verdict]:
        """The verdicts of the window, the oldest first."""
        return [one.verdict for one in self._kept[-self.length :]]

    @property
    def window_labels(self) -> hdc.LabelCounts:
        """How many observations of the window are nearest to each concept."""
        return self._labels

    @property
    def drifted_samples(self) -> tuple[SampleAssessment, ...]:
        """The observations since the drift began: all windows outside, less half of the first."""
        return self.recent[-self.outside_count - self.half :]

    def change(self, memory: hdc.Memory) -> Ints | None:
        """Return how the newest window's mean displacement from its concepts differs from that of
        the observations before it, as `hdc.detect_window` takes it; None while there are too few.

        memory: of the learned domains, as it was when the observations were assessed.
        """
        rows = self._kept[-hdc.WINDOW - hdc.LEAD :]
        if len(rows) < hdc.WINDOW + hdc.LEAD:
            return None
        keys = [(one.verdict.domain, one.verdict.label) for one in rows]
        moved = memory.displacements(keys, [one.codes for one in rows])
        window = moved[-hdc.WINDOW :].sum(axis=0)
        return np.asarray(window * (hdc.LEAD // hdc.WINDOW) - moved[: hdc.LEAD].sum(axis=0))

    @property
    def domain(self) -> str:
        """The domain that the stream is in; empty until the first window is full."""
        return self.tracker.domain

    @property
    def alternates(self) -> bool:
        """True while observations change between domains, each clearly nearest to its own."""
        decided = [name for name in self._decided if name]
        return sum(a != b for a, b in pairwise(decided)) >= MIXED_CHANGES

    @property
    def window_domain(self) -> str:
        """The domain that the window as a whole is nearest to."""
        return self._window_votes.leader()

    def push(self, assessment: SampleAssessment) -> None:
        """Add an observation; beyond `KEPT_WINDOWS` windows the oldest is dropped."""
        kept, length, verdict = self._kept, self.length, assessment.verdict
        self._seen += 1
        kept.append(assessment)
        self._decided.append(assessment.decisive_domain)
        if len(kept) > length:
            leaving = kept[-1 - length]
            self._window_votes.slide(assessment.novelties, leaving.novelties)
            self._labels.remove((leaving.verdict.domain, leaving.verdict.label))
        else:
            self._window_votes.add(assessment.novelties)
        self._labels.add((verdict.domain, verdict.label))
        if len(kept) > KEPT_WINDOWS * length:
            del kept[0], self._decided[0]

    def follow(self, domains: Container[str]) -> tuple[str, int]:
        """Track the stream's domain with the newest observation; return the domain that it has
        moved to and the number of newest observations there, ("", 0) if it has not moved.

        domains: all that can be compared.  The caller decides by `tracker`.
        """
        if self.domain not in domains:
            # At the start, and when the domain is gone.
            return (self.window_domain, self.length) if self.full else ("", 0)
        self.tracker.keep(domains)
        moved = self.tracker.update(self._kept[-1].novelties)
        return (moved, min(self.tracker.since(moved), len(self._kept))) if moved else ("", 0)

    def change_point(self, after: str) -> int:
        """Return the place in `recent` from which observations are nearer to a domain than to any
        other: the most likely change point."""
        best = total = lowest = 0
        for at, one in enumerate(self._kept, 1):
            farthest = max(one.novelties.values())
            others = [value for name, value in one.novelties.items() if name != after]
            gain = min(others, default=farthest) - one.novelties.get(after, farthest)
            total += max(-EVIDENCE_MAX, min(EVIDENCE_MAX, gain))
            if total <= lowest:
                lowest, best = total, at
        return best

    def refresh(
        self,
        assess: Callable[[Sequence[SampleAssessment]], Iterable[SampleAssessment]],
        version: int,
    ) -> None:
        """Assess the kept observations again, after knowledge has changed to `version`."""
        renewed, seen = tuple(assess(self._kept)), self._seen
        self._empty()
        for one in renewed:
            self.push(one)
        self._seen = seen
        self.version = version

    def count_outside(self, *, known: bool | None) -> None:
        """Count the verdict on the window; anything but False ends a run of windows outside."""
        self.outside_count = self.outside_count + 1 if known is False else 0

    def fixed_lag(self) -> tuple[SampleAssessment, str] | None:
        """Return the newest observation with half a window after it, and its domain (fixed-lag
        smoothing); None until there is one."""
        kept, half = self._kept, self.length // 2
        if len(kept) <= half:
            return None
        one = kept[-1 - half]
        counted = [(one.novelties, OWN_WEIGHT)]
        if 2 * half == self.length < len(kept):
            # As many observations before it as after it.
            counted.append((kept[-1 - self.length].novelties, 1))
        return one, self._window_votes.leader_with(counted)

    def settled(self) -> SampleAssessment | None:
        """Return the newest observation with `SETTLED_WINDOWS` after it; None until one has."""
        at = len(self._kept) - 1 - SETTLED_WINDOWS * self.length
        return self._kept[at] if at >= 0 else None

    def nearest_domains(self) -> tuple[str, ...]:
        """Return the domains that the window is nearest to, nearest first."""
        return rank_domains(self.window)

    def smoothed_domain(self, at: int) -> str:
        """Return the domain of observation `at` of `recent`, given its neighbours on both sides.

        Neighbours in one domain outweigh a stray observation; at a boundary, or in a mixed stream,
        they cancel out and the observation's own novelties decide.
        """
        half, kept = self.length // 2, self._kept
        return nearest_domain(kept[max(0, at - half) : at + half + 1], kept[at])

    def clear(self) -> None:
        """Drop the windows: they may hold forgotten observations.  The alarm stays."""
        self._empty()
        self.domain_filter.clear()
        self.tracker.enter(self.tracker.domain)
        self.outside_count, self.fit_count, self.shifted = 0, 0, False

    def _empty(self) -> None:
        self._kept, self._decided, self._window_votes = [], [], DomainVotes()
        self._labels = hdc.LabelCounts()


def nearest_domain(run: Iterable[SampleAssessment], own: SampleAssessment | None = None) -> str:
    """Return the domain that a run of observations is nearest to; `own` counts more."""
    found = tuple(run)
    firsts = {min(one.novelties, key=one.novelties.__getitem__) for one in found}
    # If all are nearest to the same domain, so is their sum.
    return firsts.pop() if len(firsts) == 1 else rank_domains(found, own)[0]


def rank_domains(
    run: Iterable[SampleAssessment], own: SampleAssessment | None = None
) -> tuple[str, ...]:
    """Return the domains that observations were compared with, nearest first.

    Sorted by novelty summed over the observations; `own` counts `OWN_WEIGHT` times more.  A domain
    that an observation was not compared with counts as its farthest.
    """
    counted = [one.novelties for one in run] + ([own.novelties] if own else [])
    names = sorted(set[str]().union(*counted))
    rows = [_in_order(novelties, names) for novelties in counted]
    if own:
        rows[-1] = [OWN_WEIGHT * value for value in rows[-1]]
    sums = dict(zip(names, map(sum, zip(*rows, strict=True)), strict=True))
    return tuple(sorted(sums, key=sums.__getitem__))


def _in_order(novelties: Mapping[str, int], names: Sequence[str]) -> Sequence[int]:
    """Return the novelty in each domain, that of the farthest where there is none."""
    if len(novelties) == len(names):
        return [novelties[name] for name in names]
    farthest = max(novelties.values())
    return [novelties.get(name, farthest) for name in names]


class StreamStates:
    """The state of each stream by name, bounded: the stream silent for longest is dropped first."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._streams: OrderedDict[str, StreamState] = OrderedDict()

    def get(self, name: str) -> StreamState:
        """Return a stream's state, a new one for an unknown stream."""
        if name not in self._streams:
            self._streams[name] = StreamState(length=self._window)
            if len(self._streams) > limits.STREAMS_MAX:
                self._streams.popitem(last=False)
        self._streams.move_to_end(name)
        return self._streams[name]

    def alarm_domains(self) -> frozenset[str]:
        """Return the domains named by the alarms in force."""
        found = (stream.alarm_domain for stream in self._streams.values())
        return frozenset(name for name in found if name)

    def rename(self, old: str, new: str) -> bool:
        """Rename a domain in the alarms in force; True if there was one."""
        renamed = [stream for stream in self._streams.values() if stream.alarm_domain == old]
        for stream in renamed:
            stream.alarm_domain = new
        for stream in self._streams.values():
            stream.announced = [new if one == old else one for one in stream.announced]
        for stream in self._streams.values():
            stream.tracker.rename(old, new)
        return bool(renamed)

    def clear(self) -> None:
        """Drop all windows."""
        for stream in self._streams.values():
            stream.clear()


def _is_decisive(logits: Sequence[float], first: int) -> bool:
    """True if the first domain wins whatever came before: its lead exceeds the largest prior
    log-odds that the highest stay rate allows."""
    if len(logits) == 1:
        return True
    others = [*logits]
    del others[first]
    return logits[first] - max(others) > _decisive_lead(len(logits))


@cache
def _decisive_lead(domains: int) -> float:
    stay = STAY_RATES[-1]
    return log1p(domains * stay / (1 - stay)) + ROUNDING
