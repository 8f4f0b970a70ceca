"""Session state of each stream: what it showed last, and which domain it is in.

A crash may cost this state: verdict, route and answer do not depend on it.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import hdc

from .. import limits
from .domain_filter import DomainFilter
from .domain_votes import OWN_WEIGHT, DomainVotes

ODD_SPREADS: Final = 3
"""Spreads above what is usual that make a sample odd where no rate can be ordered yet."""

KEPT_WINDOWS: Final = 3
"""Windows kept: an alarm may come that late, and must reach back to where the stream moved."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SampleAssessment:
    """One observation as it was seen.

    verdict: by what is learned.  placed: the same, openings included.  near: novelty to each
    domain, openings included.  learned: the same without them.
    """

    key: str
    codes: hdc.Codes = field(repr=False)
    verdict: hdc.Verdict
    placed: hdc.Verdict
    near: Mapping[str, int]
    learned: Mapping[str, int] = field(default_factory=dict)

    @property
    def odd(self) -> bool:
        """True where it is new by itself, or, where too little is there to say, far from usual."""
        if self.placed.known is None:
            return self.placed.deviation > ODD_SPREADS
        return not self.placed.known


@dataclass(slots=True, kw_only=True)
class StreamState:
    """A stream's last observations, and the domain it is opening while it is in alarm.

    `version`: of the knowledge its verdicts were given by.  `outside`: observations in a row at
    which its window lay outside every domain.  `elsewhere`: in a row at which its window was
    nearest to another domain than the one it is opening.
    """

    length: int
    opening: str = ""
    version: int = 0
    outside: int = 0
    elsewhere: int = 0
    trail: DomainFilter = field(init=False)
    _glances: list[SampleAssessment] = field(default_factory=list)
    _whole: DomainVotes = field(default_factory=DomainVotes)
    _around: DomainVotes = field(default_factory=DomainVotes)

    def __post_init__(self) -> None:
        """Start the trail."""
        self.trail = DomainFilter(self.length)

    @property
    def alarmed(self) -> bool:
        """True from an alarm until the window is back inside a known domain."""
        return bool(self.opening)

    @property
    def full(self) -> bool:
        """True once there is a whole window."""
        return len(self._glances) >= self.length

    @property
    def half(self) -> int:
        """Half a window, at least one."""
        return max(1, self.length // 2)

    @property
    def drifted(self) -> bool:
        """True once the window lay outside for so long that the first such window and this one
        share no observation: no single stray sample does that, and chance does it at about the
        square of the ordered rate."""
        return self.outside > self.length

    @property
    def recent(self) -> tuple[SampleAssessment, ...]:
        """The two windows before and this one, oldest first."""
        return tuple(self._glances)

    @property
    def window(self) -> tuple[SampleAssessment, ...]:
        """The window, oldest first."""
        return tuple(self._glances[-self.length :])

    @property
    def strange(self) -> tuple[SampleAssessment, ...]:
        """What a drift brought: the windows outside so far, less half of the first."""
        return self.recent[-self.outside - self.half :]

    @property
    def here(self) -> str:
        """The domain that the window as a whole is nearest to."""
        return self._whole.first()

    def push(self, glance: SampleAssessment) -> None:
        """Keep an observation; beyond three windows the oldest goes."""
        glances, around = self._glances, 2 * (self.length // 2) + 1
        glances.append(glance)
        self._whole.add(glance.near)
        self._around.add(glance.near)
        if len(glances) > self.length:
            self._whole.remove(glances[-1 - self.length].near)
        if len(glances) > around:
            self._around.remove(glances[-1 - around].near)
        if len(glances) > KEPT_WINDOWS * self.length:
            del glances[0]

    def refresh(self, look: Callable[[SampleAssessment], SampleAssessment], version: int) -> None:
        """Look at every observation again, after knowledge has changed to `version`."""
        glances = [look(glance) for glance in self._glances]
        self._empty()
        for glance in glances:
            self.push(glance)
        self.version = version

    def note(self, *, known: bool | None) -> None:
        """Take note of the verdict on the window; None ends a row as well."""
        self.outside = self.outside + 1 if known is False else 0

    def settled(self) -> tuple[SampleAssessment, str] | None:
        """Return the newest observation with half a window after it, and the domain it is in."""
        at = len(self._glances) - 1 - self.length // 2
        if at < 0:
            return None
        glance = self._glances[at]
        return glance, self._around.first(glance.near)

    def place(self, at: int) -> str:
        """Return the domain of observation `at` of `recent`, in the light of its neighbours.

        Where they lie in one domain they outweigh a stray look of its own; where domains meet, or
        come mixed, they cancel out and its own look decides.
        """
        half, glances = self.length // 2, self._glances
        return nearest_domain(glances[max(0, at - half) : at + half + 1], glances[at])

    def clear(self) -> None:
        """Drop the windows: they may hold what was just forgotten."""
        self._empty()
        self.trail.clear()
        self.outside = self.elsewhere = 0

    def _empty(self) -> None:
        self._glances, self._whole, self._around = [], DomainVotes(), DomainVotes()


def nearest_domain(glances: Iterable[SampleAssessment], one: SampleAssessment | None = None) -> str:
    """Return the domain that observations, `one` counting more, are nearest to as a whole."""
    looks = tuple(glances)
    firsts = {min(glance.near, key=glance.near.__getitem__) for glance in looks}
    # Each nearest to the same: so are all together, and nothing needs adding up.
    return firsts.pop() if len(firsts) == 1 else rank_domains(looks, one)[0]


def rank_domains(
    glances: Iterable[SampleAssessment], one: SampleAssessment | None = None
) -> tuple[str, ...]:
    """Return the domains that observations were compared with, the nearest first.

    By novelty summed over observations, `one` counting more.  A domain that is not among an
    observation's nearest counts as the farthest that is.
    """
    looks = [(glance.near, 1) for glance in glances]
    looks += [(one.near, OWN_WEIGHT)] if one else []
    sums = dict.fromkeys(sorted({name for near, _ in looks for name in near}), 0)
    for near, weight in looks:
        far = max(near.values())
        for name in sums:
            sums[name] += weight * near.get(name, far)
    return tuple(sorted(sums, key=sums.__getitem__))


class StreamStates:
    """The streams heard of, bounded: the one silent for longest goes first."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._streams: OrderedDict[str, StreamState] = OrderedDict()

    def of(self, name: str) -> StreamState:
        """Return a stream's state, new where it was not known."""
        if name not in self._streams:
            self._streams[name] = StreamState(length=self._window)
            if len(self._streams) > limits.STREAMS_MAX:
                self._streams.popitem(last=False)
        self._streams.move_to_end(name)
        return self._streams[name]

    def openings(self) -> frozenset[str]:
        """Return the names of domains being opened by streams in alarm."""
        return frozenset(stream.opening for stream in self._streams.values() if stream.opening)

    def rename(self, old: str, new: str) -> bool:
        """Let streams that open a domain open another; True where one did."""
        renamed = [stream for stream in self._streams.values() if stream.opening == old]
        for stream in renamed:
            stream.opening = new
        return bool(renamed)

    def clear(self) -> None:
        """Drop all windows."""
        for stream in self._streams.values():
            stream.clear()
