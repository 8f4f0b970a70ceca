"""The daemon of one device: opens its parts in order, runs the loop, closes all within a limit."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from ..commands import CommandHandler
from ..config import Settings, read_settings
from ..core import ConfigError, EdgeError, SetOutput
from ..home import return_free_memory, tune_garbage_collector
from ..logs import log, set_up_logs
from ..mqtt import (
    BrokerStatus,
    Channels,
    DaemonStatus,
    InboundMessage,
    MessageEncoder,
    Streams,
    Topics,
)
from ..outbox import open_outbox
from ..sources import PollingSource, Source, SourceContext, open_source
from ..storage import WriterLock
from ..version import __version__
from .chronicle import start_event, stop_event
from .clock import DaemonClock
from .console_process import ConsoleSupervisor
from .health import HealthReport, brief_status
from .homeassistant import HomeAssistantPanel
from .homes import HOME_SECTIONS, HomeSlot, alarm_outputs
from .inbox import Inbox
from .listeners import Listeners
from .loop import Loop
from .publisher import Publisher
from .settings import (
    OUTBOX,
    fleet_filters,
    load_settings,
    read_good_settings,
    resolve_paths,
    topic_filters,
)
from .stdout_client import StdoutClient
from .stream_counters import make_streams
from .systemd import SystemdNotifier

if TYPE_CHECKING:
    from ..fleet import FleetMember, LeftFleets

STOP_S: Final = 4.0
"""Seconds that stopping may take; `service.END_S` ends the process after eight."""

DRAIN_S: Final = 1.5
"""Seconds of `STOP_S` for decisions and acknowledgements that are under way."""

DISCONNECT_S: Final = 1.0
"""Seconds of `STOP_S` for an orderly disconnect from the broker."""

SPARKPLUG_S: Final = 0.3
"""Seconds for the NDEATH; if it is not sent, the broker sends the will instead."""

SOURCE_S: Final = 0.5
"""Seconds for sources to stop; their threads are daemons and end with the process."""

STATUS_S: Final = 5.0
"""Period of status snapshots; the metrics and `auricle status` read the newest.  While a client
asks for the feed, there is one a second."""

TRIM_S: Final = 600.0
"""How often free memory is returned to the system, in seconds; a call takes milliseconds."""

DEVICE_MEMORY: Final = "sources"
"""Folder in the home where sources keep their positions."""


class Daemon:
    """One device.  folder: of its auricle.toml.  output: where messages go without a broker.

    `run` returns after `stop`, which may be called from a signal handler or any thread.  The
    daemon is the `CommandContext` of its commands, in the loop's thread.  Raises EdgeError if it
    cannot start at all; broken settings are replaced by the last good ones if there are any.
    """

    def __init__(
        self,
        folder: Path,
        *,
        output: BinaryIO | None = None,
        notifier: SystemdNotifier | None = None,
    ) -> None:
        settings, problem = load_settings(folder)
        set_up_logs(settings.device.log_level)
        self.folder, self.settings = folder, settings
        self.notifier = notifier or SystemdNotifier()
        self.problems: dict[str, str] = {"settings": problem} if problem else {}
        if problem:
            log.warning("settings_not_used", reason=problem, hint="see `auricle check`")
        self.snapshot: DaemonStatus | None = None
        self._stop_requested = self._reload_requested = self._hurried = False
        self._health_s = self._snapshot_s = -STATUS_S
        self._trimmed_s = time.monotonic()
        with ExitStack() as undo:
            self._lock = WriterLock(folder / OUTBOX)
            undo.callback(self._lock.release)
            self.outbox = open_outbox(folder / OUTBOX, settings.outbox)
            undo.callback(self.outbox.close)
            self._build(output)
            undo.pop_all()

    def _build(self, output: BinaryIO | None) -> None:
        settings, device = self.settings, self.settings.device.known_as
        self.topics = Topics(device)
        self.clock = DaemonClock(self.outbox.sure_ns)
        self.health = HealthReport(device, __version__)
        # A run without a number must not repeat the observation ids of another run.
        self.run_name = str(self.outbox.run or f"x{os.urandom(6).hex()}")
        self.panel = HomeAssistantPanel(
            device, __version__, lambda: self.loop, lambda: self.handler
        )
        self.connection: Any = self._make_connection(output)
        streams = make_streams(settings.streams, self.run_name)
        self.inbox: Inbox[Any] = Inbox(streams, self.wake)
        self.homes = {
            name: HomeSlot(
                name,
                self.folder / place,
                erased=self._erased,
                outputs=alarm_outputs(settings.streams, name),
                actuate=self._actuate,
            )
            for name, place in {"": "", **settings.homes}.items()
        }
        self.homes[""].settings = settings
        self.announced = self._streams()
        self.publisher = Publisher(self.outbox, MessageEncoder(device), self.connection, self.clock)
        self.loop = Loop(
            inbox=self.inbox,
            homes=self.homes,
            connection=self.connection,
            publisher=self.publisher,
            topics=self.topics,
            clock=self.clock,
            notifier=self.notifier,
        )
        self.loop.every_second = self._every_second
        self._watch()
        self.now_ns, self.feed = self.clock.now_ns, self.loop.feed
        self.note, self.watch = self.loop.chronicle.note, self.publisher.watch
        self.publish, self.answer = self.publisher.publish, self.publisher.answer
        self.sparkplug = self.loop.secondary = self._make_sparkplug()
        self._make_handler()
        self.sources: dict[str, Source] = {}
        self.console = ConsoleSupervisor(self.folder, self.problems)
        self.listeners = Listeners(self.folder, self.loop, lambda: self.snapshot, self.problems)

    def _make_handler(self) -> None:
        """Serve commands and fleet contributions by the settings; raises ConfigError if one of
        their keys cannot be used."""
        settings, device = self.settings.commands, self.settings.device.known_as
        member = self._make_member(device)
        self._left: LeftFleets | None = None
        self._of_left: list[str] = []
        self.handler = CommandHandler(settings, device, self.topics, self, member)
        self.loop.handler = self.handler

    def _make_member(self, device: str) -> "FleetMember | None":
        settings = self.settings
        if settings.fleet is None or settings.mqtt is None:
            return None
        from ..fleet import FleetMember
        from ..storage import FleetPlace

        name, key = settings.fleet.name, settings.fleet.key
        here = FleetPlace(
            fleet=name,
            device=device,
            key=key,
            broker=self._broker,
            keys=settings.fleet.keys,
        )
        link = (self.folder, self.topics, self.connection)
        return FleetMember(settings.fleet, here, self, *link)

    def _subscribe(self) -> None:
        """Subscribe to the topics of the settings, and of the fleets that were left."""
        self._of_left = self.handler.filters
        found = {*topic_filters(self.settings, self.topics), *self._of_left}
        self.connection.subscribe(sorted(found))

    @property
    def _broker(self) -> str:
        """The address of the broker in the settings; empty without one."""
        return "{}:{}".format(*self.settings.mqtt.address) if self.settings.mqtt else ""

    def _leave_fleets(self) -> None:
        """Outside any fleet, withdraw this device's sums from those that it was in."""
        home = self.homes[""].home
        if self.settings.fleet is not None or home is None:
            return
        publications = home.store.publications
        if self._left is None and (publications.joined() or publications.left()):
            from ..fleet import LeftFleets

            channel = None if self.settings.mqtt is None else self.connection
            link = (self.folder, self.topics, channel)
            made = LeftFleets(None, self, *link, broker=self._broker)
            self._left = self.handler.left = made
        if self._left is not None:
            self._left.maintain()

    def _make_connection(self, output: BinaryIO | None) -> Any:
        if self.settings.mqtt is None:
            return StdoutClient(output)
        from ..mqtt import MqttClient, make_presence

        device = self.settings.device.known_as
        mqtt = resolve_paths(self.settings.mqtt, self.folder)
        presence = make_presence(mqtt, device, __version__, self.panel, self.clock.now_ns)
        return MqttClient(mqtt, device, self._receive, presence)

    def _watch(self) -> None:
        """Let the panel of Home Assistant follow events, if it is enabled."""
        mqtt = self.settings.mqtt
        shown = mqtt.homeassistant if mqtt is not None else None
        self.panel.images = shown is not None and shown.images
        self.panel.console = (shown.console if shown is not None else "") or self.settings.web.link
        self.panel.health_s = self.settings.device.health_interval_s
        self.panel.refresh()
        self.loop.watch = self.panel.watch if shown is not None and shown.enabled else None

    def _make_sparkplug(self) -> Any | None:
        mqtt, device = self.settings.mqtt, self.settings.device.known_as
        if mqtt is None or mqtt.sparkplug is None:
            return None
        from ..mqtt import make_sparkplug

        mqtt = resolve_paths(mqtt, self.folder)
        return make_sparkplug(mqtt, device, __version__, self._streams(), self.clock.now_ns)

    def _streams(self) -> Streams:
        """Return the streams as they are announced: a series with its known channels."""
        found: dict[str, Channels] = {}
        for name, stream in self.settings.streams.items():
            opened = self.homes[stream.home].home
            channels = opened.runtime.series.channels(name) if opened is not None else ()
            found[name] = None if stream.kind == "sample" else channels
        return found

    # --- running ---------------------------------------------------------------------------------

    def run(self) -> None:
        """Serve until a stop is requested; then close everything."""
        try:
            self.start()
            tune_garbage_collector()
            while not self._stop_requested:
                self.loop.turn()
                if self._reload_requested:
                    self._reload_requested = False
                    with suppress(EdgeError):
                        self.reload()
        finally:
            self.close()

    def start(self) -> None:
        """Open homes, connect to the broker, start the sources."""
        self.loop.open_homes()
        self._subscribe()
        self.connection.start()
        if self.sparkplug is not None:
            self.sparkplug.start()
        self.start_sources()
        self.status()
        self._note_start()
        self.listeners.open(self.settings.http)
        self.console.apply(self.settings.web)
        self.notifier.ready()
        log.info("serving", device=self.settings.device.known_as, run=self.outbox.run)

    def _note_start(self) -> None:
        """Add this start to the history, with how the last run ended."""
        home = self.homes[""].home
        if home is None:
            return
        with suppress(EdgeError):
            last = home.history.read(kinds=("restart",), limit=1)
            event = start_event(self.clock.now_ns(), __version__, last[0] if last else None)
            self.loop.chronicle.note("", event)
            self.loop.chronicle.write()

    def stop(self) -> None:
        """Request a stop; a second request skips waiting for work under way."""
        self._hurried = self._stop_requested
        self._stop_requested = True
        self.connection.wake()

    def wake(self) -> None:
        """End the loop's wait; from any thread.  The connection may be replaced by a reload."""
        self.connection.wake()

    def request_reload(self) -> None:
        """Request that the settings are read again."""
        self._reload_requested = True
        self.connection.wake()

    def close(self) -> None:
        """Stop the sources, finish work under way, disconnect, close files; within `STOP_S`."""
        until = time.monotonic() + STOP_S
        self.health.stopping = True
        self.notifier.stopping()
        self._attempt("ending the console", self.console.stop)
        self._attempt("closing the listeners", self.listeners.stop)
        self.stop_sources(SOURCE_S)
        self._attempt("finishing", lambda: self._drain(time.monotonic() + DRAIN_S))
        left = 0.1 if self._hurried else max(0.1, min(DISCONNECT_S, until - time.monotonic()))
        self._attempt("disconnecting", lambda: self.connection.stop(left))
        if self.sparkplug is not None:
            self._attempt("sending NDEATH", partial(self.sparkplug.stop, SPARKPLUG_S))
        self._attempt("processing acknowledgements", self.publisher.process_acks)
        self._attempt("writing the history", self._note_stop)
        self._attempt("closing the outbox", self.outbox.close)
        for slot in self.homes.values():
            slot.close()
        self.connection.close()
        self.panel.close()
        self._lock.release()
        self.notifier.close()
        log.info("stopped")

    def _note_stop(self) -> None:
        self.loop.chronicle.note("", stop_event(self.clock.now_ns()))
        self.loop.chronicle.write()

    def _drain(self, until: float) -> None:
        """Decide on the contents of the inbox, and wait for acknowledgements of sent messages."""
        while not self._hurried and time.monotonic() < until:
            self.loop.turn(0.02)
            if not (len(self.inbox) or (self.connection.online and self.outbox.in_flight)):
                return

    @staticmethod
    def _attempt(doing: str, act: Callable[[], object]) -> None:
        """Run a step of closing; an error is logged, and the next steps still run."""
        try:
            act()
        except Exception:
            log.exception("failed", doing=doing)

    def _every_second(self) -> None:
        now = time.monotonic()
        self.handler.maintain()
        with suppress(EdgeError):
            # A disk error, which the home reports; it is tried again at the next call.
            self._leave_fleets()
        if self.handler.filters != self._of_left:
            self._subscribe()
            # What came for the session of an earlier process was not awaited yet.
            self.connection.resubscribe(self._of_left)
        self.listeners.retry()
        self.console.maintain()
        self.start_sources()
        if self._streams() != self.announced:
            self._announce()
        for name, source in self.sources.items():
            self.inbox.streams[name].problem = source.problem
        watched = now - self.loop.watched_at < STATUS_S
        if watched or now - self._snapshot_s >= STATUS_S:
            self._snapshot_s = now
            self.notifier.status(brief_status(self.status()))
        if now - self._trimmed_s >= TRIM_S:
            self._trimmed_s = now
            return_free_memory()
        interval_s = self.settings.device.health_interval_s
        if now - self._health_s >= interval_s and self.connection.online:
            self._health_s = now
            message = self.publisher.encoder.encode(self.status(), 0, self.clock.now_ns())
            self.connection.publish(self.topics.health, message.body, qos=0)

    # --- parts -----------------------------------------------------------------------------------

    def start_sources(self) -> None:
        """Start the sources of streams that have none yet and whose home is open."""
        for name, stream in self.inbox.streams.items():
            if name in self.sources:
                continue
            slot = self.homes[stream.settings.home]
            card = slot.home.model.card if slot.home is not None else None
            if card is None and stream.settings.kind == "sample":
                continue
            context = SourceContext(slot.folder, self.folder / DEVICE_MEMORY, card)
            try:
                source = open_source(name, stream.settings, context, self.inbox)
            except (ValueError, OSError) as error:
                stream.problem = str(error)
                continue
            if source is not None:
                self.sources[name] = source
                source.start()

    def stop_sources(self, timeout_s: float, names: Iterable[str] | None = None) -> None:
        """Stop sources; the total time is about that of one."""
        for name in list(self.sources if names is None else names):
            source = self.sources.pop(name, None)
            if source is not None:
                source.stop(timeout_s)
                timeout_s = max(timeout_s / 2, 0.05)

    # The connection and the homes are made before the loop, so they cannot take its methods.

    def _receive(self, arrival: InboundMessage) -> None:
        self.loop.receive(arrival)

    def _erased(self, ids: tuple[str, ...]) -> None:
        self.loop.forget(ids)
        self.panel.forget(ids)

    def _actuate(self, effect: SetOutput) -> None:
        source = self.sources.get(effect.stream)
        from ..sources import SerialPortSource

        if isinstance(source, PollingSource) and isinstance(source.reader, SerialPortSource):
            source.reader.actuate(effect.channel, effect.value)

    # --- commands --------------------------------------------------------------------------------

    def status(self) -> DaemonStatus:
        """Return a new snapshot."""
        self.snapshot = self.health.status(self.loop, self._broker_status(), self.problems.values())
        return self.snapshot

    def _broker_status(self) -> BrokerStatus | None:
        connection = self.connection
        if isinstance(connection, StdoutClient):
            return None
        return BrokerStatus(
            address=self._broker,
            online=connection.online,
            since_s=round(connection.since_s, 1),
            connects=connection.counters.connected,
            reasons=dict(connection.counters.reasons),
            problem=connection.problem or connection.refusal,
        )

    def record_history(self) -> None:
        """Write what has happened so far into the history of each home."""
        self.loop.chronicle.write()

    def pause(self, *, paused: bool) -> None:
        """Stop deciding, or go on."""
        self.loop.paused = paused

    def rebirth(self) -> None:
        """Announce the device again over each protocol."""
        self.connection.rebirth()
        if self.sparkplug is not None:
            self.sparkplug.rebirth()

    def _announce(self) -> None:
        """Announce the current streams."""
        self.announced = self._streams()
        self.panel.refresh()
        if self.sparkplug is not None:
            self.sparkplug.set_streams(self.announced)
        self.connection.rebirth()

    # --- reloading -------------------------------------------------------------------------------

    def reload(self) -> tuple[str, ...]:
        """Read the settings again; returns the changed keys, and those that need a restart.

        Raises ConfigError if they cannot be used: nothing has changed then, and `problems` holds
        the reason.
        """
        self.notifier.reloading()
        try:
            settings = self._read_settings()
            before, self.settings = self.settings, settings
            self.homes[""].settings = settings
            did = tuple(self._apply(before, settings)) or ("nothing has changed",)
            log.info("reloaded", did=did)
            return did
        except EdgeError as error:
            log.warning("not_reloaded", reason=error.message, hint=error.hint)
            raise
        finally:
            self.notifier.ready()
            self.status()

    def _read_settings(self) -> Settings:
        try:
            settings = read_good_settings(self.folder)
        except ConfigError as error:
            self.problems["settings"] = f"{error.message}; those read before hold"
            raise
        self.problems.pop("settings", None)
        return settings

    def _apply(self, before: Settings, now: Settings) -> Iterator[str]:
        connection = self.connection
        self._watch()
        if before.device.known_as != now.device.known_as or before.homes != now.homes:
            yield "device.name and homes: need a restart"
        if before.device.log_level != now.device.log_level:
            set_up_logs(now.device.log_level)
            yield "device.log_level: changed"
        if before.outbox != now.outbox:
            self.outbox.adjust(now.outbox)
            yield "outbox: changed"
        if before.streams != now.streams:
            self._replace_streams(before, now)
            yield "streams: changed"
        if before.mqtt != now.mqtt:
            if before.mqtt is None or now.mqtt is None:
                yield "mqtt: with or without a broker needs a restart"
            else:
                self._reconnect()
                yield "mqtt: changed, connecting again"
        # A fleet member publishes over the connection that it was made with.
        moved = now.fleet is not None and self.connection is not connection
        if moved or (before.commands, before.fleet) != (now.commands, now.fleet):
            yield self._replace_handler()
        if before.http != now.http:
            self.listeners.reopen(now.http)
            yield "http: changed"
        if before.web != now.web:
            self.console.apply(now.web)
            yield "web: changed; a console that `auricle web` started needs a restart"
        yield from self._reopen_homes()
        self._ask_again()

    def _replace_streams(self, before: Settings, now: Settings) -> None:
        changed = [name for name, one in before.streams.items() if now.streams.get(name) != one]
        self.stop_sources(SOURCE_S, changed)
        self.loop.set_streams(make_streams(now.streams, self.run_name, self.inbox.streams))
        self._subscribe()
        self._announce()
        self.start_sources()

    def _reconnect(self) -> None:
        """Disconnect from the broker, and connect to that of the settings."""
        self.connection.stop(DISCONNECT_S)
        self.publisher.process_acks()
        self.connection.close()
        self.connection = self._make_connection(None)
        self.publisher.channel = self.loop.connection = self.connection
        self._left = self.handler.left = None
        self._subscribe()
        self.connection.start()
        if self.sparkplug is not None:
            self.sparkplug.stop(DISCONNECT_S)
        self.sparkplug = self.loop.secondary = self._make_sparkplug()
        if self.sparkplug is not None:
            self.sparkplug.start()

    def _replace_handler(self) -> str:
        try:
            self._make_handler()
        except EdgeError as error:
            return f"commands and fleet: not changed: {error.message}"
        self._subscribe()
        return "commands and fleet: changed"

    def _ask_again(self) -> None:
        """Let the broker send what the members of the fleet have published again: it may have been
        refused under the settings before, and the session brings no retained message twice."""
        self.connection.resubscribe(fleet_filters(self.settings, self.topics))

    def _reopen_homes(self) -> Iterator[str]:
        """Reopen homes whose settings have changed, and those that are not open."""
        for name, slot in self.homes.items():
            shown = f"home {name}" if name else ", ".join(HOME_SECTIONS)
            try:
                differs = slot.differs(slot.settings or read_settings(slot.folder))
            except EdgeError as error:
                yield f"{shown}: not changed: {error.message}"
                continue
            if differs:
                slot.retry()
                self.loop.open_homes()
                yield f"{shown}: opened again" if slot.home else f"{shown}: {slot.problem}"
