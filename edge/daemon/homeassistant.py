"""The daemon's side of Home Assistant: the newest flagged observation of each stream, and controls,
which become commands.

Everything runs in the loop's thread, except making pictures smaller.
"""

import io
import math
import os
import platform
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
import numpy as np

from ..commands import ConfirmCommand, LabelCommand, RateCommand, RateLimit, Request
from ..core import AlarmQuestion, Decision, EdgeError, Event, Message, Observation, Tick
from ..home import Home, KnownNames
from ..mqtt import (
    AnnouncedDevice,
    AnnouncedHome,
    AnnouncedStream,
    Control,
    ControlAnswer,
    FlaggedState,
    InstalledBundle,
    InvalidControl,
    LabelControl,
    NotNewControl,
    RateControl,
    Response,
)
from .homes import HomeSlot
from .loop import Loop

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

ANNOUNCED_STREAMS_MAX: Final = 64
"""Streams with entities.  The announcement of 64 takes about half a megabyte, and a device page of
Home Assistant lists them all.  Chosen by hand."""

HOLD_S: Final = 30.0
"""Seconds for which a flagged observation stays unless it is answered, so that a person can look at
it and answer.  Chosen by hand; effect not measured."""

ANNOUNCED_S: Final = 5.0
"""Longest age of the description of the device, in seconds: listing the labels in use reads every
concept.  Chosen by hand; effect not measured."""

CONTROLS_PER_MINUTE: Final = 60
"""Controls accepted a minute: more than a person gives.  The default of [commands] is the same."""

ANSWERS_MAX: Final = 32
"""Answers that wait for the next second: more than `CONTROLS_PER_MINUTE` needs."""

PICTURE_PIXELS: Final = 640
"""Longest side of a published picture: a phone shows it whole.  Chosen by hand; effect not
measured."""

PICTURE_QUALITY: Final = 80
"""JPEG quality of it: about 60 KB for a photo.  Chosen by hand; effect not measured."""

OWN_KNOWLEDGE: Final = "own knowledge"
"""Version of a home that never kept a bundle."""

BOARD: Final = Path("/proc/device-tree/model")
"""Where boards such as a Raspberry Pi name themselves."""


class Commands(Protocol):
    """Makes commands of the daemon's own."""

    def internal(self, request: Request, reply: Callable[[bytes], None]) -> Any:
        """Return a command; reply: takes its answer."""


class Flagged:
    """A flagged observation.  flagged_s: monotonic seconds.  picture: of an image, when it is
    ready; None if it has none."""

    def __init__(self, decision: Decision, flagged_s: float) -> None:
        self.decision, self.flagged_s = decision, flagged_s
        self.label = ""
        self.picture: Future[bytes | None] | None = None

    @property
    def ready(self) -> bool:
        """True once its picture is ready."""
        return self.picture is None or self.picture.done()

    def holds(self, now_s: float) -> bool:
        """Return whether it still waits for an answer."""
        return not self.label and now_s - self.flagged_s < HOLD_S


class HomeAssistantPanel:
    """What Home Assistant shows of a daemon, and the controls that it sends.

    loop: returns the loop, which is made later than the connection.  handler: returns what makes
    commands.
    """

    def __init__(
        self,
        device: str,
        version: str,
        loop: Callable[[], Loop],
        handler: Callable[[], Commands],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._device, self._version = device, version
        self._loop, self._handler, self._clock = loop, handler, clock
        self._limit = RateLimit(CONTROLS_PER_MINUTE, clock)
        self._flagged: dict[str, Flagged] = {}
        self._next: dict[str, Flagged] = {}
        self._answers: deque[ControlAnswer] = deque(maxlen=ANSWERS_MAX)
        self._announced: AnnouncedDevice | None = None
        self._announced_s = -math.inf
        self._pictures: ThreadPoolExecutor | None = None
        self.images, self.console = False, ""
        self.health_s = 60.0

    def watch(self, event: Event, messages: Iterable[Message]) -> None:
        """Note flagged observations.  After any other event, read their labels from the ledger:
        commands label, correct, undo and take labels back."""
        if isinstance(event, Observation):
            for one in messages:
                if isinstance(one, Decision) and one.known is not True:
                    self._flag(event, one)
        elif not isinstance(event, Tick):
            for stream, flagged in (*self._flagged.items(), *self._next.items()):
                flagged.label = self._label(stream, flagged.decision.observation_id)

    def forget(self, ids: Iterable[str]) -> None:
        """Drop flagged observations that were erased, with their pictures."""
        erased = frozenset(ids)
        for kept in (self._flagged, self._next):
            for stream, flagged in list(kept.items()):
                if flagged.decision.observation_id in erased:
                    del kept[stream]

    def close(self) -> None:
        """Stop making pictures."""
        if self._pictures is not None:
            self._pictures.shutdown(wait=False, cancel_futures=True)

    def _picture_maker(self) -> "ThreadPoolExecutor":
        """Return the thread that makes pictures, started with the first one."""
        if self._pictures is None:
            from concurrent.futures import ThreadPoolExecutor

            self._pictures = ThreadPoolExecutor(1, "pictures")
        return self._pictures

    def _flag(self, event: Observation, decision: Decision) -> None:
        now = self._clock()
        shown = self._next.get(decision.stream) or self._flagged.get(decision.stream)
        if shown is not None and shown.holds(now):
            return
        flagged = self._next[decision.stream] = Flagged(decision, now)
        home = self._home(decision.stream)
        if self.images and home is not None and home.model.card.kind == "image":
            flagged.picture = self._picture_maker().submit(small_picture, event.payload)

    # --- states ----------------------------------------------------------------------------------

    def announced(self) -> AnnouncedDevice:
        """Return the device with its streams and homes, at most `ANNOUNCED_S` old."""
        now = self._clock()
        if self._announced is None or now - self._announced_s >= ANNOUNCED_S:
            self._announced_s = now
            self._announced = self._describe()
        return self._announced

    def refresh(self) -> None:
        """Describe the device again at the next call of `announced`."""
        self._announced_s = -math.inf

    def flagged(self) -> Mapping[str, FlaggedState]:
        """Return the flagged observation and the open question of each stream of decisions.  A new
        one replaces the former once its picture is ready."""
        for name in [one for one, waiting in self._next.items() if waiting.ready]:
            self._flagged[name] = self._next.pop(name)
        questions = {
            (slot.name, one.stream): one
            for slot in self._loop().homes.values()
            if slot.home is not None
            for one in slot.home.runtime.alarm_questions()
        }
        return {
            name: self._state(name, questions.get((stream.settings.home, name)))
            for name in self._names()
            if (stream := self._loop().inbox.streams[name]).settings.kind == "sample"
        }

    def pictures(self) -> Mapping[str, tuple[str, bytes]]:
        """Return the pictures that are ready: by stream, the observation's id and the JPEG file."""
        found: dict[str, tuple[str, bytes]] = {}
        for stream, one in self._flagged.items():
            picture = one.picture.result() if one.picture is not None else None
            if picture is not None:
                found[stream] = one.decision.observation_id, picture
        return found

    def _state(self, stream: str, question: AlarmQuestion | None) -> FlaggedState:
        state = FlaggedState(stream=stream)
        flagged = self._flagged.get(stream)
        if flagged is not None:
            decision = flagged.decision
            p_value = decision.p_value
            state = FlaggedState(
                stream=stream,
                observation_id=decision.observation_id,
                guess=decision.guess,
                domain=decision.domain,
                novelty=round(100 * (1 - p_value), 2) if math.isfinite(p_value) else None,
                captured_at=_time_of(decision.captured_at_ns),
                label=flagged.label,
            )
        if question is not None:
            state = msgspec.structs.replace(
                state,
                alarm_id=question.alarm_id,
                alarm_domain=question.domain,
                alarm_from=_time_of(question.from_ns),
                shift=round(question.shift, 3) if math.isfinite(question.shift) else None,
            )
        return state

    def _home(self, stream: str) -> Home | None:
        loop = self._loop()
        found = loop.inbox.streams.get(stream)
        slot = loop.homes.get(found.settings.home) if found is not None else None
        return slot.home if slot is not None else None

    def _label(self, stream: str, observation_id: str) -> str:
        """Return the label of an observation in the ledger, '' without one."""
        home = self._home(stream)
        with suppress(EdgeError):
            fact = home.store.get(observation_id) if home is not None else None
            return fact.label if fact is not None else ""
        return ""

    def _describe(self) -> AnnouncedDevice:
        loop = self._loop()
        opened = [slot for slot in loop.homes.values() if slot.home is not None]
        encoders = {slot.home.model.card.name for slot in opened if slot.home is not None}
        return AnnouncedDevice(
            name=self._device,
            version=self._version,
            model=", ".join(sorted(filter(None, encoders))),
            hardware=hardware(),
            health_s=self.health_s,
            console=self.console,
            streams=tuple(map(self._stream, self._names())),
            homes=tuple(map(_announced_home, opened)),
        )

    def _names(self) -> tuple[str, ...]:
        """Return the names of the streams that are announced."""
        return tuple(islice(self._loop().inbox.streams, ANNOUNCED_STREAMS_MAX))

    def _stream(self, name: str) -> AnnouncedStream:
        stream, home = self._loop().inbox.streams[name], self._home(name)
        series = stream.settings.kind == "series"
        channels = home.runtime.series.channels(name) if series and home is not None else ()
        return AnnouncedStream(
            name=name,
            home=stream.settings.home,
            channels=channels if series else None,
            pictures=home is not None and home.model.card.kind == "image",
            problem=stream.problem,
            rejecting=bool(stream.rejecting),
        )

    # --- controls --------------------------------------------------------------------------------

    def control(self, control: Control | InvalidControl) -> None:
        """Queue the command of a control; its outcome is one of `answers`."""
        kind = control.kind
        if not self._limit.take():
            self._refuse(kind, f"more than {CONTROLS_PER_MINUTE} controls in a minute")
            return
        if isinstance(control, InvalidControl):
            self._refuse(kind, control.reason)
            return
        found = self._command(control)
        if isinstance(found, str):
            self._refuse(kind, found)
            return
        request, text = found
        loop = self._loop()
        order = self._handler().internal(request, partial(self._answered, kind, text))
        reason = loop.publisher.outbox.refusing or loop.inbox.add_command(order)
        if reason:
            self._refuse(kind, reason)

    def answers(self) -> Iterable[ControlAnswer]:
        """Return the outcomes of controls since the last call."""
        found = tuple(self._answers)
        self._answers.clear()
        return found

    def _command(self, control: Control) -> tuple[Request, str] | str:
        """Return the command of a control and a sentence about it, or why there is none."""
        name = f"ha-{os.urandom(8).hex()}"
        if isinstance(control, RateControl):
            rate = control.percent / 100
            text = f"the false-alarm rate is {control.percent:g} %"
            return RateCommand(id=name, home=control.home, rate=rate), text
        stream = self._loop().inbox.streams.get(control.stream)
        if stream is None:
            return f"there is no stream {control.stream!r}"
        home = stream.settings.home
        if isinstance(control, NotNewControl) and control.alarm_id:
            text = f"the lasting alarm of {control.stream} is harmless"
            return ConfirmCommand(
                id=name, home=home, harmless=True, alarm_id=control.alarm_id
            ), text
        if not control.observation_id:
            return "no observation was flagged yet"
        label = control.name if isinstance(control, LabelControl) else self._guess(control)
        if not label:
            return "there is no guess to confirm; give it a label"
        text = f"{control.observation_id} is {label}"
        return LabelCommand(
            id=name, home=home, observation_id=control.observation_id, label=label
        ), text

    def _guess(self, control: NotNewControl) -> str:
        """Return the guess on an observation, if it is still the one flagged last; else ''."""
        flagged = self._flagged.get(control.stream)
        if flagged is None or flagged.decision.observation_id != control.observation_id:
            return ""
        return flagged.decision.guess

    def _answered(self, kind: str, text: str, answer: bytes) -> None:
        response = msgspec.json.decode(answer, type=Response)
        if response.done:
            self.refresh()
            self._answers.append(ControlAnswer(done=True, control=kind, text=text))
        else:
            self._refuse(kind, response.reason, response.hint)

    def _refuse(self, kind: str, reason: str, hint: str = "") -> None:
        self._answers.append(ControlAnswer(done=False, control=kind, text=reason, hint=hint))


def _announced_home(slot: HomeSlot) -> AnnouncedHome:
    home = slot.home
    assert home is not None, "only opened homes are announced"
    return AnnouncedHome(
        name=slot.name,
        rate=home.runtime.config.false_alarm_rate,
        labels=KnownNames.of(home.runtime.knowledge.own.keys).labels,
        bundle=installed_bundle(home),
    )


def installed_bundle(home: Home) -> InstalledBundle | None:
    """Return the bundle of a home that may take bundles."""
    installed = home.store.trials.installed()
    if not (home.settings.bundles.keys or installed or home.trial):
        return None
    installed = installed or OWN_KNOWLEDGE
    if home.trial is None:
        return InstalledBundle(installed=installed, latest=installed)
    trial, report = home.trial.trial, home.trial_state()
    return InstalledBundle(
        installed=installed,
        latest=trial.version,
        title=trial.bundle,
        summary=f"On trial: {report.decided} decisions, {report.unknown} novel or undecided;"
        f" {report.labelled} labels, {report.agreed} agree.  The command bundle-confirm keeps it.",
    )


def small_picture(payload: object) -> bytes | None:
    """Return an image as a JPEG file of at most `PICTURE_PIXELS` a side, without metadata of the
    camera (place, time, owner); None if it is no image."""
    from PIL import Image, ImageOps

    with suppress(OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        if isinstance(payload, np.ndarray) and payload.dtype == np.uint8 and payload.ndim == 3:
            image = Image.fromarray(np.ascontiguousarray(payload))
        elif isinstance(payload, bytes):
            image = Image.open(io.BytesIO(payload))
        else:
            return None
        image.draft("RGB", (PICTURE_PIXELS, PICTURE_PIXELS))
        image.thumbnail((PICTURE_PIXELS, PICTURE_PIXELS))
        written = io.BytesIO()
        upright = ImageOps.exif_transpose(image).convert("RGB")
        upright.save(written, "JPEG", quality=PICTURE_QUALITY)
        return written.getvalue()
    return None


def hardware() -> str:
    """Return the name of the board, or of the processor architecture."""
    with suppress(OSError, UnicodeDecodeError):
        return BOARD.read_text("utf-8").strip("\0\n ")
    return platform.machine()


def _time_of(at_ns: int) -> str:
    """Return a time in ISO 8601, empty for one that no calendar has."""
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(at_ns / 1e9, UTC).isoformat(timespec="milliseconds")
    return ""
