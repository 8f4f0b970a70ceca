"""What the verbs of the command line do, free of how it is shown."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

import encoder
import hdc

from ..config import read_settings
from ..core import (
    Acknowledgement,
    ConfigError,
    Decision,
    DriftAlarm,
    EdgeError,
    Enrol,
    Fact,
    Message,
    Observation,
    Rejected,
    Selector,
    accepted,
    columns_differ,
    find_invalid_fact,
    listed,
)
from ..core.knowledge import derive_knowledge
from ..datasets import (
    RATE_HZ,
    Example,
    Examples,
    Skipped,
    accepted_examples,
    display_path,
    read_examples,
)
from ..storage import Store
from .home import Home, open_encoder
from .typos import KnownNames

Tick = Callable[[int | None], None]
"""Called for each example, with their total where it is known."""

IDS_SHOWN = 3
Said = Decision | DriftAlarm | Rejected
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ClassCount:
    """How many facts of a concept."""

    domain: str
    label: str
    facts: int


@dataclass(frozen=True, slots=True)
class Moved:
    """How many known facts get another domain or label."""

    old: tuple[str, str]
    new: tuple[str, str]
    facts: int

    @property
    def text(self) -> str:
        """Say it in words."""
        return f"{self.facts} facts from {'/'.join(self.old)} to {'/'.join(self.new)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """Facts to be learned, read from a path.  layout: what was taken as domain and label; notes:
    what in it may be meant otherwise; moved: facts that are known under another domain or label;
    warnings: about the names of columns."""

    facts: tuple[Fact, ...]
    layout: str
    notes: tuple[str, ...]
    moved: tuple[Moved, ...]
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnSummary:
    """What `learn` did.  count: facts new or changed; detail: what became of the others.
    warnings: about the names of columns, and of new names that are probably typos.  The others as
    in `Lesson`."""

    count: int
    detail: str
    layout: str
    notes: tuple[str, ...] = ()
    concepts: tuple[ClassCount, ...]
    moved: tuple[Moved, ...] = ()
    skipped: tuple[Skipped, ...]
    knowledge_digest: str
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """Digests of the file and of the knowledge derived again, and what is wrong, if anything.
    beside_digest: of the geometry and the sums of other devices."""

    facts: int
    facts_digest: str
    beside_digest: str
    knowledge_digest: str
    stamped: dict[str, str]
    complaints: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the runtime says of an example.  truth: the label it came with, or nothing."""

    source: str
    said: Said
    truth: str = ""


def read_lesson(
    home: Home, path: Path, domain: str, label: str, tick: Tick, *, rate_hz: int = RATE_HZ
) -> Lesson:
    """Read and encode every labelled example under a path; changes nothing.

    domain, label: for examples that do not say theirs.  rate_hz: samples a second of sounds.
    Raises ConfigError where nothing can be learned.
    """
    examples = read_examples(path, home.model.card, rate_hz, home.store.columns())
    facts: dict[str, Fact] = {}
    skipped: list[Skipped] = []
    for item in examples:
        tick(examples.total)
        fact = _fact(home, item, domain, label, facts)
        if isinstance(fact, Skipped):
            skipped.append(fact)
        else:
            facts[fact.id] = fact
    if not facts:
        reason = f"; the first: {skipped[0].source}: {skipped[0].reason}" if skipped else ""
        raise ConfigError(
            f"learning from {path}: nothing could be learned, {len(skipped)} skipped{reason}",
            accepted_examples(home.model.card),
        )
    return Lesson(
        facts=tuple(facts.values()),
        layout=examples.layout,
        notes=examples.notes,
        moved=_moved(home, facts.values()),
        skipped=tuple(skipped),
        warnings=tuple(_column_warnings(home, examples)),
    )


def learn(home: Home, lesson: Lesson) -> LearnSummary:
    """Learn what was read: all of it in one durable step, or nothing.  The first facts of a home
    also freeze its geometry."""
    known = KnownNames.of(home.store.concepts())
    given = KnownNames.of((fact.domain, fact.label) for fact in lesson.facts)
    ack = acknowledged(home.feed(Enrol(lesson.facts)))
    digest = after_change(f"{ack.count} facts were learned and kept", home.settle)
    return LearnSummary(
        count=ack.count,
        detail=ack.detail,
        layout=lesson.layout,
        notes=lesson.notes,
        concepts=_counts(lesson.facts),
        moved=lesson.moved,
        skipped=lesson.skipped,
        knowledge_digest=digest,
        warnings=(*lesson.warnings, *known.warnings_of(given)),
    )


def _moved(home: Home, facts: Iterable[Fact]) -> tuple[Moved, ...]:
    """Count the facts that the ledger holds under another domain or label, by both."""
    moves: Counter[tuple[tuple[str, str], tuple[str, str]]] = Counter()
    for fact in facts:
        known = home.store.get(fact.id)
        if known is None or not fact.supersedes(known):
            continue
        old, new = (known.domain, known.label), (fact.domain, fact.label)
        if old != new:
            moves[old, new] += 1
    return tuple(Moved(*move, count) for move, count in sorted(moves.items()))


def _column_warnings(home: Home, examples: Examples) -> Iterator[str]:
    """Say which columns of a table were ignored, and where nothing could be compared."""
    columns = home.store.columns()
    if examples.ignored:
        yield f"ignored columns: {listed(examples.ignored)}"
    if examples.names and not columns and home.model.card.kind == "vector":
        yield (
            "the home has no column names, so columns count by position; name them with"
            " `auricle encoder columns FILE`"
        )
    if columns and not examples.names:
        yield "the table names no columns, so they count by position"


def after_change(done: str, go_on: Callable[[], T]) -> T:
    """Run what follows a durable step; an error says first what was kept all the same."""
    try:
        return go_on()
    except (EdgeError, hdc.HdcError) as error:
        raise type(error)(f"{done}, but then: {error.message}", error.hint) from error


def _counts(facts: Iterable[Fact]) -> tuple[ClassCount, ...]:
    counts: dict[tuple[str, str], int] = {}
    for fact in facts:
        counts[fact.domain, fact.label] = counts.get((fact.domain, fact.label), 0) + 1
    return tuple(ClassCount(*concept, number) for concept, number in sorted(counts.items()))


def _fact(
    home: Home, item: Example | Skipped, domain: str, label: str, others: dict[str, Fact]
) -> Fact | Skipped:
    """Make the fact of an example, or say why there is none.  others: the facts made before."""
    if isinstance(item, Skipped):
        return item
    if not (item.label or label):
        return Skipped(item.source, "has no label: lay it out as FOLDER/<label>/, or give --label")
    try:
        features = home.model.encode(item.payload).values.tobytes()
    except encoder.EncoderError as error:
        return Skipped(item.source, error.message)
    said = replace(item, label=item.label or label, domain=item.domain or domain)
    fact = _revised(home, said, features)
    twin = others.get(fact.id)
    if twin is not None:
        where = f", there with the label {twin.label}" if twin.label != fact.label else ""
        return Skipped(item.source, f"the same example came before{where}")
    wrong = find_invalid_fact(fact, home.model.card.width)
    return Skipped(item.source, wrong) if wrong else fact


def _revised(home: Home, item: Example, features: bytes) -> Fact:
    """Make a fact of what is said now.  Where the ledger knows the example, what is not said stays,
    and another label or domain is a person's correction: a new revision."""
    known = home.store.get(item.id)
    if known is None or item.stream:
        return Fact(
            id=item.id,
            stream=item.stream or "learn",
            domain=item.domain or home.runtime.config.first_domain,
            label=item.label,
            captured_at_ns=item.captured_at_ns,
            features=features,
            subject=item.subject,
            revision=item.revision,
        )
    changed = replace(
        known,
        domain=item.domain or known.domain,
        label=item.label,
        subject=item.subject or known.subject,
        features=features,
    )
    return known if changed == known else replace(changed, revision=known.revision + 1)


def predict_path(
    home: Home, path: Path, rate_hz: int = RATE_HZ
) -> tuple[Iterator[Prediction], tuple[str, ...]]:
    """Return what the runtime says of each example, in order, with the drift alarms of the stream
    that they make up; and warnings about the names of columns.  rate_hz: samples a second of
    sounds.  Raises ConfigError at once where nothing can be read."""
    examples = read_examples(path, home.model.card, rate_hz, home.store.columns())
    return _predictions(home, examples), tuple(_column_warnings(home, examples))


def _predictions(home: Home, items: Iterable[Example | Skipped]) -> Iterator[Prediction]:
    for number, item in enumerate(items):
        if isinstance(item, Skipped):
            yield Prediction(item.source, Rejected(f"predict:{number}", item.reason))
            continue
        event = Observation(
            stream="predict",
            sequence=number,
            captured_at_ns=item.captured_at_ns,
            payload=item.payload,
        )
        for message in home.feed(event):
            if isinstance(message, Decision | DriftAlarm | Rejected):
                yield Prediction(item.source, message, item.label)


def acknowledged(messages: Iterable[Message]) -> Acknowledgement:
    """Return the acknowledgement among messages; raises EdgeError for a rejection."""
    return next(one for one in accepted(messages) if isinstance(one, Acknowledgement))


def json_line(value: Any) -> str:
    """Return one line of JSON."""
    return msgspec.json.encode(value).decode()


def describe_number(selector: Selector) -> str:
    """Say what a selector selects, without its empty fields; of many ids the first few."""
    given = {name: getattr(selector, name) for name in Selector.__dataclass_fields__}
    if selector.ids is not None:
        more = ["..."] if len(selector.ids) > IDS_SHOWN else []
        given["ids"] = ", ".join(sorted(selector.ids)[:IDS_SHOWN] + more)
    return ", ".join(f"{name} {value}" for name, value in given.items() if value is not None)


def verify_home(home: Home) -> VerifyReport:
    """Check the file, derive the knowledge again and compare digests with the last stamp.

    Learns all facts once more in reverse order, too: the order must not matter.
    """
    store, runtime = home.store, home.runtime
    complaints = list(store.check())
    digest, facts = runtime.digest(), store.digest()
    card = home.model.card.fingerprint
    backwards = derive_knowledge(store, runtime.knowledge.geometry, card=card)
    everything = [fact for page in store.pages() for fact in page]
    backwards.remove(everything)
    backwards.add(reversed(everything))
    if backwards.digest(card) != digest:
        complaints.append("forgetting and relearning every fact gives other knowledge")
    stamped, beside = store.stamped(), store.inputs_digest()
    same = (stamped.get("facts"), stamped.get("beside")) == (facts, beside)
    if same and stamped.get("knowledge") != digest:
        complaints.append("the same facts gave other knowledge when it was last stamped")
    if any(store.was_forgotten(fact.id) for fact in everything):
        complaints.append("facts that were forgotten are in the ledger")
    shaped = {i for rows in store.adaptors().values() for record in rows for i in record.facts}
    if any(map(store.was_forgotten, shaped)):
        complaints.append("an adaptor was shaped by facts that were forgotten")
    if store.unscrubbed:
        complaints.append(
            "an erasure was cut short: forgotten facts are out of the ledger, but not yet"
            " overwritten in the file; the next command that writes does it"
        )
    return VerifyReport(len(everything), facts, beside, digest, stamped, tuple(complaints))


@dataclass(frozen=True, slots=True)
class Inspection:
    """What a home knows.  adaptors: domains that have one.  candidates: observations that wait for
    a label.  contributions: sums of other devices that take part, by device, with their revision.
    columns: names of the encoder's input columns, none where they count by position.
    """

    concepts: tuple[ClassCount, ...]
    encoder: str
    card: str
    width: int
    geometry: str
    surveyed: bool
    knowledge_digest: str
    adaptors: int
    candidates: int
    contributions: dict[str, int]
    receipts: tuple[dict[str, object], ...]
    evictions: int
    file: str
    file_bytes: int
    columns: tuple[str, ...]


def inspect_home(home: Home) -> Inspection:
    """Gather what there is to know about a home."""
    store, card = home.store, home.model.card
    return Inspection(
        tuple(ClassCount(*concept, number) for concept, number in sorted(store.concepts().items())),
        card.name,
        card.fingerprint,
        card.width,
        home.runtime.knowledge.geometry.fingerprint,
        store.geometry() is not None,
        home.runtime.digest(),
        len(store.adaptors()),
        len(store.candidates()),
        {device: one.revision for device, one in store.contributions().items()},
        store.receipts(),
        store.evictions(),
        str(store.path),
        store.path.stat().st_size,
        store.columns(),
    )


def vector_card_from(
    path: Path,
) -> tuple[encoder.Card, tuple[str, ...], tuple[Skipped, ...]]:
    """Make a card for ready-made vectors, its quantiser frozen on the vectors under a path.

    Returns the card, the names of its columns where the table has any, and the rows that could not
    be used.
    """
    rows: list[NDArray[Any]] = []
    skipped: list[Skipped] = []
    examples = read_examples(path)
    for item in examples:
        if isinstance(item, Skipped):
            skipped.append(item)
        elif isinstance(item.payload, np.ndarray) and np.isfinite(item.payload).all():
            rows.append(item.payload)
        else:
            skipped.append(Skipped(item.source, "not a vector of finite numbers"))
    widths = sorted({np.shape(row) for row in rows})
    if len(widths) != 1 or len(widths[0]) != 1:
        first = f"; the first skipped: {skipped[0].source}: {skipped[0].reason}" if skipped else ""
        raise ConfigError(
            f"freezing a quantiser on {path}: expected vectors of one length,"
            f" found {[list(width) for width in widths[:3]] or 'none'}{first}",
            "give a .csv of numbers, or an .npz with `features` [n, d]",
        )
    values = np.stack(rows).astype(np.float32)
    quantiser = encoder.freeze_quantiser(values, (slice(0, values.shape[1]),), "channel")
    card = encoder.vector_card(values.shape[1], name=display_path(path.stem), quantiser=quantiser)
    return card, examples.names, tuple(skipped)


def name_columns(folder: Path, names: Sequence[str], *, replace_names: bool) -> tuple[str, ...]:
    """Write the names of a home's columns and return them; without names return those it has.

    replace_names: in place of others that are there; else ConfigError is raised for these.
    """
    settings = read_settings(folder)
    with open_encoder(folder, settings) as model:
        card = model.card
    path = folder / settings.knowledge.file
    with Store.open(path, card, writable=bool(names)) as store:
        held = store.columns()
        if names and held not in {(), tuple(names)} and not replace_names:
            raise ConfigError(
                f"naming the columns of {folder}: {columns_differ(held, names)}",
                "give --yes to replace them: what was learned keeps its positions",
            )
        if names and held != tuple(names):
            store.name_columns(names, card)
        return store.columns()


def calibrate_card(
    model: encoder.Model,
    data: Path,
    granularity: encoder.Granularity,
    tick: Tick,
    rate_hz: int = RATE_HZ,
) -> tuple[encoder.Card, tuple[Skipped, ...]]:
    """Freeze a model's quantiser on the readable samples under a path.  Returns the new card, and
    the samples that could not be used.  Cost: one run of the graph a sample."""
    rows = []
    skipped: list[Skipped] = []
    samples = read_examples(data, model.card, rate_hz)
    for item in samples:
        tick(samples.total)
        if isinstance(item, Skipped):
            skipped.append(item)
            continue
        try:
            row = model.measure([item.payload])[0]
        except encoder.PayloadError as error:
            skipped.append(Skipped(item.source, error.message))
            continue
        if np.isfinite(row).all():
            rows.append(row)
        else:
            skipped.append(Skipped(item.source, "the encoder gives NaN or infinity for it"))
    if not rows:
        raise ConfigError(
            f"calibrating on {data}: no sample could be read, {len(skipped)} skipped",
            "give 100 or more samples of what the encoder will see",
        )
    quantiser = encoder.freeze_quantiser(np.stack(rows), model.card.slices, granularity)
    return replace(model.card, quantiser=quantiser), tuple(skipped)
