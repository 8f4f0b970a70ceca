"""Audits of whole homes: nothing is found where nothing is, and each planted leak is found."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from edge.audit.audit import audit_receipt, rehearse
from edge.audit.findings import AuditReport
from edge.core.adaptors.adaptor import standardising_arrays
from edge.core.adaptors.record import AdaptorRecord
from edge.core.adaptors.standardisation import standardise
from edge.core.errors import ConfigError
from edge.core.events import FitGeometry, ForgetRequest, StoreAdaptor, StoreFacts
from edge.core.facts import Fact, Selector, stack_facts
from edge.core.knowledge.geometry_fit import GeometryFitter
from edge.core.knowledge.saved_sums import SavedSums
from edge.home import actions
from edge.home.home import Home
from nas import Blueprint
from tests.audits import (
    PERSON,
    DigitsHome,
    audit_items,
    digits_home,
    failing,
    finding,
)

PLANTED = b'{"subject": "%s"}\n' % PERSON.encode()


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of every file below a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def read_items(made: DigitsHome, home: Home) -> tuple[Fact, ...]:
    """The forgotten facts, read again from their file."""
    return actions.read_lesson(home, made.items, "", "", lambda _: None).facts


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> tuple[DigitsHome, AuditReport, bool]:
    """A home, the report of a rehearsal on it, and whether its files stayed as they were."""
    made = digits_home(tmp_path_factory.mktemp("rehearsed"), forget=False)
    before = contents(made.folder)
    report = rehearse(made.folder, Selector(subject=PERSON), lambda *_: None)
    return made, report, contents(made.folder) == before


def test_a_rehearsal_finds_nothing_and_changes_nothing(
    rehearsed: tuple[DigitsHome, AuditReport, bool],
) -> None:
    """An exact forget passes every part of the audit; the home keeps its facts, byte for byte."""
    made, report, unchanged = rehearsed
    assert failing(report) == set()
    assert unchanged
    with Home(made.folder, writable=False) as home:
        assert len(home.store.select(Selector(subject=PERSON))) == report.forgotten == 24
    assert [one.name for one in report.muse] == [
        "No verbatim memorization",
        "No knowledge memorization",
        "No privacy leakage",
        "Utility preservation",
        "Scalability",
        "Sustainability",
    ]
    assert {one.outcome for one in report.muse} == {"holds"}


def test_a_rehearsal_keeps_apart_what_is_proven_tested_and_not_covered(
    rehearsed: tuple[DigitsHome, AuditReport, bool],
) -> None:
    """Digests are proofs, attacks are tests, and copies outside the home are not covered."""
    _, report, _ = rehearsed
    kinds = {one.key: one.evidence for one in report.findings}
    assert kinds["knowledge_digest"] == kinds["geometry"] == kinds["sustainability"] == "proven"
    assert kinds["lira"] == kinds["traces"] == kinds["resent_same_ids"] == "tested"
    assert kinds["outside"] == kinds["below_files"] == kinds["encoder"] == "not covered"
    assert finding(report, "resent_other_ids").outcome == "open"
    assert "Nothing of the forgotten facts was found" in report.verdict


def test_a_receipt_alone_suffices_for_digests_and_names(tmp_path: Path) -> None:
    """Without the items the audit compares digests and looks for hashed names, and says that
    answers were not attacked."""
    made = digits_home(tmp_path)
    report = audit_receipt(made.folder, "request-1", None, lambda *_: None)
    assert failing(report) == set()
    assert finding(report, "receipt_digest").outcome == "holds"
    assert finding(report, "attacks").evidence == "not covered"
    assert "lira" not in {one.key for one in report.findings}


def test_a_file_that_names_the_forgotten_person_is_found_without_the_name(tmp_path: Path) -> None:
    """A name in a log of the home is found by its keyed hash alone."""
    made = digits_home(tmp_path)
    (made.folder / "notes.log").write_bytes(PLANTED)
    report = audit_receipt(made.folder, "", None, lambda *_: None)
    assert failing(report) == {"keyed_traces"}
    assert "notes.log" in finding(report, "keyed_traces").text
    assert PERSON not in repr(report)


def plant_export(made: DigitsHome) -> None:
    """An export with the forgotten features lies in the home."""
    with Home(made.folder) as home:
        rows = [np.frombuffer(fact.features, np.uint8) for fact in read_items(made, home)]
    np.savez_compressed(made.folder / "old-export.npz", features=np.array(rows))


def plant_id(made: DigitsHome) -> None:
    """A table of the history holds a forgotten id."""
    with Home(made.folder) as home:
        one = read_items(made, home)[0].id
    with closing(sqlite3.connect(made.folder / "history.db")) as db, db:
        db.execute("CREATE TABLE IF NOT EXISTS seen (id TEXT)")
        db.execute("INSERT INTO seen VALUES (?)", (one,))


def plant_fact(made: DigitsHome) -> None:
    """A forgotten fact is in the ledger again."""
    with Home(made.folder) as home:
        home.store.apply(StoreFacts(facts=read_items(made, home)[:1]))


def plant_geometry(made: DigitsHome) -> None:
    """The geometry is one that the forgotten facts took part in."""
    with Home(made.folder) as home:
        facts = read_items(made, home)
        again = tuple(replace(one, id=f"again {one.id}") for one in facts)
        home.store.apply(StoreFacts(facts=again))
        home.reopen()
        home.feed(FitGeometry())
        home.store.apply(StoreFacts(facts=(), withdrawn=tuple(one.id for one in again)))
        home.reopen()


def plant_sums(made: DigitsHome) -> None:
    """The sums kept in the file are those with the forgotten facts in them."""
    with Home(made.folder) as home:
        knowledge, gone = home.runtime.knowledge, read_items(made, home)[0]
        concept = gone.domain, gone.label
        kept = next(one for one in remaining(home) if (one.domain, one.label) == concept)
        for one, change in ((kept, knowledge.own.remove), (gone, knowledge.own.add)):
            row = np.frombuffer(one.features, np.uint8)[None]
            change(*concept, knowledge.geometry.project(row))
        saved = SavedSums(home.store, knowledge.geometry)
        home.store.save_derived(tuple(saved.changed(knowledge.own)))


def scaled_record(home: Home, facts: tuple[Fact, ...], named: tuple[Fact, ...]) -> AdaptorRecord:
    """An adaptor whose scales follow from some facts, and which names others."""
    own = stack_facts(one for one in facts if one.domain == "left")
    others = stack_facts(one for one in facts if one.domain != "left")
    spans = tuple((part.start, part.stop) for part in home.model.card.slices)
    chosen = Blueprint(kind="none", taps=(0,))
    return AdaptorRecord(
        domain="left",
        version=1,
        blueprint=chosen,
        arrays=standardising_arrays(chosen, standardise(own, others, spans), spans),
        facts=tuple(sorted(one.id for one in named)),
        own=len(own),
        seed=1,
        accuracy=0.9,
        incumbent=0.8,
    )


def remaining(home: Home) -> tuple[Fact, ...]:
    """All facts of a home."""
    return tuple(fact for page in home.store.pages() for fact in page)


def plant_silent_adaptor(made: DigitsHome) -> None:
    """An adaptor that the forgotten facts shaped serves, and does not name them."""
    with Home(made.folder) as home:
        kept = remaining(home)
        whole = (*kept, *read_items(made, home))
        home.store.apply(StoreAdaptor(scaled_record(home, whole, kept)))


def plant_named_adaptor(made: DigitsHome) -> None:
    """An adaptor that names forgotten facts is left in the file."""
    with Home(made.folder) as home:
        whole = (*remaining(home), *read_items(made, home))
        home.store.apply(StoreAdaptor(scaled_record(home, whole, whole)))


def plant_tombstones(made: DigitsHome) -> None:
    """The tombstones are lost, so that what was forgotten is learned again."""
    with closing(sqlite3.connect(made.folder / "knowledge.db")) as db, db:
        db.execute("DELETE FROM tombstones")
        db.execute("DELETE FROM content_tombstones")


LEAKS: dict[Callable[[DigitsHome], None], set[str]] = {
    plant_export: {"traces"},
    plant_id: {"traces", "keyed_traces"},
    plant_fact: {"forgotten_ids", "facts", "sums", "knowledge_digest"},
    plant_sums: {"sums", "knowledge_digest"},
    plant_silent_adaptor: {"adaptors_reproduced", "classifiers", "parametric_traces"},
    plant_named_adaptor: {"adaptor_facts"},
    plant_tombstones: {"resent_same_ids"},
}
"""Each planted leak with the findings that must fail."""


@pytest.mark.parametrize("plant", LEAKS, ids=lambda one: one.__name__.removeprefix("plant_"))
def test_a_planted_leak_is_found(tmp_path: Path, plant: Callable[[DigitsHome], None]) -> None:
    """Each kind of leak makes the parts of the audit fail that are about it."""
    made = digits_home(tmp_path)
    plant(made)
    report = audit_items(made)
    assert failing(report) >= LEAKS[plant]
    assert "found" in report.verdict
    assert PERSON not in repr(report)


@pytest.mark.parametrize("leaks", [False, True], ids=["clean", "leaky"])
def test_a_trained_adaptor_is_trained_again(tmp_path: Path, leaks: bool) -> None:
    """An adaptor trained on the facts that it names holds; one that forgotten facts shaped, too,
    has other parameters than its named facts give."""
    pytest.importorskip("torch")
    from edge.growth.adaptor_training import train_adaptor

    made = digits_home(tmp_path)
    with Home(made.folder) as home:
        kept = remaining(home)
        shaping = (*kept, *read_items(made, home)) if leaks else kept
        plain = scaled_record(home, shaping, kept)
        chosen = Blueprint(
            kind="bottleneck", taps=(0,), width=32, rank=16, depth=1, activation="relu"
        )
        own = stack_facts(one for one in shaping if one.domain == "left")
        others = stack_facts(one for one in shaping if one.domain != "left")
        arrays = train_adaptor(chosen, own, others, ((0, 64),), plain.seed)
        home.store.apply(StoreAdaptor(replace(plain, blueprint=chosen, arrays=arrays)))
    report = audit_items(made)
    expected = {"adaptors_reproduced", "classifiers", "parametric_traces"} if leaks else set()
    assert failing(report) >= expected
    assert bool(failing(report)) is leaks


def test_a_geometry_that_cannot_be_derived_again_stays_open(tmp_path: Path) -> None:
    """A geometry fitted to other facts than those of today is neither accused nor called clean."""
    made = digits_home(tmp_path)
    plant_geometry(made)
    report = audit_receipt(made.folder, "", None, lambda *_: None)
    assert finding(report, "geometry").outcome == "open"
    assert "auricle fit-geometry" in finding(report, "geometry").todo


def test_a_rehearsal_finds_a_geometry_that_forgetting_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If forgetting left the geometry that the facts took part in, the rehearsal would show it."""
    made = digits_home(tmp_path, forget=False)
    stays = GeometryFitter.stays
    monkeypatch.setattr(GeometryFitter, "stays", lambda *given: bool(given[3]) or stays(*given))
    report = rehearse(made.folder, Selector(subject=PERSON), lambda *_: None)
    assert "geometry" in failing(report)


def test_an_audit_of_items_that_are_facts_is_refused(tmp_path: Path) -> None:
    """Items that the home still knows were not forgotten; the error says what to do."""
    made = digits_home(tmp_path, forget=False)
    with Home(made.folder) as home:
        other = next(fact.id for fact in remaining(home) if fact.subject != PERSON)
        home.feed(
            ForgetRequest(
                request_id="request-1",
                selector=Selector(ids=frozenset((other,))),
                requested_at_ns=1,
            )
        )
    with pytest.raises(ConfigError, match="facts of the home"):
        audit_items(made)


def test_a_rehearsal_that_forgets_everything_can_be_examined(tmp_path: Path) -> None:
    """With no fact left, the home is like a new one, and what needs other facts is left open."""
    made = digits_home(tmp_path, facts=40, forget=False)
    report = rehearse(made.folder, Selector(from_ns=0), lambda *_: None)
    assert (report.forgotten, report.retained) == (40, 0)
    assert failing(report) == set()
    assert finding(report, "knowledge_digest").outcome == "holds"
    assert finding(report, "utility").outcome == "open"


def test_an_audit_without_a_receipt_says_what_to_do(tmp_path: Path) -> None:
    """A home that has forgotten nothing has nothing to audit afterwards."""
    made = digits_home(tmp_path, facts=40, forget=False)
    with pytest.raises(ConfigError, match="no receipt") as error:
        audit_receipt(made.folder, "", None, lambda *_: None)
    assert "auricle inspect" in error.value.hint
