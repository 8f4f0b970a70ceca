"""The daemon: the parts opened in order, the loop turned, and all closed again within its time."""

import secrets
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from ..commands import CommandHandler
from ..core import EdgeError, SetOutput
from ..home import return_free_memory, tune_garbage_collector
from ..logs import log, set_up_logs
from ..mqtt import BrokerStatus, DaemonStatus, InboundMessage, MessageEncoder, Streams, Topics
from ..outbox import open_outbox
from ..sources import PollingSource, Source, SourceContext, open_source
from ..storage import WriterLock
from ..version import __version__
from .assembly import OUTBOX, announced_streams, filters_of, make_streams, outputs_of, resolve_paths
from .clock import DaemonClock
from .context import DaemonContext
from .control_handler import ControlHandler
from .health import HealthReport, brief_status
from .homes import HomeSlot
from .inbox import Inbox
from .listeners import Listeners
from .loop import Loop
from .publisher import Publisher
from .reload import load_settings, reload_settings
from .stdout_client import StdoutClient
from .systemd import SystemdNotifier

if TYPE_CHECKING:
    from ..fleet import FleetMember

STOP_S: Final = 4.0
"""Seconds that stopping may take; systemd and people wait for five."""

DRAIN_S: Final = 1.5
FAREWELL_S: Final = 1.0
SOURCE_S: Final = 0.5
STATUS_S: Final = 5.0
TRIM_S: Final = 600.0
"""How often free memory is given back to the system, in seconds."""

MEMORY: Final = "sources"


class Daemon:
    """One device.  folder: of its auricle.toml.  output: where messages go when no broker is set.

    `run` returns when `stop` was called, from a signal handler or another thread.  Raises EdgeError
    where it cannot start at all; settings that are broken are none where the last good ones are
    kept.
    """

    def __init__(
        self,
        folder: Path,
        *,
        output: BinaryIO | None = None,
        notifier: SystemdNotifier | None = None,
    ) -> None:
        settings, trouble = load_settings(folder)
        set_up_logs(settings.device.log_level)
        self.folder, self.settings = folder, settings
        self.notifier = notifier or SystemdNotifier()
        self.troubles: dict[str, str] = {"settings": trouble} if trouble else {}
        if trouble:
            log.warning("settings_not_used", reason=trouble, hint="see `auricle check`")
        self.snapshot: DaemonStatus | None = None
        self._stop_asked = self._reload_asked = self._hurried = False
        self._told_s = self._snapped_s = -STATUS_S
        self._trimmed_s = time.monotonic()
        with ExitStack() as undo:
            self._lock = WriterLock(folder / OUTBOX)
            undo.callback(self._lock.release)
            self.outbox = open_outbox(folder / OUTBOX, settings.outbox)
            undo.callback(self.outbox.close)
            self._build(output)
            undo.pop_all()

    def _build(self, output: BinaryIO | None) -> None:
        settings = self.settings
        device = settings.device.known_as
        version = __version__
        self.topics = Topics(device)
        self.clock = DaemonClock(self.outbox.sure_ns)
        self.checkup = HealthReport(device, version)
        # A run that has no number must not repeat the ids of another.
        self.run_name = str(self.outbox.run or f"x{secrets.token_hex(6)}")
        self.line: Any = self._make_line(output, version)
        streams = make_streams(settings, self.run_name)
        self.intake: Inbox[Any] = Inbox(streams, self.wake)
        self.homes = {
            name: HomeSlot(
                name, self.folder / place, self._erased, outputs_of(settings, name), self._actuate
            )
            for name, place in {"": "", **settings.homes}.items()
        }
        self.homes[""].settings = settings
        self.announced = self._announced()
        self.teller = Publisher(self.outbox, MessageEncoder(device), self.line, self.clock)
        self.loop = Loop(
            self.intake,
            self.homes,
            self.line,
            self.teller,
            self.topics,
            self.clock,
            self.notifier,
        )
        self.loop.every_second = self._each_second
        self.sparkplug = self._make_sparkplug()
        self.loop.beside = self.sparkplug
        self.restaff()
        self.sources: dict[str, Source] = {}
        self.questions = ControlHandler(self.loop, lambda: self.snapshot)
        self.doors = Listeners(self)

    def restaff(self) -> None:
        """Take commands and contributions as the settings say now; raises ConfigError where a key
        of theirs cannot be used."""
        self.desk = self._make_desk()
        self.loop.desk = self.desk

    def _make_desk(self) -> CommandHandler:
        settings, floor = self.settings, DaemonContext(self)
        device = settings.device.known_as
        return CommandHandler(
            settings.commands, device, self.topics, floor, self._make_member(floor)
        )

    def _make_member(self, floor: DaemonContext) -> "FleetMember | None":
        settings = self.settings
        if settings.fleet is None or settings.mqtt is None:
            return None
        from ..fleet import FleetMember

        place = (self.folder, self.topics, self.line)
        return FleetMember(settings.fleet, settings.device.known_as, floor, *place)

    def _make_line(self, output: BinaryIO | None, version: str) -> Any:
        if self.settings.mqtt is None:
            return StdoutClient(output)
        from ..mqtt import MqttClient, make_presence

        device = self.settings.device.known_as
        mqtt = resolve_paths(self.settings.mqtt, self.folder)
        presence = make_presence(mqtt, device, version, self._announced, self.clock.now_ns)
        return MqttClient(mqtt, device, self._arrive, presence)

    def _make_sparkplug(self) -> Any | None:
        mqtt, device = self.settings.mqtt, self.settings.device.known_as
        if mqtt is None or mqtt.sparkplug is None:
            return None
        from ..mqtt import make_sparkplug

        mqtt = resolve_paths(mqtt, self.folder)
        return make_sparkplug(mqtt, device, __version__, self._announced(), self.clock.now_ns)

    def _announced(self) -> Streams:
        """The streams as they are announced now."""
        return announced_streams(self.settings, self.homes)

    def reannounce(self) -> None:
        """Announce the streams of now."""
        self.announced = self._announced()
        if self.sparkplug is not None:
            self.sparkplug.set_streams(self.announced)
        self.line.rebirth()

    def reconnect(self) -> None:
        """Leave the broker, and meet the one of the settings."""
        self.line.stop(FAREWELL_S)
        self.teller.hear()
        self.line.close()
        self.line = self._make_line(None, __version__)
        self.teller.mouth = self.loop.line = self.line
        self.line.subscribe(filters_of(self.settings, self.topics))
        self.line.start()
        if self.sparkplug is not None:
            self.sparkplug.stop(FAREWELL_S)
        self.sparkplug = self.loop.beside = self._make_sparkplug()
        if self.sparkplug is not None:
            self.sparkplug.start()

    # --- running ---------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until asked to stop; then close everything."""
        try:
            self.start()
            tune_garbage_collector()
            while not self._stop_asked:
                self.loop.turn()
                if self._reload_asked:
                    self._reload_asked = False
                    with suppress(EdgeError):
                        self.reload()
        finally:
            self.close()

    def start(self) -> None:
        """Open homes, connect, begin to measure."""
        self.loop.open_homes()
        self.line.subscribe(filters_of(self.settings, self.topics))
        self.line.start()
        if self.sparkplug is not None:
            self.sparkplug.start()
        self.start_sources()
        self.status()
        self.doors.open()
        self.notifier.ready()
        log.info("serving", device=self.settings.device.known_as, run=self.outbox.run)

    def rebirth(self) -> None:
        """Announce the device again, wherever it is announced."""
        self.line.rebirth()
        if self.sparkplug is not None:
            self.sparkplug.rebirth()

    def stop(self) -> None:
        """Ask for the end; asked a second time, what waits is not waited for."""
        self._hurried = self._stop_asked
        self._stop_asked = True
        self.line.wake()

    def wake(self) -> None:
        """Let the loop's wait end; from any thread."""
        self.line.wake()

    def ask_reload(self) -> None:
        """Ask for the settings to be read again."""
        self._reload_asked = True
        self.line.wake()

    def close(self) -> None:
        """Stop measuring, finish what was begun, say goodbye, close files; within `STOP_S`."""
        until = time.monotonic() + STOP_S
        self.checkup.stopping = True
        self.notifier.stopping()
        self._attempt("closing the doors", self.doors.stop)
        self.stop_sources(SOURCE_S)
        self._attempt("finishing", lambda: self._drain(time.monotonic() + DRAIN_S))
        left = 0.1 if self._hurried else max(0.1, min(FAREWELL_S, until - time.monotonic()))
        self._attempt("saying goodbye", lambda: self.line.stop(left))
        if self.sparkplug is not None:
            self._attempt("saying NDEATH", partial(self.sparkplug.stop, 0.3))
        self._attempt("hearing", self.teller.hear)
        self._attempt("closing the outbox", self.outbox.close)
        for slot in self.homes.values():
            slot.close()
        self.line.close()
        self._lock.release()
        self.notifier.close()
        log.info("stopped")

    def _drain(self, until: float) -> None:
        """Decide on what was taken in, and wait for the broker to take what was sent."""
        while not self._hurried and time.monotonic() < until:
            self.loop.turn(0.02)
            if not (len(self.intake) or (self.line.online and self.outbox.flying)):
                return

    @staticmethod
    def _attempt(doing: str, act: Callable[[], object]) -> None:
        """Go on with closing whatever happens."""
        try:
            act()
        except Exception:
            log.exception("failed", doing=doing)

    # --- parts -----------------------------------------------------------------------------------

    def start_sources(self) -> None:
        """Start the streams that fetch their own measurements, as far as they have not started."""
        for name, stream in self.intake.streams.items():
            if name in self.sources:
                continue
            slot = self.homes[stream.settings.home]
            card = slot.home.model.card if slot.home is not None else None
            if card is None and stream.settings.kind == "sample":
                continue
            place = SourceContext(slot.folder, self.folder / MEMORY, card)
            try:
                source = open_source(name, stream.settings, place, self.intake)
            except (ValueError, OSError) as error:
                stream.trouble = str(error)
                continue
            if source is not None:
                self.sources[name] = source
                source.start()

    def stop_sources(self, timeout_s: float, names: Iterable[str] | None = None) -> None:
        """Stop sources; all of them together take little more than the time of one."""
        for name in list(self.sources if names is None else names):
            source = self.sources.pop(name, None)
            if source is not None:
                source.stop(timeout_s)
                timeout_s = max(timeout_s / 2, 0.05)

    def status(self) -> DaemonStatus:
        """Return a snapshot, made now."""
        self.snapshot = self.checkup.status(
            self.loop, self._broker_status(), self.troubles.values()
        )
        return self.snapshot

    def _broker_status(self) -> BrokerStatus | None:
        line = self.line
        if isinstance(line, StdoutClient):
            return None
        host, port = self.settings.mqtt.address if self.settings.mqtt else ("", 0)
        return BrokerStatus(
            address=f"{host}:{port}",
            online=line.online,
            since_s=round(line.since_s, 1),
            connects=line.counters.connected,
            reasons=dict(line.counters.reasons),
            problem=line.problem or line.refusal,
        )

    def _each_second(self) -> None:
        now = time.monotonic()
        self.desk.tend()
        self.doors.tend()
        self.start_sources()
        if self._announced() != self.announced:
            self.reannounce()
        for name, source in self.sources.items():
            self.intake.streams[name].trouble = source.problem
        if now - self._snapped_s >= STATUS_S:
            self._snapped_s = now
            self.notifier.status(brief_status(self.status()))
        if now - self._trimmed_s >= TRIM_S:
            self._trimmed_s = now
            return_free_memory()
        if now - self._told_s >= self.settings.device.health_interval_s and self.line.online:
            self._told_s = now
            self._tell_health()

    def _tell_health(self) -> None:
        words = self.teller.wording.encode(self.status(), 0, self.clock.now_ns())
        self.line.publish(self.topics.health, words.body, qos=0)

    def _arrive(self, arrival: InboundMessage) -> None:
        self.loop.arrive(arrival)

    def _actuate(self, effect: SetOutput) -> None:
        source = self.sources.get(effect.stream)
        from ..sources import SerialPortSource

        if isinstance(source, PollingSource) and isinstance(source.reader, SerialPortSource):
            source.reader.actuate(effect.channel, effect.value)

    def _erased(self, ids: tuple[str, ...]) -> None:
        self.loop.erased(ids)

    def reload(self) -> tuple[str, ...]:
        """Read the settings again; returns what was done.  Raises ConfigError where they cannot be
        used; those before hold then."""
        self.notifier.reloading()
        try:
            did = reload_settings(self)
            log.info("reloaded", did=did)
            return did
        except EdgeError as error:
            log.warning("not_reloaded", reason=error.message, hint=error.hint)
            raise
        finally:
            self.notifier.ready()
            self.status()
