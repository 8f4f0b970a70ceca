"""A process that learns, corrects and forgets on a real file until SIGKILL, and checks of the file.

`python -m benchmarks.exact.kills FILE SEED` is the child.  It prints a line before each action
(`try label LABEL ID`, `try receipt - ID ID`) and the same line without `try` once it is durable.
`kill_repeatedly` starts it, kills it at a random moment with SIGKILL, and compares: only the last
attempted action may be in either state.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import shake_128
from pathlib import Path
from random import Random

import encoder
from edge import Config, ForgetRequest, Label, Observation, Receipt, Runtime, Selector, Store
from edge.core import Acknowledgement, Enrol, Event, Fact, Publish
from edge.core.knowledge import derive_knowledge

from .histories import whole_number_card

WIDTH = 512
"""Chosen by hand; effect not measured."""
LABELS = ("a", "b", "c")
WARM_UP_S = 20.0
"""Generous: importing and opening takes a second or two."""
ROOT = Path(__file__).parents[2]


def features_of(fact_id: str) -> bytes:
    """Return the features of a fact, derived from its id, so that the parent can search for
    them."""
    return shake_128(fact_id.encode()).digest(WIDTH)


def run_child(path: Path, seed: int) -> None:
    """Learn and forget until killed; print every durable action."""
    random = Random(seed)
    card = whole_number_card(WIDTH)
    store = Store.open(path, card)
    runtime = Runtime(Config(window=4), encoder.open_model(card), store)
    known = list(store.select(Selector()))
    for number in range(1_000_000):
        fact_id = f"fact-{seed:06}-{number:06}"
        for event in _events(fact_id, known, random):
            claim = _describe(event)
            _write_line(f"try {claim}" if claim else "")
            for effect in runtime.handle(event):
                store.apply(effect)
                if isinstance(effect, Publish) and isinstance(
                    effect.message, Acknowledgement | Receipt
                ):
                    _write_line(claim)
        known = list(store.select(Selector()))


def _events(fact_id: str, known: list[str], random: Random) -> Iterator[Event]:
    """Yield random events: a fact, an observation and its label, a correction, a request."""
    label, chance = random.choice(LABELS), random.random()
    features = features_of(fact_id)
    if chance < 0.4:
        yield Enrol(
            (
                Fact(
                    id=fact_id,
                    stream="cam",
                    domain="home",
                    label=label,
                    captured_at_ns=0,
                    features=features,
                ),
            )
        )
    elif chance < 0.7:
        yield Observation(
            stream="cam", sequence=0, captured_at_ns=0, payload=list(features), id=fact_id
        )
        yield Label(fact_id, label, "home")
    elif known and chance < 0.85:
        yield Label(random.choice(known), label)
    elif known:
        gone = random.sample(known, min(3, len(known)))
        yield ForgetRequest(
            request_id=f"request {random.random()}", selector=Selector(ids=frozenset(gone))
        )


def _describe(event: Event) -> str:
    """Return a line that describes the durable result of an event."""
    match event:
        case Label():
            return f"label {event.label} {event.observation_id}"
        case Enrol():
            return f"label {event.facts[0].label} {event.facts[0].id}"
        case ForgetRequest():
            return " ".join(["receipt", "-", *sorted(event.selector.ids or ())])
    return ""


def _write_line(line: str) -> None:
    """Write one complete line at once, without buffering."""
    if line:
        os.write(sys.stdout.fileno(), f"{line}\n".encode())


@dataclass
class ChildOutput:
    """The lines of a child over all its runs, in order.

    labels: acknowledged and not forgotten since.  tried: words of the last attempt, empty once it
    is durable.
    """

    labels: dict[str, str] = field(default_factory=dict)
    receipted: set[str] = field(default_factory=set)
    tried: tuple[str, ...] = ()

    def read(self, output: str) -> int:
        """Process all complete lines; returns the number of durable actions."""
        durable = 0
        for line in output.split("\n")[:-1]:
            words = tuple(line.split())
            if words[0] == "try":
                self.tried = words[1:]
            else:
                self._note(words)
                durable += 1
        return durable

    def reconcile(self, store: Store) -> int:
        """Count acknowledged labels missing in a store, with the last attempt in either state, and
        adopt its actual state."""
        if self._came_true(store):
            self._note(self.tried)
        self.tried = ()
        held = {fact_id: store.get(fact_id) for fact_id in self.labels}
        return sum(fact is None or fact.label != self.labels[i] for i, fact in held.items())

    def _came_true(self, store: Store) -> bool:
        if not self.tried:
            return False
        kind, label, *ids = self.tried
        facts = [store.get(fact_id) for fact_id in ids]
        if kind == "receipt":
            return all(
                store.was_forgotten(i) and fact is None for i, fact in zip(ids, facts, strict=True)
            )
        return all(fact is not None and fact.label == label for fact in facts)

    def _note(self, words: tuple[str, ...]) -> None:
        kind, label, *ids = words
        self.tried = ()
        for fact_id in ids:
            if kind == "label":
                self.labels[fact_id] = label
            else:
                self.receipted.add(fact_id)
                self.labels.pop(fact_id, None)


@dataclass(frozen=True)
class KillOutcome:
    """The result of the kills: their number, durable actions before, and errors after."""

    kills: int
    durable: int
    lost: int
    found: int
    mismatches: int


def kill_repeatedly(folder: Path, seed: int, kills: int) -> KillOutcome:
    """Kill a child several times on one file and check after each time."""
    random, account = Random(seed), ChildOutput()
    card = whole_number_card(WIDTH)
    path = folder / "knowledge.db"
    Store.create(path, card).close()
    durable = lost = found = mismatches = 0
    for life in range(kills):
        durable += account.read(_killed(path, seed * 100 + life, random))
        raw = b"".join(each.read_bytes() for each in folder.iterdir())
        found += sum(i.encode() in raw or features_of(i) in raw for i in account.receipted)
        with Store.open(path, card) as store:
            lost += account.reconcile(store)
            found += sum(store.get(fact_id) is not None for fact_id in account.receipted)
            runtime = Runtime(Config(), encoder.open_model(card), store)
            again = derive_knowledge(store, runtime.knowledge.geometry)
            mismatches += again.digest(card.fingerprint) != runtime.digest()
            mismatches += bool(store.check())
    return KillOutcome(kills, durable, lost, found, mismatches)


def _killed(path: Path, seed: int, random: Random) -> str:
    """Start a child, kill it at a random moment, and return all its output."""
    command = [sys.executable, "-m", "benchmarks.exact.kills", str(path), str(seed)]
    output: list[bytes] = []
    started = threading.Event()
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as child:
        assert child.stdout is not None
        pipe = child.stdout.fileno()

        def listen() -> None:
            while part := os.read(pipe, 65_536):
                output.append(part)
                started.set()

        listener = threading.Thread(target=listen)
        listener.start()
        alive = started.wait(WARM_UP_S)
        time.sleep(random.random() * 0.25)
        child.send_signal(signal.SIGKILL)
        listener.join()
    if not alive:
        raise RuntimeError(f"the child process printed nothing in {WARM_UP_S:g} s")
    return b"".join(output).decode()


if __name__ == "__main__":
    run_child(Path(sys.argv[1]), int(sys.argv[2]))
