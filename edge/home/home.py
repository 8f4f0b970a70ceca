"""A home: the folder with one runtime's settings, encoder card and knowledge, opened for use."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from ..config import Settings, read_settings
from ..core import (
    AdvanceForget,
    CancelGrowth,
    CompleteForget,
    DriftAlarm,
    Effect,
    EraseFacts,
    Event,
    ExcludeFacts,
    FitGeometry,
    ForgetRequest,
    GrowRequest,
    GrowthFinished,
    GrowthResult,
    LabelRequest,
    Message,
    Observation,
    Publish,
    Receipt,
    Rejected,
    Runtime,
    Selector,
    SetOutput,
    StartGrowth,
    StateCorruptError,
    StateError,
    StoreFacts,
    StoreLabelCandidates,
    StoreRecalibration,
    Tick,
    Together,
    Undoable,
)
from ..mqtt import BundleTrialReport
from ..storage import (
    HistoryFile,
    SeriesStateFile,
    Store,
)
from ..worker import Worker
from .background_fit import BackgroundFitter
from .bundle_trial import BUNDLE_FOLDER, TrialHealth
from .gallery import Gallery
from .input_model import InputModel, open_encoder
from .overwriting import RemainsOverwriter
from .process_memory import return_free_memory
from .raw_inputs import RawInputs
from .receipt_completer import ReceiptCompleter
from .series_replay import SeriesReplay
from .series_trail import SeriesTrail
from .serving_network import choose_network

HISTORY: Final = "history.db"
"""The record of what happened, in the home's folder."""

BATCH_MIN: Final = 6
"""Observations from which a batch is cheaper than deciding one by one.  Chosen by hand; effect not
measured."""


RECORDED: Final = (
    "solve that, for example free space on the disk, and repeat the command: the request goes on"
    " when the home is opened for writing"
)


class Home:
    """An opened home: settings, model, store, the runtime over them, and a worker for growth.

    erased: called with the ids of erased facts once that is durable.  outputs: by stream, the
    output of its device that is 1 during an alarm.  settings: in place of those in the folder.
    deferring: decisions after new facts use the last thresholds, router and adaptors until those of
    today are fitted in the background, see `Knowledge`; call `refit` often.
    problem: why label candidates could not be stored, or ''.  forget_problem: why a pending forget
    request cannot go on, or ''.  actuate: set it to a function that
    sets outputs.  erasing: set it to a function that closes readers of the file before an erasure.
    completed: the forget requests that were cut off before, and that opening it has completed.
    receipts: completes those of forget requests.  session: the file for series; call its `save`,
    which nothing else does.
    Growth needs calls: feed a `Tick` after labels and from time to time, and call `poll_growth`.
    Close the home after use.
    """

    def __init__(
        self,
        folder: Path,
        *,
        writable: bool = True,
        erased: Callable[[tuple[str, ...]], None] | None = None,
        outputs: Mapping[str, int] | None = None,
        settings: Settings | None = None,
        deferring: bool = False,
    ) -> None:
        self.folder = folder
        self._deferring = deferring
        self.actuate: Callable[[SetOutput], None] | None = None
        self.erasing: Callable[[], None] | None = None
        self._outputs = tuple((outputs or {}).items())
        self.problem = self.forget_problem = ""
        self._erased = erased
        self.settings = read_settings(folder) if settings is None else settings
        with ExitStack() as opened:
            self.model = InputModel(open_encoder(folder, self.settings))
            opened.callback(self.model.close)
            path = folder / self.settings.knowledge.file
            # Counting the facts of a large home takes a slow disk seconds: a daemon does not wait.
            store = Store.open(path, self.model.card, writable=writable, counts=not deferring)
            self.store = opened.enter_context(store)
            self.store.publications.sends = self.settings.fleet is not None
            if writable and deferring:
                self.store.checkpoint_in_background()
            self.runtime = self._open_runtime()
            opened.pop_all()
        self.session = SeriesStateFile(path)
        if writable and self.settings.forecast.enabled:
            self.session.restore(self.runtime.series)
        growth = self.settings.growth
        self.worker = Worker(growth.memory_mib_max, growth.seconds_max)
        self._fitter = BackgroundFitter(path, self.model.card)
        self._overwriter = RemainsOverwriter(self.store)
        self._result: GrowthResult | None = None
        self._raw_inputs = RawInputs() if self.settings.candidates.raw else None
        self.gallery = Gallery(self.store, self.model.card.kind)
        self.trail = SeriesTrail()
        self.history = HistoryFile(folder / HISTORY, writable=writable)
        self.replay = SeriesReplay(self.session, self.trail, self.history, erased)
        self.store.raw_inputs = self._raw_inputs.of if self._raw_inputs is not None else None
        self._memory_used = True
        self._settled = True
        card = self.model.card
        self.receipts = ReceiptCompleter(folder, self.store, card, self.history)
        self.trial: TrialHealth | None = None
        self._watch_trial()
        self.completed: tuple[Receipt, ...] = ()
        if not writable:
            self.runtime.leave_out_pending()
        elif not deferring:
            # A disk error leaves them pending.
            with suppress(StateError):
                messages = self._complete_forgets()
                self.completed = tuple(one for one in messages if isinstance(one, Receipt))

    def feed(self, event: Event) -> tuple[Message, ...]:
        """Handle an event, apply its effects in order, and return its messages.

        The first observation after another event derives thresholds, and so does one that opens a
        novel domain; the memory that this took is then returned to the system.  If an effect fails,
        the runtime no longer matches the file: it is opened again before the StateError propagates.
        """
        self._settled = False
        if self._raw_inputs is not None and isinstance(event, Observation):
            self._raw_inputs.add(event.key, event.payload)
        if self.heads_only:
            asked = event.event if isinstance(event, Undoable) else event
            if isinstance(asked, GrowRequest):
                hint = "see `auricle doctor`; the learned facts are kept"
                reason = f"growing {asked.domain}: {self.heads_only}"
                return (Rejected(asked.request_id, reason, hint),)
            event = Tick(grows=False) if isinstance(event, Tick) else event
        try:
            messages = self._handle(event)
            if not self._deferring:
                messages += self._complete_forgets()
        except StateError as error:
            failed = self._failed(event, error)
            if failed is error:
                raise
            raise failed from error
        self._settled = True
        if self.trial is not None:
            self.trial.count(event, messages)
        opened = any(isinstance(message, DriftAlarm | LabelRequest) for message in messages)
        if not isinstance(event, Observation | AdvanceForget):
            self._memory_used = True
        elif self._memory_used or opened:
            self._memory_used = False
            return_free_memory()
        return messages

    def _failed(self, event: Event, error: StateError) -> StateError:
        """Open the runtime again after an event that failed; return the error to raise."""
        if self.trial is not None and isinstance(error, StateCorruptError):
            self.end_trial(f"its content cannot be used: {error.message}")
        before = self.runtime
        self.reopen()
        self.runtime.continue_from(before, event)
        if isinstance(event, AdvanceForget):
            self.forget_problem = f"{error.message}; {error.hint}"
        if isinstance(event, ForgetRequest) and event.request_id in self._pending:
            reason = f"the request is recorded, and it is not complete: {error.message}"
            return StateError(f"forgetting: {reason}", RECORDED)
        return error

    def _handle(self, event: Event) -> tuple[Message, ...]:
        """Handle an event and apply its effects; returns its messages."""
        if isinstance(event, AdvanceForget):
            self.forget_problem = ""
            if self._prepare_advance():
                return ()
        effects = self.runtime.handle(event)
        if isinstance(event, Observation):
            messages = tuple(self._apply(effects, observed=True))
            if event.kind == "series" and event.stream not in self.runtime.series.replaying:
                self.trail.add(event, messages)
            return messages
        erased = self.runtime.series.take_erased()
        try:
            if isinstance(event, ForgetRequest):
                if event.remove_files:
                    self.receipts.order(event.request_id)
                self.replay.erase(self.runtime.series, erased)
            return tuple(self._apply(effects, observed=False))
        except StateError:
            self.runtime.series.refuse(erased)
            raise

    def _prepare_advance(self) -> bool:
        """Do a step in the file that the next step of a forget request waits for, or leaves little
        to do to; False if there is none."""
        runtime = self.runtime
        if runtime.erasing:
            return self.store.finish_checkpoint()
        if not runtime.forgetting:
            return False
        if self.store.unscrubbed:
            if not self._overwriter.busy:
                self._overwrite()
                return True
            if runtime.issued:
                return True
        # All that is kept of derived state goes with the geometry that it follows from.
        return runtime.installs_geometry and self.store.drop_some_derived()

    def _complete_forgets(self) -> tuple[Message, ...]:
        """Complete all pending forget requests; returns the messages."""
        found: list[Message] = []
        while self.runtime.forgetting:
            found += self._handle(AdvanceForget(time.time_ns()))
        return tuple(found)

    @property
    def advances_forget(self) -> bool:
        """Whether a pending forget request can go on now: feed `AdvanceForget`."""
        runtime = self.runtime
        if runtime.erasing or not runtime.forgetting or self._fitter.reading:
            return runtime.erasing
        if self._overwriter.busy:
            return runtime.advances and not runtime.issued
        return runtime.advances or self.store.unscrubbed

    @property
    def _pending(self) -> frozenset[str]:
        """The ids of the forget requests that are not complete."""
        return frozenset(one.request_id for one in self.runtime.pending_forgets())

    def prefetch(self, events: Sequence[Observation]) -> None:
        """Compute as one batch for observations that `feed` gets next, if they are enough for
        that and vectors; images and windows are encoded one by one anyway."""
        if self.batches and len(events) >= BATCH_MIN:
            self.runtime.prefetch(events)

    @property
    def batches(self) -> bool:
        """True if a batch of observations is cheaper than deciding one by one: for vectors."""
        return self.model.card.kind == "vector"

    def poll_growth(self) -> tuple[Message, ...]:
        """Install an adaptor that the worker has finished; returns the messages.

        Never waits: heads that new facts have made stale, and the head on top of a new adaptor, are
        solved in the background, one per call.
        """
        self._result = result = self._result or self.worker.poll()
        if self._overwriter.active or self._fitter.delays(result, self.runtime):
            return ()
        self._result = None
        messages = () if result is None else self.feed(GrowthFinished(result))
        self._fitter.advance(self.runtime)
        return messages

    def refit(self) -> bool:
        """Advance the background fits without waiting; True while there is one.

        A part that new facts have outdated is fitted in a thread, one at a time.
        """
        if self._result is None and not self._overwriter.active:
            self._fitter.advance(self.runtime)
        return self._fitter.active

    def guess(self) -> bool:
        """Compute guesses for the gallery for a short time; True while there are more."""
        return self.gallery.advance(self.runtime)

    def watch(self, *, watched: bool) -> None:
        """Keep raw inputs in memory while a person may look at them, whatever the settings say
        about the disk."""
        if watched and self._raw_inputs is None:
            self._raw_inputs = RawInputs()
        elif not (watched or self.settings.candidates.raw):
            self._raw_inputs = None

    @property
    def keeps_raw(self) -> bool:
        """True while raw inputs are kept in memory."""
        return self._raw_inputs is not None

    @property
    def raws_in_memory(self) -> RawInputs:
        """The raw inputs in memory."""
        return self._raw_inputs or RawInputs()

    @property
    def heads_only(self) -> str:
        """The reason why no adaptor can be grown here, so that only heads serve; or ''."""
        return self.worker.obstacle

    @property
    def growing(self) -> str:
        """The domain whose adaptor is growing, until it serves or is rejected; or ''."""
        growing = self.worker.job or self._result
        return growing.domain if growing is not None else ""

    def check_trial(self) -> tuple[BundleTrialReport, ...]:
        """Revert the bundle on trial if it performs badly; returns the reports to publish."""
        reason = self.trial.problem(time.time_ns(), time.monotonic()) if self.trial else ""
        return (self.end_trial(reason),) if reason else ()

    def confirm_trial(self) -> BundleTrialReport:
        """Keep the bundle on trial; raises StateError without one."""
        report = self.trial_state()
        self.store.trials.confirm()
        self.trial = None
        return msgspec.structs.replace(report, state="confirmed")

    def end_trial(self, reason: str) -> BundleTrialReport:
        """Restore the state before the bundle on trial; raises StateError without one."""
        report = self.trial_state()
        self.store.trials.revert()
        self.trial = None
        self.reopen()
        return msgspec.structs.replace(report, state="reverted", reason=reason)

    def remove_bundle(self, publisher: str, counter: int) -> BundleTrialReport:
        """Remove what an imported bundle brought, and its file; a trial of it is reverted.  The
        geometry stays.  Raises StateError if it is not imported."""
        wanted = (publisher, counter)
        held = {(one.publisher, one.counter): one for one in self.store.trials.imported()}
        if wanted not in held:
            raise StateError(
                f"removing bundle {counter} of {publisher}: it is not imported here",
                "`auricle bundle list` shows those that are",
            )
        trial = self.store.trials.current()
        if trial is not None and (trial.publisher, trial.counter) == wanted:
            self.end_trial("it was removed")
        else:
            self.store.remove_bundle(held[wanted])
            self.reopen()
        name = held[wanted].name
        (self.folder / BUNDLE_FOLDER / name).unlink(missing_ok=True)
        return BundleTrialReport(bundle=name, state="removed", reason="")

    def trial_state(self) -> BundleTrialReport:
        """Return a report on the bundle on trial; raises StateError without one."""
        if self.trial is None:
            raise StateError("looking for a trial: no bundle is on trial", "import one first")
        return self.trial.report("on trial")

    def derive_again(self) -> None:
        """Derive everything from the facts, without what was kept of it."""
        self.store.drop_derived()
        self.reopen()

    def reopen(self) -> None:
        """Derive everything from the file again; growth in progress is lost, series continue."""
        self._stop_growing()
        series, issued, network = self.runtime.series, self.runtime.issued, self._network
        self.runtime = self._open_runtime()
        # With another network series start again, since their states belong to the one before.
        if self._network == network:
            self.runtime.series = series
        waiting = {one.request_id for one in self.runtime.pending_forgets()}
        self.runtime.issued = {key: one for key, one in issued.items() if key not in waiting}
        self.gallery = Gallery(self.store, self.model.card.kind)
        self._settled = True
        self._watch_trial()

    def _watch_trial(self) -> None:
        trial = self.store.trials.current()
        if trial is None or (self.trial is not None and self.trial.trial == trial):
            return
        self.trial = TrialHealth(trial, self.settings.bundles, time.monotonic())

    def stamp(self) -> str:
        """Store the knowledge's digest for `auricle verify`, and return it."""
        digest = self.runtime.digest()
        self.store.stamp(digest)
        return digest

    def refit_geometry(self) -> str:
        """Fit the geometry again and stamp: the knowledge then depends on the set of facts alone,
        in any order.  Returns the digest.  Cost: about that of opening the home.

        A member of a fleet keeps the shared geometry.
        """
        if self.runtime.knowledge.own.keys and not self.shares_geometry:
            self.feed(FitGeometry())
        return self.stamp()

    def prepare_answers(self) -> None:
        """Solve what answers need, so that the first decision after the next start does not: up to
        two seconds for each domain of thousands of facts.  It is kept at `close`."""
        knowledge = self.runtime.knowledge
        if knowledge.learned:
            knowledge.router()
        for domain in knowledge.learned:
            knowledge.adaptor(domain)

    @property
    def shares_geometry(self) -> bool:
        """True if sums of other devices depend on the frozen geometry: it is fitted again only on
        request."""
        return self.settings.fleet is not None and self.store.geometry() is not None

    def forget_buried(self, other: Store) -> int:
        """Forget every own fact that another store has forgotten, also by its content.

        Returns the number of forgotten facts; they leave a receipt.  Facts that the other store
        holds beside a tombstone of their content stay, as they do there.  The store adopts the
        tombstones, of contents too, once the other's facts are in.
        """
        ids = frozenset(
            fact.id
            for page in self.store.pages()
            for fact in page
            if other.was_forgotten(fact.id)
            or (other.resembles_forgotten(fact.features) and other.get(fact.id) is None)
        )
        if ids:
            at_ns = time.time_ns()
            request = f"merge-{at_ns}"
            self.feed(
                ForgetRequest(
                    request_id=request,
                    selector=Selector(ids=ids),
                    requested_at_ns=at_ns,
                    duplicates="off",
                )
            )
        return len(ids)

    def save_derived(self) -> None:
        """Keep what was derived from the facts in the file, to open and to answer sooner.  Does
        nothing if that fails, or while memory and file may differ: it is then derived again."""
        if self._settled and self.store.writable:
            self.runtime.knowledge.ledger_applied()
            with suppress(StateError):
                self.store.save_derived(self.runtime.knowledge.derived_state())

    def close(self) -> None:
        """Stop the worker, keep what was derived, close store and encoder."""
        self._stop_growing()
        self._fitter.join()
        self._overwriter.join()
        self.save_derived()
        self.history.close()
        self.store.close()
        self.model.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _stop_growing(self) -> None:
        self.worker.stop()
        self._result = None

    def _open_runtime(self) -> Runtime:
        config = msgspec.structs.replace(self.settings.config(), alarm_outputs=self._outputs)
        weights, self._network = choose_network(self.folder, self.settings, self.store)
        return Runtime(config, self.model, self.store, weights, deferring=self._deferring)

    def _apply(self, effects: tuple[Effect, ...], *, observed: bool) -> Iterator[Message]:
        """Apply the effects of an event in order, and yield the messages.  observed: it is an
        observation, whose decision counts more than what is stored with it."""
        for effect in effects:
            match effect:
                case Publish():
                    yield self.receipts.published(effect.message)
                case StartGrowth():
                    self.worker.start(effect.job)
                    return_free_memory()
                case CancelGrowth():
                    self._stop_growing()
                case SetOutput():
                    if self.actuate is not None:
                        self.actuate(effect)
                case StoreLabelCandidates():
                    self._store_candidates(effect)
                case StoreRecalibration() if observed:
                    self._store_recalibration(effect)
                case EraseFacts() | ExcludeFacts() | CompleteForget():
                    self._forget(effect)
                case _:
                    self._store(effect)

    def _store(self, effect: Effect) -> None:
        self.store.apply(effect)
        changed = effect.effects if isinstance(effect, Together) else (effect,)
        for one in changed:
            if isinstance(one, StoreFacts):
                gone = (*one.withdrawn, *one.evicted)
                self.gallery.changed((fact.id for fact in one.facts), gone)

    def _stop_reading(self) -> None:
        """Let nothing of this process read the file: its log could not be cut."""
        self._fitter.stop_reading()
        if self.erasing is not None:
            self.erasing()

    def _overwrite(self) -> None:
        """Overwrite the remains of erased facts in the file; a step of it where decisions may not
        wait."""
        if not self.runtime.knowledge.may_wait:
            self._stop_reading()
            self.store.overwrite_remains()
            return
        if not self._overwriter.active:
            self._stop_reading()
        self._overwriter.advance()

    def _forget(self, effect: EraseFacts | ExcludeFacts | CompleteForget) -> None:
        if isinstance(effect, ExcludeFacts):
            self._erase(self.receipts.excluding(effect))
            return
        if isinstance(effect, CompleteForget) and self.runtime.issued:
            self.store.complete(self.receipts.complete(effect.receipt))
            return
        self._stop_reading()
        if isinstance(effect, CompleteForget):
            self.store.apply(CompleteForget(self.receipts.complete(effect.receipt)))
        else:
            receipt = self.receipts.complete(effect.receipt, frozenset(effect.ids))
            self._erase(EraseFacts(effect.ids, receipt, effect.contents))

    def _erase(self, effect: EraseFacts | ExcludeFacts) -> None:
        """Erase, and call `erased` once that is durable, even if overwriting then fails."""
        # First: if it fails, the request can be sent again; after the receipt it would be repeated.
        self.history.erase(effect.ids)
        try:
            self.store.apply(effect)
        finally:
            self.gallery.forget(effect.ids)
            if self._raw_inputs is not None:
                self._raw_inputs.drop(effect.ids)
            if self._erased is not None and all(map(self.store.was_forgotten, effect.ids)):
                self._erased(effect.ids)

    def _store_recalibration(self, effect: StoreRecalibration) -> None:
        """Store what a stream has tracked; a disk error, or a home that is open for reading only,
        does not stop the decision."""
        try:
            self.store.apply(effect)
            self.problem = ""
        except StateError as error:
            self.problem = error.message

    def _store_candidates(self, effect: StoreLabelCandidates) -> None:
        """Store label candidates, with their raw inputs if the settings allow it; a disk error does
        not stop the decision."""
        try:
            self.store.apply(effect)
            if self._raw_inputs is not None and self.settings.candidates.raw:
                named = (one.observation_id for one in effect.candidates)
                self.store.store_raw_inputs(self._raw_inputs.of(named))
            self.problem = ""
        except StateError as error:
            self.problem = error.message
