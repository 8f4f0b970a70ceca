"""A session with an OPC UA server: connecting, resolving variables, and their newest values."""

import asyncio
import logging
import math
import os
import time
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from asyncua import Client, ua
from asyncua.crypto import security_policies
from asyncua.ua.uaerrors import UaError
from cryptography import x509

from ..config import OpcUaNode, OpcUaStream
from .plant import PlantValue, deadband_of, missing_value, scaled_value
from .polling import UnavailableError

REQUEST_ITEMS: Final = 100
"""Items of one request.  Small servers refuse more (operation limits, part 5, section 6.3.11); 100
is below the limits of the embedded server profiles that vendors state.  Chosen by hand."""

RETRY_S: Final = 60.0
"""Seconds between two attempts to monitor a variable that the server refused.  Chosen by hand."""

SESSION_MS: Final = 60_000
"""A server drops the session of a client that vanished after this time.  Chosen by hand."""

CLOSE_S: Final = 2.0
"""Seconds that closing may take: a frozen server must not hold a stop.  Chosen by hand."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

FAILURES: Final = (UaError, OSError, asyncio.TimeoutError, ValueError)
"""What asyncua raises for a server that is absent, refuses, or breaks the protocol; ValueError also
for a key or a certificate that cannot be read."""

Item = TypeVar("Item")


class OpcUaSession:
    """A connection and the variables of a stream.  Every method runs in one event loop.

    bands: deadbands, units: as the server gives them, both by variable; set by `open`.
    """

    def __init__(self, settings: OpcUaStream, base: Path) -> None:
        self.bands: list[float] = []
        self.units: list[str] = [""] * len(settings.nodes)
        self._settings, self._base = settings, base
        self._client: Client | None = None
        self._ids: list[ua.NodeId] = []
        self._newest: list[PlantValue] = [missing_value("no value yet")] * len(settings.nodes)
        self._subscription: Any = None
        self._refused: list[int] = []
        self._retry_s = 0.0
        self._lost = ""
        self._ahead_ns = 0
        # The source reports failures itself, once each.
        logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)

    async def open(self, *, subscribe: bool = True) -> None:
        """Connect, and monitor the variables if the settings say so.  Raises UnavailableError."""
        try:
            await self._connect()
            await self._resolve()
            await self._read_properties()
            if subscribe and self._settings.mode == "subscribe":
                await self._subscribe()
        except FAILURES as error:
            raise UnavailableError(self._describe(error)) from error

    async def values(self) -> list[PlantValue]:
        """Return the newest values.  Raises UnavailableError once the server is gone."""
        try:
            if self._subscription is None:
                await self._poll()
            elif self._refused and time.monotonic() > self._retry_s:
                await self._monitor(self._refused)
        except FAILURES as error:
            raise UnavailableError(self._describe(error)) from error
        if self._lost:
            raise UnavailableError(f"{self._settings.url}: {self._lost}")
        return [self._unless_stale(one) for one in self._newest]

    def now_ns(self) -> int:
        """Return the time on the server's clock, as far as it gives its time."""
        return time.time_ns() + self._ahead_ns

    async def close(self) -> None:
        """Disconnect within `CLOSE_S`; a server that does not answer is left alone."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(*FAILURES):
                await asyncio.wait_for(client.disconnect(), CLOSE_S)
            with suppress(*FAILURES):
                client.disconnect_socket()

    # --- callbacks of asyncua ---------------------------------------------------------------------

    def datachange_notification(self, _node: object, _value: object, data: Any) -> None:
        """Keep the newest value of a variable."""
        place = data.subscription_data.client_handle - 1
        self._newest[place] = self._value(place, data.monitored_item.Value)

    def status_change_notification(self, status: ua.StatusChangeNotification) -> None:
        """End the session: the server ended the subscription."""
        self._lost = self._lost or f"it ended the subscription: {status.Status.name}"

    async def _when_lost(self, error: Exception) -> None:
        self._lost = f"the connection was lost: {str(error) or type(error).__name__}"

    # --- connecting -------------------------------------------------------------------------------

    async def _connect(self) -> None:
        given = self._settings
        client = Client(given.url, timeout=given.timeout_s, watchdog_intervall=given.timeout_s)
        client.name = client.description = "Auricle"
        client.session_timeout = SESSION_MS
        client.connection_lost_callback = self._when_lost
        if given.username:
            client.set_user(given.username)
            client.set_password(read_secret(given, self._base))
        if given.security != "none":
            await self._secure(client)
        self._client = client  # `close` ends it also where connecting fails half-way.
        await client.connect()

    async def _secure(self, client: Client) -> None:
        """Set the security policy.  The application's URI must be that of its certificate."""
        given = self._settings
        certificate, key = self._base / given.certificate, self._base / given.key
        pinned = self._base / given.server_certificate if given.server_certificate else None
        client.application_uri = certificate_uri(certificate) or client.application_uri
        mode = ua.MessageSecurityMode
        await client.set_security(
            getattr(security_policies, f"SecurityPolicy{given.security}"),
            str(certificate),
            str(key),
            server_certificate=None if pinned is None else str(pinned),
            mode=mode.Sign if given.sign_only else mode.SignAndEncrypt,
        )

    @property
    def _open_client(self) -> Client:
        if self._client is None:
            raise ConnectionError("it is not connected")
        return self._client

    async def _resolve(self) -> None:
        """Turn the ids of the settings into node ids; namespaces by URI stay valid if the
        server renumbers them after a restart."""
        uris = await self._open_client.get_namespace_array()
        for node in self._settings.nodes:
            uri, text = "", node.id
            if text.startswith("nsu="):
                uri, _, text = text.removeprefix("nsu=").partition(";")
                if uri not in uris:
                    raise UnavailableError(
                        f"{self._settings.url}: {node.name}: it has no namespace {uri}"
                    )
                text = f"ns={uris.index(uri)};{text}"
            self._ids.append(ua.NodeId.from_string(text))

    # --- properties -------------------------------------------------------------------------------

    async def _read_properties(self) -> None:
        """Read units and ranges, compare the units, and compute the deadbands."""
        units = await self._property("EngineeringUnits")
        ranges = await self._property("EURange")
        for place, node in enumerate(self._settings.nodes):
            unit, bounds = units[place], node.range
            if isinstance(unit, ua.EUInformation):
                self.units[place] = unit.DisplayName.Text or unit.Description.Text or ""
                if node.unit and not same_unit(node.unit, unit):
                    raise UnavailableError(
                        f"{self._settings.url}: {node.name}: its unit is {self.units[place]!r}, and"
                        f" the settings have {node.unit!r}: correct unit, scale and offset"
                    )
            given = ranges[place]
            if bounds is None and isinstance(given, ua.Range) and given.High > given.Low:
                # The server's range is of the raw value.
                ends = sorted(raw * node.scale + node.offset for raw in (given.Low, given.High))
                bounds = (ends[0], ends[1])
            self.bands.append(deadband_of(node, bounds))

    async def _property(self, name: str) -> list[Any]:
        """Return a standard property of every variable; None where it has none."""
        path = ua.RelativePath.from_string(f".0:{name}")  # any reference that aggregates
        found: list[Any] = [None] * len(self._ids)
        held: list[tuple[int, ua.NodeId]] = []
        for part in _parts(list(enumerate(self._ids))):
            paths = [ua.BrowsePath(StartingNode=one, RelativePath=path) for _, one in part]
            results = await self._open_client.uaclient.translate_browsepaths_to_nodeids(paths)
            for (place, _), result in zip(part, results, strict=True):
                if result.StatusCode.is_good() and result.Targets:
                    held.append((place, result.Targets[0].TargetId))
        answers = await self._read([one for _, one in held])
        for (place, _), answer in zip(held, answers, strict=True):
            found[place] = None if answer.Value is None else answer.Value.Value
        return found

    # --- values -----------------------------------------------------------------------------------

    async def _read(self, ids: Sequence[ua.NodeId]) -> list[ua.DataValue]:
        answers: list[ua.DataValue] = []
        for part in _parts(ids):
            asked = ua.ReadParameters(TimestampsToReturn=ua.TimestampsToReturn.Both)
            asked.NodesToRead = [
                ua.ReadValueId(NodeId=one, AttributeId=ua.AttributeIds.Value) for one in part
            ]
            answers += await self._open_client.uaclient.read(asked)
        return answers

    async def _poll(self) -> None:
        for place, answer in enumerate(await self._read(self._ids)):
            self._newest[place] = self._value(place, answer)

    async def _subscribe(self) -> None:
        period_ms = self._settings.every_s * 1_000
        self._subscription = await self._open_client.create_subscription(period_ms, self)
        await self._monitor(range(len(self._ids)))
        # The first notification carries all values.
        until_s = time.monotonic() + self._settings.timeout_s + self._settings.every_s
        while any(one.problem == "no value yet" for one in self._newest):
            if self._lost or time.monotonic() > until_s:
                return
            await asyncio.sleep(0.01)

    async def _monitor(self, places: Sequence[int]) -> None:
        """Have the server monitor variables; those that it refuses are tried again later.

        No deadband goes to the server: `PlantSampler` applies it.  Servers differ in the value that
        they compare with, and one loses changes to bad quality behind a deadband.
        """
        self._refused, self._retry_s = [], time.monotonic() + RETRY_S
        for part in _parts(places):
            items = [self._item(place) for place in part]
            results = await self._subscription.create_monitored_items(items)
            for place, result in zip(part, results, strict=True):
                if isinstance(result, ua.StatusCode):
                    self._refused.append(place)
                    self._newest[place] = missing_value(f"status {result.name}")

    def _item(self, place: int) -> ua.MonitoredItemCreateRequest:
        request = ua.MonitoredItemCreateRequest()
        request.ItemToMonitor.NodeId = self._ids[place]
        request.ItemToMonitor.AttributeId = ua.AttributeIds.Value
        request.MonitoringMode = ua.MonitoringMode.Reporting
        request.RequestedParameters.ClientHandle = place + 1
        request.RequestedParameters.SamplingInterval = self._settings.every_s * 1_000
        request.RequestedParameters.QueueSize = 1  # Only the newest value counts.
        request.RequestedParameters.DiscardOldest = True
        return request

    def _value(self, place: int, answer: ua.DataValue) -> PlantValue:
        """Return the value of a variable in an answer of the server."""
        if answer.ServerTimestamp is not None:
            self._ahead_ns = _ns(answer.ServerTimestamp) - time.time_ns()
        status = answer.StatusCode
        if status is not None and not status.is_good():
            return missing_value(f"status {status.name}")
        raw = None if answer.Value is None else answer.Value.Value
        return _number(self._settings.nodes[place], raw, answer)

    def _unless_stale(self, one: PlantValue) -> PlantValue:
        limit_s = self._settings.stale_s
        if not limit_s or one.at_ns is None or math.isnan(one.value):
            return one
        age_s = (self.now_ns() - one.at_ns) / 1e9
        return missing_value(f"stale: {age_s:.0f} s old") if age_s > limit_s else one

    def _describe(self, error: BaseException) -> str:
        text = str(error) or type(error).__name__
        if isinstance(error, TimeoutError):
            text = f"it does not answer within {self._settings.timeout_s:g} s"
        return f"{self._settings.url}: {text[:300]}"


def _number(node: OpcUaNode, raw: object, answer: ua.DataValue) -> PlantValue:
    if isinstance(raw, bool | int | float):
        stamp = answer.SourceTimestamp or answer.ServerTimestamp
        return scaled_value(node, float(raw), None if stamp is None else _ns(stamp))
    if raw is None:
        return missing_value("the variable holds nothing")
    kind = "an array" if isinstance(raw, list) else type(raw).__name__
    return missing_value(f"the variable holds no number, but {kind}")


def read_secret(settings: OpcUaStream, base: Path) -> str:
    """Return the password: the first line of its file, or its environment variable.  Raises OSError
    or ValueError, which never contain it."""
    if settings.password_file:
        text = (base / settings.password_file).read_text("utf-8")
        return (text.splitlines() or [""])[0]
    value = os.environ.get(settings.password_env)
    if value is None:
        raise ValueError(f"the environment variable {settings.password_env} is not set")
    return value


def certificate_uri(path: Path) -> str:
    """Return the application URI in a certificate, empty if it has none."""
    data = path.read_bytes()
    load = x509.load_pem_x509_certificate
    if b"-----BEGIN" not in data:
        load = x509.load_der_x509_certificate
    with suppress(x509.ExtensionNotFound):
        names = load(data).extensions.get_extension_for_class(x509.SubjectAlternativeName)
        uris = names.value.get_values_for_type(x509.UniformResourceIdentifier)
        return uris[0] if uris else ""
    return ""


def same_unit(declared: str, given: ua.EUInformation) -> bool:
    """Return whether a declared unit is the server's: by its symbol, its name, or its code of
    UNECE Recommendation 20, which `UnitId` holds (OPC UA part 8, section 5.6.4.3)."""
    code = b""
    if given.UnitId > 0:
        code = given.UnitId.to_bytes(8, "big").lstrip(b"\0")
    known = {given.DisplayName.Text, given.Description.Text, code.decode("ascii", "replace")}
    return _plain(declared) in {_plain(one) for one in known if one}


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).replace(" ", "")


def _ns(stamp: datetime) -> int:
    """Return nanoseconds since 1970; datetimes of asyncua are UTC."""
    since = (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)) - EPOCH
    return (since.days * 86_400 + since.seconds) * 10**9 + since.microseconds * 1_000


def _parts(items: Sequence[Item]) -> Iterator[list[Item]]:
    for start in range(0, len(items), REQUEST_ITEMS):
        yield list(items[start : start + REQUEST_ITEMS])
