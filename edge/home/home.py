"""A home: the folder that holds one runtime's settings, its encoder card and its knowledge."""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import encoder

from ..config import SETTINGS, TEMPLATE, EncoderSettings, Settings, read_settings
from ..core import (
    CancelGrowth,
    ConfigError,
    DriftAlarm,
    Effect,
    EraseFacts,
    Event,
    FitGeometry,
    ForgetRequest,
    GrowRequest,
    GrowthFinished,
    GrowthResult,
    LabelRequest,
    Message,
    Observation,
    Publish,
    Rejected,
    Runtime,
    Selector,
    SetOutput,
    StartGrowth,
    StateCorruptError,
    StateError,
    StoreLabelCandidates,
    Tick,
)
from ..mqtt import BundleTrialReport
from ..storage import (
    LazyArrays,
    SeriesStateFile,
    Store,
    read_weights,
    remove_file,
    shipped_weights,
    write_text,
)
from ..worker import Worker
from .background_fit import BackgroundFitter
from .bundle_trial import TrialHealth
from .process_memory import return_free_memory
from .raw_inputs import RawInputs

VECTOR_CARD = "card.toml"
FORESEEN_MIN: Final = 6


class InputModel:
    """An encoder that lets features through that were made and quantised before, by its card."""

    def __init__(self, model: encoder.Model) -> None:
        self._model = model

    @property
    def card(self) -> encoder.Card:
        """The card of the encoder behind it."""
        return self._model.card

    def encode(self, payload: object) -> encoder.Features:
        """Encode a payload; raises encoder.EncoderError for a bad one."""
        return payload if isinstance(payload, encoder.Features) else self._model.encode(payload)

    def close(self) -> None:
        """Close the encoder."""
        self._model.close()


class Home:
    """An opened home: settings, model, store, the runtime over them, and a worker for what it asks
    to be grown.  Close it after use.

    erased: called with the ids of what was erased, once that is durable.  trouble: why candidates
    for a label could not be kept, or nothing.  outputs: by stream, the output of its device that is
    1 while the stream has left known ground.  actuate: set it to be called with outputs to set.
    erasing: set it to be called before facts are erased: who reads the file has to let it go.
    settings: in place of those in the folder.  session: the file that series are saved to and come
    back from; nothing is saved by itself.
    Nothing grows by itself: send `Tick` after labels and now and then, and call `tend`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        writable: bool = True,
        erased: Callable[[tuple[str, ...]], None] | None = None,
        outputs: Mapping[str, int] | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.folder = folder
        self.actuate: Callable[[SetOutput], None] | None = None
        self.erasing: Callable[[], None] | None = None
        self._outputs = tuple((outputs or {}).items())
        self.trouble = ""
        self._erased = erased
        self.settings = read_settings(folder) if settings is None else settings
        with ExitStack() as opened:
            self.model = InputModel(open_encoder(folder, self.settings))
            opened.callback(self.model.close)
            path = folder / self.settings.knowledge.file
            self.store = opened.enter_context(Store.open(path, self.model.card, writable=writable))
            self.runtime = self._open_runtime()
            opened.pop_all()
        self.session = SeriesStateFile(path)
        if writable and self.settings.forecast.on:
            self.session.restore(self.runtime.series)
        growth = self.settings.growth
        self.worker = Worker(growth.memory_mib_max, growth.seconds_max)
        self._refitter = BackgroundFitter()
        self._coming: GrowthResult | None = None
        self._raws = RawInputs() if self.settings.candidates.raw else None
        self._stirred = True
        self.trial: TrialHealth | None = None
        self._watch_trial()

    def feed(self, event: Event) -> tuple[Message, ...]:
        """Handle an event, apply its effects in order, return what is to be told.

        The first observation after anything else has thresholds derived, and one that changes what
        is opened has them derived for the opening; what that took is then given back to the system.
        Where an effect fails, what the runtime holds no longer fits the file: it is opened again
        before the StateError goes on.
        """
        if self._raws is not None and isinstance(event, Observation):
            self._raws.add(event.key, event.payload)
        if self.heads_only and isinstance(event, Tick):
            event = Tick(grows=False)
        elif self.heads_only and isinstance(event, GrowRequest):
            hint = "see `auricle doctor`; what was learned is kept"
            reason = f"growing {event.domain}: {self.heads_only}"
            return (Rejected(event.request_id, reason, hint),)
        try:
            effects = self.runtime.handle(event)
            if isinstance(event, ForgetRequest):
                self.session.rewrite(self.runtime.series)
            told = tuple(self._applied(effects))
        except StateError as error:
            if self.trial is not None and isinstance(error, StateCorruptError):
                self.end_trial(f"what it brought cannot be used: {error.message}")
            self.reopen()
            raise
        if self.trial is not None:
            self.trial.note(event, told)
        opened = any(isinstance(message, DriftAlarm | LabelRequest) for message in told)
        if not isinstance(event, Observation):
            self._stirred = True
        elif self._stirred or opened:
            self._stirred = False
            return_free_memory()
        return told

    def prefetch(self, events: Sequence[Observation]) -> None:
        """Do for observations that `feed` gets next what is cheaper done for all at once, where
        they are enough for that."""
        if len(events) >= FORESEEN_MIN:
            self.runtime.prefetch(events)

    @property
    def foresees(self) -> bool:
        """True where observations come as ready-made vectors: others take their time one by one."""
        return self.model.card.kind == "vector"

    def tend(self) -> tuple[Message, ...]:
        """Take in what the worker has grown, if it is done; returns what is to be told.  Never
        waits: heads that facts have changed, and one on top of what was grown, are solved beside
        serving, one from call to call."""
        self._coming = coming = self._coming or self.worker.poll()
        if self._refitter.holds(coming, self.runtime.knowledge):
            return ()
        self._coming = None
        told = () if coming is None else self.feed(GrowthFinished(coming))
        self._refitter.turn(self.runtime.knowledge)
        return told

    @property
    def heads_only(self) -> str:
        """Why no adaptor can be grown here, so that heads alone answer; or nothing."""
        return self.worker.obstacle

    @property
    def growing(self) -> str:
        """The domain that something is grown for, until that serves or is refused; or nothing."""
        asked = self.worker.job or self._coming
        return asked.domain if asked is not None else ""

    def look_after_trial(self) -> tuple[BundleTrialReport, ...]:
        """Take the bundle on trial back where it does badly; returns what is to be told."""
        reason = self.trial.trouble(time.time_ns(), time.monotonic()) if self.trial else ""
        return (self.end_trial(reason),) if reason else ()

    def confirm_trial(self) -> BundleTrialReport:
        """Keep the bundle on trial; raises StateError where there is none."""
        said = self.trial_state()
        self.store.trials.confirm()
        self.trial = None
        return replace(said, state="confirmed")

    def end_trial(self, reason: str) -> BundleTrialReport:
        """Go back to what was before the bundle on trial; raises StateError where there is none."""
        said = self.trial_state()
        self.store.trials.revert()
        self.trial = None
        self.reopen()
        return replace(said, state="reverted", reason=reason)

    def trial_state(self) -> BundleTrialReport:
        """Say how the bundle on trial does; raises StateError where there is none."""
        if self.trial is None:
            raise StateError("looking for a trial: no bundle is on trial", "import one first")
        return self.trial.tried("on trial")

    def reopen(self) -> None:
        """Derive everything from the file again; a growth under way is lost.  Series go on."""
        self._stop_growing()
        series = self.runtime.series
        self.runtime = self._open_runtime()
        self.runtime.series = series
        self._watch_trial()

    def _watch_trial(self) -> None:
        trial = self.store.trials.current()
        if trial is None or (self.trial is not None and self.trial.trial == trial):
            return
        self.trial = TrialHealth(trial, self.settings.bundles, time.monotonic())

    def stamp(self) -> str:
        """Write down the knowledge's digest for later verification, and return it."""
        digest = self.runtime.digest()
        self.store.stamp(digest)
        return digest

    def settle(self) -> str:
        """Survey the geometry again and stamp: the knowledge then follows from the set of facts
        alone, whatever came first.  Returns the digest.  Cost: about that of opening the home.

        A member of a fleet keeps the geometry that it shares.
        """
        if self.runtime.knowledge.own.keys and not self.shares_geometry:
            self.feed(FitGeometry())
        return self.stamp()

    @property
    def shares_geometry(self) -> bool:
        """True where other devices' sums stand on the frozen geometry: it is not surveyed again
        unless somebody says so."""
        return self.settings.fleet is not None and self.store.geometry() is not None

    def bury_from(self, other: Store) -> int:
        """Forget every own fact that another store has buried, and adopt its tombstones.

        Returns how many facts went; they leave a receipt.
        """
        ids = frozenset(
            fact.id for page in self.store.pages() for fact in page if other.was_forgotten(fact.id)
        )
        if ids:
            at_ns = time.time_ns()
            self.feed(ForgetRequest(f"merge-{at_ns}", Selector(ids=ids), at_ns))
        self.store.adopt_tombstones(other)
        return len(ids)

    def close(self) -> None:
        """Stop the worker, close store and encoder."""
        self._stop_growing()
        self._refitter.join()
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
        self._coming = None

    def _open_runtime(self) -> Runtime:
        config = replace(self.settings.config(), alarm_outputs=self._outputs)
        own = self.settings.forecast.weights
        # The shipped ones are read with the first series: most homes follow none.
        weights = read_weights(self.folder / own) if own else LazyArrays(shipped_weights)
        return Runtime(config, self.model, self.store, weights)

    def _applied(self, effects: tuple[Effect, ...]) -> Iterator[Message]:
        for effect in effects:
            match effect:
                case Publish():
                    yield effect.message
                case StartGrowth():
                    self.worker.start(effect.job)
                    return_free_memory()
                case CancelGrowth():
                    self._stop_growing()
                case SetOutput():
                    if self.actuate is not None:
                        self.actuate(effect)
                case StoreLabelCandidates():
                    self._nominate(effect)
                case EraseFacts():
                    self._erase(effect)
                case _:
                    self.store.apply(effect)

    def _erase(self, effect: EraseFacts) -> None:
        """Erase, and pass it on as soon as it is durable: overwriting, its last part, may fail."""
        if self.erasing is not None:
            self.erasing()
        try:
            self.store.apply(effect)
        finally:
            if self._raws is not None:
                self._raws.drop(effect.ids)
            if self._erased is not None and all(map(self.store.was_forgotten, effect.ids)):
                self._erased(effect.ids)

    def _nominate(self, effect: StoreLabelCandidates) -> None:
        """Keep candidates, with their images where those are kept; where the disk fails, the
        observation is decided all the same."""
        try:
            self.store.apply(effect)
            if self._raws is not None:
                named = (one.observation_id for one in effect.candidates)
                self.store.store_raw_inputs(self._raws.of(named))
            self.trouble = ""
        except StateError as error:
            self.trouble = error.message


def create_home(
    folder: Path, card: encoder.Card | None, named: str, columns: Sequence[str] = ()
) -> Path:
    """Make a home: settings and an empty ledger.  card: of ready-made vectors, written beside;
    None where `named` (a shipped name or a path) says which encoder.  columns: names of the card's
    columns, in order.  Returns the settings' path.  Nothing is left behind where it fails."""
    path = folder / SETTINGS
    if path.exists():
        raise ConfigError(
            f"making a home in {folder}: it is one already",
            "choose another folder, or go on with `auricle learn`",
        )
    if card is None and named not in encoder.SHIPPED:
        named = str(Path(named).absolute())
    settings = Settings(EncoderSettings(VECTOR_CARD if card is not None else named))
    with ExitStack() as undo:
        _make_folder(folder, undo)
        if card is not None:
            for name in (VECTOR_CARD, f"{VECTOR_CARD}.part"):
                undo.callback((folder / name).unlink, missing_ok=True)
            encoder.save_card(card, folder / VECTOR_CARD)
        _make_knowledge(folder, settings, columns, undo)
        write_text(
            path, TEMPLATE.format(card=json.dumps(settings.encoder.card, ensure_ascii=False))
        )
        undo.pop_all()
    return path


def _make_folder(folder: Path, undo: ExitStack) -> None:
    """Make a folder and those above it, to be removed again as far as they are empty."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        undo.callback(_remove_empty, one)
    folder.mkdir(parents=True, exist_ok=True)


def _remove_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _make_knowledge(
    folder: Path, settings: Settings, columns: Sequence[str], undo: ExitStack
) -> None:
    file = folder / settings.knowledge.file
    with open_encoder(folder, settings) as model:
        if model.card.quantiser is None:
            raise ConfigError(
                f"making a home in {folder}: the card {settings.encoder.card} has no frozen"
                " quantiser",
                "freeze one: `auricle encoder calibrate CARD DATA`",
            )
        Store.create(file, model.card, columns).close()
    undo.callback(file.with_name(file.name + ".lock").unlink, missing_ok=True)
    undo.callback(remove_file, file)


def open_encoder(folder: Path, settings: Settings) -> encoder.Model:
    """Open the encoder that the settings name; raises StateError where the card has gone."""
    named = settings.encoder.card
    if named in encoder.SHIPPED:
        return encoder.open_model(named, threads=settings.encoder.threads)
    path = folder / named
    if not path.is_file():
        found = "what is there is no file" if os.path.lexists(path) else "there is no such file"
        raise StateError(
            f"opening the encoder card {path}: {found}",
            f"name {' or '.join(encoder.SHIPPED)}, or a card's path, as encoder.card in"
            f" {SETTINGS} or as --encoder",
        )
    return encoder.open_model(encoder.load_card(path), threads=settings.encoder.threads)
