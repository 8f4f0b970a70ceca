"""What the verbs of the command line do, free of how it is shown."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

import encoder

from ..core import (
    Ack,
    ConfigError,
    Decision,
    EdgeError,
    Enrol,
    Fact,
    Message,
    Observation,
    Rejected,
    StateError,
    Survey,
    derive,
)
from .examples import Example, Skipped, read_examples
from .home import Home
from .store import Store

Tick = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Learned:
    """What `learn_path` did.  `surveyed`: a geometry was frozen from these first facts."""

    ack: Ack
    per_concept: dict[tuple[str, str], int]
    skipped: tuple[Skipped, ...]
    surveyed: bool
    digest: str


@dataclass(frozen=True, slots=True)
class Verified:
    """Digests of the file and of the knowledge derived again, and what is wrong, if anything."""

    facts: int
    facts_digest: str
    knowledge_digest: str
    stamped: dict[str, str]
    complaints: tuple[str, ...] = field(default=())


def learn_path(home: Home, path: Path, domain: str, label: str, tick: Tick) -> Learned:
    """Learn every labelled example under a path: all of them in one durable step, or none.

    domain, label: for examples that do not say theirs.  The first facts of a home also freeze its
    geometry.
    """
    facts: list[Fact] = []
    skipped: list[Skipped] = []
    for item in read_examples(path):
        fact = _fact(home, item, domain, label)
        (skipped if isinstance(fact, Skipped) else facts).append(fact)  # type: ignore[arg-type]
        tick()
    if not facts:
        reason = f"; the first: {skipped[0].source}: {skipped[0].reason}" if skipped else ""
        raise ConfigError(
            f"learning from {path}: nothing could be learned, {len(skipped)} skipped{reason}",
            "see `auricle learn --help`",
        )
    ack = told(home.feed(Enrol(tuple(facts))))
    surveyed = home.store.geometry() is None
    if surveyed:
        told(home.feed(Survey()))
    counts: dict[tuple[str, str], int] = {}
    for fact in facts:
        counts[fact.domain, fact.label] = counts.get((fact.domain, fact.label), 0) + 1
    return Learned(ack, dict(sorted(counts.items())), tuple(skipped), surveyed, home.stamp())


def _fact(home: Home, item: Example | Skipped, domain: str, label: str) -> Fact | Skipped:
    if isinstance(item, Skipped):
        return item
    if not (item.label or label):
        return Skipped(item.source, "has no label: lay it out as FOLDER/<label>/, or give --label")
    try:
        features = home.model.encode(item.payload).values
    except encoder.EncoderError as error:
        return Skipped(item.source, error.message)
    return Fact(
        item.id,
        "learn",
        domain or item.domain or home.runtime.config.first_domain,
        item.label or label,
        item.captured_at_ns,
        features.tobytes(),
        item.subject,
    )


def predict_path(home: Home, path: Path) -> Iterator[tuple[str, Decision | Rejected, str]]:
    """Yield (source, what the runtime says, the label it came with) for each example."""
    for number, item in enumerate(read_examples(path)):
        if isinstance(item, Skipped):
            yield item.source, Rejected(item.source, item.reason), ""
            continue
        event = Observation(f"predict:{path}", number, item.captured_at_ns, item.payload)
        for message in home.feed(event):
            if isinstance(message, Decision | Rejected):
                yield item.source, message, item.label


def told(messages: Iterable[Message]) -> Ack:
    """Return the acknowledgement among messages; raises StateError for a rejection."""
    for message in messages:
        if isinstance(message, Rejected):
            raise EdgeError(message.reason, message.hint)
        if isinstance(message, Ack):
            return message
    raise AssertionError("an event is answered by Ack or Rejected")


def verify(home: Home) -> Verified:
    """Check the file, derive the knowledge again and compare digests with the last stamp.

    Learns the facts one concept at a time, last concept first, too: the order must not matter.
    """
    store, runtime = home.store, home.runtime
    complaints = list(store.check())
    digest, facts = runtime.digest(), store.digest()
    backwards = derive(store, runtime.knowledge.geometry)
    everything = [fact for page in store.pages() for fact in page]
    backwards.remove(everything)
    backwards.add(reversed(everything))
    if backwards.digest(home.model.card.fingerprint) != digest:
        complaints.append("forgetting and relearning every fact gives other knowledge")
    stamped = store.stamped()
    if stamped.get("facts") == facts and stamped["knowledge"] != digest:
        complaints.append("the same facts gave other knowledge when it was last stamped")
    return Verified(len(everything), facts, digest, stamped, tuple(complaints))


def export_facts(store: Store, target: Path) -> int:
    """Write all facts to a new .npz that `auricle learn` of a vector home, or numpy, can read.

    `features` are the quantised uint8 features.  Returns the number of facts.
    """
    if target.exists():
        raise StateError(f"exporting to {target}: the file exists already", "choose another name")
    facts = [fact for page in store.pages() for fact in page]
    width = len(facts[0].features) if facts else 0
    rows = np.frombuffer(b"".join(fact.features for fact in facts), np.uint8)
    names = ("id", "stream", "domain", "label", "subject")
    columns = {name: np.array([getattr(fact, name) for fact in facts], np.str_) for name in names}
    with target.open("xb") as file:
        np.savez_compressed(
            file,
            features=rows.reshape(len(facts), width),
            **columns,
            captured_at_ns=np.array([fact.captured_at_ns for fact in facts], np.int64),
            revision=np.array([fact.revision for fact in facts], np.int64),
        )
    return len(facts)


def merge_store(home: Home, other: Store) -> tuple[Ack, int]:
    """Take in another store's facts; what either has forgotten stays forgotten in both.

    Returns the acknowledgement and how many own facts the other's tombstones removed.
    """
    if other.card_fingerprint != home.store.card_fingerprint:
        raise StateError(
            f"merging {other.path}: its features come from another encoder card",
            "merge ledgers of the same card only",
        )
    buried = home.bury_from(other)
    facts = tuple(fact for page in other.pages() for fact in page)
    ack = told(home.feed(Enrol(facts)))
    home.stamp()
    return ack, buried


def restore(backup: Path, target: Path) -> None:
    """Put a checked backup in the place of a missing or damaged knowledge file.

    The file in the way, if any, is kept beside it with the suffix `.before-restore`.
    """
    with Store.open(backup, writable=False) as store:
        complaints = store.check()
        if complaints:
            raise StateError(
                f"restoring {backup}: it is damaged: {complaints[0]}", "use an older backup"
            )
        fresh = target.with_name(target.name + ".restoring")
        fresh.unlink(missing_ok=True)
        store.backup(fresh)
    for suffix in ("-wal", "-shm"):
        target.with_name(target.name + suffix).unlink(missing_ok=True)
    if target.exists():
        target.replace(target.with_name(target.name + ".before-restore"))
    fresh.replace(target)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a home knows.  concepts: (domain, label, facts)."""

    concepts: tuple[tuple[str, str, int], ...]
    encoder: str
    card: str
    width: int
    geometry: str
    knowledge_digest: str
    receipts: tuple[dict[str, object], ...]
    evictions: int
    file: str
    file_bytes: int


def inspect(home: Home) -> Inspection:
    """Gather what there is to know about a home."""
    store, card = home.store, home.model.card
    geometry = home.runtime.knowledge.geometry.fingerprint
    surveyed = "surveyed" if store.geometry() is not None else "plain, not surveyed yet"
    return Inspection(
        tuple((domain, label, n) for (domain, label), n in sorted(store.concepts().items())),
        card.name,
        card.fingerprint,
        card.width,
        f"{geometry[:12]} ({surveyed})",
        home.runtime.digest(),
        store.receipts(),
        store.evictions(),
        str(store.path),
        store.path.stat().st_size,
    )


def vector_card_from(path: Path) -> encoder.Card:
    """Make a card for ready-made vectors, its quantiser frozen on the vectors under a path."""
    rows = [item.payload for item in read_examples(path) if isinstance(item, Example)]
    widths = {np.shape(row) for row in rows}
    if len(widths) != 1 or len(next(iter(widths))) != 1:
        raise ConfigError(
            f"freezing a quantiser on {path}: expected vectors of one length,"
            f" found {sorted(widths)[:3] or 'nothing'}",
            "give a .csv of numbers, or an .npz with `features` [n, d]",
        )
    values = np.stack(rows).astype(np.float32)
    spans = (slice(0, values.shape[1]),)
    quantiser = encoder.freeze_quantiser(values, spans, granularity="channel")
    return encoder.vector_card(values.shape[1], name=path.stem, quantiser=quantiser)


def calibrate_card(
    model: encoder.Model, data: Path, granularity: encoder.Granularity, tick: Tick
) -> tuple[encoder.Card, tuple[Skipped, ...]]:
    """Freeze a model's quantiser on the readable samples under a path.  Returns the new card."""
    payloads: list[object] = []
    skipped: list[Skipped] = []
    for item in read_examples(data):
        if isinstance(item, Skipped):
            skipped.append(item)
            continue
        try:
            model.measure([item.payload])
            payloads.append(item.payload)
        except encoder.PayloadError as error:
            skipped.append(Skipped(item.source, error.message))
        tick()
    if not payloads:
        raise ConfigError(
            f"calibrating on {data}: no sample could be read, {len(skipped)} skipped",
            "give 100 or more samples of what the encoder will see",
        )
    return encoder.calibrate(model, payloads, granularity), tuple(skipped)
