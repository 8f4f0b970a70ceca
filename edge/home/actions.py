"""Actions of the command line on a home, without their presentation: learn, predict, verify,
inspect, make cards."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeVar

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
    DomainMerge,
    DriftAlarm,
    EdgeError,
    Enrol,
    Fact,
    ForgetProgress,
    Message,
    Observation,
    Rejected,
    accepted,
    columns_differ,
    find_invalid_fact,
    listed,
)
from ..core.knowledge import derive_knowledge, relearn_backwards
from ..datasets import (
    RATE_HZ,
    RECOGNISED,
    Example,
    Examples,
    NamedColumns,
    Skipped,
    accepted_examples,
    display_path,
    read_examples,
)
from ..storage import Store
from .found_files import search_home
from .home import Home
from .input_model import open_encoder
from .typos import KnownNames

Tick = Callable[[int | None], None]
"""Called for each example, with their total if it is known."""

Outcome = Decision | DriftAlarm | Rejected
T = TypeVar("T")

CLIPPED_MAX: Final = 0.01
"""Share of clipped values from which `learn` warns: as in `edge.estimator`, where accuracy on
later domains suffers by up to 1.5 points."""


@dataclass(frozen=True, slots=True)
class ClassCount:
    """The number of facts of a concept."""

    domain: str
    label: str
    facts: int


@dataclass(frozen=True, slots=True)
class Moved:
    """The number of known facts that change from one domain and label to others."""

    old: tuple[str, str]
    new: tuple[str, str]
    facts: int

    @property
    def text(self) -> str:
        """A sentence about it."""
        return f"{self.facts} facts from {'/'.join(self.old)} to {'/'.join(self.new)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """Facts to learn, read from a path.  layout: how domain and label were found; notes:
    ambiguities of the layout; moved: facts that are known under another domain or label; warnings:
    about column names; times: number of facts by the source of their time, those without a time
    under "" (a source is text such as "EXIF data"); recordings: how many recordings the facts name,
    without the empty one."""

    facts: tuple[Fact, ...]
    layout: str
    notes: tuple[str, ...]
    moved: tuple[Moved, ...]
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...] = ()
    times: Mapping[str, int] = field(default_factory=dict)
    recordings: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LearnSummary:
    """The result of `learn`.  count: new or changed facts; detail: outcome of the others; warnings:
    about column names, and about new names that are probably typos.  Other fields: see `Lesson`."""

    count: int
    detail: str
    layout: str
    notes: tuple[str, ...] = ()
    concepts: tuple[ClassCount, ...]
    moved: tuple[Moved, ...] = ()
    skipped: tuple[Skipped, ...]
    knowledge_digest: str
    warnings: tuple[str, ...] = ()
    times: Mapping[str, int] = field(default_factory=dict)
    recordings: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyReport:
    """Digests of the file and of the knowledge derived again, and complaints about differences.

    beside_digest: of the geometry and the sums of other devices.  stamped: the last stamp, of each
    digest that it agrees with, and "another" for the others.  receipts: ids of the forget requests
    after which the knowledge was that of today.  unchecked_receipts: stated under a key of the home
    that was lost since.
    """

    facts: int
    facts_digest: str
    beside_digest: str
    knowledge_digest: str
    stamped: dict[str, str]
    complaints: tuple[str, ...] = field(default=())
    receipts: tuple[str, ...] = ()
    unchecked_receipts: int = 0


@dataclass(frozen=True, slots=True)
class Prediction:
    """The runtime's answer to an example.  truth: the label of the example, or ''."""

    source: str
    outcome: Outcome
    truth: str = ""


def read_lesson(
    home: Home,
    path: Path,
    domain: str,
    label: str,
    tick: Tick,
    *,
    rate_hz: int = RATE_HZ,
    named: NamedColumns = RECOGNISED,
) -> Lesson:
    """Read and encode every labelled example under a path; changes nothing.

    domain, label: of examples without them.  rate_hz: sampling rate of sounds.  named: a table's
    columns of times and recordings.  Raises ConfigError if nothing can be learned.
    """
    examples = read_examples(path, home.model.card, rate_hz, home.store.columns(), named)
    facts: dict[str, Fact] = {}
    times: Counter[str] = Counter()
    skipped: list[Skipped] = []
    clipped: list[float] = []
    for item in examples:
        tick(examples.total)
        clipped += _clipped_share(home, item)
        fact = _fact(home, item, domain, label, facts)
        if isinstance(fact, Skipped):
            skipped.append(fact)
        else:
            facts[fact.id] = fact
            times[item.timed_by if isinstance(item, Example) else ""] += 1
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
        warnings=(*_column_warnings(home, examples), *_range_warning(clipped)),
        times=times,
        recordings=len({fact.recording for fact in facts.values()} - {""}),
    )


def learn(home: Home, lesson: Lesson) -> LearnSummary:
    """Learn a lesson in one durable step, all or nothing.  The first facts of a home also freeze
    its geometry."""
    known = KnownNames.of(home.store.concepts())
    given = KnownNames.of((fact.domain, fact.label) for fact in lesson.facts)
    ack = acknowledged(home.feed(Enrol(lesson.facts)))
    done = f"{ack.count} facts were learned and kept"
    digest = after_change(done, home.refit_geometry)
    after_change(done, home.prepare_answers)
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
        times=lesson.times,
        recordings=lesson.recordings,
    )


def _moved(home: Home, facts: Iterable[Fact]) -> tuple[Moved, ...]:
    """Count the facts that the ledger holds under another domain or label."""
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
    """Yield warnings about ignored columns, and about columns without names to compare."""
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


def _clipped_share(home: Home, item: Example | Skipped) -> Iterator[float]:
    """Yield the share of a vector's values beyond the quantiser's range."""
    card = home.model.card
    if card.kind != "vector" or card.quantiser is None or isinstance(item, Skipped):
        return
    try:
        yield float(card.quantiser.clipped(item.payload).mean())
    except encoder.EncoderError:
        return


def _range_warning(shares: list[float]) -> Iterator[str]:
    """Yield a warning if many values are clipped.  shares: of each example."""
    share = sum(shares) / max(1, len(shares))
    if share > CLIPPED_MAX:
        yield (
            f"{share:.1%} of the values are beyond the range that the quantiser was frozen on and"
            " are clipped; for full accuracy make a home with `auricle init --vectors` on samples"
            " of all domains, and learn their files again there"
        )


def after_change(done: str, proceed: Callable[[], T]) -> T:
    """Run the step after a durable change; its error message begins with the change."""
    try:
        return proceed()
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
    """Return the fact of an example, or why it is skipped.  others: the facts before it."""
    if isinstance(item, Skipped):
        return item
    if not (item.label or label):
        return Skipped(item.source, "has no label: lay it out as FOLDER/<label>/, or give --label")
    try:
        features = home.model.encode(item.payload).values.tobytes()
    except encoder.EncoderError as error:
        return Skipped(item.source, error.message)
    complete = replace(item, label=item.label or label, domain=item.domain or domain)
    fact = _revised(home, complete, features)
    twin = others.get(fact.id)
    if twin is not None:
        where = f", there with the label {twin.label}" if twin.label != fact.label else ""
        return Skipped(item.source, f"the same example came before{where}")
    wrong = find_invalid_fact(fact, home.model.card.width)
    return Skipped(item.source, wrong) if wrong else fact


def _revised(home: Home, item: Example, features: bytes) -> Fact:
    """Return the fact of an example.  If the ledger has the example, missing fields keep their
    values, and another label or domain is a correction: a new revision.  So is the time or the
    recording of a fact that had none; others stay as they were learned first."""
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
            recording=item.recording,
        )
    changed = msgspec.structs.replace(
        known,
        domain=item.domain or known.domain,
        label=item.label,
        subject=item.subject or known.subject,
        captured_at_ns=known.captured_at_ns or item.captured_at_ns,
        recording=known.recording or item.recording,
        features=features,
    )
    return (
        known if changed == known else msgspec.structs.replace(changed, revision=known.revision + 1)
    )


def predict_path(
    home: Home, path: Path, rate_hz: int = RATE_HZ
) -> tuple[Iterator[Prediction], tuple[str, ...]]:
    """Return the runtime's answers to the examples under a path, and warnings about column names.

    The examples form one stream, in order, so drift alarms are among the answers.  rate_hz:
    sampling rate of sounds.  Raises ConfigError at once if nothing can be read.
    """
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


def verify_home(home: Home) -> VerifyReport:
    """Check the file, derive the knowledge again, and compare digests with the last stamp.

    Also forgets all facts and learns them again in reverse order: the order must not matter.
    """
    store, runtime = home.store, home.runtime
    complaints = list(store.check())
    if runtime.erasing:
        waiting = [one.request_id for one in runtime.pending_forgets() if one.state == "excluded"]
        unfinished = (
            f"forget requests are not complete ({', '.join(waiting)}): their facts no longer count,"
            " and the next command that writes erases them"
        )
        return VerifyReport(
            facts=sum(store.concepts().values()),
            facts_digest=store.written_digest(),
            beside_digest=store.inputs_digest(),
            knowledge_digest="",
            stamped={},
            complaints=(*complaints, unfinished),
        )
    digest, facts = runtime.digest(), store.digest() if complaints else store.written_digest()
    card = home.model.card.fingerprint
    forwards = derive_knowledge(store, runtime.knowledge.geometry, card=card, saved=False)
    if forwards.digest(card) != digest:
        complaints.append("the sums kept in the file differ from those of its facts")
    backwards = relearn_backwards(forwards, store, card)
    if forwards.own.keys or backwards.digest(card) != digest:
        complaints.append("forgetting and relearning every fact gives different knowledge")
    inputs = store.inputs_digest()
    wrong_key = store.key_problem()
    complaints += [f"no receipt can be checked: {wrong_key}"] if wrong_key else []
    now = {"facts": facts, "beside": inputs, "knowledge": digest}
    stamped = {} if wrong_key else store.stamped(now)
    same = (stamped.get("facts"), stamped.get("beside")) == (facts, inputs)
    if same and stamped.get("knowledge") != digest:
        complaints.append("the same facts gave different knowledge at the last stamp")
    if any(store.was_forgotten(i) for batch in store.batches() for i in batch.ids):
        complaints.append("the ledger contains forgotten facts")
    trained = {i for rows in store.adaptors().values() for record in rows for i in record.facts}
    if any(map(store.was_forgotten, trained)):
        complaints.append("an adaptor was trained on forgotten facts")
    complaints += [
        f"{one.path} ({one.kind}) may hold forgotten facts: {one.hint}"
        for one in search_home(home.folder, store, remove="nothing")
    ]
    if store.unscrubbed:
        complaints.append(
            "an erasure was interrupted: forgotten facts are out of the ledger, but not yet"
            " overwritten in the file; the next command that writes overwrites them"
        )
    return VerifyReport(
        facts=sum(store.concepts().values()),
        facts_digest=facts,
        beside_digest=inputs,
        knowledge_digest=digest,
        stamped=stamped,
        complaints=tuple(complaints),
        receipts=() if wrong_key else _agreeing(store, digest),
        unchecked_receipts=store.unchecked_receipts(),
    )


def _agreeing(store: Store, digest: str) -> tuple[str, ...]:
    """Return the ids of the requests whose receipts state a digest of the knowledge."""
    return tuple(
        receipt["request_id"]
        for receipt in store.receipts()
        if receipt["digest_after"] == store.key_digest(receipt["request_id"], digest)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """The content of a home.  adaptors: domains that have one.  candidates: observations that wait
    for a label.  contributions: revision of the included sums of other devices, by device.
    columns: names of the encoder's input columns; empty if they count by position.
    domain_merges: domains that the device merged by itself, oldest first.  pending_forgets: forget
    requests that are not complete; while facts of theirs are in the file, there is no digest.
    """

    concepts: tuple[ClassCount, ...]
    encoder: str
    card: str
    width: int
    geometry: str
    geometry_fitted: bool
    knowledge_digest: str
    adaptors: int
    candidates: int
    contributions: dict[str, int]
    receipts: tuple[dict[str, object], ...]
    evictions: int
    file: str
    file_bytes: int
    columns: tuple[str, ...]
    domain_merges: tuple[DomainMerge, ...]
    pending_forgets: tuple[ForgetProgress, ...]


def inspect_home(home: Home) -> Inspection:
    """Return the content of a home."""
    store, card = home.store, home.model.card
    concepts = sorted(store.concepts().items())
    return Inspection(
        concepts=tuple(ClassCount(*concept, number) for concept, number in concepts),
        encoder=card.name,
        card=card.fingerprint,
        width=card.width,
        geometry=home.runtime.knowledge.geometry.fingerprint,
        geometry_fitted=store.geometry() is not None,
        knowledge_digest="" if home.runtime.erasing else home.runtime.digest(),
        adaptors=len(store.adaptors()),
        candidates=len(store.candidate_index()),
        contributions={device: one.revision for device, one in store.contributions().items()},
        receipts=store.receipts(),
        evictions=store.evictions(),
        file=str(store.path),
        file_bytes=store.path.stat().st_size,
        columns=store.columns(),
        domain_merges=store.domain_merges(),
        pending_forgets=home.runtime.pending_forgets(),
    )


def vector_card_from(
    path: Path,
) -> tuple[encoder.Card, tuple[str, ...], tuple[Skipped, ...]]:
    """Make a card for vectors, with a quantiser frozen on the vectors under a path.

    Returns the card, the table's column names if it has any, and the skipped rows.
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
    """Store the column names of a home and return them; without names return the stored ones.

    replace_names: overwrite existing names; otherwise they raise ConfigError.
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
                "give --yes to replace them: learned facts keep their column positions",
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
    """Freeze a model's quantiser on the readable samples under a path.  Returns the new card and
    the skipped samples.  Cost: one run of the graph per sample."""
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
            skipped.append(Skipped(item.source, "the encoder returns NaN or infinity for it"))
    if not rows:
        raise ConfigError(
            f"calibrating on {data}: no sample could be read, {len(skipped)} skipped",
            "give at least 100 samples like those that the encoder will get",
        )
    quantiser = encoder.freeze_quantiser(np.stack(rows), model.card.slices, granularity)
    return replace(model.card, quantiser=quantiser), tuple(skipped)
