"""Takes this device's sums out of the fleets that it has left, or was in under another name.

Otherwise they would stay in each sum there until an operator drops the device, and count twice
where it joins again.  The withdrawal is a contribution without sums, retained.  It is published on
each connection, and the file records when a broker has taken it, so that it waits for a broker
over any number of starts.  The aggregators there report when they have taken it in, which the
receipts of forget requests state.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ..core import Contribution, EdgeError
from ..home import CommandContext, Home
from ..logs import log
from ..mqtt import InboundMessage, Topics, encode_level
from ..signing import load_key, public_key
from ..storage import AboveRow, FleetPlace
from .applied import read_report
from .contribution_message import write_contribution
from .orders import FleetChannel, Retained

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NO_BROKER: Final = "the settings have no [mqtt], so nothing can be published"
HINT: Final = "or run `auricle fleet drop DEVICE` at the fleet's aggregator"


@dataclass(frozen=True, slots=True)
class _Withdrawal:
    """A place that was left, and the message that takes the sums out there."""

    place: FleetPlace
    message: bytes
    retained: Retained


class LeftFleets:
    """The withdrawals of a device.  here: where it publishes its sums now, None outside any fleet.
    folder: of its home, for the keys.  channel: the client, None without a broker.  broker: its
    address."""

    def __init__(
        self,
        here: FleetPlace | None,
        context: CommandContext,
        folder: Path,
        topics: Topics,
        channel: FleetChannel | None,
        *,
        broker: str,
    ) -> None:
        self._here, self._context, self._folder, self._broker = here, context, folder, broker
        self._topics, self._channel = topics, channel
        self._withdrawals: list[_Withdrawal] | None = None
        self._withdrawn: list[tuple[str, str]] = []
        self._awaited: dict[str, FleetPlace] = {}
        self._reports: dict[str, bytes] = {}

    @property
    def filters(self) -> list[str]:
        """The topics to subscribe to: reports of aggregators that have not taken a withdrawal
        in."""
        return sorted(self._awaited)

    def receive(self, arrival: InboundMessage) -> bool:
        """Queue a report from a fleet that this device has left; False for any other message."""
        expected = arrival.topic in self._awaited
        if expected:
            self._reports[arrival.topic] = arrival.payload
        return expected

    def maintain(self) -> None:
        """Withdraw where this device has left, once the home is open; call it about once a second.
        Raises EdgeError for a disk error: it is tried again at the next call."""
        slot = self._context.homes.get("")
        home = slot.home if slot is not None else None
        if home is None:
            return
        if self._withdrawals is None:
            now_ns, publications = self._context.now_ns(), home.store.publications
            here = self._here
            left = publications.join(here, now_ns) if here else publications.leave(now_ns)
            self._withdrawals = list(self._prepare(home, left))
            self._await(left)
        while self._withdrawn:
            now_ns = self._context.now_ns()
            home.store.publications.note_withdrawn(self._withdrawn[0], self._broker, now_ns)
            del self._withdrawn[0]
        while self._reports:
            topic, payload = next(iter(self._reports.items()))
            self._note_report(home, self._awaited[topic], payload)
            del self._reports[topic]
            if not self._reports:
                self._await(home.store.publications.left())
        for one in self._withdrawals:
            number = one.retained.publish(one.message)
            if number is not None:
                self._context.watch(number, partial(self._note_answer, one.place))

    def _await(self, left: Sequence[FleetPlace]) -> None:
        if self._channel is not None:
            self._awaited = {
                self._topics.fleet_filter(one.fleet, "applied") + encode_level(one.device): one
                for one in left
                if one.unreported
            }

    def _note_report(self, home: Home, place: FleetPlace, payload: bytes) -> None:
        try:
            keys = {name: public_key(text, name) for name, text in place.keys.items()}
            report = read_report(payload, place.device, keys)
        except EdgeError as error:
            log.warning("report_refused", fleet=place.fleet, reason=error.message)
            return
        rows = [AboveRow(one.aggregate, one.revision, one.at_ns) for one in report.applied]
        home.store.publications.note_dropped(place.at, rows)

    def _prepare(self, home: Home, left: Sequence[FleetPlace]) -> "list[_Withdrawal]":
        if self._channel is None:
            for place in left:
                if not place.withdrawn_at_ns:
                    _warn(place, NO_BROKER, f"add it, {HINT}")
            return []
        found = []
        for place in left:
            try:
                key = self._key(place)
            except EdgeError as error:
                _warn(place, error.message, f"restore the file, {HINT}")
                continue
            root = self._topics.fleet_filter(place.fleet, "contribution")
            retained = Retained(self._channel, root + encode_level(place.device))
            message = write_empty(home, place.device, place.revision, key)
            found.append(_Withdrawal(place, message, retained))
            if not place.withdrawn_at_ns:
                log.info("withdrawing", fleet=place.fleet, device=place.device)
        return found

    def _key(self, place: FleetPlace) -> "Ed25519PrivateKey | None":
        """Return the key that signed the sums there; where it was not recorded, or is gone, the one
        that signs them now."""
        now = self._here.key if self._here is not None else None
        if place.key is None or (now and not (self._folder / place.key).is_file()):
            return load_key(self._folder / now) if now else None
        return load_key(self._folder / place.key) if place.key else None

    def _note_answer(self, place: FleetPlace, accepted: bool) -> None:  # noqa: FBT001 - a callback
        if accepted:
            if not place.withdrawn_at_ns:
                log.info("withdrawn", fleet=place.fleet, device=place.device)
            self._withdrawn.append(place.at)
        else:
            _warn(place, "the broker has not taken the withdrawal", f"let it publish there, {HINT}")


def write_empty(home: Home, device: str, revision: int, key: "Ed25519PrivateKey | None") -> bytes:
    """Return a message that takes a device's sums out."""
    geometry = home.runtime.knowledge.geometry
    empty = Contribution(
        device=device,
        card=home.model.card.fingerprint,
        geometry=geometry.fingerprint,
        geometry_version=geometry.version,
        seed=geometry.seed,
        revision=revision,
        columns=home.store.columns(),
    )
    return write_contribution(empty, key)


def _warn(place: FleetPlace, reason: str, hint: str) -> None:
    log.warning(
        "withdrawal_waits", fleet=place.fleet, device=place.device, reason=reason, hint=hint
    )
