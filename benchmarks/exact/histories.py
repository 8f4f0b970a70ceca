"""Random histories of a real store, checked against a plain reference model.

The model (`ExpectedState`) applies the documented rules in the most obvious way: a dictionary of
facts and a set of forgotten ids.  The device runs the production Runtime and Store, crashes between
any two effects, and is reopened from a copy of its files at that moment.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import numpy as np
from msgspec.structs import replace

import encoder
from edge import Config, ForgetRequest, Label, Observation, Receipt, Runtime, Selector, Store
from edge.core import (
    Effect,
    Enrol,
    EraseFacts,
    Event,
    Fact,
    FitGeometry,
    MemoryLedger,
    Publish,
    Relabel,
    StoreFacts,
)
from edge.core.knowledge import derive_knowledge
from edge.core.selection import rank_ids

WIDTH = 24
"""Narrow vectors: histories exercise the ledger, not the arithmetic."""
DOMAINS, LABELS = ("home", "away"), ("a", "b", "c")
SUBJECTS = ("", "p", "q")
CHECK_EVERY = 20
"""Checking derives all knowledge again; at each event it would take most of the time."""
SEARCHED_MAX = 40
"""Forgotten facts looked for after each receipt, the latest; all are looked for at the end."""


def whole_number_card(width: int) -> encoder.Card:
    """Return a card for vectors of whole numbers, which are the features."""
    quantiser = encoder.Quantiser(np.ones(width, np.float32), np.zeros(width, np.int32))
    return encoder.vector_card(width, "whole numbers", quantiser)


@dataclass
class ExpectedState:
    """The expected content of a store, by the documented rules in their plainest form.

    seen: observations that may still be labelled, as facts without a label.
    """

    capacity: int
    facts: dict[str, Fact] = field(default_factory=dict)
    buried: set[str] = field(default_factory=set)
    seen: dict[str, Fact] = field(default_factory=dict)

    def learn(self, facts: Iterable[Fact]) -> None:
        """Add the winning version of each fact; full concepts keep those whose ids hash lowest."""
        concepts = set()
        for fact in facts:
            old = self.facts.get(fact.id)
            if fact.id not in self.buried and (old is None or fact.supersedes(old)):
                self.facts[fact.id] = fact
                concepts.add((fact.domain, fact.label))
        for concept in concepts:
            rows = [f for f in self.facts.values() if (f.domain, f.label) == concept]
            rows.sort(key=lambda fact: rank_ids([fact.id])[0])
            for fact in rows[self.capacity :]:
                del self.facts[fact.id]

    def relabel(self, selector: Selector, label: str, domain: str) -> None:
        """Give selected facts a label or domain; facts that already have it stay unchanged."""
        changed = []
        for fact in self.facts.values():
            new = replace(fact, label=label or fact.label, domain=domain or fact.domain)
            if selector.matches(fact) and new != fact:
                changed.append(replace(new, revision=fact.revision + 1))
        self.learn(changed)

    def matching(self, selector: Selector) -> list[Fact]:
        """Return the facts that a request selects, and selected unlabelled observations."""
        open_to_unlabelled = selector.domain is None and selector.label is None
        waiting = self.seen.values() if open_to_unlabelled else ()
        found = {fact.id: fact for fact in waiting if selector.matches(fact)}
        found |= {fact.id: fact for fact in self.facts.values() if selector.matches(fact)}
        return list(found.values())

    def forget(self, gone: Iterable[Fact]) -> None:
        """Remove facts and observations permanently."""
        for fact in gone:
            self.facts.pop(fact.id, None)
            self.seen.pop(fact.id, None)
            self.buried.add(fact.id)


class HistoryDevice:
    """A runtime on a store in a folder, its reference model, and the mismatches between them."""

    def __init__(self, folder: Path, capacity: int, random: Random) -> None:
        self._folder = folder
        self._random = random
        self._crashes = 0
        self._card = whole_number_card(WIDTH)
        self._model = encoder.open_model(self._card)
        self._config = Config(facts_per_concept=capacity, false_alarm_rate=0.2, window=4)
        self.expected = ExpectedState(capacity)
        self.mismatches = 0
        self.found = 0
        self.forgotten: list[Fact] = []
        (folder / "0").mkdir(parents=True)
        self.store = Store.create(folder / "0" / "knowledge.db", self._card)
        self.runtime = Runtime(self._config, self._model, self.store)

    def feed(self, event: Event, crash_after: int | None = None) -> None:
        """Handle an event and apply its effects, all or the first `crash_after` of them."""
        effects = self.runtime.handle(event)
        applied = effects if crash_after is None else effects[:crash_after]
        for effect in applied:
            self.store.apply(effect)
        self._expect(event, applied)
        if len(applied) < len(effects):
            self.crash()
            self.check()
        elif any(isinstance(e, Publish) and isinstance(e.message, Receipt) for e in applied):
            self.search(self.forgotten[-SEARCHED_MAX:])

    def crash(self) -> None:
        """Lose the process: continue with a copy of the files in another folder."""
        self._crashes += 1
        old, new = self.store.path, self._folder / str(self._crashes) / "knowledge.db"
        new.parent.mkdir()
        for suffix in ("", "-wal"):
            source = old.with_name(old.name + suffix)
            if source.exists():
                shutil.copy(source, new.with_name(new.name + suffix))
        self.store.close()
        shutil.rmtree(old.parent)
        self.store = Store.open(new, self._card)
        self.runtime = Runtime(self._config, self._model, self.store)
        self.expected.seen.clear()

    def check(self) -> None:
        """Compare store and knowledge with the model."""
        rows = self.expected.facts
        stored = {fact_id: self.store.get(fact_id) for fact_id in self.store.select(Selector())}
        self.mismatches += stored != rows
        made = derive_knowledge(MemoryLedger(rows.values()), self.runtime.knowledge.geometry)
        self.mismatches += made.digest(self._card.fingerprint) != self.runtime.digest()

    def search(self, gone: Iterable[Fact]) -> None:
        """Search for forgotten ids and features in the raw files, including the log."""
        raw = b"".join(path.read_bytes() for path in self.store.path.parent.iterdir())
        self.found += sum(f.id.encode() in raw or f.features in raw for f in gone)

    def close(self) -> None:
        """Check once more, from the file alone, with another order of learning; then close."""
        self.crash()
        self.check()
        self.search(self.forgotten)
        rows = list(self.expected.facts.values())
        self._random.shuffle(rows)
        ledger = MemoryLedger()
        fresh = Runtime(self._config, self._model, ledger)
        for effect in (e for row in rows for e in fresh.handle(Enrol((row,)))):
            ledger.apply(effect)
        geometry = fresh.knowledge.geometry
        again = derive_knowledge(self.store, geometry).digest(self._card.fingerprint)
        self.mismatches += again != fresh.digest()
        self.store.close()

    def _expect(self, event: Event, applied: tuple[Effect, ...]) -> None:
        """Update the model for an event whose durable effect was applied."""
        if isinstance(event, Observation):
            values = np.asarray(event.payload, np.uint8).tobytes()
            self.expected.seen[event.key] = Fact(
                id=event.key,
                stream=event.stream,
                domain="",
                label="",
                captured_at_ns=event.captured_at_ns,
                features=values,
                subject=event.subject,
            )
        written = [effect for effect in applied if isinstance(effect, StoreFacts | EraseFacts)]
        if not written:
            return
        match event:
            case Enrol():
                self.expected.learn(event.facts)
            case Label():
                self.expected.learn(self._labelled(event, written[0]))
            case Relabel():
                self.expected.relabel(event.selector, event.label, event.domain)
            case ForgetRequest():
                gone = self.expected.matching(event.selector)
                self.forgotten += gone
                self.expected.forget(gone)

    def _labelled(self, event: Label, written: Effect) -> Iterator[Fact]:
        """Return the fact of a label; the detector chooses the domain if the label names none."""
        old = self.expected.facts.get(event.observation_id)
        if old is not None:
            domain = event.domain or old.domain
            yield replace(old, label=event.label, domain=domain, revision=old.revision + 1)
        elif event.observation_id in self.expected.seen and isinstance(written, StoreFacts):
            seen = self.expected.seen[event.observation_id]
            for fact in written.facts:
                yield replace(seen, label=event.label, domain=event.domain or fact.domain)


class RandomHistory:
    """One random history of two devices, determined by the seed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._random = Random(seed)
        capacity = self._random.choice((3, 6, 12, 1000))
        self._devices = [
            HistoryDevice(folder / name, capacity, self._random) for name in ("one", "two")
        ]
        self._made = 0
        self._known: list[Fact] = []

    def run(self, events: int) -> tuple[int, int]:
        """Run a number of events; returns mismatches and forgotten items found."""
        one, two = self._devices
        for number in range(events):
            device = one if self._random.random() < 0.8 else two
            event = self._event(device)
            crash_after = self._random.randrange(3) if self._random.random() < 0.1 else None
            device.feed(event, crash_after)
            if crash_after is not None and self._random.random() < 0.5:
                device.feed(event)
            if isinstance(event, Observation) and self._random.random() < 0.8:
                device.feed(Label(event.key, self._label(), self._random.choice(("", *DOMAINS))))
            if self._random.random() < 0.03:
                self._merge()
            if number % CHECK_EVERY == 0:
                device.check()
        for device in self._devices:
            device.close()
        mismatches = sum(device.mismatches for device in self._devices)
        return mismatches, sum(device.found for device in self._devices)

    def _merge(self) -> None:
        """Exchange all facts in both directions; sometimes one side forgets some at once."""
        one, two = self._devices
        ours, theirs = tuple(one.expected.facts.values()), tuple(two.expected.facts.values())
        one.feed(Enrol(theirs))
        two.feed(Enrol(ours))
        one.check()
        two.check()
        if theirs and self._random.random() < 0.5:
            gone = self._random.sample(theirs, min(2, len(theirs)))
            selector = Selector(ids=frozenset(fact.id for fact in gone))
            one.feed(ForgetRequest(request_id=self._request_id(), selector=selector))
            one.feed(Enrol(theirs))
            one.check()

    def _request_id(self) -> str:
        """Return an unused request id: a used one returns its earlier receipt."""
        return f"request {self._random.getrandbits(64):016x}"

    def _event(self, device: HistoryDevice) -> Event:
        kinds = {
            self._new_facts: 40,
            self._observation: 16,
            self._known_facts: 12,
            self._forgotten_facts: 8,
            self._relabel: 8,
            self._forget: 9,
            self._survey: 2,
        }
        (kind,) = self._random.choices(list(kinds), list(kinds.values()))
        return kind(device)

    def _new_facts(self, _device: HistoryDevice) -> Event:
        facts = [self._fact() for _ in range(self._random.randint(1, 4))]
        self._known += facts
        return Enrol(tuple(facts))

    def _known_facts(self, _device: HistoryDevice) -> Event:
        """Return redelivered facts, some in another version."""
        facts = self._random.sample(self._known, min(3, len(self._known)))
        changed = (
            replace(f, label=self._label(), revision=self._random.randint(0, 2)) for f in facts
        )
        return Enrol(
            tuple(
                new if self._random.random() < 0.5 else f
                for f, new in zip(facts, changed, strict=True)
            )
        )

    def _forgotten_facts(self, device: HistoryDevice) -> Event:
        """Return redelivered facts that were forgotten."""
        gone = [replace(f, domain=DOMAINS[0], label=self._label()) for f in device.forgotten]
        return Enrol(tuple(self._random.sample(gone, min(3, len(gone)))))

    def _observation(self, _device: HistoryDevice) -> Event:
        fact = self._fact()
        values = np.frombuffer(fact.features, np.uint8)
        return Observation(
            stream="cam",
            sequence=0,
            captured_at_ns=fact.captured_at_ns,
            payload=values,
            id=fact.id,
            subject=fact.subject,
        )

    def _relabel(self, device: HistoryDevice) -> Event:
        return Relabel(self._selector(device), self._label(), self._random.choice(("", *DOMAINS)))

    def _forget(self, device: HistoryDevice) -> Event:
        refit_geometry = self._random.random() < 0.2
        request_id = self._request_id()
        return ForgetRequest(
            request_id=request_id, selector=self._selector(device), refit_geometry=refit_geometry
        )

    def _survey(self, _device: HistoryDevice) -> Event:
        return FitGeometry()

    def _selector(self, device: HistoryDevice) -> Selector:
        """Select by id mostly; sometimes by a field, which matches many facts."""
        ids = sorted({*device.expected.facts, *device.expected.seen})
        if ids and self._random.random() < 0.7:
            return Selector(ids=frozenset(self._random.sample(ids, min(3, len(ids)))))
        at = self._random.randrange(1000)
        return self._random.choice(
            (
                Selector(label=self._label()),
                Selector(domain=self._random.choice(DOMAINS), label=self._label()),
                Selector(subject=self._random.choice(SUBJECTS[1:])),
                Selector(from_ns=at, until_ns=at + 100),
            )
        )

    def _label(self) -> str:
        return self._random.choice(LABELS)

    def _fact(self) -> Fact:
        self._made += 1
        return Fact(
            id=f"fact-{self._made:06}-{self._random.getrandbits(32):08x}",
            stream="cam",
            domain=self._random.choice(DOMAINS),
            label=self._label(),
            captured_at_ns=self._random.randrange(1000),
            features=self._random.randbytes(WIDTH),
            subject=self._random.choice(SUBJECTS),
        )
