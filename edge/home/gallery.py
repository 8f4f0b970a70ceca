"""The gallery of a home: waiting, recent and labelled observations as pages, with today's guesses.

Guesses and groups of waiting and recent observations are cached.  A change of knowledge outdates
the guesses; they are computed again in slices of `SLICE_S`, only while a gallery is looked at, so
that no decision waits for them.  Those of recent observations, which can be hundreds a second, are
computed only while a page of these is looked at.
"""

import math
import time
from collections import deque
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ..core import AlarmQuestion, BufferedObservation, Runtime, Selector
from ..storage import CandidateEntry, Store
from .similar_groups import SKETCH_BYTES, GroupingThread
from .typos import KnownNames

SLICE_S: Final = 0.002
"""Seconds of one slice of guesses; a decision waits for one at most."""

SLICE_ROWS: Final = 4
"""Observations answered between two looks at the clock: half a millisecond each with a thousand
facts of 1,280 columns."""

WATCHED_S: Final = 60.0
"""How long after the last look guesses are kept up to date.  Chosen by hand; effect not
measured."""

RENEW_S: Final = 1.0
"""How often new observations join, in seconds: finding them passes over the label buffer."""

FACTS_NOTED: Final = 4_096
"""Observations that have left and are still cached until the next clean-up: as many as the label
buffer holds."""


AGREED_MAX: Final = 16
"""Actions whose agreeing observations are kept, in memory: people confirm them at once or not at
all."""


class GalleryItem(msgspec.Struct, frozen=True, kw_only=True):
    """An observation in the gallery.

    score: value of a label, up to 1; NaN unless it waits for one.  guess, known, p_value: as in a
    decision on this sample alone; known is None while undecided.  guessed: False until that is
    computed.  group: similar observations have the same number, -1 without one.  label: of a
    labelled one.  raw: its raw input can be shown.
    """

    id: str
    stream: str
    domain: str
    captured_at_ns: int
    score: float = math.nan
    guess: str = ""
    known: bool | None = None
    p_value: float = 1.0
    guessed: bool = False
    group: int = -1
    label: str = ""
    waiting: bool = False
    raw: bool = False
    kind: str = ""


class GalleryPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the gallery.  total: of the chosen state and filters.  pending: waiting and recent
    observations whose guess is not computed yet, or from before the knowledge changed; recent ones
    only while a page of them is looked at.  grouping:
    True while groups are computed.  labels, domains: in use.  counts: of observations by state."""

    total: int
    items: tuple[GalleryItem, ...]
    pending: int
    grouping: bool
    labels: tuple[str, ...]
    domains: tuple[str, ...]
    counts: dict[str, int]
    alarms: tuple[AlarmQuestion, ...]


class GalleryView(msgspec.Struct, frozen=True, kw_only=True):
    """The selection of a page.  state: waiting, recent or labelled.  order: value, newest or
    similar.  stream, guess: filters, empty for all; the guess of a labelled observation is its
    label."""

    offset: int = 0
    limit: int = 100
    order: str = "value"
    stream: str = ""
    guess: str = ""
    state: str = "waiting"


class _Answer:
    """The cached guess of an observation under `version`, and a sketch of its features."""

    __slots__ = ("guess", "known", "p_value", "sketch", "version")

    def __init__(
        self, guess: str, p_value: float, sketch: bytes, *, known: bool | None, version: int
    ) -> None:
        self.guess, self.known, self.p_value = guess, known, p_value
        self.sketch, self.version = sketch, version


Source = Mapping[str, CandidateEntry] | Mapping[str, BufferedObservation]
"""Waiting or recent observations by id."""


class Gallery:
    """The gallery over a home's store and runtime.  kind: of the encoder.

    Call `advance` often while `watched`; each call takes about `SLICE_S`.
    """

    def __init__(self, store: Store, kind: str) -> None:
        self._store, self._kind = store, kind
        self._answers: dict[str, _Answer] = {}
        self._due: deque[str] = deque()
        self._agreed: dict[str, dict[str, list[str]]] = {}
        self._looked_up: set[str] = set()
        self._learned: set[str] = set()
        self._looked_at = self._recent_looked_at = self._renewed_at = -math.inf
        self._state: tuple[int, int, int, bool] | None = None
        self._grouping = GroupingThread()

    @property
    def watched(self) -> bool:
        """True if it was looked at a short time ago."""
        return time.monotonic() - self._looked_at < WATCHED_S

    @property
    def _recent_watched(self) -> bool:
        """True if a page of recent observations was looked at a short time ago."""
        return time.monotonic() - self._recent_looked_at < WATCHED_S

    def advance(self, runtime: Runtime) -> bool:
        """Compute some guesses that are missing or outdated; True while there are more."""
        if not self.watched:
            self._release()
            return False
        until = time.monotonic() + SLICE_S
        if until - self._renewed_at > RENEW_S:
            self._renewed_at = until
            self._renew(runtime, self._recent(runtime) if self._recent_watched else {})
        while self._due and time.monotonic() < until:
            rows = [self._due.popleft() for _ in range(min(SLICE_ROWS, len(self._due)))]
            self._guess(runtime, rows)
        return bool(self._due)

    def forget(self, ids: Iterable[str]) -> None:
        """Drop everything about observations."""
        gone = set(ids)
        for key in gone:
            self._answers.pop(key, None)
        self._looked_up -= gone
        self._learned -= gone
        self._grouping.drop(gone)
        for named in self._agreed.values():
            named.update(
                {label: [one for one in kept if one not in gone] for label, kept in named.items()}
            )

    def agreed(self, undo_id: str, ids: dict[str, list[str]]) -> None:
        """Keep which observations agreed with the labels of an action, until `AGREED_MAX` later
        ones."""
        if undo_id and ids:
            self._agreed[undo_id] = ids
        while len(self._agreed) > AGREED_MAX:
            self._agreed.pop(next(iter(self._agreed)))

    def agreeing(self, undo_id: str, label: str) -> Sequence[str]:
        """Return the observations that agreed with a label of an action."""
        return self._agreed.get(undo_id, {}).get(label, ())

    def changed(self, learned: Iterable[str], unlearned: Iterable[str] = ()) -> None:
        """Note observations that became facts, and facts that are none any more."""
        if not self.watched:
            # They are looked up again; a ledger may have more than are worth the memory.
            self._looked_up, self._learned = set(), set()
            return
        self._learned.update(learned)
        self._looked_up |= self._learned
        gone = set(unlearned)
        self._looked_up |= gone
        self._learned -= gone

    def page(
        self, runtime: Runtime, view: GalleryView, in_memory: Container[str] = ()
    ) -> GalleryPage:
        """Return a page.  in_memory: observations whose raw input is in memory."""
        self._looked_at = time.monotonic()
        if view.state == "recent":
            self._recent_looked_at = self._looked_at
        recent = self._recent(runtime)
        self._renew(runtime, recent if self._recent_watched else {})
        if view.state == "labelled":
            total, items = self._labelled(view)
        else:
            total, items = self._unlabelled(view, recent)
        names = KnownNames.of(self._store.concepts())
        on_disk = self._store.lists.with_raw([one.id for one in items])
        return GalleryPage(
            total=total,
            items=tuple(
                msgspec.structs.replace(one, raw=True)
                if one.id in on_disk or one.id in in_memory
                else one
                for one in items
            ),
            pending=len(self._due),
            grouping=self._grouping.active,
            labels=names.labels,
            domains=names.domains,
            counts={
                "waiting": len(self._store.candidate_index()),
                "recent": len(recent),
                "labelled": sum(self._store.concepts().values()),
            },
            alarms=runtime.alarm_questions(),
        )

    # --- pages -----------------------------------------------------------------------------------

    def _unlabelled(
        self, view: GalleryView, recent: Mapping[str, BufferedObservation]
    ) -> tuple[int, list[GalleryItem]]:
        source = recent if view.state == "recent" else self._store.candidate_index()
        ids = self._filtered(view, source)
        order = self._order(view, source, ids)
        chosen = [ids[at] for at in order[view.offset : view.offset + view.limit].tolist()]
        return len(ids), [self._item(key, source[key]) for key in chosen]

    def _filtered(self, view: GalleryView, source: Source) -> list[str]:
        if not (view.stream or view.guess):
            return list(source)
        answers = self._answers
        ids = [key for key, one in source.items() if view.stream in {"", one.stream}]
        if not view.guess:
            return ids
        return [
            key
            for key in ids
            if (found := answers.get(key)) is not None and found.guess == view.guess
        ]

    def _order(self, view: GalleryView, source: Source, ids: Sequence[str]) -> NDArray[np.intp]:
        """Return the places of observations in the order of a view."""
        if view.order == "similar":
            self._grouping.start({key: one.sketch for key, one in self._answers.items()})
            groups = self._grouping.groups
            keys = np.fromiter((groups.get(key, len(groups)) for key in ids), np.float64, len(ids))
        elif view.order == "value" and view.state == "waiting":
            index = self._store.candidate_index()
            keys = -np.fromiter((index[key].score for key in ids), np.float64, len(ids))
        else:
            keys = -np.fromiter((source[key].captured_at_ns for key in ids), np.float64, len(ids))
        return np.argsort(keys, kind="stable")

    def _item(self, key: str, one: CandidateEntry | BufferedObservation) -> GalleryItem:
        found, waiting = self._answers.get(key), isinstance(one, CandidateEntry)
        return GalleryItem(
            id=key,
            stream=one.stream,
            domain=one.domain,
            captured_at_ns=one.captured_at_ns,
            score=one.score if isinstance(one, CandidateEntry) else math.nan,
            guess=found.guess if found else "",
            known=found.known if found else None,
            p_value=found.p_value if found else 1.0,
            guessed=found is not None,
            group=self._grouping.groups.get(key, -1),
            waiting=waiting,
            kind=self._kind,
        )

    def _labelled(self, view: GalleryView) -> tuple[int, list[GalleryItem]]:
        lists, counts = self._store.lists, self._store.concepts()
        wanted = {key: n for key, n in counts.items() if view.guess in ("", key[1])}
        total = sum(wanted.values())
        if view.stream or (view.order == "newest" and not view.guess):
            chosen = Selector(stream=view.stream or None, label=view.guess or None)
            rows = lists.newest_page(chosen, view.offset, view.limit)
            total = lists.count(chosen) if view.stream else total
        else:
            rows = lists.concept_page(wanted, view.offset, view.limit)
        made = [
            GalleryItem(
                id=key,
                stream=stream,
                domain=domain,
                captured_at_ns=at_ns,
                label=label,
                kind=self._kind,
            )
            for key, stream, domain, label, at_ns in rows
        ]
        return total, made

    # --- guesses ---------------------------------------------------------------------------------

    def _recent(self, runtime: Runtime) -> dict[str, BufferedObservation]:
        """Return the buffered observations that are neither learned nor waiting."""
        found = dict(runtime.recent())
        unknown = found.keys() - self._looked_up
        if unknown:
            self._looked_up |= unknown
            self._learned |= self._store.lists.learned(tuple(unknown))
        if len(self._looked_up) > 2 * len(found) + FACTS_NOTED:
            self._looked_up &= found.keys()
            self._learned &= found.keys()
        # Sets are compared without a step of the interpreter for each of thousands of ids.
        for key in found.keys() & (self._learned | set(self._store.candidate_index())):
            del found[key]
        return found

    def _renew(self, runtime: Runtime, recent: Mapping[str, BufferedObservation]) -> None:
        """List the observations whose guess is missing; all of them once the knowledge or the
        candidates have changed."""
        version, index, answers = (
            runtime.answers_version,
            self._store.candidate_index(),
            self._answers,
        )
        state = version, id(index), index.revision, self._recent_watched
        if state == self._state:
            new = [key for key in recent if key not in answers]
            self._due = deque(dict.fromkeys([*reversed(new), *self._due]))
            return
        self._state = state
        ids = [*reversed(list(recent)), *reversed(list(index))]
        if len(answers) > len(ids) + FACTS_NOTED:
            self._answers = answers = {key: answers[key] for key in ids if key in answers}
        self._due = deque(
            key for key in ids if (found := answers.get(key)) is None or found.version != version
        )

    def _guess(self, runtime: Runtime, ids: Sequence[str]) -> None:
        buffered = {key: one for key in ids if (one := runtime.buffered(key)) is not None}
        rest = [key for key in ids if key not in buffered]
        found = self._store.lists.candidate_features(rest)
        found |= {key: one.features for key, one in buffered.items()}
        keys = [key for key in ids if key in found]
        if not keys:
            return
        rows = np.frombuffer(b"".join(found[key] for key in keys), np.uint8)
        index = self._store.candidate_index()
        filed = [buffered.get(key) or index.get(key) for key in keys]
        domains = [one.domain if one is not None else "" for one in filed]
        codes, guesses = runtime.guesses(rows.reshape(len(keys), -1), domains)
        sketches = codes.bits.view(np.uint8)[:, :SKETCH_BYTES]
        version = runtime.answers_version
        for key, guess, sketch in zip(keys, guesses, sketches, strict=True):
            self._answers[key] = _Answer(
                guess.guess,
                guess.p_value,
                sketch.tobytes(),
                known=guess.known,
                version=version,
            )

    def _release(self) -> None:
        """Return the memory of a gallery that is not looked at any more."""
        if self._answers:
            self._answers, self._state = {}, None
            self._looked_up, self._learned = set(), set()
            self._due.clear()
            self._grouping = GroupingThread()
