"""An aggregator: sums the contributions of many devices into one, and keeps one of each on disk.

The sum in memory is a cache of the file: a newer contribution subtracts the one before and adds
itself, exactly, so memory depends on the number of concepts alone.  What an aggregator publishes is
a contribution like any other; it is a sum of its children's cohorts, so two of its revisions differ
by no fact or by at least eight, as theirs do (`core.knowledge.cohorts`).
"""

import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

import msgspec

import hdc

from ..config import AggregateSettings
from ..core import (
    MEMBERS,
    Contribution,
    EdgeError,
    FleetSums,
    MemberDistance,
    MemberVotes,
    Outlier,
    ThresholdOffer,
    ThresholdPart,
    count_facts,
    find_outliers,
    join_thresholds,
    limits,
    members_of,
    pack_members,
    review_contribution,
    take_thresholds,
    threshold_offers,
    twice_reason,
)
from ..storage import (
    AggregateFile,
    AppliedRow,
    ChildRow,
    OutlierRow,
    RefusalRow,
    RequestRow,
    pack_arrays,
    unpack_arrays,
)
from .contribution_message import read_envelope, read_revision, unpack_sums

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

BURST: Final = 8.0
"""Messages that a child may send at once, after an hour's rest: a start, a few labels, a forget
request.  Chosen by hand; effect not measured."""

HOUR_NS: Final = 3_600 * 10**9
"""Nanoseconds in an hour."""

PUBLISHED: Final = "published"
CHANGES: Final = "changes"
SAVED: Final = "saved"
GEOMETRY: Final = "geometry"

T = TypeVar("T")
Arrays = Mapping[str, Any]
DROPPED: Final = "an operator has dropped this device"

OutcomeState = Literal["summed", "withdrawn", "refused", "unchanged", "waiting"]


@dataclass(frozen=True, slots=True)
class AggregateOutcome:
    """What became of a child's message.  reason: why it was refused, or waits.  displaced: other
    children, whose sums no longer count because of it.  lowered: facts left the sum, as they do
    where a device has withdrawn its sums, here or from the sum of a child."""

    device: str
    state: OutcomeState
    reason: str = ""
    displaced: tuple[str, ...] = ()
    lowered: bool = False


@dataclass(frozen=True, slots=True)
class AggregatePlace:
    """What sums must fit to be added: the home's geometry, its encoder card, and its columns."""

    geometry: hdc.Geometry
    card: str
    columns: tuple[str, ...] = ()


class LastSum(msgspec.Struct, frozen=True, array_like=True):
    """The sum last published.  content: of it, empty without facts."""

    revision: int = 0
    content: str = ""


class Aggregator:
    """The sum of a file's children.  keys: public keys of the children; if empty, none is needed.

    Every method that changes something has made it durable when it returns.
    """

    def __init__(
        self,
        file: AggregateFile,
        place: AggregatePlace,
        settings: AggregateSettings,
        keys: "Mapping[str, Ed25519PublicKey]",
    ) -> None:
        self.file, self.place, self._settings, self._keys = file, place, settings, keys
        self._sums, self._votes = FleetSums(place.geometry), MemberVotes()
        self._changes, self._saved = -1, True
        self._begin()

    @property
    def sums(self) -> FleetSums:
        """The running sum of all children."""
        return self._sums

    # --- messages of children -------------------------------------------------------------------

    def receive(self, messages: Iterable[tuple[str, bytes]], now_ns: int) -> list[AggregateOutcome]:
        """Take in messages, each with the device that its topic names, in one transaction.

        A message beyond the rate of its device waits in the file, and only the newest of a device
        does: a newer revision replaces an older one whole.  None waits that takes facts out of the
        sum: they may have been forgotten.  Cost: linear in the bytes of the messages and of what
        they replace.
        """
        return self._transact(
            "summing contributions",
            lambda: [self._take(device, raw, now_ns) for device, raw in messages],
        )

    def release(self, now_ns: int) -> list[AggregateOutcome]:
        """Take in the messages that waited for their device's rate, as far as it allows."""
        due = [
            one
            for one, _ in self.file.waiting()
            if self._tokens(one, now_ns) >= 1 and not self.file.clash(one)
        ]
        if not due:
            return []
        # One after the other: together they would take memory for every child.
        return self.receive(((one, self.file.waiting_payload(one)) for one in due), now_ns)

    def _take(self, device: str, raw: bytes, now_ns: int) -> AggregateOutcome:
        if not self._settings.admits(device):
            return AggregateOutcome(device, "refused", "it is not among [aggregate] children")
        if len(raw) > self._settings.payload_bytes_max:
            return self._refuse(device, f"{len(raw)} bytes are too many", now_ns)
        try:
            given, packed = read_envelope(raw, self._keys)
            if given.device != device:
                text = f"the manifest names the device {given.device}"
                return self._refuse(device, text, now_ns)
            if self._has(given):
                text = f"revision {given.revision} is not newer"
                return AggregateOutcome(device, "unchanged", text)
            given = msgspec.structs.replace(given, arrays=unpack_sums(device, packed))
        except EdgeError as error:
            return self._refuse(device, error.message, now_ns)
        tokens, waits = self._tokens(device, now_ns), self._waiting_revision(device)
        if given.samples and given.revision < waits:
            return AggregateOutcome(device, "unchanged", f"revision {waits} waits already")
        if given.samples and tokens < 1 and not _lowers(self._arrays(device), given):
            self.file.wait(device, now_ns, raw)
            return AggregateOutcome(device, "waiting", "it sends more often than it may")
        if given.revision >= waits:
            self.file.stop_waiting(device)
        return self._review(given, packed, max(0.0, tokens - 1), now_ns, raw)

    def _has(self, given: Contribution) -> bool:
        """Return whether a revision is not newer than the child's, so that its sums need not be
        read: most messages of a network that repeats them are of this kind."""
        child = self.file.child(given.device)
        if child is None or child.state == "dropped":
            return False
        return not given.replaces(self._held(child), self.place.geometry)

    def _waiting_revision(self, device: str) -> int:
        raw = self.file.waiting_payload(device)
        return read_revision(raw, device, self._keys) if raw else -1

    def _tokens(self, device: str, now_ns: int) -> float:
        child = self.file.child(device)
        if child is None:
            return BURST
        if now_ns < child.tokens_at_ns:
            # The clock was set back: without this a child would wait until it is there again.
            return BURST
        rested = (now_ns - child.tokens_at_ns) / HOUR_NS
        return min(BURST, child.tokens + rested * self._settings.messages_per_hour)

    def _review(
        self, given: Contribution, packed: tuple[int, bytes], tokens: float, now_ns: int, raw: bytes
    ) -> AggregateOutcome:
        """Decide on a contribution, and sum it.  raw: the message."""
        device, child = given.device, self.file.child(given.device)
        if child is not None and child.state == "dropped":
            self._note_dropped(child, given.revision, now_ns)
            return self._refuse(device, DROPPED, now_ns)
        held = {} if child is None else {device: self._held(child)}
        place = self.place
        review = review_contribution(given, held, place.geometry, place.card, place.columns)
        stored, reason, clash, lowered = review.stored, review.rejection, "", False
        displaced: tuple[str, ...] = ()
        if stored is None and not reason:
            return AggregateOutcome(device, "unchanged", review.detail)
        if stored is not None and not reason:
            reason = self._over_quota(stored, child)
            if not reason:
                clash, reason, displaced = self._counted_twice(stored)
            stored = stored.without_sums if reason else stored
        if stored is not None:
            state = "refused" if reason else "summed" if stored.samples else "withdrawn"
            row = ChildRow(
                device=device,
                state=state,  # type: ignore[arg-type]
                revision=stored.revision,
                samples=stored.samples,
                devices=stored.devices if stored.samples else 0,
                at_ns=now_ns,
                tokens=tokens,
                tokens_at_ns=now_ns,
            )
            messages = [(one, self._displace(one, now_ns)) for one in displaced]
            head = raw[: -len(packed[1])] if MEMBERS in stored.arrays else b""
            lowered = self._replace(row, stored, packed, head) or bool(displaced)
            for one, message in messages:
                self._wait_for(one, device, message, now_ns)
            if clash:
                # Kept, and tried again once the other child's sums have changed.
                self.file.put_clash(device, clash)
                self.file.wait(device, now_ns, raw)
        if reason:
            return replace(self._refuse(device, reason, now_ns), lowered=lowered)
        return AggregateOutcome(
            device,
            "summed" if given.samples else "withdrawn",
            displaced=displaced,
            lowered=lowered,
        )

    def _displace(self, device: str, now_ns: int) -> bytes:
        """Take the sums of a child out, and return its message."""
        child, message = self.file.child(device), self.file.message(device)
        assert child is not None, "its sums are stored"
        row = msgspec.structs.replace(
            child, state="refused", samples=0, devices=0, at_ns=now_ns, own=0
        )
        self._replace(row, None)
        self.file.leave_places(device)
        return message

    def _wait_for(self, device: str, other: str, message: bytes, now_ns: int) -> None:
        """Let a child's message, if there is one and no newer one waits, wait until another child's
        sums change."""
        if message and not self.file.waiting_payload(device):
            self.file.put_clash(device, other)
            self.file.wait(device, now_ns, message)
        reason = f"it holds a device that was in the sums of {other} before, and is there again"
        self._refuse(device, reason, now_ns)

    def _note_dropped(self, child: ChildRow, revision: int, now_ns: int) -> None:
        """Keep the newest revision of a dropped device: once it is admitted, an older one may hold
        facts that it has forgotten meanwhile."""
        if revision > child.revision:
            self.file.put_child(msgspec.structs.replace(child, revision=revision, own=0))
            applied = AppliedRow(child.device, self._settings.name, revision, now_ns)
            self.file.apply(applied)

    def _held(self, child: ChildRow) -> Contribution:
        """Return a child's last contribution without its sums.  One that could not be used gives
        way to one of the same revision that can: the geometry here may be another one by now."""
        geometry = "" if child.state == "refused" else self.place.geometry.fingerprint
        return Contribution(
            device=child.device,
            card=self.place.card,
            geometry=geometry,
            seed=self.place.geometry.seed,
            revision=child.revision,
            samples=child.samples,
        )

    def _over_quota(self, given: Contribution, child: ChildRow | None) -> str:
        """Return which quota a contribution exceeds; empty if none."""
        concepts, settings = len(given.arrays["counts"]) if given.samples else 0, self._settings
        if given.devices > settings.devices_max:
            return f"a sum of {given.devices} devices, at most {settings.devices_max}"
        if settings.devices_max == 1 and MEMBERS in given.arrays:
            # It could name another child as its only member, and keep that one out.
            return "a sum that names its devices, where each child is one device"
        most = settings.facts_per_concept
        found = int(given.arrays["counts"].max()) if given.samples else 0
        if found > most * given.devices:
            return f"{found} facts of one concept, at most {most} for each device"
        if concepts > settings.concepts_max:
            return f"{concepts} concepts, at most {settings.concepts_max}"
        before = child.samples if child is not None else 0
        total = self._sums.samples - before + given.samples
        if total > limits.CONTRIBUTED_SAMPLES_MAX:
            return f"{total} facts in the sum, at most {limits.CONTRIBUTED_SAMPLES_MAX}"
        found = self._concepts_with(given)
        if found > limits.CONTRIBUTED_CONCEPTS_MAX:
            most = limits.CONTRIBUTED_CONCEPTS_MAX
            return f"{found} concepts in the sum, at most {most}; one with more is refused above"
        return ""

    def _counted_twice(self, given: Contribution) -> tuple[str, str, tuple[str, ...]]:
        """Return another child whose sums hold the same devices, and the reason, empty if none
        does; and the children that give way: they hold only devices which were in this child's
        sums before, and left them for a time, as in a forget.  Else a hostile child could take the
        place of a device, and of a whole site with it, while one device forgets."""
        found = self.file.sharing(given.device, members_of(given).tolist())
        for other, (shared, has_place) in found.items():
            if not has_place:
                return other, twice_reason(shared, other), ()
        return "", "", tuple(found)

    def _concepts_with(self, given: Contribution) -> int:
        """Return how many concepts the sum has once a contribution replaces its device's."""
        if not given.samples:
            return 0
        counts = self._sums.counts
        concepts = set(counts) | set(count_facts(given.arrays))
        before = self.file.sums(given.device) if len(concepts) > len(counts) else None
        if before is not None:
            held = count_facts(unpack_arrays(zlib.decompress(before[1])))
            gone = {one for one, count in held.items() if counts[one] == count}
            concepts -= gone - set(count_facts(given.arrays))
        return len(concepts)

    def _replace(
        self,
        row: ChildRow,
        given: Contribution | None,
        packed: tuple[int, bytes] | None = None,
        head: bytes = b"",
    ) -> bool:
        """Subtract what a child had, add what it has now, and write both down; return whether facts
        have left the sum.  packed: its arrays as the child has compressed them.  head: what was
        before them, in a message to keep."""
        before, members = self._arrays(row.device), members_of(given).tolist() if given else []
        self.file.keep_places(row.device, members, row.at_ns, self._settings.devices_max)
        if before:
            self._sums.change(before, -1)
            self._votes.change(before, -1)
        if given is not None and given.samples:
            self.file.replace_sums(row.device, packed, threshold_offers(given.arrays), head)
            self.file.replace_members(row.device, members)
            self._sums.change(given.arrays, 1)
            self._votes.change(given.arrays, 1)
        else:
            self.file.replace_sums(row.device, None, ())
            self.file.replace_members(row.device, ())
        self.file.put_child(row)
        # Also where it is refused: from then on nothing older of the device is held here.
        self.file.apply(AppliedRow(row.device, self._settings.name, row.revision, row.at_ns))
        return _lowers(before, given)

    def _arrays(self, device: str) -> Arrays:
        """Return the arrays of a child in the sum; empty if it has none."""
        held = self.file.sums(device)
        return unpack_arrays(zlib.decompress(held[1])) if held is not None else {}

    def _refuse(self, device: str, reason: str, now_ns: int) -> AggregateOutcome:
        self.file.refuse(RefusalRow(device, now_ns, reason[:500]))
        return AggregateOutcome(device, "refused", reason)

    # --- operators ------------------------------------------------------------------------------

    def drop(self, device: str, now_ns: int) -> bool:
        """Take a device's sums out, exactly, and accept none of it until `admit`; False if it is
        unknown.  The sum is then that of a fleet that never had it."""
        child = self.file.child(device)
        if child is None:
            return False
        row = msgspec.structs.replace(
            child, state="dropped", samples=0, devices=0, at_ns=now_ns, own=0
        )

        def act() -> None:
            self._replace(row, None)
            self.file.leave_places(device)
            self.file.stop_waiting(device)

        self._transact(f"dropping {device}", act)
        self.file.shrink_log()
        return True

    def admit(self, device: str, now_ns: int, *, reset: bool = False) -> bool:
        """Accept a dropped device again, from its newest revision on; False if none is dropped.

        reset: from any revision on, since the newest was not the device's own.
        """
        child = self.file.child(device)
        if child is None or child.state != "dropped":
            return False
        # Refused, so that the revision which it already has counts if it comes again.
        row = msgspec.structs.replace(child, state="refused", at_ns=now_ns)
        if reset:
            row = msgspec.structs.replace(row, revision=0)

        def act() -> None:
            if reset:
                self.file.forget_applied(device)
            self.file.put_child(row)

        self._transact(f"admitting {device}", act)
        return True

    def serve_requests(self, now_ns: int) -> list[RequestRow]:
        """Do what operators have left in the file; return what it was."""
        served = self.file.requests()
        for one in served:
            match one.verb:
                case "drop":
                    self.drop(one.device, now_ns)
                case "admit":
                    self.admit(one.device, now_ns)
                case "reset":
                    self.admit(one.device, now_ns, reset=True)
                case "check":
                    self.check()
            with self.file.change("finishing a request"):
                self.file.finish_request(one.number)
        return served

    def check(self) -> list[Outlier]:
        """Compare every child with the others, and record who is far from them.  Cost: one pass
        over all stored contributions."""
        found: dict[str, list[MemberDistance]] = {}
        for device, (_, body) in self.file.every_sums():
            arrays = unpack_arrays(zlib.decompress(body))
            found[device] = list(self._votes.distances(arrays))
        outliers = find_outliers(found)
        with self.file.change("recording a check"):
            self.file.put_outliers(
                OutlierRow(one.device, *one.concept, one.spreads, one.share) for one in outliers
            )
        return outliers

    # --- the sum --------------------------------------------------------------------------------

    def contribution(self, now_ns: int) -> Contribution:
        """Return the sum as a contribution, numbered durably; the same sum keeps its revision."""
        counts, devices = self._sums.counts, self.file.count("summed")[1]
        made = Contribution(
            device=self._settings.name,
            card=self.place.card,
            geometry=self.place.geometry.fingerprint,
            geometry_version=self.place.geometry.version,
            seed=self.place.geometry.seed,
            revision=0,
            samples=self._sums.samples,
            columns=self.place.columns,
            devices=max(1, devices),
        )
        if counts:
            chosen = self._chosen()
            members, thresholds = pack_members(self.file.members()), join_thresholds(chosen, counts)
            arrays = {**self._sums.arrays(), **thresholds, **members}
            made = msgspec.structs.replace(made, arrays=arrays)
        return msgspec.structs.replace(made, revision=self._number(made, now_ns))

    def _chosen(self) -> dict[ThresholdOffer, ThresholdPart]:
        """Return the highest thresholds, of one child after the other."""
        by_child: dict[str, list[ThresholdOffer]] = {}
        for offer, device in self.file.best_offers().items():
            by_child.setdefault(device, []).append(offer)
        chosen: dict[ThresholdOffer, ThresholdPart] = {}
        for device, offers in by_child.items():
            packed = self.file.sums(device)
            assert packed is not None, "offers are written and deleted with the sums"
            chosen.update(take_thresholds(unpack_arrays(zlib.decompress(packed[1])), offers))
        return chosen

    def _number(self, made: Contribution, now_ns: int) -> int:
        last = self.last()
        content = made.content if made.samples else ""
        same = bool(last.revision) and last.content == content
        revision = last.revision if same else max(last.revision + 1, now_ns // 10**9)
        with self.file.change("numbering the sum"):
            self.file.put_meta(PUBLISHED, msgspec.json.encode(LastSum(revision, content)))
            self.file.mark_published(revision)
        return revision

    def last(self) -> LastSum:
        """Return what was published last."""
        body = self.file.meta(PUBLISHED)
        return msgspec.json.decode(body, type=LastSum) if body else LastSum()

    # --- the cache ------------------------------------------------------------------------------

    def close(self) -> None:
        """Save the running sum, so that the next start need not read every child again."""
        arrays = self._sums.arrays() if self._sums.counts else {}
        with self.file.change("saving the sum"):
            self.file.put_meta(SAVED, pack_arrays({**arrays, **self._votes.pack()}))
            self.file.put_meta("saved_changes", str(self._changes).encode())
        self._saved = True

    def _begin(self) -> None:
        """Load or rebuild the running sum.  Sums of another geometry are taken out first."""
        fingerprint = f"{self.place.card} {self.place.geometry.fingerprint}".encode()
        if self.file.meta(GEOMETRY) not in (b"", fingerprint):
            self._leave_geometry()
        if self.file.meta(GEOMETRY) != fingerprint:
            with self.file.change("noting the geometry"):
                self.file.put_meta(GEOMETRY, fingerprint)
        self._changes = int(self.file.meta(CHANGES) or b"0")
        saved = self.file.meta(SAVED)
        if saved and self.file.meta("saved_changes") == str(self._changes).encode():
            arrays = unpack_arrays(saved)
            self._votes = MemberVotes.unpack(arrays)
            if "counts" in arrays:
                self._sums.change(arrays, 1)
        else:
            self._rebuild()

    def _rebuild(self) -> None:
        self._sums, self._votes = FleetSums(self.place.geometry), MemberVotes()
        for _, (_, body) in self.file.every_sums():
            arrays = unpack_arrays(zlib.decompress(body))
            self._sums.change(arrays, 1)
            self._votes.change(arrays, 1)
        self._changes = int(self.file.meta(CHANGES) or b"0")

    def _leave_geometry(self) -> None:
        """Take out all sums: they were made with another card or geometry than the one here."""
        with self.file.change("leaving a geometry"):
            for child in list(self.file.children()):
                if child.state in ("summed", "withdrawn"):
                    row = msgspec.structs.replace(child, state="refused", samples=0, devices=0)
                    self.file.replace_sums(child.device, None, ())
                    self.file.replace_members(child.device, ())
                    self.file.put_child(row)
            self.file.put_meta(SAVED, b"")

    def _transact(self, doing: str, act: Callable[[], T]) -> T:
        """Run changes in one transaction; after a failure the sum is rebuilt from the file."""
        try:
            with self.file.change(doing):
                done = act()
                self.file.put_meta(CHANGES, str(self._changes + 1).encode())
                if self._saved:
                    # It still holds what may be withdrawn now.
                    self.file.put_meta(SAVED, b"")
        except BaseException:
            self._rebuild()
            raise
        self._changes += 1
        self._saved = False
        return done


def _lowers(before: Arrays, given: Contribution | None) -> bool:
    """Return whether any concept of a child has fewer facts than before, or a device has left its
    sum."""
    if not before or given is None or not given.samples:
        return bool(before)
    try:
        now = count_facts(given.arrays)
        fewer = any(count > now.get(one, 0) for one, count in count_facts(before).items())
        gone = set(members_of(given).tolist())
        return fewer or not gone.issuperset(map(int, before.get(MEMBERS, ())))
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        # Arrays that no facts sum up to: they are refused, and take nothing out.
        return False
